"""A Temporal server in real time and two marketplaces: one whose steps take tenths of seconds, one held by the test.

The server that skips time cannot serve here. It stops skipping when many runs move at once or when a run is cancelled
with an activity in flight, and it never suggests continue-as-new.
"""

import itertools
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from temporalio.testing import WorkflowEnvironment

from marketplace.cloud_partner.marketplace import CloudPartnerMarketplace
from sandbox import serve
from sandbox.clock import SpeedClock
from tests.apis.cloud_partner import CloudPartnerApi
from tests.desk import Recorder, publishing_time, sandbox_with
from tests.harness.real_time_desk import RealTimeDesk
from tests.harness.temporal_server import development_server
from tests.real_time.held_desk import HeldDesk
from worker.registration import create_worker
from workflows import draft

STEP_SECONDS = 0.2

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def lease_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs that wait for the lease ask for it again soon."""
    monkeypatch.setattr(draft, "LEASE_INTERVAL", timedelta(seconds=0.2))


@pytest.fixture(scope="session")
async def real_temporal() -> AsyncIterator[WorkflowEnvironment]:
    """A server that suggests continue-as-new after a few events."""
    async with development_server(
        "matching.enableFairness=true", "matching.numTaskqueueWritePartitions=1", continue_as_new_after=20
    ) as environment:
        yield environment


@pytest.fixture(scope="session")
async def quick(
    real_temporal: WorkflowEnvironment, http: httpx.AsyncClient, webhook: Recorder
) -> AsyncIterator[tuple[str, str]]:
    """The URL of a marketplace, and the task queue of a worker on it."""
    async with (
        serve(sandbox_with(STEP_SECONDS)) as url,
        create_worker(real_temporal.client, "quick", client_of(http, url), webhook),
    ):
        yield url, "quick"


@pytest.fixture
async def real_desk(
    real_temporal: WorkflowEnvironment, quick: tuple[str, str], http: httpx.AsyncClient, webhook: Recorder
) -> RealTimeDesk:
    """A release engineer's desk in real time."""
    url, task_queue = quick
    return RealTimeDesk(
        CloudPartnerApi(),
        real_temporal,
        http,
        url,
        task_queue,
        f"real-{next(_numbers)}",
        webhook,
        publishing=publishing_time(STEP_SECONDS),
    )


@pytest.fixture(scope="session")
async def held(
    real_temporal: WorkflowEnvironment, http: httpx.AsyncClient, webhook: Recorder
) -> AsyncIterator[tuple[str, str, SpeedClock]]:
    """The URL of a marketplace whose steps take minutes, the task queue of a worker on it, and its clock."""
    clock = SpeedClock()
    async with (
        serve(sandbox_with(300, clock=clock)) as url,
        create_worker(real_temporal.client, "held", client_of(http, url), webhook),
    ):
        yield url, "held", clock


@pytest.fixture
async def held_desk(
    real_temporal: WorkflowEnvironment,
    held: tuple[str, str, SpeedClock],
    http: httpx.AsyncClient,
    webhook: Recorder,
) -> HeldDesk:
    """A release engineer's desk in real time, at a marketplace that waits for the test."""
    url, task_queue, clock = held
    desk = HeldDesk(CloudPartnerApi(), real_temporal, http, url, task_queue, f"held-{next(_numbers)}", webhook)
    desk.clock = clock
    return desk


def client_of(http: httpx.AsyncClient, url: str) -> CloudPartnerMarketplace:
    """Return the client of a marketplace."""
    return CloudPartnerApi().marketplace(http, url)
