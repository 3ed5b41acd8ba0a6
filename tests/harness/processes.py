"""Start programs in a clean environment. No program outlives the process that started it."""

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
"""The environment of every program: what it inherits from the caller, and two more variables."""

_PR_SET_PDEATHSIG = 1


def start(
    command: Sequence[str],
    output: IO[bytes] | int = subprocess.DEVNULL,
    environment: Mapping[str, str] = {},
    folder: Path | None = ROOT,
) -> subprocess.Popen[bytes]:
    """Start a program.

    Args:
        command: The command.
        output: Where standard output and standard error go.
        environment: Variables to set besides `CLEAN`.
        folder: The working directory; ``None`` is the caller's.
    """
    return subprocess.Popen(
        command,
        env={**CLEAN, **environment},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        preexec_fn=die_with_us,  # noqa: PLW1509 - no thread of ours holds a lock of libc's
    )


def free_port() -> int:
    """Return a loopback port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def die_with_us(number: int = signal.SIGKILL) -> None:
    """Ask the kernel to send this process a signal when its parent dies. Pass it as ``preexec_fn``.

    This covers a parent that is killed and cannot clean up. The process also accepts Ctrl-C again. A shell disables
    it for background processes.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def end_on_sigterm() -> None:
    """Treat SIGTERM like Ctrl-C, whose exception runs every clean-up on its way out.

    `SystemExit` would not do, because hypothesis takes it for a failing example.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
