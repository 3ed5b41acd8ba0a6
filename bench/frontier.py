"""Compare how often schedules look and how late they see changes, on the same publications: ``make frontier``.

It writes the tables of docs/looks.md and draws docs/looks.png. This is arithmetic only: publications are drawn from
documented durations, and each schedule computes when it would look.
"""

import json
import subprocess
import sys
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import accumulate, pairwise
from math import ceil, exp, log, sqrt
from pathlib import Path
from random import Random
from statistics import fmean
from typing import TypeAlias

from bench.sixteen_days import DURATIONS
from workflows.messages import Polling
from workflows.schedule import SHARE_OF_THE_WAIT, next_look_after

DOCS = Path(__file__).parent.parent / "docs"
PUBLICATIONS = 300
SEED = 4

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
PUBLISH = {
    "validation": (1 * MINUTE, 30 * MINUTE),
    "certification": (30 * MINUTE, 5 * DAY),
    "provisioning": (30 * MINUTE, 4 * DAY),
    "packaging": (5 * MINUTE, 1 * HOUR),
}
GO_LIVE = {"live": (30 * MINUTE, 5 * DAY)}
"""The shortest and the longest reported duration of each step, in seconds."""

LASTING = 5 * MINUTE
"""A relative delay counts only for waits longer than this. In shorter waits, a minute does not matter."""

Operation: TypeAlias = list[float]
"""The end of each step, in seconds since the beginning of the operation."""

Next: TypeAlias = Callable[[float, float], float]
"""Takes the time waited so far and the last wait. Returns the seconds until the next look."""


@dataclass(frozen=True)
class Schedule:
    """A schedule of looks, with its family and settings."""

    family: str
    name: str
    next: Next


@dataclass(frozen=True)
class Measured:
    """The cost and the delays of a schedule. Times are seconds.

    Attributes:
        looks: The mean number of looks at a publication.
        promise: The longest time between two looks. No change is seen later than this.
        fewest: The mean number of looks that a schedule with this promise needs at least.
        mean: The mean delay until the end of a step is seen.
        worst: The longest delay.
        relative: The longest delay as a share of the time waited, for steps that ended after `LASTING`.
    """

    schedule: Schedule
    looks: float
    promise: float
    fewest: float
    mean: float
    worst: float
    relative: float

    @property
    def excess(self) -> float:
        """The share of looks beyond the minimum."""
        return self.looks / self.fewest - 1


def ours(polling: Polling) -> Next:
    """Return the schedule of the workflows."""
    return lambda waited, _before: next_look_after(timedelta(seconds=waited), polling).total_seconds()


def growing(share: float, least: float, most: float) -> Next:
    """Return the schedule of the workflows with another share."""
    return lambda waited, _before: min(max(waited * share, least), most)


def fixed(interval: float) -> Next:
    """Look at fixed intervals."""
    return lambda _waited, _before: interval


def rooted(least: float, most: float) -> Next:
    """Wait in proportion to the square root of the time waited, and 30 minutes after nine hours."""
    return lambda waited, _before: min(max(30 * MINUTE * sqrt(waited / (9 * HOUR)), least), most)


def backing_off(factor: float, least: float, most: float) -> Next:
    """Multiply the wait by a factor each time."""
    return lambda _waited, before: min(max(before * factor, least), most)


DEFAULT = Schedule("ours", "1 min to 30 min, the default", ours(Polling()))
DOUBLE = Schedule("other shares", "1, 1 min to 30 min", growing(1, MINUTE, 30 * MINUTE))
"""The default with another share."""


def schedules() -> list[Schedule]:
    """Return the schedules to compare."""
    return [
        DEFAULT,
        *(
            Schedule("ours", f"{shown(least)} to {shown(most)}", ours(_polling(least, most)))
            for least, most in (
                (15.0, 5 * MINUTE),
                (MINUTE, 5 * MINUTE),
                (MINUTE, 10 * MINUTE),
                (5 * MINUTE, 30 * MINUTE),
                (MINUTE, HOUR),
                (MINUTE, 4 * HOUR),
            )
        ),
        *(
            Schedule("other shares", f"{share:g}, 1 min to 30 min", growing(share, MINUTE, 30 * MINUTE))
            for share in (0.1, 0.25, 1.0, 2.0)
        ),
        Schedule("root", "of the wait, 1 min to 30 min", rooted(MINUTE, 30 * MINUTE)),
        *(
            Schedule("fixed", shown(interval), fixed(interval))
            for interval in (30.0, MINUTE, 5 * MINUTE, 30 * MINUTE, HOUR)
        ),
        *(
            Schedule("back-off", f"x {factor:g}, 1 min to {shown(most)}", backing_off(factor, MINUTE, most))
            for factor, most in ((1.1, 30 * MINUTE), (1.5, 30 * MINUTE), (2.0, 30 * MINUTE), (2.0, DAY))
        ),
    ]


def publications(count: int = PUBLICATIONS, seed: int = SEED) -> list[list[Operation]]:
    """Draw publications, each with a publish and a go-live. Durations are log-uniform in their ranges."""
    choose = Random(seed)  # noqa: S311 - draws examples

    def operation(steps: dict[str, tuple[float, float]]) -> Operation:
        return list(accumulate(exp(choose.uniform(log(least), log(most))) for least, most in steps.values()))

    return [[operation(PUBLISH), operation(GO_LIVE)] for _ in range(count)]


