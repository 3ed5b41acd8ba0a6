"""A real Temporal server and a marketplace whose steps take tenths of seconds.

The server that skips time stops doing so when many runs move at once, and never continues a run as new.
"""

import itertools
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from pydantic import SecretStr
from temporalio.testing import WorkflowEnvironment

from marketplace.cloud_partner_portal import CloudPartnerPortal
from marketplace.credentials import FixedToken
from marketplace.portal import Portal
from marketplace.sas import Signer
from sandbox import DEFAULT_TOKEN, SandboxMarketplace, serve
from tests.desk import STEPS, Desk, Recorder
from worker.registration import data_converter, worker
from workflows import search_attributes

STEP_SECONDS = 0.2

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
async def real_temporal() -> AsyncIterator[WorkflowEnvironment]:
    """A development server that wants runs to continue as new early."""
    async with await WorkflowEnvironment.start_local(
        data_converter=data_converter(),
        dev_server_existing_path=shutil.which("temporal"),
        dev_server_extra_args=["--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=20"],
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
    async with serve(marketplace) as url:
        portal = Portal(http, FixedToken(SecretStr(DEFAULT_TOKEN)), url=url)
        client = CloudPartnerPortal(portal, signer=Signer({"fabrikamimages": "aW52ZW50ZWQ="}))
        async with worker(real_temporal.client, "offer-publishing", client, webhook):
            yield url, "offer-publishing"


@pytest.fixture
async def real_desk(
    real_temporal: WorkflowEnvironment, desks: tuple[str, str], http: httpx.AsyncClient, webhook: Recorder
) -> Desk:
    """A release engineer's desk in real time."""
    url, task_queue = desks
    return Desk(
        real_temporal,
        http,
        url,
        task_queue,
        f"real-{next(_numbers)}",
        webhook,
        publishing=timedelta(seconds=4 * STEP_SECONDS + 0.2),
    )
