"""A Temporal server that skips time, the sandbox over HTTP on that server's clock, and a worker.

Each test has its own sandbox, worker and task queue. A server serves many tests.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any
from zlib import crc32

import httpx
import hypothesis
import pytest
from temporalio.testing import WorkflowEnvironment

from sandbox import serve
from tests.apis.api import Api
from tests.apis.cloud_partner import CloudPartnerApi
from tests.apis.product_ingestion import ProductIngestionApi
from tests.desk import Desk, Recorder, TemporalClock, sandbox_with
from tests.harness.temporal_server import ServersInTurn
from worker.context_free import ContextFreeRunner
from worker.registration import create_worker

_numbers = itertools.count(1)

# On a busy machine an example takes longer than hypothesis allows. The same commit has to pass or fail on every
# machine, so examples are not random.
hypothesis.settings.register_profile(
    "tests", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")

APIS: Sequence[Api] = (CloudPartnerApi(), ProductIngestionApi())


@pytest.fixture(params=APIS, ids=[api.name for api in APIS])
def api(request: pytest.FixtureRequest) -> Api:
    """The API under test. A test runs once with each API, unless it is marked ``only``."""
    found: Api = request.param
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deselect tests with an API that their ``only`` mark excludes, and mix the files.

    Files of one folder are alike: they mostly compute, or mostly wait. Workers get items that follow each other, so
    mixed files use all processors until the end. What may take minutes comes first.
    """
    items[:] = [item for item in items if _is_for_its_api(item)]
    items.sort(key=lambda item: (item.get_closest_marker("timeout") is None, crc32(item.path.name.encode())))


def _is_for_its_api(item: pytest.Item) -> bool:
    with_api: Api | None = item.callspec.params.get("api") if hasattr(item, "callspec") else None
    for mark in item.iter_markers("only"):
        name, reason = mark.args
        if name not in {api.name for api in APIS} or not reason:
            raise pytest.UsageError(f"{item.nodeid}: only(API, reason)")
        if with_api is not None and with_api.name != name:
            return False
    return True


@pytest.fixture(scope="session", autouse=True)
def workflows_prepared_once() -> Iterator[None]:
    """Let only the first worker of this process prepare each workflow, which takes most of a worker's start."""
    prepared: set[type] = set()
    prepare = ContextFreeRunner.prepare_workflow

    def prepare_once(runner: ContextFreeRunner, definition: Any) -> None:
        if definition.cls not in prepared:
            prepare(runner, definition)
            prepared.add(definition.cls)

    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(ContextFreeRunner, "prepare_workflow", prepare_once)
        yield


@pytest.fixture(scope="session")
async def servers() -> AsyncIterator[ServersInTurn]:
    async with ServersInTurn() as servers:
        yield servers


@pytest.fixture
async def temporal(servers: ServersInTurn) -> AsyncIterator[WorkflowEnvironment]:
    """A Temporal server that skips time while the test awaits a result."""
    yield await servers.skipping()
    await servers.release()


@pytest.fixture
def publisher() -> str:
    """The name of the test's own publisher."""
    return f"publisher-{next(_numbers)}"


@pytest.fixture(scope="session")
async def stopping() -> AsyncIterator[list[asyncio.Task[None]]]:
    """Sandboxes that stop while the next test runs, because stopping takes a fifth of a second."""
    tasks: list[asyncio.Task[None]] = []
    yield tasks
    await asyncio.gather(*tasks)


@pytest.fixture
async def sandbox_url(
    temporal: WorkflowEnvironment, publisher: str, stopping: list[asyncio.Task[None]]
) -> AsyncIterator[str]:
    """The sandbox, on the Temporal server's clock."""
    marketplace = sandbox_with(300, clock=TemporalClock(temporal), account=publisher)
    serving = AsyncExitStack()
    yield await serving.enter_async_context(serve(marketplace))
    stopping.append(asyncio.create_task(serving.aclose()))


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture(scope="session")
async def webhook() -> Recorder:
    """The webhook that the worker posts notifications to."""
    return Recorder()


@pytest.fixture
def policies() -> dict[str, Any]:
    """What the worker allows. A module may override it."""
    return {}


@pytest.fixture
async def task_queue(
    api: Api,
    temporal: WorkflowEnvironment,
    sandbox_url: str,
    http: httpx.AsyncClient,
    webhook: Recorder,
    publisher: str,
    policies: dict[str, Any],
) -> AsyncIterator[str]:
    """The task queue of a worker, built by the product's own registration."""
    queue = f"offers-of-{publisher}"
    async with create_worker(temporal.client, queue, api.marketplace(http, sandbox_url), webhook, **policies):
        yield queue


@pytest.fixture
async def desk(
    api: Api,
    temporal: WorkflowEnvironment,
    sandbox_url: str,
    http: httpx.AsyncClient,
    task_queue: str,
    publisher: str,
    webhook: Recorder,
) -> AsyncIterator[Desk]:
    """A release engineer's desk, with a publisher of the test's own."""
    desk = Desk(api, temporal, http, sandbox_url, task_queue, publisher, webhook)
    yield desk
    await desk.end_runs()
