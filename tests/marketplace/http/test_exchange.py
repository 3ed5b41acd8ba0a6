"""Observers see every request."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from marketplace.cloud_partner.calls import Portal
from marketplace.errors import MarketplaceError
from marketplace.http.credentials import FixedToken
from marketplace.http.exchange import Exchange
from marketplace.http.pace import Pace
from marketplace.model import OfferKey
from marketplace.product_ingestion.calls import ProductIngestion

OFFER = OfferKey(publisher_id="fabrikam", offer_id="webstack")
TOKEN = FixedToken(SecretStr("hunter2-token"))

Answers = Callable[[httpx.Request], httpx.Response]


class Watcher(list[Exchange]):
    """Records exchanges."""

    def __call__(self, exchange: Exchange) -> None:
        self.append(exchange)


async def read(answers: Any, watcher: Watcher, pace: Pace | None = None) -> None:
    """Read an offer."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(answers)) as client:
        await Portal(client, TOKEN, pace=pace, observe=watcher).read_offer(OFFER)


async def test_an_exchange_has_the_status_and_the_ids_of_the_service() -> None:
    watcher = Watcher()
    headers = {"x-ms-correlation-id": "corr-2", "X-MS-Request-Id": "req-1", "set-cookie": "session=hunter2"}
    await read(lambda _request: httpx.Response(200, headers=headers, json={}), watcher)

    [exchange] = watcher
    assert (exchange.call.name, exchange.method, exchange.host) == ("read_offer", "GET", "cloudpartner.azure.com")
    assert (exchange.status, exchange.failure, exchange.retry_after) == (200, None, None)
    assert dict(exchange.ids) == {"x-ms-request-id": "req-1", "x-ms-correlation-id": "corr-2"}
    assert exchange.started_at > 1_700_000_000
    assert 0 <= exchange.seconds < 5
    assert "hunter2" not in repr(exchange)


async def test_each_of_two_attempts_with_different_tokens_is_observed() -> None:
    watcher, statuses = Watcher(), iter([401, 200])
    await read(lambda _request: httpx.Response(next(statuses), json={}), watcher)

    assert [exchange.status for exchange in watcher] == [401, 200]


async def test_a_refused_exchange_has_the_wait_that_the_service_asks_for() -> None:
    watcher = Watcher()
    with pytest.raises(MarketplaceError):
        await read(lambda _request: httpx.Response(429, headers={"Retry-After": "17"}), watcher)

    assert [(exchange.status, exchange.retry_after) for exchange in watcher] == [(429, timedelta(seconds=17))]


async def test_an_exchange_without_an_answer_has_the_reason() -> None:
    async def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no", request=request)

    watcher = Watcher()
    with pytest.raises(MarketplaceError):
        await read(refuse, watcher)

    assert [(exchange.status, exchange.failure) for exchange in watcher] == [(None, "ConnectError")]


async def test_a_request_that_is_broken_off_is_observed_too() -> None:
    asked = asyncio.Event()

    async def never(_request: httpx.Request) -> httpx.Response:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    watcher = Watcher()
    reading = asyncio.create_task(read(never, watcher))
    await asked.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert [(exchange.status, exchange.failure) for exchange in watcher] == [(None, "broken off")]


async def test_the_wait_for_a_turn_is_not_part_of_the_duration() -> None:
    watcher, pace = Watcher(), Pace(1)
    asyncio.get_running_loop().call_later(0.3, pace.share, 1)
    await read(lambda _request: httpx.Response(200, json={}), watcher, pace)

    [exchange] = watcher
    assert exchange.waited >= 0.25
    assert exchange.seconds < exchange.waited


@pytest.mark.parametrize("api", [Portal, ProductIngestion])
async def test_every_call_has_a_name_without_an_offer(api: type) -> None:
    watcher = Watcher()
    calls: dict[str, Callable[..., Coroutine[Any, Any, object]]] = {
        name: call for name, call in inspect.getmembers(api, inspect.iscoroutinefunction) if not name.startswith("_")
    }
    given = {"offer": OFFER, "publisher_id": "fabrikam", "if_match": None, "document": "{}"}
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _request: httpx.Response(500))) as client:
        for call in calls.values():
            needed = [
                name
                for name, parameter in inspect.signature(call).parameters.items()
                if parameter.default is inspect.Parameter.empty and name != "self"
            ]
            with pytest.raises(MarketplaceError):
                await call(
                    api(client, TOKEN, observe=watcher), **{name: given.get(name, "webstack-4711") for name in needed}
                )

    names = [exchange.call.name for exchange in watcher]
    assert len(set(names)) == len(calls) > 7
    assert all(name.replace("_", "").isalpha() and name != "other" for name in names)
