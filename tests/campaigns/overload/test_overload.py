"""The figures of an overload show what went wrong, and retries after 429 are spread over time.

`make overload` plays the overload itself, see docs/chaos.md.
"""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.errors import MOST_SPREAD, application_error
from marketplace.errors import Unavailable
from tests.campaigns.overload.figures import Facts, Figures, jain, most_within_a_second
from tests.campaigns.overload.plan import ENDS, GREEDY, SMALL, plan

BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)
ALLOWED = 10
APART = 0.1001


def request(at: float, publisher: str, status: int = 200) -> dict[str, Any]:
    return {"arrived": (BEGAN + timedelta(seconds=at)).isoformat(), "publisher": publisher, "status": status}


def facts() -> Facts:
    """Return the facts of 440 runs with one request each, ten in every second, the publishers in turn."""
    runs = plan(440)
    turns = [publisher for _ in range(11) for publisher in (GREEDY, *SMALL)] + [GREEDY] * 319
    moments = {
        publisher: [number * APART for number, turn in enumerate(turns) if turn == publisher] for publisher in turns
    }
    ended = {
        run.id: (BEGAN + timedelta(seconds=moments[run.publisher].pop(0) + 0.01), ENDS[run.workflow]) for run in runs
    }
    requests = [request(number * APART, publisher) for number, publisher in enumerate(turns)]
    return Facts(ALLOWED, BEGAN, runs, requests, ended, Counter(), [2**20, 3 * 2**20, 2**21], 1.5)


def test_a_flawless_overload_has_nothing_wrong() -> None:
    figures = Figures(facts())

    assert figures.wrong(capped=True) == []
    assert figures.lines()["runs that ended as they should"] == "440 of 440"
    assert figures.lines()["memory of the worker"] == "1 MiB at the start, 3 MiB at most, 2 MiB at the end"
    assert figures.most == ALLOWED
    assert figures.used == pytest.approx(1, abs=0.03)
    assert figures.jain > 0.98
    assert figures.all_served == pytest.approx(1, abs=0.01)
    assert len(list(figures.table())) == 2 + 11


def test_every_kind_of_failure_is_reported() -> None:
    good = facts()
    run = good.runs[0]
    lost = replace(good, ended={name: end for name, end in good.ended.items() if name != run.id})
    failed = replace(good, ended=good.ended | {run.id: (BEGAN, "OfferNotFound")})
    hasty = replace(good, requests=[request(0, GREEDY), *good.requests])
    refused = replace(good, requests=[*good.requests[:-1], request(43.95, GREEDY, 429)])
    idle = replace(good, allowed=2 * ALLOWED)
    starved = replace(
        good,
        ended={
            each.id: (BEGAN + timedelta(seconds=number * APART), ENDS[each.workflow])
            for number, each in enumerate(good.runs)
        },
    )

    assert Figures(lost).wrong(capped=True) == ["1 runs ended with no end"]
    assert Figures(failed).wrong(capped=False) == ["1 runs ended with OfferNotFound"]
    assert Figures(hasty).wrong(capped=True) == ["the limit was exceeded: 11 requests in a second, 0 answered 429"]
    assert Figures(refused).wrong(capped=True) == ["the limit was exceeded: 10 requests in a second, 1 answered 429"]
    assert Figures(refused).wrong(capped=False) == []
    assert len(Figures(idle).wrong(capped=True)) == 1
    assert len(Figures(starved).wrong(capped=True)) == len(SMALL)
    assert Figures(starved).wrong(capped=False) == []


def test_the_busiest_second_is_found_wherever_it_begins() -> None:
    assert most_within_a_second([0, 0.6, 0.7, 1.5, 1.59, 1.6, 3]) == 4
    assert most_within_a_second([0, 1, 2]) == 1


def test_jains_index_is_one_for_equal_shares_and_one_nth_for_a_single_share() -> None:
    assert jain([3, 3, 3]) == 1
    assert jain([5, 0, 0, 0]) == 0.25


def test_retries_after_429_are_spread_out_and_never_early() -> None:
    asked = timedelta(seconds=7)
    away = Unavailable("slow down", call="look", status=429, retry_after=asked)

    def delays(attempt: int) -> list[timedelta]:
        said = [application_error(away, attempt).next_retry_delay for _ in range(200)]
        return [delay for delay in said if delay is not None]

    first, tenth = delays(1), delays(10)
    assert len(set(first)) > 100
    assert asked <= min(first) < max(first) <= asked + timedelta(seconds=2)
    assert asked <= min(tenth) < asked + MOST_SPREAD / 2 < max(tenth) <= asked + MOST_SPREAD
    assert max(delays(10_000)) <= asked + MOST_SPREAD


def test_without_retry_after_the_retry_policy_decides_when_to_retry() -> None:
    assert application_error(Unavailable("broken", call="look", status=500), 3).next_retry_delay is None
