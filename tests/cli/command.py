"""The command in a separate process, as a person or a pipeline runs it."""

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import sys
import termios
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import pytest

from cli.__main__ import main
from tests.harness.processes import CLEAN, ROOT, die_with_us

WITHIN = 30.0


class Ended(NamedTuple):
    """How a process ended, and what it wrote."""

    status: int
    out: str
    err: str


class InProcess:
    """Runs the command within the tests' process, which is sooner done."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self._out = ""
        self._err = ""

    async def __call__(self, *words: str, **variables: str) -> Ended:
        """Run it to its end, in an environment of more variables."""
        self._capture.readouterr()
        with pytest.MonkeyPatch.context() as environment:
            for name, value in variables.items():
                environment.setenv(name, value)
            status = await self.begin(*words)
        return Ended(status, *self._capture.readouterr())

    async def begin(self, *words: str) -> int:
        """Run it to its end; what it writes meanwhile is there for `has_said`."""
        return await asyncio.to_thread(main, words)

    def has_said(self, out: str = "", err: str = "") -> bool:
        """Return whether what was begun has written something."""
        more = self._capture.readouterr()
        self._out += more.out
        self._err += more.err
        return out in self._out and err in self._err


@dataclass
class Command:
    """Runs the command against a server."""

    address: str
    task_queue: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def variables(self) -> dict[str, str]:
        """Return the environment that it is given."""
        ours = {"TEMPORAL_ADDRESS": self.address, "TEMPORAL_TASK_QUEUE": self.task_queue}
        return CLEAN | ours | dict(self.environment)

    async def __call__(self, *words: str, stdin: str = "") -> Ended:
        """Run it to its end."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli", *words),
            cwd=ROOT,
            env=self.variables(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=die_with_us,
        )
        out, err = await asyncio.wait_for(process.communicate(stdin.encode()), WITHIN)
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())

    def begin(self, *words: str, terminal: bool = False) -> "Running":
        """Begin a command that goes on; leave its context to have it ended."""
        return Running(self, words, terminal=terminal)


class Running:
    """The command while it runs, its output on one stream, on a terminal where that is wanted."""

    def __init__(self, command: Command, words: tuple[str, ...], *, terminal: bool) -> None:
        self._command = command
        self._words = words
        self._terminal = terminal
        self._written = b""

    async def __aenter__(self) -> Self:
        ours, theirs = pty.openpty() if self._terminal else os.pipe()
        if self._terminal:
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 110, 0, 0))
        term = {"TERM": "xterm-256color"} if self._terminal else {}
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli", *self._words),
            cwd=ROOT,
            env=self._command.variables() | term,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            preexec_fn=die_with_us,
        )
        os.close(theirs)
        self._ours = ours
        asyncio.get_running_loop().add_reader(ours, self._read)
        return self

    def _read(self) -> None:
        chunk = b""
        with contextlib.suppress(OSError):  # a terminal that nobody writes to any more
            chunk = os.read(self._ours, 65536)
        self._written += chunk
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._ours)

    async def __aexit__(self, *_error: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        asyncio.get_running_loop().remove_reader(self._ours)
        os.close(self._ours)

    def said(self) -> str:
        """Return what it has written."""
        return self._written.decode(errors="replace")

    async def until(self, text: str) -> None:
        """Wait until it has written a text."""
        until = time.monotonic() + WITHIN
        while text not in self.said():
            assert self._process.returncode is None, self.said()
            assert time.monotonic() < until, f"never said: {text}\n{self.said()[-5000:]}"
            await asyncio.sleep(0.02)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    async def ended(self) -> int:
        """Wait for its end; answers with the exit status."""
        status = await asyncio.wait_for(self._process.wait(), WITHIN)
        await asyncio.sleep(0.05)  # the rest of what it wrote
        return status
