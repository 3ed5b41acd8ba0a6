"""A real Temporal server that skips time, the sandbox over real HTTP on that server's clock, and a real worker.

All of it is new for each test, which takes a third of a second: the server that skips time stops doing so for good
when a run ends with an activity in flight, and no test may be another's bad luck.
"""

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import httpx
import hypothesis
import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.testing import WorkflowEnvironment

from sandbox import SandboxMarketplace, serve
from tests.apis.api import Api
from tests.apis.cloud_partner import CloudPartner
from tests.apis.product_ingestion import ProductIngestionApi
from tests.desk import STEPS, Desk, Recorder, TemporalClock
from worker.registration import data_converter, worker
from workflows import search_attributes

_numbers = itertools.count(1)

# On a busy machine an example takes longer than hypothesis allows, whatever it finds; and the same commit is to pass
# or fail wherever it is tested.
hypothesis.settings.register_profile(
    "tests", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")

APIS: Sequence[Api] = (CloudPartner(), ProductIngestionApi())


@pytest.fixture(params=APIS, ids=[api.name for api in APIS])
def api(request: pytest.FixtureRequest) -> Api:
    """The API that the marketplace is used through; a test runs with each, unless it is marked ``only``."""
    found: Api = request.param
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the tests that are about another API."""
    items[:] = [item for item in items if _is_meant(item)]


def _is_meant(item: pytest.Item) -> bool:
    with_api: Api | None = item.callspec.params.get("api") if hasattr(item, "callspec") else None
    for mark in item.iter_markers("only"):
        name, reason = mark.args
        if name not in {api.name for api in APIS} or not reason:
            raise pytest.UsageError(f"{item.nodeid}: only(API, reason)")
        if with_api is not None and with_api.name != name:
            return False
    return True


@pytest.fixture
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    """The Temporal server that skips time whenever a test awaits a result."""
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=data_converter(), test_server_existing_path=shutil.which("temporal-test-server")
    ) as environment:
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=environment.client.namespace,
                search_attributes={
                    key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in search_attributes.ALL
                },
            )
        )
        yield environment


@pytest.fixture
def publisher() -> str:
    """A publisher of the test's own."""
    return f"publisher-{next(_numbers)}"


@pytest.fixture(scope="session")
async def endings() -> AsyncIterator[list[asyncio.Task[None]]]:
    """What ends while the next test runs already: to stop, the sandbox waits a fifth of a second for nothing."""
    tasks: list[asyncio.Task[None]] = []
    yield tasks
    await asyncio.gather(*tasks)


@pytest.fixture
async def sandbox_url(
    temporal: WorkflowEnvironment, publisher: str, endings: list[asyncio.Task[None]]
) -> AsyncIterator[str]:
    """The sandbox, on the Temporal server's clock."""
    switches = {"step_durations": dict.fromkeys(STEPS, 300.0)}
    marketplace = SandboxMarketplace(clock=TemporalClock(temporal), default_switches=switches, account=publisher)
    serving = AsyncExitStack()
    yield await serving.enter_async_context(serve(marketplace))
    endings.append(asyncio.create_task(serving.aclose()))


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture(scope="session")
async def webhook() -> Recorder:
    """The webhook that the tests' worker posts notifications to."""
    return Recorder()


@pytest.fixture
async def task_queue(
    api: Api, temporal: WorkflowEnvironment, sandbox_url: str, http: httpx.AsyncClient, webhook: Recorder
) -> AsyncIterator[str]:
    """A task queue with a worker on it, as the product registers it."""
    queue = "offer-publishing"
    async with worker(temporal.client, queue, api.marketplace(http, sandbox_url), webhook):
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
) -> Desk:
    """A release engineer's desk: a publisher of their own, the sandbox's controls, and Temporal."""
    return Desk(api, temporal, http, sandbox_url, task_queue, publisher, webhook)
