"""Describes a publication as rows of a label and a text, for `cli.screen` and `cli.lines`."""

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from cli.details import details_of, first_of, name_of
from cli.runs import Ending, Snapshot
from cli.statuses import Status
from marketplace.model import ImageVersion, Step, StepState
from marketplace.wording import listed, one_line
from workflows.messages import ApprovalProgress, Progress, PublishStage, name_to_fill_in

SHOWN_VALUES = 10
SHOWN_NOTES = 5
MAX_TEXT = 2000
MAX_VALUE = 300
MAX_NAME = 100
FINAL_STAGES = {PublishStage.LIVE, PublishStage.FAILED, PublishStage.CANCELED}


class Row(NamedTuple):
    """One fact about a publication.

    Attributes:
        fleeting: Whether it changes all the time, so that a change of it alone is not shown.
    """

    label: str
    text: str
    fleeting: bool = False


def rows(snapshot: Snapshot, program: str) -> list[Row]:
    """Describe a publication.

    Args:
        snapshot: The latest snapshot.
        program: The name of this command.
    """
    progress = snapshot.progress
    if progress is None:
        stage = [Row("Stage", _spaced(snapshot.stage))] if snapshot.stage else []
        return [*stage, *(Row("Trouble", text) for text in snapshot.trouble)]
    return list(_rows(snapshot, progress, program))


def _rows(snapshot: Snapshot, progress: Progress, program: str) -> Iterator[Row]:
    yield Row("Stage", f"{_spaced(progress.stage)} since {_time(progress.since)}")
    if progress.images:
        yield Row("Images", _versions(progress.images))
    if progress.waiting_for and snapshot.running:
        yield Row("Waiting for", one_line(progress.waiting_for, MAX_TEXT))
    if progress.next_look and snapshot.running:
        yield Row("Next look", f"{_time(progress.next_look)}, look {progress.looks + 1}", fleeting=True)
    for text in snapshot.trouble:
        yield Row("Trouble", text)
    if progress.approval:
        yield from _approval(progress.approval, over=progress.stage in FINAL_STAGES)
        if progress.stage is PublishStage.AWAITING_APPROVAL and snapshot.running:
            yield Row("To approve", how_to_approve(snapshot.workflow_id, progress.approval, program))
    for note in progress.notes[-SHOWN_NOTES:]:
        yield Row("Note", one_line(note, MAX_TEXT))


def _approval(approval: ApprovalProgress, *, over: bool) -> Iterator[Row]:
    for label, images in (
        ("Adds", approval.adds),
        ("Removes", approval.removes),
        ("Deprecates", approval.deprecates),
    ):
        if images:
            yield Row(label, _versions(images))
    if approval.changes:
        yield Row("Changes", listed(approval.changes))
    if approval.reopened and not over:
        yield Row("Approve again", one_line(approval.reopened, MAX_TEXT))
    if approval.decision:
        why = f": {approval.decision.comment}" if approval.decision.comment else ""
        label = "Approved by" if approval.decision.approve else "Rejected by"
        yield Row(label, one_line(f"{name_of(approval.decision)}{why}", MAX_TEXT))
    elif approval.required and not over:
        until = f", until {_time(approval.until)}" if approval.until else ""
        yield Row("May approve", f"{listed(approval.approvers) or 'anyone'}{until}")


def how_to_approve(workflow_id: str, approval: ApprovalProgress, program: str) -> str:
    """Return the shell command that approves."""
    approver = one_line(name_to_fill_in(approval.approvers), MAX_TEXT)
    words = ["approve", one_line(workflow_id, MAX_TEXT), "--approver", approver]
    return f"{program} {shlex.join(words)}"


def step_text(step: Step) -> str:
    """Return the state of a step, with its percentage while it is running."""
    percent = f", {step.percent} %" if step.state is StepState.IN_PROGRESS and step.percent else ""
    return f"{_spaced(step.state)}{percent}"


def step_name(step: Step) -> str:
    """Return the name of a step, on one line."""
    return one_line(step.name, MAX_NAME)


def step_errors(step: Step) -> Sequence[str]:
    """Return the errors of a step."""
    return [one_line(error, MAX_TEXT) for error in step.errors]


def ending_text(workflow_id: str, ending: Ending, program: str) -> str:
    """Describe how a publication ended: in one sentence, and with details if it did not end well."""
    if ending.status is not Status.OK:
        details = details_of(ending.progress, program)
        return "\n".join(
            [
                ending.error or f"{workflow_id} has failed.",
                *(f"{fact.label}: {_values(fact.values)}" for fact in details.facts),
                *(one_line(f"Note: {note}", MAX_TEXT) for note in details.notes),
                *details.next_steps,
            ]
        )
    if ending.result is None or "outcome" not in ending.result:
        return ending.explanation or f"{workflow_id} has ended well."
    result = ending.result
    changed = "" if result.get("changed") else ". Nothing had to be changed"
    who = f", approved by {result['approved_by']}" if result.get("approved_by") else ""
    offer = f"{result.get('publisher_id')}/{result.get('offer_id')}"
    return one_line(f"{offer} has ended well: {_spaced(str(result['outcome']))}{who}{changed}.", MAX_TEXT)


def _versions(images: Sequence[ImageVersion]) -> str:
    return _values([str(image) for image in images])


def _values(values: Sequence[str]) -> str:
    return first_of(values, SHOWN_VALUES, lambda value: one_line(value, MAX_VALUE))


def _spaced(name: str) -> str:
    return one_line(name.replace("_", " "), MAX_NAME)


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
