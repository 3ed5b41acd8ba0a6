"""Versions of images: three numbers with dots between them."""


def version_order(version: str) -> tuple[int, ...]:
    """Sorts versions by number; what is not a number counts as 0."""
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))


def next_patch(version: str) -> str:
    """The version one patch above."""
    *rest, patch = version_order(version)
    return ".".join(str(part) for part in [*rest, patch + 1])
