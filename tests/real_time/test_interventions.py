"""What an operator does to a run from outside: resetting an activity, cancelling or terminating a child."""

import asyncio

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetActivityRequest

from tests.desk import Desk, Run, failure_of, progress_of
from workflows.messages import Progress

QUICK = {"polling": {"min_interval": 0.1, "max_interval": 0.2}}


async def followed(run: Run) -> Progress:
    """Wait until the run follows an operation, has been told of its steps, and its follower has begun."""
    for _ in range(200):
        progress = await progress_of(run)
        pending = (await run.describe()).raw_description.pending_children
        if progress.operation is not None and progress.steps and any(child.run_id for child in pending):
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


async def test_cancelling_the_run_that_follows_cancels_the_operation_and_says_so(real_desk: Desk) -> None:
    await real_desk.step("displaycertify", outcome="never")
    run = await real_desk.start("CreateOfferAndPublish", real_desk.create("4.2.0") | QUICK)
    progress = await followed(run)
    assert progress.operation is not None
    assert progress.operation.followed_by is not None

    await real_desk.temporal.client.get_workflow_handle(progress.operation.followed_by).cancel()
    error = await failure_of(run)

    assert error.type == "OperationCanceled"
    assert "Start the run again" in error.message
    assert [each["outcome"] for each in (await real_desk.state())["operations"]] == ["canceled"]


async def test_terminating_the_run_that_follows_leaves_the_operation_alone_and_says_so(real_desk: Desk) -> None:
    await real_desk.step("displaycertify", outcome="never")
    run = await real_desk.start("CreateOfferAndPublish", real_desk.create("4.2.0") | QUICK)
    progress = await followed(run)
    assert progress.operation is not None
    assert progress.operation.followed_by is not None

    await real_desk.temporal.client.get_workflow_handle(progress.operation.followed_by).terminate()
    error = await failure_of(run)

    assert error.type == "MarketplaceError"
    assert "was terminated; the operation goes on at the marketplace. Start the run again" in error.message
    assert [each["outcome"] for each in (await real_desk.state())["operations"]] == [None]
