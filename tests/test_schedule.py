"""When the next look is taken, whatever the settings."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from workflows.messages import Polling
from workflows.schedule import next_look_after

_LONGEST = timedelta(days=366)
_INTERVALS = st.timedeltas(min_value=timedelta(seconds=0.1), max_value=_LONGEST)
_WAITS = st.timedeltas(min_value=timedelta(0), max_value=_LONGEST)
_POLLING = st.tuples(_INTERVALS, _INTERVALS).map(lambda both: Polling(min_interval=min(both), max_interval=max(both)))


def looks(took: timedelta, polling: Polling) -> int:
    """Count the looks at an operation that takes so long."""
    waited, count = timedelta(0), 1
    while waited < took:
        waited += next_look_after(waited, polling)
        count += 1
    return count


@given(waited=_WAITS, polling=_POLLING)
def test_the_next_look_keeps_to_the_intervals(waited: timedelta, polling: Polling) -> None:
    assert polling.min_interval <= next_look_after(waited, polling) <= polling.max_interval


@given(waited=_WAITS, more=_WAITS, polling=_POLLING)
def test_the_longer_the_wait_the_longer_until_the_next_look(
    waited: timedelta, more: timedelta, polling: Polling
) -> None:
    assert next_look_after(waited, polling) <= next_look_after(waited + more, polling)


@given(took=st.timedeltas(min_value=timedelta(minutes=3), max_value=timedelta(hours=1)))
def test_the_news_is_at_most_half_of_the_wait_late(took: timedelta) -> None:
    waited = timedelta(0)
    while waited < took:
        waited += next_look_after(waited, Polling())
    assert waited <= took * 1.5


def test_a_day_costs_few_looks_and_sixteen_days_what_the_longest_interval_makes_of_them() -> None:
    assert looks(timedelta(hours=1), Polling()) < 15
    assert looks(timedelta(days=1), Polling()) < 65
    assert looks(timedelta(days=16), Polling()) < 16 * 48 + 20
