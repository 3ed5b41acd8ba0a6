"""Wait for workflow runs in real time, and read and reset their pending activities."""

from collections.abc import Callable
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import ResetActivityRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from tests.desk import OFFER, Desk, Run, progress_of
from tests.harness.waiting import until
from workflows.messages import Progress, PublishStage


async def until_progress(run: Run, ready: Callable[[Progress], bool], *, seconds: float = 60) -> Progress:
    """Wait until the progress of a run meets a condition, and return it."""
    last: Progress | RPCError | None = None

    async def is_ready() -> bool:
        nonlocal last
        try:
            last = await progress_of(run)
        except RPCError as error:  # on a busy machine no worker may answer the query in time
            last = error
            return False
        return ready(last)

    await until(
        is_ready, f"the progress of {run.id} is what the test waits for", seconds=seconds, details=lambda: last
    )
    assert isinstance(last, Progress)
    return last


async def until_followed(run: Run) -> Progress:
    """Wait until a run has looked at an operation and waits for its next look."""
    return await until_progress(run, lambda progress: bool(progress.steps) and progress.next_look is not None)


async def until_asked(run: Run) -> Progress:
    """Wait until a run asks for approval."""
    return await until_progress(run, lambda progress: progress.stage is PublishStage.AWAITING_APPROVAL)


async def until_requested(desk: Desk, call: str, times: int = 1) -> None:
    """Wait until the marketplace has answered a number of requests of a call."""

    async def is_requested() -> bool:
        return [entry["call"] for entry in await desk.requests()].count(call) >= times

    await until(is_requested, f"the marketplace answers {times} requests of {call}")


async def pending(run: WorkflowHandle[Any, Any], activity: str) -> list[PendingActivityInfo]:
    """Return the pending activities of a type. There are none if the run does not exist yet."""
    try:
        activities = (await run.describe()).raw_description.pending_activities
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return []
        raise
    return [each for each in activities if each.activity_type.name == activity]


async def in_flight(run: WorkflowHandle[Any, Any], activity: str) -> bool:
    """Return whether a worker has started an activity and not ended it."""
    return any(each.HasField("last_started_time") for each in await pending(run, activity))


async def until_in_flight(run: WorkflowHandle[Any, Any], activity: str) -> None:
    """Wait until a worker has started an activity."""
    await until(lambda: in_flight(run, activity), f"a worker starts {activity} for {run.id}")


async def until_failed_once(run: WorkflowHandle[Any, Any], activity: str) -> None:
    """Wait until an attempt of an activity has failed and the next one is due later."""

    async def has_failed() -> bool:
        return any(each.HasField("last_failure") for each in await pending(run, activity))

    await until(has_failed, f"an attempt of {activity} fails for {run.id}")


async def reset_activity(client: Client, run: WorkflowHandle[Any, Any], activity: str) -> None:
    """Start the next attempt of an activity now, as ``temporal activity reset`` does."""
    await client.workflow_service.reset_activity(
        ResetActivityRequest(
            namespace=client.namespace, execution=WorkflowExecution(workflow_id=run.id), type=activity
        )
    )


def lease_of(client: Client, publisher: str, offer: str = OFFER) -> WorkflowHandle[Any, Any]:
    """Return the internal run that holds the lease on an offer's draft, whether or not it exists."""
    return client.get_workflow_handle(f"internal/draft/{publisher}/{offer}")
