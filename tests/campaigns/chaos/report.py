"""The table of a campaign, on the terminal and in a Markdown file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeAlias

from rich.console import Console
from rich.table import Table

from tests.campaigns.apis import CampaignApi
from tests.campaigns.chaos.evidence import Evidence
from tests.campaigns.chaos.faults import KINDS, Kind
from tests.campaigns.chaos.invariants import Finding, findings, recoveries

TOGETHER = "together"
HEADING = "## The last campaign\n"
COLUMNS = ("runs", "hits", "survived", "duplicated, lost, otherwise wrong", "recovery: median, worst")
"""The columns of each API."""


@dataclass(frozen=True)
class Row:
    """The result of all runs of one kind of fault.

    Attributes:
        runs: How many runs there were.
        hits: How often the fault hit.
        survived: How many runs ended in an allowed way.
        restarted: How many runs a person had to start again.
        recoveries: Seconds from each hit to the next recorded step of each open run.
    """

    kind: str
    runs: int
    hits: int
    survived: int
    restarted: int
    findings: Sequence[Finding]
    recoveries: Sequence[float]

    def count(self, *losses: str) -> int:
        """Count the findings of these losses."""
        return sum(each.loss in losses for each in self.findings)

    def cells(self) -> list[str]:
        """Return the cells of the table."""
        duplicated, lost = self.count("duplicated"), self.count("lost")
        wrong = len(self.findings) - duplicated - lost
        again = f" ({self.restarted} started again)" if self.restarted else ""
        times = f"{median(self.recoveries):.1f}, {max(self.recoveries):.1f} s" if self.recoveries else ""
        counts = (self.runs, self.hits, f"{self.survived}{again}", f"{duplicated}, {lost}, {wrong}")
        return [*map(str, counts), times]


Played: TypeAlias = Mapping[CampaignApi, Sequence[Row]]
"""The rows of each API."""


def row_of(kind: Kind, evidence: Sequence[Evidence], seconds: float) -> Row:
    """Judge all scenarios of a kind."""
    found = [finding for each in evidence for finding in findings(each)]
    hits = {hit for each in evidence for hit in each.hits()}
    if not hits and kind.name != "no fault":
        found.append(Finding(kind.name, "not hit", "all scenarios", f"the fault never hit within {seconds:.0f} s"))
    runs = [(run, each.ends[run.id]) for each in evidence for run in each.scenario.runs]
    return Row(
        kind.name,
        len(runs),
        len(hits),
        sum(bool(ends) and ends[-1] in run.ends for run, ends in runs),
        sum(len(ends) > 1 for _, ends in runs),
        found,
        [recovery for each in evidence for recovery in recoveries(each)],
    )


def total(rows: Sequence[Row]) -> Row:
    """Return the sum of all rows."""
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
    """Print the table and all findings."""
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
                finding = f"{each.loss}: {api.name}: {each.kind}: {each.where}: {each.what}"
                console.print(finding, markup=False, soft_wrap=True)


def write(path: Path, played: Played, made_by: str) -> None:
    """Write the table into a Markdown file. It replaces everything below the heading."""
    first, *others = _lines(played)
    lines = [HEADING, made_by, "", f"| {' | '.join(first)} |", f"|---|{'---:|' * (len(first) - 1)}"]
    lines += [f"| {' | '.join(line)} |" for line in others]
    above = path.read_text().partition(HEADING)[0]
    path.write_text(above + "\n".join(lines) + "\n")


def _lines(played: Played) -> list[list[str]]:
    """Return the lines of the table, with the APIs side by side."""
    kinds = [kind.name for kind in KINDS if any(kind.name == row.kind for rows in played.values() for row in rows)]
    sides = [{row.kind: row for row in [*rows, total(rows)]} for rows in played.values()]
    heads = [f"{api.name}: {column}" if column == COLUMNS[0] else column for api in played for column in COLUMNS]
    lines = [
        [kind, *(cell for side in sides for cell in (side[kind].cells() if kind in side else [""] * len(COLUMNS)))]
        for kind in [*kinds, TOGETHER]
    ]
    return [["fault", *heads], *lines]
