"""Tells the runs above a follower that the operation moved, from the activity that sees it.

A signal that a workflow sends costs it five events of its history and a workflow task; one that is sent from here
costs it none.
"""

from collections.abc import Iterable

from temporalio import activity
from temporalio.service import RPCError, RPCStatusCode

from marketplace.model import Fact, OperationKind, OperationReport, OperationState, Step

OPERATION_MOVED = "operation_moved"


FOLLOWERS = tuple(f"/{kind.replace('_', '-')}-" for kind in OperationKind)
"""What is behind the id of a run in those of the runs that follow operations for it, before the operation's."""

_IN_VAIN = {RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT}


class FollowedOperation(Fact):
    """The operation a run follows.

    Attributes:
        ours: Whether this run, or the run it is part of, started it.
        followed_by: Id of the workflow that looks at it; its page tells of every look.
    """

    id: str
    kind: OperationKind
    state: OperationState
    ours: bool = False
    followed_by: str | None = None


class OperationMoved(Fact):
    """What a run is told when an operation below it moved: payload of the signal ``operation_moved``."""

    waiting_for: str | None = None
    operation: FollowedOperation | None = None
    steps: list[Step] = []
    notes: list[str] = []


def follower_of(run: str, kind: OperationKind, operation_id: str) -> str:
    """Return the id of the run that follows an operation for a run."""
    return f"{run}/{kind.replace('_', '-')}-{operation_id}"


def moved(report: OperationReport, follower: str | None = None, *, ours: bool = False) -> OperationMoved:
    """Say how an operation stands."""
    step, operation = report.step, f"{report.kind.replace('_', '-')} {report.operation_id}"
    return OperationMoved(
        waiting_for=f"{step.name} ({step.state.replace('_', ' ')})" if step else operation,
        operation=FollowedOperation(
            id=report.operation_id, kind=report.kind, state=report.state, ours=ours, followed_by=follower
        ),
        steps=report.steps,
        notes=[
            f"the marketplace uses a status word that is not known here: {word!r}" for word in report.unknown_words
        ],
    )


async def tell(runs: Iterable[str], what: OperationMoved) -> None:
    """Signal runs, by workflow id. Safe to repeat.

    A run that has ended needs no telling, and one that can be told no more (Temporal takes 10,000 signals of a run)
    has to go without: that the operation settled it learns by its child's end.
    """
    for run in runs:
        try:
            await activity.client().get_workflow_handle(run).signal(OPERATION_MOVED, what)
        except RPCError as error:
            if error.status not in _IN_VAIN:
                raise
            activity.logger.info("The run %s was not told: %s", run, error)
