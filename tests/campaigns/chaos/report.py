"""The table of a campaign: on the terminal, and as Markdown below a heading of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeAlias

from rich.console import Console
from rich.table import Table

from tests.campaigns.chaos.evidence import Evidence
from tests.campaigns.chaos.faults import KINDS, Kind
from tests.campaigns.chaos.invariants import Finding, findings, recoveries
from tests.harness.apis import Api

TOGETHER = "together"
HEADING = "## The last campaign\n"
COLUMNS = ("runs", "hits", "survived", "duplicated, lost, otherwise wrong", "recovery: median, worst")
"""Of each API."""


@dataclass(frozen=True)
class Row:
    """What became of all runs of one kind of fault.

    Attributes:
        hits: How often the fault hit.
        survived: The runs that ended as their inputs and the injected facts allow.
        restarted: The runs that a person had to start again after mending a fact.
        recoveries: Seconds from each hit to the next recorded step of each run then under way.
    """

    kind: str
    runs: int
    hits: int
    survived: int
    restarted: int
    findings: Sequence[Finding]
    recoveries: Sequence[float]

    def count(self, *losses: str) -> int:
        """Count the findings of these kinds."""
        return sum(each.loss in losses for each in self.findings)

    def cells(self) -> list[str]:
        """Return the counts as they are shown."""
        duplicated, lost = self.count("duplicated"), self.count("lost")
        wrong = len(self.findings) - duplicated - lost
        again = f" ({self.restarted} started again)" if self.restarted else ""
        times = f"{median(self.recoveries):.1f}, {max(self.recoveries):.1f} s" if self.recoveries else ""
        counts = (self.runs, self.hits, f"{self.survived}{again}", f"{duplicated}, {lost}, {wrong}")
        return [*map(str, counts), times]


Played: TypeAlias = Mapping[Api, Sequence[Row]]
"""What became of the runs through each API."""


def row_of(kind: Kind, evidence: Sequence[Evidence], seconds_asked: float) -> Row:
    """Judge all stories of a kind."""
    found = [finding for each in evidence for finding in findings(each)]
    hits = {hit for each in evidence for hit in each.hits()}
    if not hits and kind.name != "no fault":
        found.append(
            Finding(kind.name, "not hit", "all stories", f"the fault never hit within {seconds_asked:.0f} s")
        )
    runs = [(run, each.ends[run.id]) for each in evidence for run in each.story.runs]
    return Row(
        kind.name,
        len(runs),
        len(hits),
        sum(bool(ends) and ends[-1] in run.ends for run, ends in runs),
        sum(len(ends) > 1 for _, ends in runs),
        found,
        [seconds for each in evidence for seconds in recoveries(each)],
    )


def total(rows: Sequence[Row]) -> Row:
    """Add all rows up."""
    return Row(
        TOGETHER,
        sum(row.runs for row in rows),
        sum(row.hits for row in rows),
        sum(row.survived for row in rows),
        sum(row.restarted for row in rows),
        [finding for row in rows for finding in row.findings],
        [seconds for row in rows for seconds in row.recoveries],
    )


def show(console: Console, played: Played) -> None:
    """Print the table, and every finding."""
    first, *others, last = _lines(played)
    table = Table(*first)
    for line in others:
        table.add_row(*line)
    table.add_section()
    table.add_row(*last)
    console.print(table)
    for api, rows in played.items():
        for row in rows:
            for each in row.findings:
                said = f"{each.loss}: {api.name}: {each.kind}: {each.where}: {each.what}"
                console.print(said, markup=False, soft_wrap=True)


def write(path: Path, played: Played, told: str) -> None:
    """Put the table below its heading in a Markdown file; what stands above stays."""
    first, *others = _lines(played)
    lines = [HEADING, told, "", f"| {' | '.join(first)} |", f"|---|{'---:|' * (len(first) - 1)}"]
    lines += [f"| {' | '.join(line)} |" for line in others]
    above = path.read_text().partition(HEADING)[0]
    path.write_text(above + "\n".join(lines) + "\n")


def _lines(played: Played) -> list[list[str]]:
    """Return the table: a line a kind, with the columns of each API side by side."""
    kinds = [kind.name for kind in KINDS if any(kind.name == row.kind for rows in played.values() for row in rows)]
    sides = [{row.kind: row for row in [*rows, total(rows)]} for rows in played.values()]
    heads = [f"{api.name}: {column}" if column == COLUMNS[0] else column for api in played for column in COLUMNS]
    lines = [
        [kind, *(cell for side in sides for cell in (side[kind].cells() if kind in side else [""] * len(COLUMNS)))]
        for kind in [*kinds, TOGETHER]
    ]
    return [["fault", *heads], *lines]
