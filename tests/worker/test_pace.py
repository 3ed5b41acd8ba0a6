"""`MARKETPLACE_REQUESTS_PER_SECOND`, as the marketplace counts."""

import asyncio
import itertools
from collections.abc import Sequence

import httpx
import pytest
from pydantic import SecretStr
from temporalio.testing import WorkflowEnvironment

from marketplace.credentials import FixedToken
from marketplace.errors import NotFound
from marketplace.model import OfferKey
from marketplace.portal import Portal
from sandbox import DEFAULT_TOKEN, SandboxMarketplace, serve
from worker.marketplaces import pace
from worker.registration import REQUESTS_PER_ACTIVITY, worker

OFFER = OfferKey(publisher_id="fabrikam", offer_id="webstack")


def most_within_a_second(moments: Sequence[float]) -> int:
    return max(sum(begin <= moment < begin + 1 for moment in moments) for begin in moments)


@pytest.mark.parametrize("cap", [1, 7, 40])
async def test_a_burst_never_exceeds_the_cap_in_any_second(cap: int) -> None:
    limiter, loop = pace(cap), asyncio.get_running_loop()
    moments: list[float] = []

    async def request() -> None:
        async with limiter:
            moments.append(loop.time())

    await asyncio.gather(*(request() for _ in range(int(cap * 1.8) + 1)))

    moments.sort()
    assert most_within_a_second(moments) <= cap
    assert min(later - earlier for earlier, later in itertools.pairwise(moments)) > 0.9 / cap


async def test_the_marketplace_counts_no_more_than_the_cap() -> None:
    arrived: list[float] = []

    class Counting(SandboxMarketplace):
        def log(self, entry: dict[str, object]) -> None:
            arrived.append(asyncio.get_running_loop().time())
            super().log(entry)

    async with serve(Counting()) as url, httpx.AsyncClient() as http:
        portal = Portal(http, FixedToken(SecretStr(DEFAULT_TOKEN)), url=url, limiter=pace(20))
        answers = await asyncio.gather(*(portal.status(OFFER) for _ in range(36)), return_exceptions=True)

    assert all(isinstance(answer, NotFound) for answer in answers)
    assert len(arrived) == 36
    assert most_within_a_second(arrived) <= 20


async def test_the_whole_task_queue_is_held_to_the_cap(temporal: WorkflowEnvironment) -> None:
    portal = object()
    paced = worker(temporal.client, "paced", portal, requests_per_second=10)  # type: ignore[arg-type]

    assert paced.config()["max_task_queue_activities_per_second"] == 10 / REQUESTS_PER_ACTIVITY
    assert paced.config()["disable_eager_activity_execution"]
