"""The contestants' environments, built on demand into ``.bench/`` from the pinned versions in ``environments/``."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.harness.processes import ROOT

BUILT = ROOT / ".bench"
PINNED = Path(__file__).parent / "environments"


class NotToBeHadError(Exception):
    """Something a contestant needs is not on this machine; says what to install."""


def python_of(packages: str | None) -> str:
    """Return the interpreter of an environment; ``None`` is the one that runs us.

    Raises:
        NotToBeHadError: The environment could not be built.
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
    """Return the binary that an npm package brings for this machine, without the script around it.

    Raises:
        NotToBeHadError: There is no npm, it could not install the package, or that has none for this machine.
    """
    folder = BUILT / f"npm-{name}"
    stamp = folder / "installed.txt"
    if not stamp.exists() or stamp.read_text() != version:
        if shutil.which("npm") is None:
            raise NotToBeHadError("npm is not here")
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
        raise NotToBeHadError(f"{package} has no {name} for this machine")
    return str(found[0])


def system_program(name: str, package: str) -> str:
    """Return a program of the system's.

    Raises:
        NotToBeHadError: It is not here.
    """
    found = shutil.which(name)
    if found is None:
        raise NotToBeHadError(f"{name} is not here; on Debian and Ubuntu: apt install {package}")
    return found


def postgres_program(name: str) -> str:
    """Return a program of PostgreSQL's, which Debian keeps off the path.

    Raises:
        NotToBeHadError: It is not here.
    """
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda each: int(each.parts[-3]))
    return str(found[-1]) if found else system_program(name, "postgresql")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotToBeHadError(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()[-500:]}")
