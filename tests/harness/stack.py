"""The programs of a campaign: a Temporal server that keeps its state in a file, the sandbox, workers and proxies."""

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
from tests.harness.secrets import ACCOUNT_KEY
from tests.harness.temporal_server import connected, server_command

SPEED = 60_000
"""Seconds that pass at the marketplace in one second: a day takes 1.4 s."""

DURATIONS = {
    "displaydummycertify": 12_000,
    "displaycertify": 36_000,
    "displayprovision": 24_000,
    "displaypackage": 12_000,
    "live": 60_000,
}
SHORT_HISTORIES = ("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=40")
"""The server suggests to continue as new after 40 events, so runs do it after a few looks."""


class UnexpectedExitError(Exception):
    """A program ended, and the campaign did not end it."""


@dataclass
class Program:
    """A running program and its log.

    Attributes:
        wanted: Whether the campaign wants it to run.
    """

    process: subprocess.Popen[bytes]
    log: Path
    wanted: bool = True

    def said(self) -> str:
        """Return what it logged. A log on a full disk is empty."""
        return self.log.read_text(errors="replace") if self.log.is_file() else ""

    def kill(self) -> None:
        """Kill it, as a power failure would."""
        self.wanted = False
        self.process.kill()
        self.process.wait()

    async def stop(self) -> int:
        """Send SIGTERM, wait, and return the exit status."""
        self.wanted = False
        self.process.terminate()
        return await asyncio.to_thread(self.process.wait, 60)


class Proxy:
    """A TCP proxy on loopback whose connections can be cut or silenced."""

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
        """Break every connection, and refuse new ones."""
        self._state = "cut"
        self.hang_up()

    def silence(self) -> None:
        """Drop all data, but keep the connections: the far end just falls silent."""
        self._state = "silent"

    def mend(self) -> None:
        """Carry data again. Connections that lost data are broken."""
        self._state = "whole"
        self.hang_up()

    def hang_up(self) -> None:
        """Break every connection."""
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
    """The running programs, and where they listen.

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
        """The base URL of the sandbox."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    def start(self, *command: str, environment: Mapping[str, str] = {}, disk_is_full: bool = False) -> Program:
        """Start a program, with a log of its own."""
        log = Path("/dev/full") if disk_is_full else self.folder / f"{len(self.programs)}.log"
        with log.open("wb") as written:
            process = start(command, written, environment)
        self.programs.append(Program(process, log))
        return self.programs[-1]

    def check(self) -> None:
        """Check that every program runs, but for those that the campaign ended.

        Raises:
            UnexpectedExitError: A program ended. Whatever the campaign found after that would prove nothing.
        """
        for program in self.programs:
            if program.wanted and program.process.poll() is not None:
                said = program.said()[-2000:]
                raise UnexpectedExitError(f"{program.process.args!r} ended, and the campaign did not end it: {said}")

    def start_server(self) -> Program:
        """Start the Temporal server. A second one continues where the first was killed."""
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
        """Start a worker as a user does, directly or through the ports of proxies."""
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

    async def until_working(self, worker: Program) -> None:
        """Wait until a worker polls its task queue."""
        async with asyncio.timeout(60):
            while "Working on task queue" not in worker.said():
                self.check()
                await asyncio.sleep(0.1)

    async def client(self) -> Client:
        """Return a client as soon as the server answers."""
        return await connected(f"127.0.0.1:{self.temporal_port}")


@asynccontextmanager
async def stack_in(folder: Path, server_options: Sequence[str] = SHORT_HISTORIES) -> AsyncIterator[Stack]:
    """Run server and sandbox. Leaving the context kills every program of the stack."""
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
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await stack.http.get(f"{stack.sandbox_url}/healthz")).is_success:
                    return
            await asyncio.sleep(0.1)
