"""Shows a publication on a terminal: steps with bars, what the run is waiting for, the time of the next look."""

from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cli.rows import Row, ending, rows, step_errors, step_name, step_text
from cli.runs import End, Look
from cli.statuses import Status
from marketplace.model import Step, StepState
from workflows.page import MARKS

BAR = 30
A_SECOND = 4
"""Refreshes of the screen."""

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
    """Draws the latest look on the terminal."""

    def __init__(self, program: str, workflow_id: str, console: Console | None = None) -> None:
        """Draw on a console. ``program`` is the name of this command."""
        self._program = program
        self._workflow_id = workflow_id
        self._console = console or Console(highlight=False)
        self._look: Look | None = None
        self._away: tuple[str, datetime] | None = None
        self._end: End | None = None
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=A_SECOND,
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

    def look(self, look: Look) -> None:
        """Show a look."""
        self._look = look

    def away(self, why: str | None) -> None:
        """Show that Temporal does not answer, or answers again."""
        self._away = None if why is None else (why, datetime.now(UTC))

    def end(self, end: End) -> None:
        """Show the end."""
        self._end, self._away = end, None

    def _render(self) -> RenderableType:
        parts: list[RenderableType] = [self._head()]
        look = self._look
        if look is not None and look.progress is not None and look.progress.steps:
            parts += [Text(), _steps(look.progress.steps)]
        if look is not None:
            parts += [Text(), self._rows(look)]
        if self._away is not None:
            why, since = self._away
            parts.append(
                Text(f"Temporal has not answered since {since:%H:%M:%S} UTC ({why}): trying again", style="red")
            )
        if self._end is not None:
            colour = "green" if self._end.status is Status.WELL else "red"
            parts += [Text(), Text(ending(self._workflow_id, self._end), style=f"bold {colour}")]
        return Group(*parts)

    def _head(self) -> Text:
        head = Text(self._workflow_id, style="bold")
        return head.append(f"  {self._look.workflow}", style="dim") if self._look else head

    def _rows(self, look: Look) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for row in rows(look, self._program):
            table.add_row(row.label, Text(self._text(row, look), style=ROW_COLOURS.get(row.label, "")))
        return table

    def _text(self, row: Row, look: Look) -> str:
        if row.label == "Next look" and look.progress is not None and look.progress.next_look is not None:
            left = max(look.progress.next_look - datetime.now(UTC), timedelta(0))
            return f"in {_duration(left)}, at {row.text}"
        return row.text


def _steps(steps: list[Step]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(width=BAR)
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
