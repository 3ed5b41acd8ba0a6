"""Runs the command as a person or a pipeline does, in its own process or in the tests' process."""

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import sys
import termios
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import pytest

from cli.__main__ import main
from tests.harness.processes import CLEAN, ROOT, die_with_us
from tests.harness.waiting import until

WITHIN = 30.0


class Ended(NamedTuple):
    """How a process ended, and what it wrote."""

    status: int
    out: str
    err: str


class InProcess:
    """Runs the command in the tests' process, which is faster."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self._out = ""
        self._err = ""

    async def __call__(self, *words: str, **variables: str) -> Ended:
        """Run the command to its end, with more variables in its environment."""
        self._capture.readouterr()
        with pytest.MonkeyPatch.context() as environment:
            for name, value in variables.items():
                environment.setenv(name, value)
            status = await self.begin(*words)
        return Ended(status, *self._capture.readouterr())

    async def begin(self, *words: str) -> int:
        """Run the command to its end, while `has_written` shows what it has written."""
        return await asyncio.to_thread(main, words)

    def has_written(self, out: str = "", err: str = "") -> bool:
        """Return whether the command has written some text."""
        more = self._capture.readouterr()
        self._out += more.out
        self._err += more.err
        return out in self._out and err in self._err


@dataclass
class Command:
    """Runs the command in its own process, on a server."""

    address: str
    task_queue: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def variables(self) -> dict[str, str]:
        """Return its environment."""
        ours = {"TEMPORAL_ADDRESS": self.address, "TEMPORAL_TASK_QUEUE": self.task_queue}
        return CLEAN | ours | dict(self.environment)

    async def __call__(self, *words: str, stdin: str = "") -> Ended:
        """Run the command to its end."""
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
        """Start a command that keeps running. Leaving its context kills it."""
        return Running(self, words, terminal=terminal)


class Running:
    """A running command, with its output on one pipe or on a terminal."""

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
        with contextlib.suppress(OSError):  # Linux reports a closed terminal like this
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

    def written(self) -> str:
        """Return what it has written."""
        return self._written.decode(errors="replace")

    async def until(self, text: str) -> None:
        """Wait until it has written a text. Fail if it ends first."""

        def has_written() -> bool:
            return text in self.written() or self._process.returncode is not None

        await until(has_written, f"the command writes {text!r}", seconds=WITHIN, details=self.written)
        assert text in self.written(), f"the command ended without writing {text!r}\n{self.written()}"

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    async def ended(self) -> int:
        """Wait until it has ended, and return its exit status."""
        status = await asyncio.wait_for(self._process.wait(), WITHIN)
        await asyncio.sleep(0.05)  # until the rest of its output is read
        return status
