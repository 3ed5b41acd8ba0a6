"""The machine on which the figures were measured, and the versions of all programs."""

import os
import platform
import subprocess
from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path

from bench.compare.environments import PINNED
from bench.compare.lineup import CONTESTANTS, RESTATE
from sandbox.demo import find_temporal
from sandbox.sample import DemoError
from tests.harness.processes import ROOT

A_GIBIBYTE = 2**30


def lines_of_code() -> int:
    """Count the lines of code that a reader of the workflows must know."""
    files = [path for folder in ("workflows", "activities", "worker") for path in (ROOT / folder).rglob("*.py")]
    return sum(len(path.read_text().splitlines()) for path in files)


def machine(names: Collection[str]) -> dict[str, str]:
    """Describe the machine, and the versions that these contestants ran with."""
    facts = {
        "machine": f"{os.cpu_count()} cores, {_processor()}, {_memory()}, {platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "commit": _output("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "temporal": _temporal(),
        "temporalio": version("temporalio"),
    }
    for package in sorted({each.packages for each in CONTESTANTS if each.packages and each.name in names}):
        pinned = (PINNED / f"{package}.txt").read_text().splitlines()
        facts[package] = ", ".join(line.partition("#")[0].strip().replace("==", " ") for line in pinned)
    if "restate" in names:
        facts["restate-server"] = RESTATE
    return facts


def _temporal() -> str:
    try:
        return _output(find_temporal(), "--version")
    except DemoError:
        return "not installed"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _memory() -> str:
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / A_GIBIBYTE:.0f} GiB"


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
