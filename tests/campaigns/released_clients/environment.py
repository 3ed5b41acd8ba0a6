"""The environment of the released clients, which `make clients` builds in `.bench/`."""

from pathlib import Path

ROOT = Path(__file__).parents[3]
PINNED = Path(__file__).parent / "environment.txt"
FOLDER = ROOT / ".bench" / "released-clients"
DRIVERS = Path(__file__).parent / "drivers"


def missing() -> str | None:
    """Return why the environment is unusable, or ``None`` if it is usable."""
    stamp = FOLDER / "installed.txt"
    if not stamp.exists():
        return "cloudpub and azure-img-utils are not installed: run `make clients`, which installs them from PyPI"
    if stamp.read_text() != PINNED.read_text():
        return "other versions of cloudpub and azure-img-utils are installed: run `make clients`, which replaces them"
    return None


def program(name: str) -> str:
    """Return the path of a program in the environment."""
    return str(FOLDER / "bin" / name)


def versions() -> dict[str, str]:
    """Return the pinned versions."""
    pins = (line.partition("==") for line in PINNED.read_text().split())
    return {name: version for name, _, version in pins}
