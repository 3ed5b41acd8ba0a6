"""A Temporal server in real time. Each test has its own marketplace and worker."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from temporalio.testing import WorkflowEnvironment

from sandbox import serve
from tests.apis.api import Api
from tests.desk import Recorder, publishing_time, sandbox_with
from tests.documents.reader import QUEUE, Reader
from tests.harness.real_time_desk import RealTimeDesk
from tests.harness.temporal_server import development_server
from worker.registration import create_worker

STEP_SECONDS = 0.02


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[WorkflowEnvironment]:
    async with development_server() as environment:
        yield environment


@pytest.fixture
async def reader(
    api: Api, server: WorkflowEnvironment, http: httpx.AsyncClient, webhook: Recorder, tmp_path: Path
) -> AsyncIterator[Reader]:
    """A reader who types the commands of a document, for the offer of the examples."""
    async with (
        serve(sandbox_with(STEP_SECONDS)) as url,
        create_worker(server.client, QUEUE, api.marketplace(http, url), webhook),
    ):
        publishing = publishing_time(STEP_SECONDS)
        desk = RealTimeDesk(api, server, http, url, QUEUE, "fabrikam-linux", webhook, publishing)
        reader = Reader(desk, tmp_path)
        yield reader
        await reader.end()
