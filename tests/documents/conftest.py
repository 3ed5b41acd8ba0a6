"""A real Temporal server, and for each test a marketplace and a worker of its own on it."""

import itertools
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from temporalio.testing import WorkflowEnvironment

from sandbox import SandboxMarketplace, serve
from tests.apis.api import Api
from tests.desk import STEPS, Desk, Recorder
from tests.documents.reader import QUEUE, Reader
from worker.registration import data_converter, worker
from workflows import search_attributes

STEP_SECONDS = 0.02

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_local(
        data_converter=data_converter(),
        dev_server_existing_path=shutil.which("temporal"),
        dev_server_extra_args=["--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"'],
        search_attributes=search_attributes.ALL,
        dev_server_log_level="error",
    ) as environment:
        yield environment


@pytest.fixture
async def reader(
    api: Api, server: WorkflowEnvironment, http: httpx.AsyncClient, webhook: Recorder, tmp_path: Path
) -> AsyncIterator[Reader]:
    """Somebody who types what a document says, where the sample offer is that of the examples."""
    durations = dict.fromkeys(STEPS, STEP_SECONDS)
    marketplace = SandboxMarketplace(default_switches={"step_durations": durations})
    async with (
        serve(marketplace) as url,
        worker(server.client, QUEUE, api.marketplace(http, url), webhook),
    ):
        publishing = timedelta(seconds=4 * STEP_SECONDS + 0.1)
        reader = Reader(Desk(api, server, http, url, QUEUE, "fabrikam-linux", webhook, publishing), tmp_path)
        yield reader
        await reader.end()
