"""One Temporal server and one sandbox, as processes, for all tests of this folder; workers are each test's own."""

import itertools
import json
from collections.abc import Iterator

import pytest
from temporalio.client import Client

from tests.desk import STEPS
from tests.harness.processes import free_port
from tests.harness.temporal_server import connected
from tests.process.processes import Program, Programs, Publisher, until

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    with Programs(tmp_path_factory.mktemp("shared")) as programs:
        yield programs


@pytest.fixture
def programs(shared: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """What a test starts is gone when the test is over."""
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
    """The sandbox; a publication takes two seconds."""
    durations = json.dumps(dict.fromkeys(STEPS, 0.4))
    sandbox: Program = shared.python("-m", "sandbox", "--port", "0", "--switch", f"step_durations={durations}")
    await until(lambda: "http://" in sandbox.said(), sandbox)
    return sandbox.said().split()[1].rstrip("/")


@pytest.fixture
def publisher(marketplace_url: str) -> Publisher:
    return Publisher(f"publisher-{next(_numbers)}", marketplace_url)
