"""The contestants: how engine, worker and client of each are started."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from bench.compare.calls import TOKEN
from bench.compare.environments import NotToBeHadError, npm_program, postgres_program, python_of, system_program
from bench.compare.marketplace import Marketplace, serve
from bench.compare.programs import (
    PATIENCE,
    Client,
    Ground,
    Program,
    ProgramFailedError,
    unprivileged,
)
from sandbox.demo import SERVER_TUNING
from sandbox.sample import DemoError
from tests.harness.processes import free_port
from tests.harness.temporal_server import connected, server_command

_UNTHROTTLED = (
    *("--dynamic-config-value", "history.transferProcessorMaxPollRPS=2000"),
    *("--dynamic-config-value", "history.timerProcessorMaxPollRPS=2000"),
    *("--dynamic-config-value", "history.visibilityProcessorMaxPollRPS=2000"),
)
RESTATE = "1.7.12"
_STORAGE_KEY = "YW4gaW52ZW50ZWQga2V5"


@dataclass
class Engine:
    """An engine that runs.

    Attributes:
        programs: Its programs; a contestant that keeps its state in its own process has none.
        environment: What worker and client have to know of it.
        after_worker: What is left to do once a worker runs.
    """

    programs: list[Program] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    after_worker: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True)
class Contestant:
    """One way to do the work.

    Attributes:
        name: For the command line.
        title: For tables.
        module: The file in `bench.compare.contestants`.
        packages: The environment it runs in; ``None`` is the project's own.
        start_engine: Starts the engine.
        worker: Arguments of Python that start a worker; none where the client does the work.
        ready: What a worker says when it works.
        waits: The event at which a publication waits for the approval, and is approved.
        done: The event at which it is done.
        imports: The module that its worker imports, where the import is timed too.
        most: How many it is given at once: more would take it hours, or not fit into its process.
    """

    name: str
    title: str
    module: str
    packages: str | None
    start_engine: Callable[[Ground], Awaitable[Engine]]
    worker: tuple[str, ...] = ()
    ready: str = "Working"
    waits: str = "preview"
    done: str = "live"
    imports: str | None = None
    most: int = 1_000_000

    @property
    def file(self) -> str:
        """The module to run."""
        return f"bench.compare.contestants.{self.module}"


@dataclass
class Running:
    """A contestant at work."""

    contestant: Contestant
    ground: Ground
    marketplace: Marketplace
    engine: Engine
    environment: dict[str, str]
    client: Client
    workers: list[Program] = field(default_factory=list)

    async def start_worker(self) -> Program:
        """Start one worker, and wait until it works."""
        worker = self.begin_worker()
        await worker.until_it_says(self.contestant.ready)
        return worker

    def begin_worker(self) -> Program:
        """Start one worker."""
        command = [python_of(self.contestant.packages), *self.contestant.worker]
        worker = self.ground.start("worker", command, self.environment)
        self.workers.append(worker)
        return worker

    def cpu(self) -> tuple[float, float]:
        """Return the CPU seconds of workers and engine; where the client does the work it is the worker."""
        workers = self.workers if self.contestant.worker else [self.client.program]
        return sum(each.cpu() for each in workers), sum(each.cpu() for each in self.engine.programs)

    def memory(self) -> tuple[int, int]:
        """Return the bytes of the workers and of the engine."""
        workers = self.workers if self.contestant.worker else [self.client.program]
        return sum(each.memory() for each in workers), sum(each.memory() for each in self.engine.programs)

    def check(self) -> None:
        """Make sure that engine and client run.

        Raises:
            ProgramFailedError: One does not.
        """
        for program in [*self.engine.programs, self.client.program]:
            program.check()


@asynccontextmanager
async def at_work(contestant: Contestant, *, wait: float) -> AsyncIterator[Running]:
    """Run a contestant with a marketplace of its own; everything is gone when the context is left.

    Args:
        contestant: Who works.
        wait: Seconds between two looks.
    """
    marketplace = Marketplace()
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        ground = Ground(Path(folder))
        try:
            async with serve(marketplace) as url:
                engine = await contestant.start_engine(ground)
                environment = {
                    "MARKETPLACE_URL": url,
                    "MARKETPLACE_ACCESS_TOKEN": TOKEN,
                    "NOTIFY_WEBHOOK_URL": f"{url}/webhook",
                    "AZURE_STORAGE_ACCOUNT_KEYS": f"fabrikamimages={_STORAGE_KEY}",
                    "BENCH_WAIT": str(wait),
                    **engine.environment,
                }
                command = [python_of(contestant.packages), "-m", contestant.file, "client"]
                async with ground.client("client", command, environment) as client:
                    running = Running(contestant, ground, marketplace, engine, environment, client)
                    if contestant.worker:
                        await running.start_worker()
                    if engine.after_worker:
                        await engine.after_worker()
                    await client.do("ended")  # it has connected
                    yield running
        finally:
            ground.end()


async def _nothing(_ground: Ground) -> Engine:
    return Engine()


async def _temporal(ground: Ground) -> Engine:
    """Start the embedded server with its state in a file, tuned as `make demo` does and with its throttles raised."""
    port = free_port()
    try:
        command = server_command(port, *SERVER_TUNING, *_UNTHROTTLED, file=ground.folder / "temporal.db")
    except DemoError as error:
        raise NotToBeHadError(str(error)) from None
    nobody = {"TEMPORAL_CONFIG_FILE": os.devnull}
    server = ground.start("temporal", command, nobody)
    try:
        await connected(f"127.0.0.1:{port}")
    except TimeoutError:
        raise ProgramFailedError(f"temporal is not ready. It said: {server.said()}") from None
    return Engine([server], {"TEMPORAL_ADDRESS": f"127.0.0.1:{port}"} | nobody)


async def _until(program: Program, ready: Callable[[], Awaitable[bool]]) -> None:
    until = time.monotonic() + PATIENCE
    while not await ready():
        program.check()
        if time.monotonic() > until:
            raise ProgramFailedError(f"{program.name} is not ready. It said: {program.said()}")
        await asyncio.sleep(0.1)


async def _dbos_sqlite(ground: Ground) -> Engine:
    port = str(free_port())
    return Engine([], {"DBOS_SYSTEM_DATABASE_URL": f"sqlite:///{ground.folder}/dbos.sqlite", "APP_PORT": port})


async def _dbos_postgres(ground: Ground) -> Engine:
    server, port = await _postgres(ground)
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    return Engine([server], {"DBOS_SYSTEM_DATABASE_URL": url, "APP_PORT": str(free_port())})


async def _postgres(ground: Ground) -> tuple[Program, int]:
    user, port = unprivileged(), free_port()
    data = ground.folder / "postgres"
    data.mkdir()
    if user:
        ground.folder.chmod(0o755)
        shutil.chown(data, user)
    init = ground.start(
        "initdb",
        [postgres_program("initdb"), "--pgdata", str(data), "--auth", "trust", "--username", "postgres", "--no-sync"],
        user=user,
    )
    await asyncio.to_thread(init.process.wait, PATIENCE)
    server = ground.start(
        "postgres",
        [
            *(postgres_program("postgres"), "-D", str(data), "-p", str(port), "-k", str(data), "-h", "127.0.0.1"),
            *("-c", "synchronous_commit=off"),
        ],
        user=user,
        # Killed, it leaves its shared memory behind.
        ends_by=signal.SIGINT,
    )
    await server.until_it_says("ready to accept connections")
    return server, port


async def _restate(ground: Ground) -> Engine:
    ingress, admin, node, app = free_port(), free_port(), free_port(), free_port()
    server = ground.start(
        "restate",
        [
            npm_program("@restatedev/restate-server", RESTATE, "restate-server"),
            *("--base-dir", str(ground.folder / "restate"), "--bind-port", str(node), "--node-name", "bench"),
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
    await _until(server, lambda: _answers(f"{admin_url}/health"))
    await _until(server, lambda: _answers(f"http://127.0.0.1:{ingress}/restate/health"))

    async def register() -> None:
        async with aiohttp.ClientSession() as http:
            for _ in range(50):
                deployment = {"uri": f"http://127.0.0.1:{app}"}
                async with http.post(f"{admin_url}/deployments", json=deployment) as answer:
                    if answer.ok:
                        return
                    said = await answer.text()
                await asyncio.sleep(0.2)
        raise ProgramFailedError(f"Restate does not take the deployment: {said}")

    environment = {
        "RESTATE_INGRESS": f"http://127.0.0.1:{ingress}",
        "RESTATE_ADMIN": admin_url,
        "APP_PORT": str(app),
    }
    return Engine([server], environment, register)


async def _prefect(ground: Ground) -> Engine:
    port = free_port()
    environment = {
        "PREFECT_HOME": str(ground.folder / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "APP_PORT": str(free_port()),
    }
    command = [python_of("prefect"), "-m", "prefect", "server", "start", "--no-ui", "--port", str(port)]
    server = ground.start("prefect", command, environment)
    await _until(server, lambda: _answers(f"http://127.0.0.1:{port}/api/health"))
    return Engine([server], environment)


async def _redis(ground: Ground) -> Engine:
    port = free_port()
    server = ground.start(
        "redis",
        [
            *(system_program("redis-server", "redis-server"), "--port", str(port), "--bind", "127.0.0.1"),
            *("--dir", str(ground.folder), "--appendonly", "yes"),
        ],
    )
    await server.until_it_says("Ready to accept connections")
    return Engine([server], {"REDIS_URL": f"redis://127.0.0.1:{port}/0"})


async def _answers(url: str) -> bool:
    with contextlib.suppress(aiohttp.ClientError, OSError):
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            return answer.ok
    return False


def _module(module: str) -> tuple[str, ...]:
    return ("-m", f"bench.compare.contestants.{module}", "worker")


SCRIPT = Contestant("script", "script (asyncio, nothing durable)", "script", None, _nothing)
BARE = Contestant(
    "bare",
    "Temporal, bare",
    "temporal_bare",
    None,
    _temporal,
    _module("temporal_bare"),
    imports="bench.compare.contestants.temporal_bare",
)
BARE_LOCAL = Contestant(
    "bare-local",
    "Temporal, bare, looks local",
    "temporal_bare_local",
    None,
    _temporal,
    _module("temporal_bare_local"),
)
OURS = Contestant(
    "ours",
    "ours",
    "ours",
    None,
    _temporal,
    ("-m", "worker"),
    ready="Working on task queue",
    waits="told_awaiting_approval",
    done="told_live",
    imports="worker.__main__",
)
DBOS_SQLITE = Contestant("dbos", "DBOS, SQLite", "dbos_app", "dbos", _dbos_sqlite, _module("dbos_app"))
DBOS_POSTGRES = Contestant(
    "dbos-postgres", "DBOS, PostgreSQL", "dbos_app", "dbos", _dbos_postgres, _module("dbos_app")
)
RESTATE_SERVER = Contestant(
    "restate", "Restate", "restate_app", "restate", _restate, _module("restate_app"), ready="Running on"
)
PREFECT = Contestant("prefect", "Prefect 3", "prefect_app", "prefect", _prefect, _module("prefect_app"), most=20)
CELERY = Contestant(
    "celery",
    "Celery, Redis",
    "celery_app",
    "celery",
    _redis,
    (
        *("-m", "celery", "--app", "bench.compare.contestants.celery_app", "worker"),
        *("--pool", "threads", "--concurrency", "100", "--loglevel", "WARNING"),
    ),
    ready="celery@",
)

ON_TEMPORAL = [BARE, BARE_LOCAL, OURS]
CONTESTANTS = [SCRIPT, *ON_TEMPORAL, DBOS_SQLITE, DBOS_POSTGRES, RESTATE_SERVER, CELERY, PREFECT]
