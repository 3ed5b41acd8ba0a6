"""Shows a publication as lines of text, one for each change."""

from datetime import UTC, datetime
from typing import TextIO

from cli.rows import Row, ending, rows, step_errors, step_name, step_text
from cli.runs import End, Look
from workflows.page import MARKS


class Lines:
    """Writes a line for whatever has changed since the last look."""

    def __init__(self, out: TextIO, program: str, workflow_id: str) -> None:
        """Write to ``out``. ``program`` is the name of this command."""
        self._out = out
        self._program = program
        self._workflow_id = workflow_id
        self._told: list[Row] = []
        self._run_id: str | None = None
        self._steps: dict[str, str] = {}

    def look(self, look: Look) -> None:
        """Show a look."""
        if look.run_id != self._run_id:
            what = "run" if self._run_id is None else "continued as run"
            self._write(f"{self._workflow_id}: {look.workflow}, {what} {look.run_id}")
            self._run_id = look.run_id
        for step in look.progress.steps if look.progress else []:
            text = step_text(step)
            if self._steps.get(step.id) != text:
                errors = "".join(f"; {error}" for error in step_errors(step))
                self._write(f"{MARKS.get(step.state, '·')} {step_name(step)}: {text}{errors}")
            self._steps[step.id] = text
        now = rows(look, self._program)
        news = [row for row in now if row not in self._told and not row.fleeting]
        for row in now:
            if row in news or (news and row.fleeting):
                self._write(f"{row.label}: {row.text}")
        self._told = now

    def away(self, why: str | None) -> None:
        """Show that Temporal does not answer, or answers again."""
        self._write("Temporal answers again" if why is None else f"Temporal does not answer ({why}): trying again")

    def end(self, end: End) -> None:
        """Show the end."""
        self._write(ending(self._workflow_id, end))

    def _write(self, text: str) -> None:
        print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}", file=self._out, flush=True)
