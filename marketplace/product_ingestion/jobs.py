"""The status of a job: whatever is written is done by one, and a publish is one that lasts for days.

Pure functions over JSON of any shape. Unknown words mean that it still runs, unless it says that it is completed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from marketplace.model import OperationKind, OperationReport, OperationState, Step, StepState
from marketplace.product_ingestion import failures
from marketplace.product_ingestion.failures import Failure
from marketplace.timestamps import timestamp
from marketplace.wording import MAX_NAME, lower_keys, one_line

CERTIFICATION = "Certification"

STEPS = {
    OperationKind.PUBLISH: ("preview", "Publish to preview"),
    OperationKind.GO_LIVE: ("live", "Go live"),
}
"""The one step that an operation has here, for the service tells of none: its id, and its name.

Of one that failed the service names the stage, and then so does the step.
"""

_COMPLETED = "completed"
_UNFINISHED = frozenset({"notstarted", "running", _COMPLETED})
_RESULTS = frozenset({"pending", "succeeded", "failed", "cancelled", "canceled"})

_STEP_STATES = {
    OperationState.RUNNING: StepState.IN_PROGRESS,
    OperationState.PREVIEW: StepState.COMPLETE,
    OperationState.LIVE: StepState.COMPLETE,
    OperationState.FAILED: StepState.REJECTED,
    OperationState.TURNED_AWAY: StepState.REJECTED,
    OperationState.CANCELED: StepState.CANCELED,
}


class Progress(StrEnum):
    """How far a job, or a submission, is."""

    NOT_STARTED = "not_started"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will become of it."""
        return self not in {Progress.NOT_STARTED, Progress.RUNNING}


@dataclass(frozen=True)
class Job:
    """A job as its status document shows it.

    Attributes:
        started_at: When it began.
        ended_at: When it ended, where it says so.
        errors: What went wrong.
        unknown_words: Status words that we do not know.
    """

    progress: Progress
    started_at: datetime | None
    ended_at: datetime | None
    errors: list[Failure]
    unknown_words: list[str]


def read(document: object) -> Job:
    """Return what a status document says."""
    members = lower_keys(document)
    state, unknown = progress(members.get("jobstatus"), members.get("jobresult"))
    errors = failures.read(members.get("errors"))
    if state is Progress.FAILED and failures.is_cancellation(errors):
        state = Progress.CANCELED
    return Job(
        progress=state,
        started_at=timestamp(members.get("jobstart")),
        ended_at=timestamp(members.get("jobend")),
        errors=errors,
        unknown_words=unknown,
    )


def progress(status: object, result: object) -> tuple[Progress, list[str]]:
    """Return how far something is by its two words, and those of them that we do not know.

    What is completed with a result that nobody knows has failed; what is completed while its result is pending runs.
    """
    words = [_letters(status), _letters(result)]
    known = (_UNFINISHED, _RESULTS)
    unknown = [
        _shown(given)
        for given, word, vocabulary in zip((status, result), words, known, strict=True)
        if word not in vocabulary and given not in (None, "")
    ]
    if words[0] == "notstarted":
        return Progress.NOT_STARTED, unknown
    if words[0] != _COMPLETED or words[1] == "pending":
        return Progress.RUNNING, unknown
    if words[1] == "succeeded":
        return Progress.SUCCEEDED, unknown
    return (Progress.CANCELED if words[1].startswith("cancel") else Progress.FAILED), unknown


def state(kind: OperationKind, now: Progress) -> OperationState:
    """Return the state of an operation that is so far."""
    if now is Progress.SUCCEEDED:
        return OperationState.PREVIEW if kind is OperationKind.PUBLISH else OperationState.LIVE
    ended = {Progress.FAILED: OperationState.FAILED, Progress.CANCELED: OperationState.CANCELED}
    return ended.get(now, OperationState.RUNNING)


def report(
    operation_id: str,
    kind: OperationKind,
    now: Progress,
    *,
    errors: Sequence[Failure] = (),
    otherwise: str = "",
    made_submission: bool = False,
    in_the_way: bool = False,
    unknown_words: Sequence[str] = (),
) -> OperationReport:
    """Return how far an operation is, with its one step.

    Args:
        operation_id: The operation.
        kind: What it does.
        now: How far it is.
        errors: What went wrong.
        otherwise: What is said of a failure without errors.
        made_submission: Whether it has made a submission. What has failed after that was not turned away, whatever
            its errors say.
        in_the_way: Whether something is seen that may have been in its way.
        unknown_words: Status words that we do not know.
    """
    reached = state(kind, now)
    in_the_way = failures.is_contention(errors) or (in_the_way and failures.may_be_contention(errors))
    if reached is OperationState.FAILED and in_the_way and not made_submission:
        reached = OperationState.TURNED_AWAY
    failed = reached in {OperationState.FAILED, OperationState.TURNED_AWAY}
    said = (
        (failures.reasons(errors) or [otherwise or "it failed, without a message from the service"]) if failed else []
    )
    step_id, name = STEPS[kind]
    if failed:
        name = CERTIFICATION if failures.is_certification(errors) else failures.stage(errors) or name
    step_state = StepState.NOT_STARTED if now is Progress.NOT_STARTED else _STEP_STATES[reached]
    return OperationReport(
        operation_id=operation_id,
        kind=kind,
        state=reached,
        steps=[Step(id=step_id, name=name, state=step_state, errors=said)],
        errors=[f"{name}: {message}" for message in said],
        unknown_words=list(unknown_words),
        is_over=now.has_ended,
    )


def _letters(word: object) -> str:
    return (
        "".join(word.split()).replace("_", "").casefold() if isinstance(word, str) and len(word) <= MAX_NAME else ""
    )


def _shown(word: object) -> str:
    return one_line(word, MAX_NAME) if isinstance(word, str) else f"a {type(word).__name__}"
