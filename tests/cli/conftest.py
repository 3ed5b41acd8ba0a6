"""A real Temporal server, a worker on it, and a marketplace whose steps take tenths of seconds."""

import itertools
import shutil
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

import httpx
import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from sandbox import SandboxMarketplace, serve
from tests.apis.cloud_partner import CloudPartner
from tests.cli.command import Command, InProcess
from tests.desk import STEPS, Desk, Recorder
from worker.encryption import EncryptionCodec
from worker.registration import data_converter, worker
from worker.settings import read_encryption_keys
from workflows import search_attributes

STEP_SECONDS = 0.15
QUEUE = "command"

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[WorkflowEnvironment]:
    """A server that wants runs to continue as new early."""
    async with await WorkflowEnvironment.start_local(
        data_converter=data_converter(),
        dev_server_existing_path=shutil.which("temporal"),
        dev_server_extra_args=[
            *("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=40"),
            *("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"'),
        ],
        search_attributes=search_attributes.ALL,
        dev_server_log_level="error",
    ) as environment:
        yield environment


@pytest.fixture(scope="session")
async def marketplace_url() -> AsyncIterator[str]:
    durations = dict.fromkeys(STEPS, STEP_SECONDS)
    async with serve(SandboxMarketplace(default_switches={"step_durations": durations})) as url:
        yield url


@pytest.fixture(scope="session")
async def working(
    server: WorkflowEnvironment, marketplace_url: str, http: httpx.AsyncClient, webhook: Recorder
) -> AsyncIterator[str]:
    """The task queue of a worker."""
    async with worker(server.client, QUEUE, CloudPartner().marketplace(http, marketplace_url), webhook):
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
) -> Desk:
    """A release engineer's desk in real time."""
    return Desk(
        CloudPartner(),
        server,
        http,
        marketplace_url,
        working,
        f"command-{next(_numbers)}",
        webhook,
        publishing=timedelta(seconds=4 * STEP_SECONDS + 0.2),
    )


@pytest.fixture
async def sealed(
    address: str, marketplace_url: str, http: httpx.AsyncClient, webhook: Recorder
) -> AsyncIterator[Mapping[str, str]]:
    """Variables of the command where a worker encrypts payloads."""
    keys = "2026:aHVudGVyMmh1bnRlcjIhIQ=="
    codec = EncryptionCodec(read_encryption_keys(keys))
    client = await Client.connect(address, data_converter=data_converter(codec))
    async with worker(client, "sealed", CloudPartner().marketplace(http, marketplace_url), webhook):
        yield {"TEMPORAL_TASK_QUEUE": "sealed", "PAYLOAD_ENCRYPTION_KEYS": keys}
