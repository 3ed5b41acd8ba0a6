import itertools

import httpx
import pytest

from sandbox import ManualClock
from tests.sandbox.product_ingestion.ingestion_client import IngestionClient

_numbers = itertools.count(1)


@pytest.fixture
async def client(shared: tuple[httpx.AsyncClient, ManualClock]) -> IngestionClient:
    http, clock = shared
    return IngestionClient(http, clock, f"ingestion-{next(_numbers)}")
