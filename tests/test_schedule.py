"""The times of the looks at an operation."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from workflows.messages import Polling
from workflows.schedule import next_look_after

_LONGEST = timedelta(days=366)
_INTERVALS = st.timedeltas(min_value=timedelta(seconds=0.1), max_value=_LONGEST)
_WAITS = st.timedeltas(min_value=timedelta(0), max_value=_LONGEST)
_POLLING = st.tuples(_INTERVALS, _INTERVALS).map(lambda both: Polling(min_interval=min(both), max_interval=max(both)))


def looks(duration: timedelta, polling: Polling) -> int:
    """Count the looks at an operation, given how long it takes."""
    waited, count = timedelta(0), 1
    while waited < duration:
        waited += next_look_after(waited, polling)
        count += 1
    return count


@given(waited=_WAITS, polling=_POLLING)
def test_the_next_look_comes_within_the_intervals(waited: timedelta, polling: Polling) -> None:
    assert polling.min_interval <= next_look_after(waited, polling) <= polling.max_interval


@given(waited=_WAITS, more=_WAITS, polling=_POLLING)
def test_looks_get_no_closer_together_the_longer_the_wait(
    waited: timedelta, more: timedelta, polling: Polling
) -> None:
    assert next_look_after(waited, polling) <= next_look_after(waited + more, polling)


@given(duration=st.timedeltas(min_value=timedelta(minutes=3), max_value=timedelta(hours=1)))
def test_the_end_is_seen_at_most_half_of_the_duration_late(duration: timedelta) -> None:
    waited = timedelta(0)
    while waited < duration:
        waited += next_look_after(waited, Polling())
    assert waited <= duration * 1.5


def test_an_hour_a_day_and_sixteen_days_cost_few_looks() -> None:
    assert looks(timedelta(hours=1), Polling()) < 15
    assert looks(timedelta(days=1), Polling()) < 65
    assert looks(timedelta(days=16), Polling()) < 16 * 48 + 20
