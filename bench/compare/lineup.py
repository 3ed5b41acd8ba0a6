"""The contestants, and how to start the engine, the worker and the client of each."""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from bench.compare.calls import TOKEN
from bench.compare.environments import MissingError, npm_program, python_of
from bench.compare.marketplace import Marketplace, serve
from bench.compare.programs import PATIENCE, Client, Program, ProgramFailedError, Programs
from sandbox.demo import SERVER_TUNING
from sandbox.sample import DemoError
from tests.harness.processes import free_port
from tests.harness.temporal_server import connected, server_command

UNTHROTTLED = (
    *("--dynamic-config-value", "history.transferProcessorMaxPollRPS=2000"),
    *("--dynamic-config-value", "history.timerProcessorMaxPollRPS=2000"),
    *("--dynamic-config-value", "history.visibilityProcessorMaxPollRPS=2000"),
)
RESTATE = "1.7.12"
_STORAGE_KEY = "YW4gaW52ZW50ZWQga2V5"


@dataclass
class Engine:
    """A running engine.

    Attributes:
        programs: Its programs. An engine inside the worker has none.
        environment: The variables that worker and client need for it.
        after_worker: Runs after the worker has started.
    """

    programs: list[Program] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    after_worker: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True)
class Contestant:
    """One way to do the work.

    Attributes:
        name: The name on the command line.
        title: The title in tables.
        module: The file in `bench.compare.contestants`.
        start_engine: Starts the engine.
        packages: The environment; ``None`` is the project's own.
        worker: The worker's command, after the interpreter. It is empty if the client does the work.
        ready: The text that a worker logs when it works.
        waits: The event at which a publication waits for the approval.
        done: The event at which a publication is live.
        environment: More variables for worker and client.
    """

    name: str
    title: str
    module: str
    start_engine: Callable[[Programs], Awaitable[Engine]]
    packages: str | None = None
    worker: tuple[str, ...] = ()
    ready: str = "Working"
    waits: str = "preview"
    done: str = "live"
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Running:
    """A contestant at work."""

    contestant: Contestant
    programs: Programs
    marketplace: Marketplace
    engine: Engine
    environment: dict[str, str]
    client: Client
    workers: list[Program] = field(default_factory=list)

    async def start_worker(self) -> None:
        """Start a worker, and wait until it works."""
        await self.begin_worker().until_it_says(self.contestant.ready)

    def begin_worker(self) -> Program:
        """Start a worker."""
        command = [python_of(self.contestant.packages), *self.contestant.worker]
        worker = self.programs.start("worker", command, self.environment)
        self.workers.append(worker)
        return worker

    def cpu(self) -> tuple[float, float]:
        """Return the CPU seconds of the workers and of the engine."""
        return sum(each.cpu() for each in self._doing_the_work()), sum(each.cpu() for each in self.engine.programs)

    def memory(self) -> tuple[int, int]:
        """Return the memory of the workers and of the engine, in bytes."""
        workers = sum(each.memory() for each in self._doing_the_work())
        return workers, sum(each.memory() for each in self.engine.programs)

    def check(self) -> None:
        """Check that engine and client run.

        Raises:
            ProgramFailedError: One of them has ended.
        """
        for program in [*self.engine.programs, self.client.program]:
            program.check()

    def _doing_the_work(self) -> list[Program]:
        return self.workers if self.contestant.worker else [self.client.program]


@asynccontextmanager
async def at_work(contestant: Contestant, *, wait: float) -> AsyncIterator[Running]:
    """Run a contestant with its own marketplace. Leaving the context ends all programs.

    Args:
        contestant: The contestant.
        wait: Seconds between two looks.
    """
    marketplace = Marketplace()
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        programs = Programs(Path(folder))
        try:
            async with serve(marketplace) as url:
                engine = await contestant.start_engine(programs)
                environment = {
                    "MARKETPLACE_URL": url,
                    "MARKETPLACE_ACCESS_TOKEN": TOKEN,
                    "NOTIFY_WEBHOOK_URL": f"{url}/webhook",
                    "AZURE_STORAGE_ACCOUNT_KEYS": f"fabrikamimages={_STORAGE_KEY}",
                    "BENCH_WAIT": str(wait),
                    **engine.environment,
                    **contestant.environment,
                }
                command = [python_of(contestant.packages), "-m", _module(contestant.module), "client"]
                async with programs.client("client", command, environment) as client:
                    running = Running(contestant, programs, marketplace, engine, environment, client)
                    if contestant.worker:
                        await running.start_worker()
                    if engine.after_worker:
                        await engine.after_worker()
                    await client.order("ended")  # the client is connected
                    yield running
        finally:
            programs.end()


