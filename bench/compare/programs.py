"""The programs of a measurement: start them, read their CPU time and memory from /proc, and end them."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness.processes import ROOT, die_with_us

PATIENCE = 90.0
_TICK = os.sysconf("SC_CLK_TCK")
_KEPT = ("PATH", "HOME", "LANG")


class ProgramFailedError(Exception):
    """A program ended unexpectedly or did not become ready. The message contains the end of its log."""


@dataclass
class Program:
    """A running program.

    Attributes:
        log: Its log. The benchmark reads the standard output of a client instead.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        """Return the end of the log."""
        return self.log.read_text(errors="replace")[-3000:]

    def check(self) -> None:
        """Check that it runs.

        Raises:
            ProgramFailedError: It has ended.
        """
        if self.process.poll() is not None:
            raise ProgramFailedError(f"{self.name} ended with {self.process.returncode}. It said: {self.said()}")

    async def until_it_says(self, words: str) -> None:
        """Wait until the log contains a text.

        Raises:
            ProgramFailedError: The program ended, or took too long.
        """
        deadline = time.monotonic() + PATIENCE
        while words not in self.log.read_text(errors="replace"):
            self.check()
            if time.monotonic() > deadline:
                raise ProgramFailedError(f"{self.name} did not say {words!r}. It said: {self.said()}")
            await asyncio.sleep(0.02)

    def kill(self) -> None:
        """Kill it and its descendants, as a power failure would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def cpu(self) -> float:
        """Return the CPU seconds of the program and its descendants, ended ones included."""
        return sum(_cpu(pid) for pid in _tree(self.process.pid))

    def memory(self) -> int:
        """Return the memory of the program and its descendants in bytes, as proportional set size."""
        return sum(_memory(pid) for pid in _tree(self.process.pid))


def _tree(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/pid/stat from the third on: state, parent and so on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu(pid: int) -> float:
    with contextlib.suppress(OSError):
        return sum(int(ticks) for ticks in _stat(pid)[11:15]) / _TICK
    return 0.0


def _memory(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def machine_cpu() -> float:
    """Return the CPU seconds of all programs on the machine."""
    user, nice, system, _idle, _iowait, irq, softirq = Path("/proc/stat").read_text().split()[1:8]
    return sum(map(int, (user, nice, system, irq, softirq))) / _TICK


@dataclass
class Client:
    """A contestant's client, which takes the orders of `bench.compare.orders`."""

    program: Program
    answers: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    last: int = 0

    def order(self, what: str, **arguments: object) -> "asyncio.Future[Any]":
        """Send an order. The future gets its result, or a `ProgramFailedError`."""
        self.last += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.answers[self.last] = answer
        line = json.dumps({"id": self.last, "do": what, "with": arguments})
        assert self.program.process.stdin  # noqa: S101 - it is a pipe
        self.program.process.stdin.write(line.encode() + b"\n")
        self.program.process.stdin.flush()
        return answer

    async def listen(self) -> None:
        """Read answers until the client ends."""
        reader = asyncio.StreamReader(limit=2**24)
        protocol = asyncio.StreamReaderProtocol(reader)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, self.program.process.stdout)
        async for line in reader:
            read = json.loads(line)
            answer = self.answers.pop(read["id"])
            if answer.done():
                continue
            if "error" in read:
                answer.set_exception(ProgramFailedError(f"{self.program.name}: {read['error']}"))
            else:
                answer.set_result(read["result"])
        for answer in self.answers.values():
            if not answer.done():
                answer.set_exception(ProgramFailedError(f"{self.program.name} ended. It said: {self.program.said()}"))


@dataclass
class Programs:
    """The programs of one measurement, and the folder of their logs and state."""

    folder: Path
    started: list[Program] = field(default_factory=list)

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        takes_orders: bool = False,
    ) -> Program:
        """Start a program, with a clean environment.

        Args:
            name: The name in errors and of the log.
            command: The command.
            environment: Variables to set.
            takes_orders: Whether the benchmark writes to its standard input and reads its standard output.
        """
        log = self.folder / f"{len(self.started)}-{name}.log"
        kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
        with log.open("wb") as written:
            process = subprocess.Popen(
                command,
                env=kept | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)} | dict(environment or {}),
                cwd=ROOT,
                stdin=subprocess.PIPE if takes_orders else subprocess.DEVNULL,
                stdout=subprocess.PIPE if takes_orders else written,
                stderr=written if takes_orders else subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_us,  # noqa: PLW1509 - no thread of ours holds a lock of libc's
            )
        program = Program(name, process, log)
        self.started.append(program)
        return program

    @asynccontextmanager
    async def client(
        self, name: str, command: Sequence[str], environment: Mapping[str, str]
    ) -> AsyncIterator[Client]:
        """Run a contestant's client."""
        client = Client(self.start(name, command, environment, takes_orders=True))
        listening = asyncio.create_task(client.listen())
        try:
            yield client
        finally:
            client.program.kill()
            await listening
            for answer in client.answers.values():
                if answer.done():
                    answer.exception()  # marks the error as retrieved, because nothing awaits it now

    def end(self) -> None:
        """Kill all programs, starting with the last one."""
        for program in reversed(self.started):
            program.kill()
