"""The environment of the released clients: below `.bench/`, made by `make clients`, never a part of the product."""

from pathlib import Path

ROOT = Path(__file__).parents[3]
PINNED = Path(__file__).parent / "environment.txt"
FOLDER = ROOT / ".bench" / "released-clients"
DRIVERS = Path(__file__).parent / "drivers"


def why_not() -> str | None:
    """Return why there is no such environment, if there is none."""
    stamp = FOLDER / "installed.txt"
    if not stamp.exists():
        return "cloudpub and azure-img-utils are not installed here: `make clients` does it, from PyPI"
    if stamp.read_text() != PINNED.read_text():
        return "other versions of cloudpub and azure-img-utils are installed here: `make clients` renews them"
    return None


def program(name: str) -> str:
    """Return a program of the environment."""
    return str(FOLDER / "bin" / name)


def versions() -> dict[str, str]:
    """Return what is installed, as it is pinned."""
    pins = (line.partition("==") for line in PINNED.read_text().split())
    return {name: version for name, _, version in pins}
