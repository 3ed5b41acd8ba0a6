"""Image versions: three numbers with dots between them."""


def version_order(version: str) -> tuple[int, ...]:
    """Return a key that sorts versions as numbers. A part that is not a number counts as 0."""
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))


def next_patch(version: str) -> str:
    """Return the version one patch above."""
    *rest, patch = version_order(version)
    return ".".join(str(part) for part in [*rest, patch + 1])
