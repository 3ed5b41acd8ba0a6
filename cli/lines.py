"""Shows a publication as lines of text, one for each change."""

from datetime import UTC, datetime
from typing import TextIO

from cli.rows import Row, ending_text, rows, step_errors, step_name, step_text
from cli.runs import Ending, Snapshot
from workflows.page import MARKS


class Lines:
    """Writes a line for everything that has changed since the last snapshot."""

    def __init__(self, out: TextIO, program: str, workflow_id: str) -> None:
        """Write to ``out``. ``program`` is the name of this command."""
        self._out = out
        self._program = program
        self._workflow_id = workflow_id
        self._shown: list[Row] = []
        self._run_id: str | None = None
        self._steps: dict[str, str] = {}

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Show what has changed since the last snapshot."""
        if snapshot.run_id != self._run_id:
            what = "run" if self._run_id is None else "continued as run"
            self._write(f"{self._workflow_id}: {snapshot.workflow}, {what} {snapshot.run_id}")
            self._run_id = snapshot.run_id
        for step in snapshot.progress.steps if snapshot.progress else []:
            text = step_text(step)
            if self._steps.get(step.id) != text:
                errors = "".join(f"; {error}" for error in step_errors(step))
                self._write(f"{MARKS.get(step.state, '·')} {step_name(step)}: {text}{errors}")
            self._steps[step.id] = text
        now = rows(snapshot, self._program)
        news = [row for row in now if row not in self._shown and not row.fleeting]
        for row in now:
            if row in news or (news and row.fleeting):
                self._write(f"{row.label}: {row.text}")
        self._shown = now

    def show_outage(self, reason: str | None) -> None:
        """Show that Temporal does not answer. Without a reason, show that it answers again."""
        self._write(
            "Temporal answers again" if reason is None else f"Temporal does not answer ({reason}): trying again"
        )

    def show_ending(self, ending: Ending) -> None:
        """Show how the publication ended."""
        self._write(ending_text(self._workflow_id, ending, self._program))

    def _write(self, text: str) -> None:
        print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}", file=self._out, flush=True)
