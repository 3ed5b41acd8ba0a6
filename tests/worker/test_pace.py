"""`MARKETPLACE_REQUESTS_PER_SECOND`, counted on the side of the marketplace."""

import asyncio

import httpx
import pytest
from pydantic import SecretStr
from temporalio.testing import WorkflowEnvironment

from marketplace.cloud_partner.calls import Portal
from marketplace.errors import NotFound
from marketplace.http.credentials import FixedToken
from marketplace.http.pace import Pace
from marketplace.model import OfferKey
from sandbox import DEFAULT_TOKEN, SandboxMarketplace, serve
from worker.registration import MOST_AT_WORK, create_worker

OFFER = OfferKey(publisher_id="fabrikam", offer_id="webstack")


def portal(http: httpx.AsyncClient, url: str, requests_per_second: float) -> Portal:
    pace = Pace(requests_per_second)
    pace.share(1)
    return Portal(http, FixedToken(SecretStr(DEFAULT_TOKEN)), url=url, pace=pace)


async def test_the_marketplace_gets_no_more_requests_than_the_cap() -> None:
    strict = SandboxMarketplace(requests_per_second=20)
    async with serve(strict) as url, httpx.AsyncClient() as http:
        paced = portal(http, url, 20)
        answers = await asyncio.gather(*(paced.status(OFFER) for _ in range(46)), return_exceptions=True)

    assert all(isinstance(answer, NotFound) for answer in answers)
    assert [entry["status"] for entry in strict.requests] == [404] * 46


@pytest.mark.parametrize(("cap", "at_work"), [(0.1, 1), (5, 15), (1000, MOST_AT_WORK)])
async def test_concurrent_activities_are_limited_by_the_cap(
    temporal: WorkflowEnvironment, cap: float, at_work: int
) -> None:
    paced = create_worker(temporal.client, f"paced-{cap}", object(), requests_per_second=cap)  # type: ignore[arg-type]

    assert paced.config()["max_concurrent_activities"] == at_work
    assert paced.config()["disable_eager_activity_execution"]
