"""Draws a publication on a terminal."""

from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cli.rows import Row, ending_text, rows, step_errors, step_name, step_text
from cli.runs import Ending, Snapshot
from cli.statuses import Status
from marketplace.model import Step, StepState
from workflows.page import MARKS

BAR_WIDTH = 30
REFRESHES_PER_SECOND = 4

COLOURS = {
    StepState.COMPLETE: "green",
    StepState.IN_PROGRESS: "blue",
    StepState.WAITING_FOR_SIGN_OFF: "yellow",
    StepState.WAITING_FOR_APPROVAL: "blue",
    StepState.BLOCKED: "red",
    StepState.REJECTED: "red",
    StepState.CANCELED: "red",
}
ROW_COLOURS = {"Trouble": "red", "Approve again": "yellow", "To approve": "bold cyan", "Note": "dim"}


class Screen:
    """Draws the latest snapshot."""

    def __init__(self, program: str, workflow_id: str, console: Console | None = None) -> None:
        """Draw on a console. ``program`` is the name of this command."""
        self._program = program
        self._workflow_id = workflow_id
        self._console = console or Console(highlight=False)
        self._snapshot: Snapshot | None = None
        self._outage: tuple[str, datetime] | None = None
        self._ending: Ending | None = None
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=REFRESHES_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        """Start drawing."""
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last picture on the terminal."""
        self._live.stop()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Show the present state."""
        self._snapshot = snapshot

    def show_outage(self, reason: str | None) -> None:
        """Show that Temporal does not answer. Without a reason, show that it answers again."""
        self._outage = None if reason is None else (reason, datetime.now(UTC))

    def show_ending(self, ending: Ending) -> None:
        """Show how the publication ended."""
        self._ending, self._outage = ending, None

    def _render(self) -> RenderableType:
        parts: list[RenderableType] = [self._head()]
        snapshot = self._snapshot
        if snapshot is not None and snapshot.progress is not None and snapshot.progress.steps:
            parts += [Text(), _steps(snapshot.progress.steps)]
        if snapshot is not None:
            parts += [Text(), self._rows(snapshot)]
        if self._outage is not None:
            reason, since = self._outage
            parts.append(
                Text(f"Temporal has not answered since {since:%H:%M:%S} UTC ({reason}): trying again", style="red")
            )
        if self._ending is not None:
            colour = "green" if self._ending.status is Status.OK else "red"
            text = ending_text(self._workflow_id, self._ending, self._program)
            parts += [Text(), Text(text, style=f"bold {colour}")]
        return Group(*parts)

    def _head(self) -> Text:
        head = Text(self._workflow_id, style="bold")
        return head.append(f"  {self._snapshot.workflow}", style="dim") if self._snapshot else head

    def _rows(self, snapshot: Snapshot) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for row in rows(snapshot, self._program):
            table.add_row(row.label, Text(self._text(row, snapshot), style=ROW_COLOURS.get(row.label, "")))
        return table

    def _text(self, row: Row, snapshot: Snapshot) -> str:
        if row.label == "Next look" and snapshot.progress is not None and snapshot.progress.next_look is not None:
            left = max(snapshot.progress.next_look - datetime.now(UTC), timedelta(0))
            return f"in {_duration(left)}, at {row.text}"
        return row.text


def _steps(steps: list[Step]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(width=BAR_WIDTH)
    table.add_column(overflow="fold")
    for step in steps:
        colour = COLOURS.get(step.state, "dim")
        mark = Text(MARKS.get(step.state, "·"), style=colour)
        table.add_row(mark, step_name(step), _bar(step, colour), Text(step_text(step), style=colour))
        for error in step_errors(step):
            table.add_row("", Text(error, style="red"), "", "")
    return table


def _bar(step: Step, colour: str) -> ProgressBar:
    if step.state is StepState.IN_PROGRESS and not step.percent:
        return ProgressBar(total=None, pulse=True, pulse_style=colour)
    done = {StepState.IN_PROGRESS: step.percent or 0, StepState.NOT_STARTED: 0, StepState.UNKNOWN: 0}
    # In any other state a step is not running: it is done, waiting for somebody, or has failed.
    completed = min(max(done.get(step.state, 100), 0), 100)
    return ProgressBar(total=100, completed=completed, complete_style=colour, finished_style=colour)


def _duration(left: timedelta) -> str:
    seconds = round(left.total_seconds())
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
