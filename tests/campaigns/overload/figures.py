"""The figures of an overload, from what the marketplace logged, what the histories say, and what the kernel says."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from tests.campaigns.overload.plan import ENDS, GREEDY, SMALL, Run

SHARE_TO_BE_USED = 0.85
NEARLY_ALL = 0.99
REFUSED = 429
MIB = 2**20


@dataclass(frozen=True)
class Facts:
    """What is known of an overload when it is over.

    Attributes:
        allowed: Requests a second that the marketplace takes.
        requests: The marketplace's log, in order.
        ended: When, and in what outcome or error, each run ended that did.
        repeated: How many tries of activities failed, by what they said.
        resident: Bytes of memory that the worker held, second by second.
    """

    allowed: int
    began: datetime
    runs: Sequence[Run]
    requests: Sequence[dict[str, Any]]
    ended: dict[str, tuple[datetime, str]]
    repeated: Counter[str]
    resident: Sequence[int]
    cpu_seconds: float


class Figures:
    """What the facts come to. Times are seconds since the first run was started."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._arrived = [self._since(datetime.fromisoformat(entry["arrived"])) for entry in facts.requests]

    def _since(self, moment: datetime) -> float:
        return (moment - self._facts.began).total_seconds()

    @cached_property
    def otherwise(self) -> Counter[str]:
        """Runs that did not end as they should, by how they ended."""
        found = Counter[str]()
        for run in self._facts.runs:
            how = self._facts.ended[run.id][1] if run.id in self._facts.ended else "not ended"
            found[how] += how != ENDS[run.workflow]
        return +found

    @cached_property
    def curves(self) -> dict[str, list[float]]:
        """When the runs of each publisher ended, in order."""
        ended = {publisher: list[float]() for publisher in (GREEDY, *SMALL)}
        for run in self._facts.runs:
            if run.id in self._facts.ended:
                ended[run.publisher].append(self._since(self._facts.ended[run.id][0]))
        return {publisher: sorted(moments) for publisher, moments in ended.items()}

    @property
    def most(self) -> int:
        """The most requests that arrived within any second, refused ones too."""
        return most_within_a_second(self._arrived)

    @property
    def refused(self) -> int:
        """Requests that were answered 429."""
        return sum(entry["status"] == REFUSED for entry in self._facts.requests)

    @property
    def used(self) -> float:
        """The share used of the requests that were allowed while there was work for all of them."""
        ends = sorted(moment for curve in self.curves.values() for moment in curve)
        until = ends[round(len(ends) * NEARLY_ALL) - 1]
        served = [at for at, entry in self._served() if at <= until]
        return len(served) / (until - served[0]) / self._facts.allowed

    @property
    def all_served(self) -> float:
        """When the last publisher was given its first request."""
        first: dict[str, float] = {}
        for at, entry in self._served():
            first.setdefault(entry["publisher"], at)
        return max(first.values())

    @property
    def jain(self) -> float:
        """Jain's index of the requests that the publishers were given while all of them had runs waiting.

        That is from the first request of the last of them until half of the runs of the first had ended.
        """
        until = min(middle(curve) for curve in self.curves.values())
        since = self.all_served if self.all_served < until else 0.0
        given = Counter(entry["publisher"] for at, entry in self._served() if since <= at <= until)
        return jain([given[publisher] for publisher in self.curves])

    def _served(self) -> Iterator[tuple[float, dict[str, Any]]]:
        for at, entry in zip(self._arrived, self._facts.requests, strict=True):
            if entry["status"] != REFUSED:
                yield at, entry

    def wrong(self, *, capped: bool) -> list[str]:
        """Return what is not as it should be; without a cap in the worker all has to come to its end, no more."""
        said = [f"{count} runs ended otherwise: {how}" for how, count in self.otherwise.items()]
        if not capped or not all(self.curves.values()):
            return said
        greedy = middle(self.curves[GREEDY])
        said += [f"{name} waited for {GREEDY}" for name in SMALL if middle(self.curves[name]) >= greedy]
        if self.most > self._facts.allowed or self.refused:
            said.append(f"more was asked than is allowed: {self.most} in a second, {self.refused} refused")
        if self.used < SHARE_TO_BE_USED:
            said.append(f"only {self.used:.1%} of what is allowed was used")
        return said

    def lines(self) -> dict[str, str]:
        """Return the figures as they are printed."""
        facts = self._facts
        start, most, end = (
            f"{size / MIB:.0f} MiB" for size in (facts.resident[0], max(facts.resident), facts.resident[-1])
        )
        repeated = "; ".join(f"{count}: {what}" for what, count in facts.repeated.most_common(5))
        return {
            "runs that ended as they should": f"{len(facts.runs) - self.otherwise.total()} of {len(facts.runs)}",
            "time": f"{max(curve[-1] for curve in self.curves.values()) / 60:.1f} min",
            "requests": f"{len(self._arrived)}",
            "most requests in any second": f"{self.most} of {facts.allowed} allowed",
            "answered 429": f"{self.refused}",
            f"share used of what is allowed, until {NEARLY_ALL:.0%} of the runs had ended": f"{self.used:.1%}",
            "tries that failed": f"{facts.repeated.total()}" + (f" ({repeated})" if repeated else ""),
            "first request of the publisher that waited longest for it": f"after {self.all_served:.0f} s",
            "Jain's index of the requests given from then until a publisher had half": f"{self.jain:.3f}",
            "memory of the worker": f"{start} at the start, {most} at most, {end} at the end",
            "processor time of the worker": f"{facts.cpu_seconds:.0f} s",
        }

    def table(self) -> Iterator[str]:
        """Return when the runs of each publisher had ended, as Markdown."""
        yield "| publisher | runs | a tenth ended | half | nine tenths | all |"
        yield "|---|---:|---:|---:|---:|---:|"
        for publisher, curve in self.curves.items():
            moments = (curve[max(round(len(curve) * share) - 1, 0)] for share in (0.1, 0.5, 0.9, 1))
            yield f"| {publisher} | {len(curve)} | " + " | ".join(f"{moment:.0f} s" for moment in moments) + " |"


def middle(curve: Sequence[float]) -> float:
    """Return when half of the runs had ended."""
    return curve[len(curve) // 2]


def most_within_a_second(moments: Sequence[float]) -> int:
    """Return how many of the moments, in order, the second held that held most of them."""
    most, first = 0, 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def jain(shares: Sequence[float]) -> float:
    """Return Jain's index: 1 when all shares are alike, 1/n when one has it all."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))
