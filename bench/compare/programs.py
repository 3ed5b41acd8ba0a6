"""Programs of a measurement: started, watched through /proc, gone when the context is left."""

import asyncio
import contextlib
import json
import os
import pwd
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.harness.processes import ROOT, die_with_us

PATIENCE = 90.0
ENDS_WITHIN = 10.0
_TICK = os.sysconf("SC_CLK_TCK")
_KEPT = ("PATH", "HOME", "LANG")


class ProgramFailedError(Exception):
    """A program ended by itself or did not get ready; says what it wrote."""


@dataclass
class Program:
    """A running program.

    Attributes:
        log: Where it writes; a client's answers go to us instead.
        started: When, by `time.monotonic`.
        ends_by: The signal that ends it in peace.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    started: float
    ends_by: signal.Signals = signal.SIGKILL

    def said(self) -> str:
        """Return the end of what it wrote."""
        return self.log.read_text(errors="replace")[-3000:]

    def check(self) -> None:
        """Make sure that it runs.

        Raises:
            ProgramFailedError: It does not.
        """
        if self.process.poll() is not None:
            raise ProgramFailedError(f"{self.name} ended with {self.process.returncode}. It said: {self.said()}")

    async def until_it_says(self, words: str) -> None:
        """Wait for words in its log.

        Raises:
            ProgramFailedError: They did not come.
        """
        until = time.monotonic() + PATIENCE
        while words not in self.log.read_text(errors="replace"):
            self.check()
            if time.monotonic() > until:
                raise ProgramFailedError(f"{self.name} did not say {words!r}. It said: {self.said()}")
            await asyncio.sleep(0.02)

    def kill(self) -> None:
        """End it and all it started, as a power failure would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        """End it in peace, and whatever is left of it after that or after 10 s."""
        self.process.send_signal(self.ends_by)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(ENDS_WITHIN)
        self.kill()

    def processes(self) -> list[int]:
        """Return the process ids of the program and of all that it started."""
        return _tree(self.process.pid)

    def cpu(self) -> float:
        """Return the CPU seconds used so far, by it and what it started, ended or not."""
        return sum(_cpu(pid) for pid in self.processes())

    def memory(self) -> int:
        """Return the bytes of memory, shared ones divided among those that share them."""
        return sum(_memory(pid) for pid in self.processes())


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
    """Return the fields of /proc/pid/stat from the third on: state, parent, …."""
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
    """Return the CPU seconds that all programs of the machine used so far."""
    user, nice, system, _idle, _iowait, irq, softirq = Path("/proc/stat").read_text().split()[1:8]
    return sum(map(int, (user, nice, system, irq, softirq))) / _TICK


@dataclass
class Client:
    """A contestant's client program, obeying `bench.compare.line`."""

    program: Program
    answers: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    last: int = 0

    async def do(self, what: str, *arguments: object) -> Any:
        """Let it do something; answers with the result.

        Raises:
            ProgramFailedError: It could not.
        """
        return await self.order(what, *arguments)

    def order(self, what: str, *arguments: object) -> "asyncio.Future[Any]":
        """Let it do something without waiting."""
        self.last += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.answers[self.last] = answer
        line = json.dumps({"id": self.last, "do": what, "with": arguments})
        assert self.program.process.stdin  # noqa: S101 - it is a pipe
        self.program.process.stdin.write(line.encode() + b"\n")
        self.program.process.stdin.flush()
        return answer

    async def listen(self) -> None:
        """Take its answers until it ends."""
        reader = asyncio.StreamReader(limit=2**24)
        protocol = asyncio.StreamReaderProtocol(reader)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, self.program.process.stdout)
        async for line in reader:
            told = json.loads(line)
            answer = self.answers.pop(told["id"])
            if answer.done():
                continue
            if "error" in told:
                answer.set_exception(ProgramFailedError(f"{self.program.name}: {told['error']}"))
            else:
                answer.set_result(told["result"])
        for answer in self.answers.values():
            if not answer.done():
                answer.set_exception(ProgramFailedError(f"{self.program.name} ended. It said: {self.program.said()}"))


@dataclass
class Ground:
    """The place that the programs of one measurement run at."""

    folder: Path
    programs: list[Program] = field(default_factory=list)

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        user: str | None = None,
        talks: bool = False,
        ends_by: signal.Signals = signal.SIGKILL,
    ) -> Program:
        """Start a program in the project's folder, with nothing of the caller's environment but what it needs.

        Args:
            name: What it is, for errors.
            command: The command.
            environment: Its variables.
            user: Who runs it, where that must not be root.
            talks: Whether we write to it and read what it answers.
            ends_by: The signal that ends it, where a program that is killed would leave something on the machine.
        """
        log = self.folder / f"{len(self.programs)}-{name}.log"
        kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
        with log.open("wb") as written:
            process = subprocess.Popen(
                command,
                env=kept | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)} | dict(environment or {}),
                cwd=self.folder if user else ROOT,
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else written,
                stderr=written if talks else subprocess.STDOUT,
                start_new_session=True,
                user=user,
                preexec_fn=partial(die_with_us, ends_by),  # noqa: PLW1509 - no thread of ours holds a lock of libc's
            )
        program = Program(name, process, log, time.monotonic(), ends_by)
        self.programs.append(program)
        return program

    @asynccontextmanager
    async def client(
        self, name: str, command: Sequence[str], environment: Mapping[str, str]
    ) -> AsyncIterator[Client]:
        """Run a contestant's client."""
        client = Client(self.start(name, command, environment, talks=True))
        listening = asyncio.create_task(client.listen())
        try:
            yield client
        finally:
            client.program.kill()
            await listening
            for answer in client.answers.values():
                if answer.done():
                    answer.exception()  # nobody waits for it any more

    def end(self) -> None:
        """End all programs, the last first."""
        for program in reversed(self.programs):
            program.end()


def unprivileged() -> str | None:
    """Return a user for programs that refuse to run as root, where we are root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
