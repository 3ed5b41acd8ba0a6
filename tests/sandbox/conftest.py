"""One sandbox over real HTTP, whose clock moves only when a test moves it. Each test has its own publisher."""

import itertools
from collections.abc import AsyncIterator

import httpx
import pytest

from sandbox import ManualClock, SandboxMarketplace, serve
from tests.sandbox.portal_client import START, PortalClient

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
async def shared() -> AsyncIterator[tuple[httpx.AsyncClient, ManualClock]]:
    clock = ManualClock(START)
    async with serve(SandboxMarketplace(clock=clock)) as address, httpx.AsyncClient(base_url=address) as http:
        yield http, clock


@pytest.fixture
async def client(shared: tuple[httpx.AsyncClient, ManualClock]) -> PortalClient:
    http, clock = shared
    return PortalClient(http, clock, f"publisher-{next(_numbers)}")
