"""The goals for the cost of a publication, and whether they are met."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.compare.figures import (
    Figure,
    Results,
    cpu_ms,
    kept_kb,
    live_per_second,
    look_cpu_ms,
    rounds_of,
    slowdown,
)

TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class Goal:
    """A bound on a figure of ours.

    Attributes:
        what: The description of the figure.
        measurement: The measurement that has the figure.
        figure: The figure.
        bound: The bound.
        unit: The unit of figure and bound.
        at_least: Whether the bound is a minimum. If not, it is a maximum.
        base: The contestant whose figure ours is divided by, within each round.
        where: The entries of the measurement that count.
        of_rounds: Combines the rounds.
    """

    what: str
    measurement: str
    figure: Figure
    bound: float
    unit: str = ""
    at_least: bool = False
    base: str | None = None
    where: Mapping[str, object] = field(default_factory=dict)
    of_rounds: Callable[[Sequence[float]], float] = statistics.median

    def values(self, results: Results, contestant: str = "ours") -> list[float]:
        """Return the figure, round by round."""
        rounds = rounds_of(results, self.measurement).where(**self.where)
        if self.base:
            return rounds.ratios(self.figure, contestant, self.base)
        return rounds.of(contestant).values(self.figure)

    def row(self, results: Results) -> list[str]:
        """Return the row of the table: what, bound, figure, range, whether the goal is met, and bare's figure."""
        values = self.values(results)
        reached = self.of_rounds(values)
        met = reached >= self.bound if self.at_least else reached <= self.bound
        spread = f"{self._number(min(values))} to {self._number(max(values))}" if min(values) < max(values) else ""
        bare = [] if self.base else self.values(results, "bare")
        return [
            self.what,
            f"{'≥' if self.at_least else '≤'} {self._shown(self.bound)}",
            self._shown(reached),
            spread,
            "yes" if met else "**no**",
            self._shown(self.of_rounds(bare)) if bare else "",
        ]

    def _shown(self, value: float) -> str:
        return f"{self._number(value)} {self.unit}".strip()

    def _number(self, value: float) -> str:
        return f"{value:.2f}" if self.unit == TIMES else f"{value:.1f}" if self.unit == "/s" else f"{value:,.0f}"


_HUNDRED, _TWO_HUNDRED, _THOUSAND = {"number": 100}, {"number": 200}, {"number": 1000}

GOALS = [
    Goal(
        "CPU of a publication, worker and engine, against bare",
        "in_flight",
        cpu_ms,
        1.0,
        TIMES,
        base="bare",
        where=_TWO_HUNDRED,
    ),
    Goal(
        "CPU of a publication, against bare whose looks are local",
        "in_flight",
        cpu_ms,
        1.4,
        TIMES,
        base="bare-local",
        where=_TWO_HUNDRED,
    ),
    Goal(
        "publications per second against bare, 200 in flight",
        "in_flight",
        "per_second",
        1.0,
        TIMES,
        at_least=True,
        base="bare",
        where=_TWO_HUNDRED,
    ),
    Goal(
        "publications per second against bare, 1 000 in flight",
        "in_flight",
        "per_second",
        0.9,
        TIMES,
        at_least=True,
        base="bare",
        where=_THOUSAND,
    ),
    Goal("state transitions of a publication", "single", "state_transitions", 45),
    Goal("events of a publication", "single", "events", 95),
    Goal("workflow tasks of a publication", "single", "workflow_tasks", 16),
    Goal("requests of a publication, notifications included", "single", "requests", 24),
    Goal("added to one publication", "single", "added_ms", 180, "ms"),
    Goal("CPU of a look in a long wait, against bare", "long_wait", look_cpu_ms, 0.8, TIMES, base="bare"),
    Goal(
        "1 000 waiting, all approved at once: live per second",
        "parked",
        live_per_second,
        45,
        "/s",
        at_least=True,
        where=_THOUSAND,
    ),
    Goal("memory of a publication that waits for its approval", "parked", kept_kb, 140, "KB", where=_THOUSAND),
    Goal("memory of a publication in a long wait", "long_wait", kept_kb, 140, "KB"),
    Goal("kill -9 with writes under way: lost", "crash", "lost", 0, where=_HUNDRED, of_rounds=max),
    Goal("kill -9 with writes under way: sent twice", "crash", "doubled", 0, where=_HUNDRED, of_rounds=max),
    Goal("kill -9 with writes under way: time against no kill", "crash", slowdown, 1.5, TIMES, where=_HUNDRED),
    Goal(
        "reads that take 0.5 s, 100 in flight: publications per second",
        "slow_reads",
        "per_second",
        3.1,
        "/s",
        at_least=True,
        where=_HUNDRED,
    ),
    Goal("lines of `workflows/`, `activities/`, `worker/`", "lines", "lines", 4000),
]
