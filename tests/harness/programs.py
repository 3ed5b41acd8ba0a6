"""Start the product's programs, keep what they write, and wait for what they do."""

import json
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox import DEFAULT_TOKEN
from tests.harness.processes import ROOT, start
from tests.harness.temporal_server import server_command
from tests.harness.waiting import until


@dataclass
class Program:
    """A running program and the log of what it writes.

    Attributes:
        wanted: Whether it should be running. After it was killed or stopped, it should not.
    """

    process: subprocess.Popen[bytes]
    log: Path
    wanted: bool = True

    def said(self) -> str:
        """Return what it wrote to standard output and standard error. A log on a full disk is empty."""
        return self.log.read_text(errors="replace") if self.log.is_file() else ""

    def kill(self) -> None:
        """Kill it, as a power failure would."""
        self.wanted = False
        self.process.kill()
        self.process.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal, wait until it has ended, and return its exit status."""
        self.wanted = False
        self.process.send_signal(number)
        return self.ended()

    def ended(self, within: float = 60) -> int:
        """Wait until it has ended, and return its exit status."""
        return self.process.wait(within)

    async def until(self, condition: Callable[[], bool | Awaitable[bool]], what: str, *, seconds: float = 60) -> None:
        """Wait until a condition holds that this program brings about, and fail as soon as the program ends.

        The arguments are those of `tests.harness.waiting.until`.
        """

        async def holds() -> bool:
            answer = condition()
            if answer if isinstance(answer, bool) else await answer:
                return True
            status = self.process.poll()
            assert status is None, f"the program ended with {status} before this happened: {what}\n{self.said()}"
            return False

        await until(holds, what, seconds=seconds, details=self.said)

    async def until_says(self, text: str) -> None:
        """Wait until it has written a text."""
        await self.until(lambda: text in self.said(), f"the program writes {text!r}")

    async def until_working(self) -> None:
        """Wait until a worker polls its task queue."""
        await self.until_says("Working on task queue")


class Programs:
    """Starts programs. Leaving the context kills the programs that still run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Program] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program in reversed(self.started):
            program.kill()

    def start(
        self,
        *command: str,
        environment: Mapping[str, str] = {},
        folder: Path | None = ROOT,
        disk_is_full: bool = False,
    ) -> Program:
        """Start a program with its own log, in the project's folder unless another one is given."""
        log = Path("/dev/full") if disk_is_full else self.folder / f"{len(self.started)}.log"
        with log.open("wb") as written:
            process = start(command, written, environment, folder)
        self.started.append(Program(process, log))
        return self.started[-1]

    def python(self, *words: str, environment: Mapping[str, str] = {}, folder: Path | None = ROOT) -> Program:
        """Start Python."""
        return self.start(sys.executable, *words, environment=environment, folder=folder)

    def temporal(self, port: int, *options: str) -> Program:
        """Start a Temporal server. A second one on the same port continues where the first stopped."""
        return self.start(*server_command(port, *options, file=self.folder / f"temporal-{port}.db"))

    async def sandbox(self, *options: str, step_durations: Mapping[str, float] = {}) -> str:
        """Start a sandbox, and return its URL once it answers."""
        switch = ("--switch", f"step_durations={json.dumps(dict(step_durations))}") if step_durations else ()
        sandbox = self.python("-m", "sandbox", "--port", "0", *switch, *options)
        await sandbox.until_says("http://")
        return sandbox.said().split()[1].rstrip("/")

    def worker(self, address: str, sandbox_url: str, task_queue: str, **more: str) -> Program:
        """Start a worker on the sandbox as a user does. ``more`` sets more environment variables."""
        return self.python("-m", "worker", environment=worker_environment(address, sandbox_url, task_queue) | more)


def worker_environment(address: str, sandbox_url: str, task_queue: str) -> dict[str, str]:
    """Return the variables that a worker on the sandbox needs."""
    return {
        "TEMPORAL_ADDRESS": address,
        "TEMPORAL_TASK_QUEUE": task_queue,
        "MARKETPLACE_URL": sandbox_url,
        "MARKETPLACE_ACCESS_TOKEN": DEFAULT_TOKEN,
    }
