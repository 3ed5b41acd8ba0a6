"""The figures of an overload say what went wrong; and who is sent away comes back spread over time.

The overload itself is `make overload`, see docs/chaos.md.
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
    """What is known of 440 runs of one request each, ten in every second, publishers in turn."""
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


def test_an_overload_that_went_well_has_nothing_wrong() -> None:
    figures = Figures(facts())

    assert figures.wrong(capped=True) == []
    assert figures.lines()["runs that ended as they should"] == "440 of 440"
    assert figures.lines()["memory of the worker"] == "1 MiB at the start, 3 MiB at most, 2 MiB at the end"
    assert figures.most == ALLOWED
    assert figures.used == pytest.approx(1, abs=0.03)
    assert figures.jain > 0.98
    assert figures.all_served == pytest.approx(1, abs=0.01)
    assert len(list(figures.table())) == 2 + 11


def test_what_went_wrong_is_said() -> None:
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

    assert Figures(lost).wrong(capped=True) == ["1 runs ended otherwise: not ended"]
    assert Figures(failed).wrong(capped=False) == ["1 runs ended otherwise: OfferNotFound"]
    assert Figures(hasty).wrong(capped=True) == ["more was asked than is allowed: 11 in a second, 0 refused"]
    assert Figures(refused).wrong(capped=True) == ["more was asked than is allowed: 10 in a second, 1 refused"]
    assert Figures(refused).wrong(capped=False) == []
    assert len(Figures(idle).wrong(capped=True)) == 1
    assert len(Figures(starved).wrong(capped=True)) == len(SMALL)
    assert Figures(starved).wrong(capped=False) == []


def test_a_window_of_a_second_is_counted_wherever_it_begins() -> None:
    assert most_within_a_second([0, 0.6, 0.7, 1.5, 1.59, 1.6, 3]) == 4
    assert most_within_a_second([0, 1, 2]) == 1


def test_jains_index_is_one_for_equals_and_a_share_for_one_who_has_it_all() -> None:
    assert jain([3, 3, 3]) == 1
    assert jain([5, 0, 0, 0]) == 0.25


def test_whoever_is_sent_away_together_does_not_come_back_together_and_never_early() -> None:
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


def test_where_the_service_names_no_time_the_retry_policy_does() -> None:
    assert application_error(Unavailable("broken", call="look", status=500), 3).next_retry_delay is None
