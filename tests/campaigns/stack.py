"""The programs of a campaign: a Temporal server that keeps its state in a file, the sandbox, workers and proxies."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from temporalio.client import Client

from tests.campaigns.apis import CampaignApi
from tests.campaigns.secrets import ACCOUNT_KEY
from tests.harness.processes import free_port
from tests.harness.programs import Program, Programs, worker_environment
from tests.harness.temporal_server import connected

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
"""The server suggests continue-as-new after 40 events, which a run reaches after a few looks."""


class UnexpectedExitError(Exception):
    """A program ended, and the campaign did not end it."""


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
        """Drop all data, but keep the connections open. The far end falls silent."""
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


class Stack(Programs):
    """A Temporal server, a sandbox and the workers on them.

    Attributes:
        temporal_port: Where the server listens.
        sandbox_url: The base URL of the sandbox.
        http: The client that the campaign sends its own requests with.
        server: The running Temporal server, or the killed one.
    """

    def __init__(self, folder: Path, http: httpx.AsyncClient, server_options: Sequence[str]) -> None:
        super().__init__(folder)
        self.http = http
        self.temporal_port = free_port()
        self.sandbox_url = ""
        self._server_options = server_options
        self.server = self.start_server()

    @property
    def sandbox_port(self) -> int:
        """The port of the sandbox."""
        return int(self.sandbox_url.rpartition(":")[2])

    def check(self) -> None:
        """Check that every program runs, except for programs that the campaign ended.

        Raises:
            UnexpectedExitError: A program ended. Later results of the campaign would prove nothing.
        """
        for program in self.started:
            if program.wanted and program.process.poll() is not None:
                said = program.said()[-2000:]
                raise UnexpectedExitError(f"{program.process.args!r} ended, and the campaign did not end it: {said}")

    def start_server(self) -> Program:
        """Start the Temporal server. A second one continues where the first was killed."""
        self.server = self.temporal(self.temporal_port, *self._server_options)
        return self.server

    def start_worker(
        self, queue: str, api: CampaignApi, *, temporal: int = 0, marketplace: int = 0, disk_is_full: bool = False
    ) -> Program:
        """Start a worker as a user does, directly or through the ports of proxies."""
        address = f"127.0.0.1:{temporal or self.temporal_port}"
        url = f"http://127.0.0.1:{marketplace or self.sandbox_port}{api.path}"
        more = {"MARKETPLACE_API": api.name, "AZURE_STORAGE_ACCOUNT_KEYS": f"chaossigned={ACCOUNT_KEY}"}
        return self.start(
            *(sys.executable, "-m", "worker"),
            environment=worker_environment(address, url, queue) | more,
            disk_is_full=disk_is_full,
        )

    async def client(self) -> Client:
        """Return a client as soon as the server answers."""
        return await connected(f"127.0.0.1:{self.temporal_port}")


@asynccontextmanager
async def stack_in(folder: Path, server_options: Sequence[str] = SHORT_HISTORIES) -> AsyncIterator[Stack]:
    """Run server and sandbox. Leaving the context kills every program of the stack."""
    async with httpx.AsyncClient(timeout=60) as http:
        with Stack(folder, http, server_options) as stack:
            stack.sandbox_url = await stack.sandbox("--speed", str(SPEED), step_durations=DURATIONS)
            yield stack