def looks_at(operation: Operation, schedule: Schedule) -> list[float]:
    """Return the looks at an operation. The first is immediate, and the last one sees the end of the last step."""
    looks, wait = [0.0], 0.0
    while looks[-1] < operation[-1]:
        wait = schedule.next(looks[-1], wait)
        looks.append(looks[-1] + wait)
    return looks


def measure(schedule: Schedule, drawn: Sequence[Sequence[Operation]]) -> Measured:
    """Measure a schedule on all publications."""
    operations = [operation for publication in drawn for operation in publication]
    followed = [(operation, looks_at(operation, schedule)) for operation in operations]
    late = [(looks[bisect_left(looks, end)] - end, end) for operation, looks in followed for end in operation]
    promise = max(after - before for _, looks in followed for before, after in pairwise(looks))
    return Measured(
        schedule,
        looks=sum(len(looks) for _, looks in followed) / len(drawn),
        promise=promise,
        fewest=sum(ceil(operation[-1] / promise) for operation in operations) / len(drawn),
        mean=fmean(delay for delay, _ in late),
        worst=max(delay for delay, _ in late),
        relative=max(delay / end for delay, end in late if end >= LASTING),
    )


def shown(seconds: float) -> str:
    """Format a duration."""
    for unit, length in (("d", DAY), ("h", HOUR), ("min", MINUTE)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def table(measured: Sequence[Measured]) -> str:
    """Return the measurements as a Markdown table."""
    lines = [
        "| | schedule | looks | above the fewest | seen late: mean | worst | worst, of the time waited |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {each.schedule.family} | {each.schedule.name} | {each.looks:,.0f} | {each.excess:.0%}"
        f" | {shown(each.mean)} | {shown(each.worst)} | {each.relative:.0%} |"
        for each in measured
    ]
    return "\n".join(lines)


def by_length(drawn: Sequence[list[Operation]]) -> str:
    """Return the cost of our schedule for short and for long publications, as a Markdown table."""

    def days(publication: list[Operation]) -> float:
        return sum(operation[-1] for operation in publication) / DAY

    groups = {
        "less than a day": [each for each in drawn if days(each) < 1],
        "one to four days": [each for each in drawn if 1 <= days(each) < 4],
        "more than four days": [each for each in drawn if days(each) >= 4],
        "all": list(drawn),
        "the one of sixteen days": [sixteen_days()],
    }
    lines = [
        "| publications | number | looks | the fewest for 30 min | above | share 1 would take | above |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, group in groups.items():
        now, larger = measure(DEFAULT, group), measure(DOUBLE, group)
        fewest = sum(ceil(one[-1] / (30 * MINUTE)) for each in group for one in each) / len(group)
        lines.append(
            f"| {name} | {len(group)} | {now.looks:,.0f} | {fewest:,.0f} | {now.looks / fewest - 1:.1%}"
            f" | {larger.looks:,.0f} | {larger.looks / fewest - 1:.1%} |"
        )
    return "\n".join(lines)


def sixteen_days() -> list[Operation]:
    """Return the publication that `bench.sixteen_days` plays."""
    *publish, live = DURATIONS.values()
    return [list(accumulate(publish)), [live]]


def curves(drawn: Sequence[list[Operation]]) -> dict[str, list[Measured]]:
    """Return the curves of the plot, one for each family, over the longest interval."""
    longest = [MINUTE * minutes for minutes in (2, 5, 10, 20, 30, 60, 120, 240, 480)]
    families: dict[str, Callable[[float], Next]] = {
        f"ours: {SHARE_OF_THE_WAIT:g} of the wait": lambda most: ours(_polling(MINUTE, most)),
        "1 of the wait": lambda most: growing(1, MINUTE, most),
        "root of the wait": lambda most: rooted(MINUTE, most),
        "back-off x 2": lambda most: backing_off(2, MINUTE, most),
        "fixed": fixed,
    }
    return {
        family: [measure(Schedule(family, shown(most), make(most)), drawn) for most in longest]
        for family, make in families.items()
    }


def main() -> None:
    """Measure, print, and write docs/looks.md and docs/looks.png."""
    drawn = publications()
    compared = table([measure(schedule, drawn) for schedule in schedules()])
    lengths = by_length(drawn)
    print(compared, lengths, sep="\n\n")
    page = DOCS / "looks.md"
    text = page.read_text()
    for name, made in (("compared", compared), ("by length", lengths)):
        head, rest = text.split(f"<!-- {name} -->\n")
        text = f"{head}<!-- {name} -->\n{made}\n{rest[rest.index('<!-- end -->') :]}"
    page.write_text(text)
    points = {
        "default": asdict(measure(DEFAULT, drawn)),
        "curves": {family: [asdict(each) for each in found] for family, found in curves(drawn).items()},
        "hours": sum(operation[-1] for each in drawn for operation in each) / len(drawn) / HOUR,
    }
    draw = [sys.argv[1], str(Path(__file__).parent / "draw_frontier.py"), str(DOCS / "looks.png")]
    subprocess.run(draw, input=json.dumps(points, default=lambda _: None), text=True, check=True)


def _polling(least: float, most: float) -> Polling:
    return Polling(min_interval=timedelta(seconds=least), max_interval=timedelta(seconds=most))


if __name__ == "__main__":
    main()
