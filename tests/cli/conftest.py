"""A Temporal server in real time, a worker, and a marketplace whose steps take tenths of a second."""

import itertools
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from sandbox import serve
from tests.apis.cloud_partner import CloudPartnerApi
from tests.cli.command import Command, InProcess
from tests.desk import Recorder, publishing_time, sandbox_with
from tests.harness.real_time_desk import RealTimeDesk
from tests.harness.temporal_server import development_server
from worker.encryption import EncryptionCodec
from worker.registration import create_data_converter, create_worker
from worker.settings import read_encryption_keys

STEP_SECONDS = 0.15
QUEUE = "command"

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[WorkflowEnvironment]:
    """A server that suggests continue-as-new after 40 events."""
    async with development_server(continue_as_new_after=40) as environment:
        yield environment


@pytest.fixture(scope="session")
async def marketplace_url() -> AsyncIterator[str]:
    async with serve(sandbox_with(STEP_SECONDS)) as url:
        yield url


@pytest.fixture(scope="session")
async def working(
    server: WorkflowEnvironment, marketplace_url: str, http: httpx.AsyncClient, webhook: Recorder
) -> AsyncIterator[str]:
    """The task queue of a worker."""
    async with create_worker(server.client, QUEUE, CloudPartnerApi().marketplace(http, marketplace_url), webhook):
        yield QUEUE


@pytest.fixture
def address(server: WorkflowEnvironment) -> str:
    return server.client.service_client.config.target_host


@pytest.fixture
def command(address: str, working: str) -> Command:
    return Command(address, working)


@pytest.fixture
def here(
    address: str, working: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> InProcess:
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    monkeypatch.setenv("TEMPORAL_TASK_QUEUE", working)
    return InProcess(capsys)


@pytest.fixture
async def desk(
    server: WorkflowEnvironment, working: str, marketplace_url: str, http: httpx.AsyncClient, webhook: Recorder
) -> RealTimeDesk:
    """A release engineer's desk in real time."""
    return RealTimeDesk(
        CloudPartnerApi(),
        server,
        http,
        marketplace_url,
        working,
        f"command-{next(_numbers)}",
        webhook,
        publishing=publishing_time(STEP_SECONDS),
    )


@pytest.fixture
async def sealed(
    address: str, marketplace_url: str, http: httpx.AsyncClient, webhook: Recorder
) -> AsyncIterator[Mapping[str, str]]:
    """The variables that the command needs for a worker that encrypts payloads."""
    keys = "2026:aHVudGVyMmh1bnRlcjIhIQ=="
    codec = EncryptionCodec(read_encryption_keys(keys))
    client = await Client.connect(address, data_converter=create_data_converter(codec))
    async with create_worker(client, "sealed", CloudPartnerApi().marketplace(http, marketplace_url), webhook):
        yield {"TEMPORAL_TASK_QUEUE": "sealed", "PAYLOAD_ENCRYPTION_KEYS": keys}
