"""What an operator does to a run from outside: resetting an activity."""

import asyncio

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetActivityRequest

from tests.desk import Desk, Run, progress_of
from workflows.messages import Progress

QUICK = {"polling": {"min_interval": 0.1, "max_interval": 0.2}}


async def followed(run: Run) -> Progress:
    """Wait until the run follows an operation and has seen its steps."""
    for _ in range(200):
        progress = await progress_of(run)
        if progress.operation is not None and progress.steps:
            return progress
        await asyncio.sleep(0.05)
    raise AssertionError(f"nothing is followed: {progress}")


async def test_a_publish_whose_answer_was_lost_is_recognised_after_its_activity_was_reset(real_desk: Desk) -> None:
    lost = {"kind": "respond_after", "status": 503, "headers": {"Retry-After": "60"}}
    await real_desk.fault("publish", lost)
    await real_desk.step("displaycertify", outcome="never")
    run = await real_desk.start("CreateOfferAndPublish", real_desk.create("4.2.0") | QUICK)
    await retried(run, "publish")

    await real_desk.temporal.client.workflow_service.reset_activity(
        ResetActivityRequest(
            namespace=real_desk.temporal.client.namespace,
            execution=WorkflowExecution(workflow_id=run.id),
            type="publish",
        )
    )
    progress = await followed(run)

    assert progress.operation is not None
    assert progress.operation.ours
    assert await real_desk.effects("publish") == 1
    await run.cancel()


async def retried(run: Run, activity: str) -> None:
    """Wait until an activity of the run has failed and waits for its next try."""
    for _ in range(200):
        described = (await run.describe()).raw_description
        if any(each.activity_type.name == activity and each.attempt > 1 for each in described.pending_activities):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{activity} is not tried again")
