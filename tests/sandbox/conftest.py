"""A sandbox over real HTTP on a clock that only moves when a test moves it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from sandbox import ManualClock, SandboxMarketplace, serve
from tests.sandbox.sandbox_client import START, Client


@pytest.fixture
def clock() -> ManualClock:
    """The sandbox's clock."""
    return ManualClock(START)


@pytest.fixture
async def client(clock: ManualClock) -> AsyncIterator[Client]:
    """A client of a sandbox of its own."""
    async with serve(SandboxMarketplace(clock=clock)) as address, httpx.AsyncClient(base_url=address) as http:
        yield Client(http, clock, "fabrikam")
