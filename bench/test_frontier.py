"""The claims of docs/looks.md about the default schedule."""

from bench.frontier import DEFAULT, Schedule, fixed, measure, publications, sixteen_days


def test_the_default_schedule_takes_few_looks_beyond_the_minimum_for_the_same_promise() -> None:
    ours = measure(DEFAULT, publications())
    long = measure(DEFAULT, [sixteen_days()])

    assert ours.worst <= ours.promise == 30 * 60
    assert ours.looks < 155
    assert ours.excess < 0.15
    assert long.excess < 0.03


def test_fixed_intervals_with_the_same_mean_delay_take_more_looks() -> None:
    drawn = publications()
    ours = measure(DEFAULT, drawn)
    as_soon = measure(Schedule("fixed", "", fixed(22.5 * 60)), drawn)

    assert as_soon.mean >= ours.mean * 0.99
    assert as_soon.looks > ours.looks * 1.1


def test_the_end_of_a_step_is_seen_within_half_of_the_time_waited() -> None:
    ours = measure(DEFAULT, publications())

    assert ours.relative <= 0.5
