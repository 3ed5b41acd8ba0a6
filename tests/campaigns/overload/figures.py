"""The figures of an overload, from the marketplace's log, the histories and the kernel's counters."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from tests.campaigns.overload.plan import ENDS, GREEDY, SMALL, Run

LEAST_SHARE_USED = 0.85
NEARLY_ALL = 0.99
REFUSED = 429
MIB = 2**20


@dataclass(frozen=True)
class Facts:
    """What is known when an overload is over.

    Attributes:
        allowed: How many requests per second the marketplace allows.
        requests: The marketplace's log, in order.
        ended: The time and the outcome or error of each run's end. A run that did not end is missing.
        failed_attempts: The number of failed activity attempts, by their message.
        resident: Memory of the worker in bytes, second by second.
    """

    allowed: int
    began: datetime
    runs: Sequence[Run]
    requests: Sequence[dict[str, Any]]
    ended: dict[str, tuple[datetime, str]]
    failed_attempts: Counter[str]
    resident: Sequence[int]
    cpu_seconds: float


class Figures:
    """The figures of an overload. Times are seconds since the first start."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._arrived = [self._since(datetime.fromisoformat(entry["arrived"])) for entry in facts.requests]

    def _since(self, moment: datetime) -> float:
        return (moment - self._facts.began).total_seconds()

    @cached_property
    def wrong_ends(self) -> Counter[str]:
        """The number of runs that did not end as they should, by outcome or error."""
        found = Counter[str]()
        for run in self._facts.runs:
            end = self._facts.ended[run.id][1] if run.id in self._facts.ended else "no end"
            found[end] += end != ENDS[run.workflow]
        return +found

    @cached_property
    def curves(self) -> dict[str, list[float]]:
        """The times at which the runs of each publisher ended, sorted."""
        ended = {publisher: list[float]() for publisher in (GREEDY, *SMALL)}
        for run in self._facts.runs:
            if run.id in self._facts.ended:
                ended[run.publisher].append(self._since(self._facts.ended[run.id][0]))
        return {publisher: sorted(moments) for publisher, moments in ended.items()}

    @property
    def most(self) -> int:
        """The most requests within any second, refused ones included."""
        return most_within_a_second(self._arrived)

    @property
    def refused(self) -> int:
        """The number of requests that were answered 429."""
        return sum(entry["status"] == REFUSED for entry in self._facts.requests)

    @property
    def used(self) -> float:
        """The share of the allowed requests that was used until nearly all runs had ended."""
        ends = sorted(moment for curve in self.curves.values() for moment in curve)
        until = ends[round(len(ends) * NEARLY_ALL) - 1]
        served = [at for at, entry in self._served() if at <= until]
        return len(served) / (until - served[0]) / self._facts.allowed

    @property
    def all_served(self) -> float:
        """When the last publisher got its first request."""
        first: dict[str, float] = {}
        for at, entry in self._served():
            first.setdefault(entry["publisher"], at)
        return max(first.values())

    @property
    def jain(self) -> float:
        """Jain's index of the publishers' requests while all publishers had runs waiting.

        This is the time from the last publisher's first request until half of the first publisher's runs had ended.
        """
        until = min(middle(curve) for curve in self.curves.values())
        since = self.all_served if self.all_served < until else 0.0
        served = Counter(entry["publisher"] for at, entry in self._served() if since <= at <= until)
        return jain([served[publisher] for publisher in self.curves])

    def _served(self) -> Iterator[tuple[float, dict[str, Any]]]:
        for at, entry in zip(self._arrived, self._facts.requests, strict=True):
            if entry["status"] != REFUSED:
                yield at, entry

    def wrong(self, *, capped: bool) -> list[str]:
        """Return what is wrong. Without a cap in the worker, the only requirement is that runs end as they should."""
        found = [f"{count} runs ended with {end}" for end, count in self.wrong_ends.items()]
        if not capped or not all(self.curves.values()):
            return found
        greedy = middle(self.curves[GREEDY])
        found += [f"{name} waited for {GREEDY}" for name in SMALL if middle(self.curves[name]) >= greedy]
        if self.most > self._facts.allowed or self.refused:
            found.append(f"the limit was exceeded: {self.most} requests in a second, {self.refused} answered 429")
        if self.used < LEAST_SHARE_USED:
            found.append(f"only {self.used:.1%} of the allowed requests were used")
        return found

    def lines(self) -> dict[str, str]:
        """Return the figures as they are printed."""
        facts = self._facts
        start, most, end = (
            f"{size / MIB:.0f} MiB" for size in (facts.resident[0], max(facts.resident), facts.resident[-1])
        )
        messages = "; ".join(f"{count}: {what}" for what, count in facts.failed_attempts.most_common(5))
        return {
            "runs that ended as they should": f"{len(facts.runs) - self.wrong_ends.total()} of {len(facts.runs)}",
            "time": f"{max(curve[-1] for curve in self.curves.values()) / 60:.1f} min",
            "requests": f"{len(self._arrived)}",
            "most requests in any second": f"{self.most} of {facts.allowed} allowed",
            "answered 429": f"{self.refused}",
            f"share of the allowed requests used, until {NEARLY_ALL:.0%} of the runs had ended": f"{self.used:.1%}",
            "failed activity attempts": f"{facts.failed_attempts.total()}" + (f" ({messages})" if messages else ""),
            "first request of the last publisher": f"after {self.all_served:.0f} s",
            "Jain's index of the requests from then until a publisher's runs had half ended": f"{self.jain:.3f}",
            "memory of the worker": f"{start} at the start, {most} at most, {end} at the end",
            "processor time of the worker": f"{facts.cpu_seconds:.0f} s",
        }

    def table(self) -> Iterator[str]:
        """Yield a Markdown table of the times at which the runs of each publisher ended."""
        yield "| publisher | runs | a tenth ended | half | nine tenths | all |"
        yield "|---|---:|---:|---:|---:|---:|"
        for publisher, curve in self.curves.items():
            moments = (curve[max(round(len(curve) * share) - 1, 0)] for share in (0.1, 0.5, 0.9, 1))
            yield f"| {publisher} | {len(curve)} | " + " | ".join(f"{moment:.0f} s" for moment in moments) + " |"


def middle(curve: Sequence[float]) -> float:
    """Return when half of the runs had ended."""
    return curve[len(curve) // 2]


def most_within_a_second(moments: Sequence[float]) -> int:
    """Return the largest number of moments within any second. The moments are sorted."""
    most, first = 0, 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def jain(shares: Sequence[float]) -> float:
    """Return Jain's index: 1 when all shares are equal, 1/n when one share is everything."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))
