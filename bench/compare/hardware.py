"""What was measured on: the machine, and the versions of everything."""

import os
import platform
import subprocess
from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path

from bench.compare.environments import PINNED, NotToBeHadError, postgres_program, system_program
from bench.compare.lineup import CONTESTANTS, RESTATE
from sandbox.demo import find_temporal
from sandbox.sample import DemoError
from tests.harness.processes import ROOT

A_GIBIBYTE = 2**30


def lines_of_code() -> int:
    """Count the lines of the product that a reader of the workflows has to know."""
    files = [path for folder in ("workflows", "activities", "worker") for path in (ROOT / folder).rglob("*.py")]
    return sum(len(path.read_text().splitlines()) for path in files)


def machine(names: Collection[str]) -> dict[str, str]:
    """Return what a reader has to know to believe the figures, by the names of the contestants."""
    known = {
        "machine": f"{os.cpu_count()} cores, {_processor()}, {_memory()}, {platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "commit": _said("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "temporal": _temporal(),
        "temporalio": version("temporalio"),
    }
    for package in sorted({each.packages for each in CONTESTANTS if each.packages and each.name in names}):
        pinned = (PINNED / f"{package}.txt").read_text().splitlines()
        known[package] = ", ".join(line.partition("#")[0].strip().replace("==", " ") for line in pinned)
    if "restate" in names:
        known["restate-server"] = RESTATE
    try:
        if "celery" in names:
            known["redis-server"] = _said(system_program("redis-server", "redis-server"), "--version")
        if "dbos-postgres" in names:
            known["postgres"] = _said(postgres_program("postgres"), "--version")
    except NotToBeHadError:
        pass  # said where it is missed
    return known


def _temporal() -> str:
    try:
        return _said(find_temporal(), "--version")
    except DemoError:
        return "not here"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _memory() -> str:
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / A_GIBIBYTE:.0f} GiB"


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
