"""Describes a publication as rows of a label and a text, for `cli.screen` and `cli.lines`."""

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from cli.runs import Ending, Snapshot
from cli.statuses import Status
from marketplace.model import ImageVersion, Step, StepState
from marketplace.wording import listed, one_line
from workflows.messages import PLACEHOLDER, ApprovalProgress, Progress, PublishStage

LAST_NOTES = 5
LIVE_REQUESTED = "Going live had been requested"
"""The beginning of the note of a run that was cancelled too late."""

SHOWN_IMAGES = 10
SHOWN_NOTES = 5
MAX_TEXT = 2000
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
        yield Row("Images", versions(progress.images))
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
            yield Row(label, versions(images))
    if approval.changes:
        yield Row("Changes", listed(approval.changes))
    if approval.reopened and not over:
        yield Row("Approve again", one_line(approval.reopened, MAX_TEXT))
    if approval.decision:
        who = approval.decision.approver or "somebody who gave no name"
        why = f": {approval.decision.comment}" if approval.decision.comment else ""
        yield Row("Approved by" if approval.decision.approve else "Rejected by", one_line(f"{who}{why}", MAX_TEXT))
    elif approval.required and not over:
        until = f", until {_time(approval.until)}" if approval.until else ""
        yield Row("May approve", f"{listed(approval.approvers) or 'anyone'}{until}")


def how_to_approve(workflow_id: str, approval: ApprovalProgress, program: str) -> str:
    """Return the shell command that approves."""
    approver = approval.approvers[0] if approval.approvers else PLACEHOLDER
    words = ["approve", one_line(workflow_id, MAX_TEXT), "--approver", one_line(approver, MAX_TEXT)]
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


def ending_text(workflow_id: str, ending: Ending) -> str:
    """Return how a publication ended: one sentence, and what else is known of one that ended badly."""
    if ending.status is not Status.OK:
        lines = [ending.error or f"{workflow_id} has failed."]
        if ending.progress is not None:
            about = ending.progress
            if about.publisher_id and about.offer_id:
                lines.append(one_line(f"Offer: {about.publisher_id}/{about.offer_id}", MAX_TEXT))
            if about.images:
                lines.append(f"Images: {versions(about.images)}")
            if about.approval and about.approval.decision and about.approval.decision.approve:
                lines.append(one_line(f"Approved by: {about.approval.decision.approver or 'somebody'}", MAX_TEXT))
            lines += [one_line(f"Note: {note}", MAX_TEXT) for note in about.notes[-LAST_NOTES:]]
            lines += what_next(about)
        return "\n".join(lines)
    if ending.result is None or "outcome" not in ending.result:
        return ending.explanation or f"{workflow_id} has ended well."
    result = ending.result
    changed = "" if result.get("changed") else ". Nothing had to be changed"
    who = f", approved by {result['approved_by']}" if result.get("approved_by") else ""
    offer = f"{result.get('publisher_id')}/{result.get('offer_id')}"
    return one_line(f"{offer} has ended well: {_spaced(str(result['outcome']))}{who}{changed}.", MAX_TEXT)


def what_next(progress: Progress) -> list[str]:
    """Return what to do after a run that ended badly although going live had been requested."""
    if any(note.startswith(LIVE_REQUESTED) for note in progress.notes):
        return [
            "The offer may still go live. Follow it: offer-publisher check FILE, with its publisher_id and offer_id."
        ]
    return []


def versions(images: Sequence[ImageVersion]) -> str:
    """Return the first image versions, and the number of the others."""
    shown = ", ".join(one_line(str(image), 200) for image in images[:SHOWN_IMAGES])
    more = len(images) - SHOWN_IMAGES
    return f"{shown} and {more} more" if more > 0 else shown


def _spaced(name: str) -> str:
    return one_line(name.replace("_", " "), MAX_NAME)


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
