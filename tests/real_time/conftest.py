"""A real Temporal server and two marketplaces: one whose steps take tenths of seconds, one held by the test.

The server that skips time stops doing so when many runs move at once or when a run is cancelled with an activity
in flight, and never continues a run as new.
"""

import itertools
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from temporalio.testing import WorkflowEnvironment

from marketplace.cloud_partner.marketplace import CloudPartnerMarketplace
from sandbox import SandboxMarketplace, serve
from sandbox.clock import SpeedClock
from tests.apis.cloud_partner import CloudPartner
from tests.desk import STEPS, Desk, Recorder
from tests.real_time.held_desk import HeldDesk
from worker.registration import data_converter, worker
from workflows import draft, search_attributes

STEP_SECONDS = 0.2

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def quick_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs that wait for another writer try again soon."""
    monkeypatch.setattr(draft, "LEASE_INTERVAL", timedelta(seconds=0.2))


@pytest.fixture(scope="session")
async def real_temporal() -> AsyncIterator[WorkflowEnvironment]:
    """A development server that wants runs to continue as new early."""
    async with await WorkflowEnvironment.start_local(
        data_converter=data_converter(),
        dev_server_existing_path=shutil.which("temporal"),
        dev_server_extra_args=[
            *("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=20"),
            # Else timers go off up to a second late.
            *("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"'),
            *("--dynamic-config-value", "matching.enableFairness=true"),
            *("--dynamic-config-value", "matching.numTaskqueueWritePartitions=1"),
        ],
        search_attributes=search_attributes.ALL,
        dev_server_log_level="error",
    ) as environment:
        yield environment


@pytest.fixture(scope="session")
async def desks(
    real_temporal: WorkflowEnvironment, http: httpx.AsyncClient, webhook: Recorder
) -> AsyncIterator[tuple[str, str]]:
    """The address of a marketplace, and the task queue of a worker on it."""
    marketplace = SandboxMarketplace(default_switches={"step_durations": dict.fromkeys(STEPS, STEP_SECONDS)})
    async with serve(marketplace) as url, worker(real_temporal.client, "quick", client_of(http, url), webhook):
        yield url, "quick"


@pytest.fixture
async def real_desk(
    real_temporal: WorkflowEnvironment, desks: tuple[str, str], http: httpx.AsyncClient, webhook: Recorder
) -> Desk:
    """A release engineer's desk in real time."""
    url, task_queue = desks
    return Desk(
        CloudPartner(),
        real_temporal,
        http,
        url,
        task_queue,
        f"real-{next(_numbers)}",
        webhook,
        publishing=timedelta(seconds=4 * STEP_SECONDS + 0.2),
    )


@pytest.fixture(scope="session")
async def held(
    real_temporal: WorkflowEnvironment, http: httpx.AsyncClient, webhook: Recorder
) -> AsyncIterator[tuple[str, str, SpeedClock]]:
    """The address of a marketplace whose steps take minutes, the task queue of a worker on it, and its clock."""
    clock = SpeedClock()
    switches = {"step_durations": dict.fromkeys(STEPS, 300.0)}
    marketplace = SandboxMarketplace(clock=clock, default_switches=switches)
    async with serve(marketplace) as url, worker(real_temporal.client, "held", client_of(http, url), webhook):
        yield url, "held", clock


@pytest.fixture
async def held_desk(
    real_temporal: WorkflowEnvironment,
    held: tuple[str, str, SpeedClock],
    http: httpx.AsyncClient,
    webhook: Recorder,
) -> HeldDesk:
    """A release engineer's desk in real time, where the marketplace waits for the test."""
    url, task_queue, clock = held
    desk = HeldDesk(CloudPartner(), real_temporal, http, url, task_queue, f"held-{next(_numbers)}", webhook)
    desk.clock = clock
    return desk


def client_of(http: httpx.AsyncClient, url: str) -> CloudPartnerMarketplace:
    """Return a client of the marketplace at an address."""
    return CloudPartner().marketplace(http, url)
