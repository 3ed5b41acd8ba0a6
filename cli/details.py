"""Collects what is known of a run that did not end well, for `cli.rows` and `cli.summary`."""

import json
import shlex
from collections.abc import Callable, Sequence
from typing import NamedTuple

from workflows.messages import GoLiveDecision, Progress

LAST_NOTES = 5
LIVE_REQUESTED = "Going live had been requested"
"""How the note of a run begins that was cancelled after it had requested to go live."""


class Fact(NamedTuple):
    """A fact about a run, such as its images."""

    label: str
    values: Sequence[str]


class Details(NamedTuple):
    """What is known of a run besides its error. None of it is escaped or shortened.

    Attributes:
        facts: The offer, the images, who approved.
        notes: The run's last notes.
        next_steps: What to do next.
        may_go_live: Whether the offer may still go live, although the run has ended.
    """

    facts: Sequence[Fact] = ()
    notes: Sequence[str] = ()
    next_steps: Sequence[str] = ()
    may_go_live: bool = False


def details_of(progress: Progress | None, program: str) -> Details:
    """Collect the details.

    Args:
        progress: The last progress; ``None`` if no worker answered.
        program: The name of this command.
    """
    if progress is None:
        return Details()
    facts = []
    if progress.publisher_id and progress.offer_id:
        facts.append(Fact("Offer", [f"{progress.publisher_id}/{progress.offer_id}"]))
    if progress.images:
        facts.append(Fact("Images", [str(image) for image in progress.images]))
    decision = progress.approval.decision if progress.approval else None
    if decision and decision.approve:
        facts.append(Fact("Approved by", [name_of(decision)]))
    may_go_live = any(note.startswith(LIVE_REQUESTED) for note in progress.notes)
    next_steps = []
    if may_go_live:
        next_steps.append(f"The offer may still go live. Follow it: {_how_to_check(progress, program)}")
    return Details(facts, progress.notes[-LAST_NOTES:], next_steps, may_go_live)


def _how_to_check(progress: Progress, program: str) -> str:
    """Return the shell command that follows the last operation of the run's offer."""
    request = json.dumps({"publisher_id": progress.publisher_id, "offer_id": progress.offer_id})
    return f"echo {shlex.quote(request)} | {program} check - --wait"


def name_of(decision: GoLiveDecision) -> str:
    """Return who decided."""
    return decision.approver or "somebody who gave no name"


def first_of(values: Sequence[str], most: int, render: Callable[[str], str]) -> str:
    """Render the first values, and the number of the others."""
    shown = ", ".join(render(value) for value in values[:most])
    more = len(values) - most
    return f"{shown} and {more} more" if more > 0 else shown
