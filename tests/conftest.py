"""A real Temporal server that skips time, the sandbox over real HTTP on that server's clock, and a real worker.

All of it is new for each test, which takes a third of a second: the server that skips time stops doing so for good
when a run ends with an activity in flight, and no test may be another's bad luck.
"""

import itertools
import shutil
from collections.abc import AsyncIterator

import httpx
import hypothesis
import pytest
from pydantic import SecretStr
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.testing import WorkflowEnvironment

from marketplace.cloud_partner.calls import Portal
from marketplace.cloud_partner.marketplace import CloudPartnerMarketplace
from marketplace.http.credentials import FixedToken
from marketplace.sas import Signer
from sandbox import DEFAULT_TOKEN, SandboxMarketplace, serve
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
async def sandbox_url(temporal: WorkflowEnvironment) -> AsyncIterator[str]:
    """The sandbox, on the Temporal server's clock."""
    switches = {
        "sas_clock": "wall",  # signatures are made today, while this clock runs weeks ahead
        "step_durations": dict.fromkeys(STEPS, 300.0),
    }
    marketplace = SandboxMarketplace(clock=TemporalClock(temporal), default_switches=switches)
    async with serve(marketplace) as url:
        yield url


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture(scope="session")
async def webhook() -> Recorder:
    """Where the worker of the tests tells people."""
    return Recorder()


@pytest.fixture
async def task_queue(
    temporal: WorkflowEnvironment, sandbox_url: str, http: httpx.AsyncClient, webhook: Recorder
) -> AsyncIterator[str]:
    """A task queue with a worker on it, as the product registers it."""
    marketplace = CloudPartnerMarketplace(
        Portal(http, FixedToken(SecretStr(DEFAULT_TOKEN)), url=sandbox_url),
        signer=Signer({"fabrikamimages": "aW52ZW50ZWQ="}),
    )
    queue = "offer-publishing"
    async with worker(temporal.client, queue, marketplace, webhook):
        yield queue


@pytest.fixture
async def desk(
    temporal: WorkflowEnvironment, sandbox_url: str, http: httpx.AsyncClient, task_queue: str, webhook: Recorder
) -> Desk:
    """A release engineer's desk: a publisher of their own, the sandbox's controls, and Temporal."""
    return Desk(temporal, http, sandbox_url, task_queue, f"publisher-{next(_numbers)}", webhook)
