"""Programs that run together: started in order, watched, restarted if killed, and stopped in reverse order."""

import asyncio
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

READY_WITHIN = 60.0
STOPPED_WITHIN = 10.0
LOOK_EVERY = 0.05
LAST_LINES = 15
LONGEST_LINE = 2**20

# This shell outlives us, and is sent the process IDs of our programs. If its input ends without a last empty line, we
# died without stopping them, and it stops them. Only Linux can signal a process when its parent dies.
LEASH = (
    'while read -r line; do pids=$line; done; [ -n "$pids" ] || exit 0;'
    " kill -TERM $pids 2>/dev/null; sleep 5; kill -KILL $pids 2>/dev/null"
)

STOPPED = {0, -signal.SIGTERM, -signal.SIGKILL}
"""Exit statuses of a program that was stopped. With any other the program has failed."""


@dataclass(frozen=True)
class Program:
    """One program of the stack.

    Attributes:
        ready: Returns whether it can be used.
        restarts: Whether to start it again after it was stopped.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready: Callable[[], Awaitable[bool]]
    restarts: bool = True


class ProgramEndedError(Exception):
    """A program ended, or did not get ready. The message has its exit status and its last lines."""


class Stack:
    """The running programs. Leaving the context stops them, the last one first."""

    def __init__(self, show: Callable[[str, str], None]) -> None:
        """Call `show` with the name of a program and each line that it writes."""
        self._show = show
        self._processes: dict[str, Process] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._last_lines: dict[str, deque[str]] = {}
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._leash: Process | None = None
        self._stopping = False

    async def __aenter__(self) -> Self:
        """Start the shell that stops the programs if we die."""
        self._leash = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", LEASH, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the programs."""
        self._stopping = True
        for name in reversed(self._keepers):
            await self._stop(name)
        if self._leash and self._leash.stdin:
            self._leash.stdin.write(b"\n")
            self._leash.stdin.close()
            await self._leash.wait()

    async def start(self, program: Program) -> None:
        """Start a program and wait until it is ready.

        Raises:
            ProgramEndedError: It ended, or is not ready in time.
        """
        self._keepers[program.name] = asyncio.create_task(self._keep(program))
        deadline = time.monotonic() + READY_WITHIN
        while not await program.ready():
            if self._failure.done():
                self._failure.result()
            if time.monotonic() > deadline:
                raise ProgramEndedError(
                    f"{program.name} is not ready after {READY_WITHIN:g} s.{self._last_words(program)}"
                )
            await asyncio.sleep(LOOK_EVERY)

    async def failed(self) -> None:
        """Wait until a program ends by itself.

        Raises:
            ProgramEndedError: A program did.
        """
        await asyncio.shield(self._failure)

    async def _keep(self, program: Program) -> None:
        while True:
            status = await self._run(program)
            if self._stopping:
                return
            if not program.restarts or status not in STOPPED:
                if not self._failure.done():
                    last_words = self._last_words(program)
                    self._failure.set_exception(
                        ProgramEndedError(f"{program.name} ended with {_status(status)}.{last_words}")
                    )
                return
            self._show("demo", f"{program.name} was stopped ({_status(status)}): starting it again")
            await asyncio.sleep(1)

    async def _run(self, program: Program) -> int:
        lines = self._last_lines[program.name] = deque(maxlen=LAST_LINES)
        process = await asyncio.create_subprocess_exec(
            *program.command,
            env=program.environment,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            limit=LONGEST_LINE,
            start_new_session=True,  # Ctrl-C reaches only us; we stop the programs in order
        )
        self._processes[program.name] = process
        self._update_leash()
        assert process.stdout  # noqa: S101 - it is a pipe
        async for text in process.stdout:
            line = text.decode(errors="replace").rstrip()
            lines.append(line)
            if line and not self._stopping:  # while stopping, they only complain that the others are gone
                self._show(program.name, line)
        status = await process.wait()
        self._update_leash()
        return status

    def _update_leash(self) -> None:
        pids = [str(process.pid) for process in self._processes.values() if process.returncode is None]
        if self._leash and self._leash.stdin:
            self._leash.stdin.write(f"{' '.join(pids)}\n".encode())

    async def _stop(self, name: str) -> None:
        keeper, process = self._keepers[name], self._processes.get(name)
        if process and process.returncode is None:
            process.terminate()
            await asyncio.wait([keeper], timeout=STOPPED_WITHIN)
            if process.returncode is None:
                process.kill()
        keeper.cancel()
        await asyncio.wait([keeper])

    def _last_words(self, program: Program) -> str:
        lines = self._last_lines.get(program.name)
        return "".join(["\nIts last lines:", *(f"\n  {line}" for line in lines)]) if lines else " It wrote nothing."


def _status(status: int) -> str:
    if status < 0:
        return f"signal {signal.Signals(-status).name}"
    return f"exit status {status}"
