"""One Temporal server and one sandbox for all tests of this folder. Each test starts its own workers."""

import itertools
from collections.abc import Iterator

import pytest
from temporalio.client import Client

from tests.desk import STEPS
from tests.harness.processes import free_port
from tests.harness.programs import Programs
from tests.harness.temporal_server import connected
from tests.process.sandbox_publisher import Publisher

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    with Programs(tmp_path_factory.mktemp("shared")) as programs:
        yield programs


@pytest.fixture
def programs(shared: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """The programs of one test, killed when the test is over."""
    with Programs(tmp_path_factory.mktemp("programs")) as programs:
        yield programs


@pytest.fixture(scope="session")
async def address(shared: Programs) -> str:
    """The address of the Temporal server."""
    port = free_port()
    shared.temporal(port)
    await connected(f"127.0.0.1:{port}")
    return f"127.0.0.1:{port}"


@pytest.fixture(scope="session")
async def client(address: str) -> Client:
    return await connected(address)


@pytest.fixture(scope="session")
async def marketplace_url(shared: Programs) -> str:
    """The URL of the sandbox, where publishing takes two seconds."""
    return await shared.sandbox(step_durations=dict.fromkeys(STEPS, 0.4))


@pytest.fixture
def publisher(marketplace_url: str) -> Publisher:
    return Publisher(f"publisher-{next(_numbers)}", marketplace_url)
