"""A run's page in the Temporal UI: its progress as a short Markdown text."""

import json
import re
import shlex
from collections.abc import Sequence
from datetime import datetime

from marketplace.model import ImageVersion, StepState
from marketplace.wording import listed, one_line
from workflows.messages import ApprovalProgress, Progress, PublishStage, name_to_fill_in

MARKS = {
    StepState.COMPLETE: "✔",
    StepState.IN_PROGRESS: "▶",
    StepState.WAITING_FOR_SIGN_OFF: "✋",
    StepState.WAITING_FOR_APPROVAL: "▶",
    StepState.BLOCKED: "✘",
    StepState.REJECTED: "✘",
    StepState.CANCELED: "✘",
}
_GAP = "\N{NO-BREAK SPACE}" * 2
"""Ends a cell: the UI leaves no space between a table's columns."""

_OVER = {PublishStage.LIVE, PublishStage.FAILED, PublishStage.CANCELED}
DEFAULT_NAMESPACE = "default"
SHOWN_NOTES = 5
SHOWN_IMAGES = 10
MAX_TEXT = 3000
MAX_IMAGE = 200


def page(progress: Progress, workflow_id: str, namespace: str = "default") -> str:
    """Render the page. Text from the marketplace or from people is escaped."""
    offer = f"{progress.publisher_id}/{progress.offer_id}" if progress.offer_id else "unknown offer"
    lines = [f"**{plain(offer)}** · {progress.stage.replace('_', ' ')} since {_time(progress.since)}"]
    if progress.waiting_for:
        lines += ["", f"**Waiting for** {plain(progress.waiting_for)}"]
    if progress.images:
        lines += ["", f"Images: {_versions(progress.images)}"]
    if progress.steps:
        lines += ["", "| | Step | State |", "|---|---|---|"]
        for step in progress.steps:
            percent = f", {step.percent} %" if step.state is StepState.IN_PROGRESS and step.percent else ""
            state = step.state.replace("_", " ")
            lines.append(f"| {MARKS.get(step.state, '·')}{_GAP}| {plain(step.name)}{_GAP}| {state}{percent} |")
    if progress.next_look:
        lines += [
            "",
            f"Look {progress.looks + 1} at {_time(progress.next_look)}; signal `check_now` to look now",
        ]
    if progress.approval:
        lines += _approval(progress.approval, over=progress.stage in _OVER)
        if progress.stage is PublishStage.AWAITING_APPROVAL:
            lines += ["", *_command(workflow_id, namespace, progress.approval)]
    if progress.error:
        lines += ["", f"**Failed:** {plain(progress.error)}"]
    lines += [line for note in progress.notes[-SHOWN_NOTES:] for line in ("", f"Note: {plain(note)}")]
    return "\n".join(lines)


def _approval(approval: ApprovalProgress, *, over: bool) -> list[str]:
    lines = []
    if approval.adds:
        lines += ["", f"Going live adds {_versions(approval.adds)}"]
    if approval.removes:
        lines += ["", f"Going live removes {_versions(approval.removes)}"]
    if approval.deprecates:
        lines += ["", f"Going live deprecates {_versions(approval.deprecates)}"]
    if approval.changes:
        lines += ["", f"Going live changes {plain(listed(approval.changes))}"]
    if approval.reopened and not over:
        lines += ["", f"**Approve again:** {plain(approval.reopened)}"]
    if approval.decision:
        who = approval.decision.approver or "somebody who gave no name"
        verb = "Approved" if approval.decision.approve else "Rejected"
        why = f": {approval.decision.comment}" if approval.decision.comment else ""
        lines += ["", plain(f"{verb} by {who}{why}")]
    elif approval.required and not over:
        who = listed(approval.approvers) or "anyone"
        until = f", until {_time(approval.until)}" if approval.until else ""
        lines += ["", plain(f"May approve: {who}{until}")]
    return lines


def _command(workflow_id: str, namespace: str, approval: ApprovalProgress) -> list[str]:
    """Render the command that approves, one option a line: the UI does not wrap code."""
    first, *options = approve_command(workflow_id, namespace, approval.approvers)
    return " \\\n".join([f"    {first}", *(f"      {option}" for option in options)]).split("\n")


def approve_command(workflow_id: str, namespace: str, approvers: Sequence[str]) -> list[str]:
    """Return the shell command that approves: first the program, then its options."""
    decision = {"approve": True, "approver": name_to_fill_in(approvers)}
    options = [("--namespace", namespace)] if namespace != DEFAULT_NAMESPACE else []
    options += [("--workflow-id", workflow_id), ("--name", "decide_go_live")]
    options += [("--input", json.dumps(decision, ensure_ascii=False))]
    return [
        "temporal workflow update execute",
        *(f"{name} {shlex.quote(one_line(value, MAX_TEXT))}" for name, value in options),
    ]


def plain(text: str) -> str:
    """Escape text for Markdown and HTML, and put it on one line."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", one_line(text, MAX_TEXT))


def _versions(images: list[ImageVersion]) -> str:
    shown = ", ".join(f"`{one_line(str(image).replace('`', ''), MAX_IMAGE)}`" for image in images[:SHOWN_IMAGES])
    more = len(images) - SHOWN_IMAGES
    return f"{shown} and {more} more" if more > 0 else shown


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
