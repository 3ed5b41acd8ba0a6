"""The table of a campaign: on the terminal, and as Markdown below a heading of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.chaos.evidence import Evidence
from bench.chaos.faults import Kind
from bench.chaos.invariants import Finding, findings, recoveries

HEADING = "## The last campaign\n"
COLUMNS = (
    "fault",
    "runs",
    "hits",
    "survived",
    "duplicated",
    "lost",
    "otherwise wrong",
    "recovery, median",
    "recovery, worst",
)


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
        """Return the row as it is shown."""
        duplicated, lost = self.count("duplicated"), self.count("lost")
        wrong = len(self.findings) - duplicated - lost
        again = f" ({self.restarted} started again)" if self.restarted else ""
        times = [f"{median(self.recoveries):.1f} s", f"{max(self.recoveries):.1f} s"] if self.recoveries else ["", ""]
        counts = (self.runs, self.hits, f"{self.survived}{again}", duplicated, lost, wrong)
        return [self.kind, *map(str, counts), *times]


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
        "together",
        sum(row.runs for row in rows),
        sum(row.hits for row in rows),
        sum(row.survived for row in rows),
        sum(row.restarted for row in rows),
        [finding for row in rows for finding in row.findings],
        [seconds for row in rows for seconds in row.recoveries],
    )


def show(console: Console, rows: Sequence[Row]) -> None:
    """Print the table, and every finding."""
    table = Table(*COLUMNS)
    for row in rows:
        table.add_row(*row.cells())
    table.add_section()
    table.add_row(*total(rows).cells())
    console.print(table)
    for row in rows:
        for each in row.findings:
            console.print(f"{each.loss}: {each.kind}: {each.where}: {each.what}", markup=False, soft_wrap=True)


def write(path: Path, rows: Sequence[Row], told: str) -> None:
    """Put the table below its heading in a Markdown file; what stands above stays."""
    lines = [HEADING, told, "", f"| {' | '.join(COLUMNS)} |", f"|---|{'---:|' * (len(COLUMNS) - 1)}"]
    lines += [f"| {' | '.join(row.cells())} |" for row in [*rows, total(rows)]]
    above = path.read_text().partition(HEADING)[0]
    path.write_text(above + "\n".join(lines) + "\n")
