"""The programs of a campaign: a real server that keeps its state in a file, the sandbox, real workers, cut wires."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from temporalio.client import Client

from sandbox import DEFAULT_TOKEN
from tests.harness.apis import Api
from tests.harness.processes import free_port, start
from tests.harness.temporal_server import connected, server_command

ACCOUNT_KEY = "Q0hBT1NBQ0NPVU5US0VZ"
"""The invented key of the storage account; must show nowhere."""

SPEED = 60_000
"""Seconds of the marketplace in a second: a day takes 1.4 s."""

DURATIONS = {
    "displaydummycertify": 12_000,
    "displaycertify": 36_000,
    "displayprovision": 24_000,
    "displaypackage": 12_000,
    "live": 60_000,
}
SHORT_HISTORIES = ("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=40")
"""Events after which the server suggests to continue as new: a few looks, so runs do it all the time."""


class StruckByOthersError(Exception):
    """A program of the campaign ended that the campaign did not end."""


@dataclass
class Program:
    """A running program and the file that it writes to."""

    process: subprocess.Popen[bytes]
    log: Path
    wanted: bool = True

    def said(self) -> str:
        """Return what it wrote; nothing where that went to a full disk."""
        return self.log.read_text(errors="replace") if self.log.is_file() else ""

    def kill(self) -> None:
        """End it as a power failure would."""
        self.wanted = False
        self.process.kill()
        self.process.wait()

    async def stop(self) -> int:
        """Ask it to end and wait; answers with its exit status."""
        self.wanted = False
        self.process.terminate()
        return await asyncio.to_thread(self.process.wait, 60)


class Wire:
    """A TCP proxy on loopback that can be cut."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._state = "whole"
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def open(self) -> asyncio.Server:
        """Listen on a free port."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def cut(self) -> None:
        """Break every connection, and each new one."""
        self._state = "cut"
        self.hang_up()

    def silence(self) -> None:
        """Swallow what is sent, and break nothing: the far end is just not heard of any more."""
        self._state = "silent"

    def mend(self) -> None:
        """Carry again; what was swallowed is lost, so its connections end."""
        self._state = "whole"
        self.hang_up()

    def hang_up(self) -> None:
        """Break every connection there is."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._state == "cut":
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        self._writers -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while sent := await reader.read(65_536):
                if self._state == "whole":
                    writer.write(sent)
                    await writer.drain()
        with contextlib.suppress(OSError, RuntimeError):
            writer.close()


@dataclass
class Stack:
    """What runs, and where it is found.

    Attributes:
        server_options: More options of the Temporal server.
    """

    folder: Path
    temporal_port: int
    sandbox_port: int
    http: httpx.AsyncClient
    server_options: Sequence[str] = ()
    programs: list[Program] = field(default_factory=list)
    server: Program | None = None

    @property
    def sandbox_url(self) -> str:
        """The address of the sandbox."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    def start(self, *command: str, environment: Mapping[str, str] = {}, disk_is_full: bool = False) -> Program:
        """Start a program in the project's folder."""
        log = Path("/dev/full") if disk_is_full else self.folder / f"{len(self.programs)}.log"
        with log.open("wb") as written:
            process = start(command, written, environment)
        self.programs.append(Program(process, log))
        return self.programs[-1]

    def check(self) -> None:
        """Make sure that only the campaign strikes.

        Raises:
            StruckByOthersError: A program ended that nobody here ended: nothing that follows would prove anything.
        """
        for program in self.programs:
            if program.wanted and program.process.poll() is not None:
                said = program.said()[-2000:]
                raise StruckByOthersError(
                    f"{program.process.args!r} ended by itself, or by a stranger. It said: {said}"
                )

    def start_server(self) -> Program:
        """Start the Temporal server; a second one goes on where the first was killed."""
        file = self.folder / "temporal.db"
        self.server = self.start(*server_command(self.temporal_port, *self.server_options, file=file))
        return self.server

    def start_sandbox(self) -> Program:
        """Start the sandbox."""
        return self.start(
            *(sys.executable, "-m", "sandbox", "--port", str(self.sandbox_port), "--speed", str(SPEED)),
            *("--switch", f"step_durations={json.dumps(DURATIONS)}"),
        )

    def start_worker(
        self, queue: str, api: Api, *, temporal: int = 0, marketplace: int = 0, disk_is_full: bool = False
    ) -> Program:
        """Start a worker as a user does; ports are those of wires, where there are any."""
        return self.start(
            *(sys.executable, "-m", "worker"),
            disk_is_full=disk_is_full,
            environment={
                "TEMPORAL_ADDRESS": f"127.0.0.1:{temporal or self.temporal_port}",
                "TEMPORAL_TASK_QUEUE": queue,
                "MARKETPLACE_API": api.name,
                "MARKETPLACE_URL": f"http://127.0.0.1:{marketplace or self.sandbox_port}{api.path}",
                "MARKETPLACE_ACCESS_TOKEN": DEFAULT_TOKEN,
                "AZURE_STORAGE_ACCOUNT_KEYS": f"chaossigned={ACCOUNT_KEY}",
            },
        )

    async def client(self) -> Client:
        """Connect as soon as the server answers."""
        return await connected(f"127.0.0.1:{self.temporal_port}")


@asynccontextmanager
async def stack_in(folder: Path, server_options: Sequence[str] = SHORT_HISTORIES) -> AsyncIterator[Stack]:
    """Run server and sandbox; whatever was started is gone when the context is left."""
    async with httpx.AsyncClient(timeout=60) as http:
        stack = Stack(folder, free_port(), free_port(), http, server_options)
        try:
            stack.start_server()
            stack.start_sandbox()
            await _until_healthy(stack)
            yield stack
        finally:
            for program in reversed(stack.programs):
                program.kill()


async def _until_healthy(stack: Stack) -> None:
    """Wait until the sandbox answers."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await stack.http.get(f"{stack.sandbox_url}/healthz")).is_success:
                    return
            await asyncio.sleep(0.1)
