"""Combine the rounds of a comparison: medians of a figure, and ratios of two contestants."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

Results: TypeAlias = dict[str, Any]
Entry: TypeAlias = dict[str, Any]
"""The figures of one measurement of one contestant in one round."""

Figure: TypeAlias = str | Callable[[Entry], float | None]
"""The name of a figure, or a function that computes it. ``None`` means that a round lacks it."""

KILOBYTE = 1e3


class Rounds:
    """The entries of one measurement."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries

    def where(self, **equal: object) -> "Rounds":
        """Return the entries that have these values."""
        return Rounds([each for each in self.entries if all(each.get(name) == equal[name] for name in equal)])

    def of(self, contestant: str) -> "Rounds":
        """Return the entries of one contestant."""
        return self.where(contestant=contestant)

    def contestants(self) -> list[tuple[str, str]]:
        """Return the name and title of each contestant, in order of appearance."""
        return list(dict.fromkeys((each["contestant"], each["title"]) for each in self.entries))

    def values(self, figure: Figure) -> list[float]:
        """Return a figure, round by round."""
        return list(self.by_round(figure).values())

    def median(self, figure: Figure) -> float | None:
        """Return the median of a figure over the rounds."""
        found = self.values(figure)
        return statistics.median(found) if found else None

    def ratios(self, figure: Figure, contestant: str, base: str) -> list[float]:
        """Divide a figure of one contestant by the same figure of another, within each round.

        In a round they were measured one after the other, under similar conditions.
        """
        values, bases = self.of(contestant).by_round(figure), self.of(base).by_round(figure)
        return [value / bases[number] for number, value in values.items() if bases.get(number)]

    def by_round(self, figure: Figure) -> dict[int, float]:
        """Return a figure by round number."""
        found = {
            each["round"]: each.get(figure) if isinstance(figure, str) else figure(each) for each in self.entries
        }
        return {number: value for number, value in found.items() if value is not None}


def rounds_of(results: Results, measurement: str) -> Rounds:
    """Return the entries of one measurement, without failed ones."""
    return Rounds([each for each in results["figures"] if each["measurement"] == measurement and "error" not in each])


def cpu_ms(entry: Entry) -> float | None:
    """Return the CPU time of a publication, worker and engine together."""
    worker, engine = entry.get("worker_cpu_ms"), entry.get("engine_cpu_ms")
    return None if worker is None or engine is None else worker + engine


def idle_ms_a_minute(entry: Entry) -> float | None:
    """Return the CPU time of worker and engine while all publications wait."""
    if "idle_seconds" not in entry:
        return None
    return 60_000 * float((entry["idle_worker_cpu"] + entry["idle_engine_cpu"]) / entry["idle_seconds"])


def look_cpu_ms(entry: Entry) -> float | None:
    """Return the CPU time of a look while nothing else runs, worker and engine together."""
    if not entry.get("idle_looks"):
        return None
    seconds: float = entry["idle_worker_cpu"] + entry["idle_engine_cpu"]
    return 1000 * seconds / int(entry["idle_looks"])


def kept_kb(entry: Entry) -> float | None:
    """Return the worker's memory for one waiting publication, averaged over the second half that was added."""
    if "memory" not in entry:
        return None
    half, number = entry["number"] // 2, entry["number"]
    added = entry["memory"][str(number)]["worker"] - entry["memory"][str(half)]["worker"]
    return float(added / (number - half) / KILOBYTE)


def live_per_second(entry: Entry) -> float | None:
    """Return how many publications went live per second after all were approved at once."""
    return float(entry["woken"] / entry["waking_seconds"]) if entry.get("waking_seconds") else None


def slowdown(entry: Entry) -> float | None:
    """Return the time with a killed worker divided by the time without one."""
    return float(entry["took"] / entry["undisturbed"]) if entry.get("took") and entry.get("undisturbed") else None
