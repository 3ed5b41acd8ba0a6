"""The status of jobs. Every write is a job, and a publish is a job that runs for days.

Pure functions, which accept JSON of any shape. Unless a job is completed, an unknown word means that it is running.
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
"""The ID and name of the single step in a report, since the service reports no steps.

If an operation fails and the service names the stage, the step is named after the stage.
"""

_COMPLETED = "completed"
_STATUSES = frozenset({"notstarted", "running", _COMPLETED})
_RESULTS = frozenset({"pending", "succeeded", "failed", "cancelled", "canceled"})

_STEP_STATES = {
    OperationState.RUNNING: StepState.IN_PROGRESS,
    OperationState.PREVIEW: StepState.COMPLETE,
    OperationState.LIVE: StepState.COMPLETE,
    OperationState.FAILED: StepState.REJECTED,
    OperationState.TURNED_AWAY: StepState.REJECTED,
    OperationState.CANCELED: StepState.CANCELED,
}


class JobProgress(StrEnum):
    """The progress of a job or a submission."""

    NOT_STARTED = "not_started"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        return self not in {JobProgress.NOT_STARTED, JobProgress.RUNNING}


@dataclass(frozen=True)
class Job:
    """A job, from its status document.

    Attributes:
        started_at: When it started.
        ended_at: When it ended, if the document says.
        errors: The errors.
        unknown_words: Unknown status words.
    """

    progress: JobProgress
    started_at: datetime | None
    ended_at: datetime | None
    errors: list[Failure]
    unknown_words: list[str]


def read(document: object) -> Job:
    """Return the job that a status document describes."""
    members = lower_keys(document)
    state, unknown = progress(members.get("jobstatus"), members.get("jobresult"))
    errors = failures.read(members.get("errors"))
    if state is JobProgress.FAILED and failures.is_cancellation(errors):
        state = JobProgress.CANCELED
    return Job(
        progress=state,
        started_at=timestamp(members.get("jobstart")),
        ended_at=timestamp(members.get("jobend")),
        errors=errors,
        unknown_words=unknown,
    )


def progress(status: object, result: object) -> tuple[JobProgress, list[str]]:
    """Return the progress for a status and a result, and the words that are unknown.

    "Completed" with an unknown result is a failure. "Completed" with a pending result is still running.
    """
    how_far, outcome = _letters(status), _letters(result)
    unknown = [
        _shown(given)
        for given, word, vocabulary in ((status, how_far, _STATUSES), (result, outcome, _RESULTS))
        if word not in vocabulary and given not in (None, "")
    ]
    if how_far == "notstarted":
        return JobProgress.NOT_STARTED, unknown
    if how_far != _COMPLETED or outcome == "pending":
        return JobProgress.RUNNING, unknown
    if outcome == "succeeded":
        return JobProgress.SUCCEEDED, unknown
    return (JobProgress.CANCELED if outcome.startswith("cancel") else JobProgress.FAILED), unknown


def state(kind: OperationKind, now: JobProgress) -> OperationState:
    """Return the state of an operation for its progress."""
    if now is JobProgress.SUCCEEDED:
        return OperationState.PREVIEW if kind is OperationKind.PUBLISH else OperationState.LIVE
    ended = {JobProgress.FAILED: OperationState.FAILED, JobProgress.CANCELED: OperationState.CANCELED}
    return ended.get(now, OperationState.RUNNING)


def report(
    operation_id: str,
    kind: OperationKind,
    now: JobProgress,
    *,
    errors: Sequence[Failure] = (),
    otherwise: str = "",
    made_submission: bool = False,
    in_the_way: bool = False,
    unknown_words: Sequence[str] = (),
) -> OperationReport:
    """Return a report on an operation, with its single step.

    Args:
        operation_id: The operation.
        kind: What it does.
        now: Its progress.
        errors: Its errors.
        otherwise: The error of a failure without errors.
        made_submission: Whether it has created a submission. A failure after that is never ``TURNED_AWAY``, whatever
            its errors are.
        in_the_way: Whether the submissions show something that may have blocked it.
        unknown_words: Unknown status words.
    """
    reached = state(kind, now)
    in_the_way = failures.is_contention(errors) or (in_the_way and failures.may_be_contention(errors))
    if reached is OperationState.FAILED and in_the_way and not made_submission:
        reached = OperationState.TURNED_AWAY
    failed = reached in {OperationState.FAILED, OperationState.TURNED_AWAY}
    messages: list[str] = []
    if failed:
        messages = failures.reasons(errors) or [otherwise or "it failed, without a message from the service"]
    step_id, name = STEPS[kind]
    if failed:
        name = CERTIFICATION if failures.is_certification(errors) else failures.stage(errors) or name
    step_state = StepState.NOT_STARTED if now is JobProgress.NOT_STARTED else _STEP_STATES[reached]
    return OperationReport(
        operation_id=operation_id,
        kind=kind,
        state=reached,
        steps=[Step(id=step_id, name=name, state=step_state, errors=messages)],
        errors=[f"{name}: {message}" for message in messages],
        unknown_words=list(unknown_words),
        is_over=now.has_ended,
    )


def _letters(word: object) -> str:
    return (
        "".join(word.split()).replace("_", "").casefold() if isinstance(word, str) and len(word) <= MAX_NAME else ""
    )


def _shown(word: object) -> str:
    return one_line(word, MAX_NAME) if isinstance(word, str) else f"a {type(word).__name__}"
