"""How the programs of the campaigns and measurements are started: on free ports, and none outlives us."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
CLEAN = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if name in os.environ} | {
    "TEMPORAL_CONFIG_FILE": os.devnull,
    "PYTHONUNBUFFERED": "1",
}
"""What a program sees of the environment of whoever starts a campaign."""

_PR_SET_PDEATHSIG = 1


def start(
    command: Sequence[str], written: IO[bytes] | int = subprocess.DEVNULL, environment: Mapping[str, str] = {}
) -> subprocess.Popen[bytes]:
    """Start a program in the project's folder.

    Args:
        command: The command.
        written: Where it writes.
        environment: Its variables, beside `CLEAN`.
    """
    return subprocess.Popen(
        command,
        env={**CLEAN, **environment},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=written,
        stderr=subprocess.STDOUT,
        preexec_fn=die_with_us,  # noqa: PLW1509 - no thread of ours holds a lock of libc's
    )


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def die_with_us(number: int = signal.SIGKILL) -> None:
    """Make the kernel end the program when we are killed and cannot do so ourselves; for ``preexec_fn``."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def end_on_sigterm() -> None:
    """End on SIGTERM as on Ctrl-C: programs and folders are cleaned up where the exception comes by.

    It is not `SystemExit`, which hypothesis would take for something found.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