async def _no_engine(_programs: Programs) -> Engine:
    return Engine()


async def _temporal(programs: Programs) -> Engine:
    """Start the development server with its state in a file, tuned as in the demo and with higher rate limits."""
    port = free_port()
    try:
        command = server_command(port, *SERVER_TUNING, *UNTHROTTLED, file=programs.folder / "temporal.db")
    except DemoError as error:
        raise MissingError(str(error)) from None
    no_profile = {"TEMPORAL_CONFIG_FILE": os.devnull}
    server = programs.start("temporal", command, no_profile)
    try:
        await connected(f"127.0.0.1:{port}")
    except TimeoutError:
        raise ProgramFailedError(f"temporal is not ready. It said: {server.said()}") from None
    return Engine([server], {"TEMPORAL_ADDRESS": f"127.0.0.1:{port}"} | no_profile)


async def _dbos(programs: Programs) -> Engine:
    url = f"sqlite:///{programs.folder}/dbos.sqlite"
    return Engine([], {"DBOS_SYSTEM_DATABASE_URL": url, "APP_PORT": str(free_port())})


async def _restate(programs: Programs) -> Engine:
    ingress, admin, node, app = free_port(), free_port(), free_port(), free_port()
    server = programs.start(
        "restate",
        [
            npm_program("@restatedev/restate-server", RESTATE, "restate-server"),
            *("--base-dir", str(programs.folder / "restate"), "--bind-port", str(node), "--node-name", "bench"),
            *("--no-logo", "--listen-mode", "tcp", "--bind-ip", "127.0.0.1", "--advertised-host", "127.0.0.1"),
        ],
        {
            "RESTATE_INGRESS__BIND_PORT": str(ingress),
            "RESTATE_ADMIN__BIND_PORT": str(admin),
            "RESTATE_LOG_SERVER__ROCKSDB_DISABLE_WAL_FSYNC": "true",
            "RESTATE_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "1",
        },
    )
    admin_url = f"http://127.0.0.1:{admin}"
    await _until_ok(server, f"{admin_url}/health")
    await _until_ok(server, f"http://127.0.0.1:{ingress}/restate/health")

    async def register() -> None:
        await _until_ok(server, f"{admin_url}/deployments", {"uri": f"http://127.0.0.1:{app}"})

    environment = {
        "RESTATE_INGRESS": f"http://127.0.0.1:{ingress}",
        "RESTATE_ADMIN": admin_url,
        "APP_PORT": str(app),
    }
    return Engine([server], environment, register)


async def _until_ok(program: Program, url: str, body: object = None) -> None:
    """Repeat a request until a program answers it with success."""
    deadline = time.monotonic() + PATIENCE
    async with aiohttp.ClientSession() as http:
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with http.request("GET" if body is None else "POST", url, json=body) as answer:
                    if answer.ok:
                        return
            program.check()
            if time.monotonic() > deadline:
                raise ProgramFailedError(f"{program.name} is not ready. It said: {program.said()}")
            await asyncio.sleep(0.1)


def _module(name: str) -> str:
    return f"bench.compare.contestants.{name}"


def _worker(name: str) -> tuple[str, ...]:
    return ("-m", _module(name), "worker")


SCRIPT = Contestant("script", "script (asyncio, nothing durable)", "script", _no_engine)
BARE = Contestant("bare", "Temporal, bare", "temporal_bare", _temporal, worker=_worker("temporal_bare"))
BARE_LOCAL = Contestant(
    "bare-local",
    "Temporal, bare, looks local",
    "temporal_bare",
    _temporal,
    worker=_worker("temporal_bare"),
    environment={"BENCH_LOCAL_LOOKS": "1"},
)
OURS = Contestant(
    "ours",
    "ours",
    "ours",
    _temporal,
    worker=("-m", "worker"),
    ready="Working on task queue",
    waits="notified_awaiting_approval",
    done="notified_live",
)
DBOS = Contestant("dbos", "DBOS, SQLite", "dbos_sqlite", _dbos, "dbos", _worker("dbos_sqlite"))
RESTATE_SERVER = Contestant(
    "restate", "Restate", "restate_server", _restate, "restate", _worker("restate_server"), "Running on"
)

ON_TEMPORAL = [BARE, BARE_LOCAL, OURS]
CONTESTANTS = [SCRIPT, *ON_TEMPORAL, DBOS, RESTATE_SERVER]
