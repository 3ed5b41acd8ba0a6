"""The rate of requests, as the receiver counts them."""

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from random import Random

import pytest

import marketplace.http.pace
from marketplace.http.pace import Pace


def shared(requests_per_second: float, sharers: int = 1) -> Pace:
    pace = Pace(requests_per_second)
    pace.share(sharers)
    return pace


def most_within_a_second(moments: Sequence[float]) -> int:
    ordered = sorted(moments)
    return max(bisect_left(ordered, moment + 1) - at for at, moment in enumerate(ordered))


async def passes(pace: Pace, within: float = 0.1) -> bool:
    """Return whether a request could be sent now. Send it if so."""

    async def request() -> None:
        async with pace.turn():
            pass

    try:
        await asyncio.wait_for(request(), within)
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("cap", [1, 7, 40])
async def test_a_burst_never_exceeds_the_cap_in_any_second_however_long_requests_are_on_the_way(cap: int) -> None:
    pace, loop, choose = shared(cap), asyncio.get_running_loop(), Random(cap)  # noqa: S311 - repeatable
    arrived: list[float] = []

    async def request() -> None:
        async with pace.turn():
            await asyncio.sleep(choose.uniform(0, 0.2))
            arrived.append(loop.time())
            await asyncio.sleep(choose.uniform(0, 0.05))

    await asyncio.gather(*(request() for _ in range(int(cap * 1.8) + 1)))

    assert len(arrived) == int(cap * 1.8) + 1
    assert most_within_a_second(arrived) <= cap


async def test_requests_pass_in_the_order_of_arrival() -> None:
    pace, went = shared(20), list[int]()

    async def request(number: int) -> None:
        async with pace.turn():
            went.append(number)

    await asyncio.gather(*(request(number) for number in range(30)))
    assert went == list(range(30))


async def test_a_request_whose_answer_takes_minutes_does_not_block_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marketplace.http.pace, "ON_THE_WAY", 0.5)
    pace, answered = shared(1), asyncio.Event()

    async def put() -> None:
        async with pace.turn():
            await answered.wait()

    putting = asyncio.create_task(put())
    await asyncio.sleep(0)
    assert not await passes(pace, 0.9)
    assert await passes(pace, 2)
    answered.set()
    await putting
    assert not await passes(pace), "the long request gave its place back twice"


async def test_a_request_that_gives_up_waiting_takes_no_place() -> None:
    pace = shared(1)
    assert await passes(pace)
    assert not await passes(pace)
    assert await passes(pace, 1.5)


async def test_no_request_passes_before_the_number_of_sharers_is_known() -> None:
    pace = Pace(100)
    assert not await passes(pace)
    pace.share(1)
    assert await passes(pace)


async def test_sharers_use_equal_shares_of_the_rate() -> None:
    pace = shared(5, sharers=2)
    assert [await passes(pace) for _ in range(3)] == [True, True, False]
    pace.share(1)
    assert [await passes(pace) for _ in range(4)] == [True, True, True, False]


async def test_a_rate_below_one_allows_a_request_every_few_seconds() -> None:
    pace = shared(0.5)
    assert await passes(pace)
    assert not await passes(pace, 1.5)
    assert await passes(pace, 1)
