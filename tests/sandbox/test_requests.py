"""The rate limit, and the log of requests."""

import asyncio

import httpx
import pytest

from sandbox import SandboxMarketplace, serve


async def statuses(http: httpx.AsyncClient, count: int) -> list[int]:
    answers = await asyncio.gather(
        *(http.get("/api/publishers/fabrikam/offers", params={"api-version": "2017-10-31"}) for _ in range(count))
    )
    assert {answer.headers.get("retry-after") for answer in answers if answer.status_code == 429} <= {"1"}
    return sorted(answer.status_code for answer in answers)


async def test_a_request_above_the_limit_is_answered_429_with_retry_after_and_does_not_count() -> None:
    strict = SandboxMarketplace(requests_per_second=3)
    async with serve(strict) as url, httpx.AsyncClient(base_url=url) as http:
        assert await statuses(http, 5) == [401, 401, 401, 429, 429]
        await asyncio.sleep(0.7)
        assert await statuses(http, 1) == [429]
        await asyncio.sleep(0.4)
        assert await statuses(http, 4) == [401, 401, 401, 429]
    assert [entry["status"] for entry in strict.requests].count(429) == 4


async def test_the_limit_can_be_set_and_lifted_while_the_sandbox_runs() -> None:
    async with serve(SandboxMarketplace()) as url, httpx.AsyncClient(base_url=url) as http:
        assert await statuses(http, 5) == [401] * 5
        assert (await http.put("/_control/limit", json={"requests_per_second": 1})).json() == {
            "requests_per_second": 1
        }
        assert await statuses(http, 2) == [401, 429]
        await http.put("/_control/limit", json={"requests_per_second": None})
        assert await statuses(http, 5) == [401] * 5
        assert (await http.put("/_control/limit", json={"requests_per_second": 0})).status_code == 400


@pytest.mark.parametrize(("after", "numbers"), [("0", [1, 2, 3]), ("2", [3]), ("3", []), ("9", [])])
async def test_the_log_can_be_read_from_a_number_on(after: str, numbers: list[int]) -> None:
    async with serve(SandboxMarketplace()) as url, httpx.AsyncClient(base_url=url) as http:
        await statuses(http, 3)
        read = await http.get("/_control/requests", params={"after": after})
        assert [entry["number"] for entry in read.json()] == numbers
        assert (await http.get("/_control/requests", params={"after": "yesterday"})).status_code == 400
