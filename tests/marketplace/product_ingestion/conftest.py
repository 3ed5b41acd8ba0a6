"""A publisher in a sandbox over HTTP. Its clock moves when a test, or the pause of an edit, moves it."""

import itertools
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from pydantic import SecretStr

from marketplace.http.credentials import FixedToken
from marketplace.product_ingestion.calls import ProductIngestion
from marketplace.product_ingestion.marketplace import ProductIngestionMarketplace
from marketplace.sas import Signer
from sandbox import ManualClock, SandboxMarketplace, serve
from tests.marketplace.product_ingestion.ingestion_publisher import Publisher
from tests.marketplace.product_ingestion.offers import NOW, TENANT
from tests.sandbox.product_ingestion.ingestion_client import BASE, IngestionClient

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
async def service() -> AsyncIterator[tuple[httpx.AsyncClient, ManualClock, str]]:
    clock = ManualClock(NOW)
    async with serve(SandboxMarketplace(clock=clock)) as address, httpx.AsyncClient(base_url=address) as http:
        yield http, clock, address


@pytest.fixture
def publisher(service: tuple[httpx.AsyncClient, ManualClock, str]) -> Publisher:
    http, clock, address = service
    begun = clock._now
    stranger = IngestionClient(http, clock, f"client-{next(_numbers)}")

    async def pause(time: timedelta) -> None:
        clock.advance(time.total_seconds())

    marketplace = ProductIngestionMarketplace(
        ProductIngestion(http, FixedToken(SecretStr(stranger.token)), url=f"{address}{BASE}"),
        signer=Signer({"fabrikamimages": "aW52ZW50ZWQ="}),
        tenant_id=TENANT,
        clock=lambda: NOW + (clock._now - begun),
        pause=pause,
    )
    return Publisher(marketplace, stranger)
