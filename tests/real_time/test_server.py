"""What only a real Temporal server does."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from tests.desk import Desk, progress_of
from tests.process.processes import in_flight, until
from tests.real_time.held_desk import HeldDesk
from workflows.messages import CheckLastOperationStatusInput


async def test_a_follower_continues_as_new_and_its_parent_gets_the_result(real_desk: Desk) -> None:
    await real_desk.step("displaycertify", duration_seconds=3)
    start = real_desk.create("4.2.0", polling={"min_interval": 0.1, "max_interval": 0.2}, deadline=60)
    run = await real_desk.start("CreateOfferAndPublish", start)
    result = await run.result()
    follower = real_desk.temporal.client.get_workflow_handle(
        f"{run.id}/publish-{result.operation_id}", result_type=type(result)
    )
    described = await follower.describe()
    progress = await progress_of(follower)

    assert result.outcome == "preview"
    assert described.run_id != described.raw_description.workflow_execution_info.first_run_id
    assert described.history_length < 60
    assert progress.looks > 2
    assert progress.notes == []


async def test_the_deadline_counts_from_the_first_run(real_desk: Desk) -> None:
    await real_desk.step("displaycertify", outcome="never")
    await real_desk.call("PUT", "", real_desk.document("4.2.0"))
    await real_desk.publish()
    check = real_desk.check(polling={"min_interval": 0.1, "max_interval": 0.1}, deadline=4)
    run = await real_desk.start("CheckLastOperationStatus", check)
    with pytest.raises(WorkflowFailureError):
        await run.result()
    client = real_desk.temporal.client
    first = await client.get_workflow_handle(run.id, run_id=run.first_execution_run_id).describe()
    last = await client.get_workflow_handle(run.id).describe()
    history = await client.get_workflow_handle(run.id, run_id=last.run_id).fetch_history()
    carried = history.events[0].workflow_execution_started_event_attributes.input.payloads[0].data
    following = CheckLastOperationStatusInput.model_validate_json(carried).following

    assert last.run_id != first.run_id
    assert following is not None
    assert first.start_time <= following.since < last.start_time
    assert last.close_time is not None
    assert last.close_time - following.since >= timedelta(seconds=4)


async def test_an_operation_that_begins_while_the_run_is_cancelled_is_cancelled_too(real_desk: Desk) -> None:
    await real_desk.live("4.2.0")
    await real_desk.switch(step_durations={"displaycertify": 600})
    await real_desk.fault("publish", {"kind": "delay", "seconds": 1})
    await real_desk.fault("publish", {"kind": "drop", "when": "after"})
    run = await real_desk.start("UpdateOfferAndPublish", real_desk.images("4.2.1"))
    await until(lambda: in_flight(run, "publish"))
    await run.cancel()
    with pytest.raises(WorkflowFailureError) as failed:
        await run.result()

    assert isinstance(failed.value.cause, CancelledError)
    assert (await real_desk.operations())[2:] == [("publish", "canceled")]


async def test_a_terminated_run_leaves_the_marketplace_alone_and_the_next_one_joins(held_desk: HeldDesk) -> None:
    await held_desk.live("4.2.0")
    run = await held_desk.start("UpdateOfferAndPublish", held_desk.images("4.2.1"))
    await held_desk.until_followed(run)
    await run.terminate()

    assert await held_desk.effects("cancel") == 0
    assert (await held_desk.operations())[-1] == ("publish", None)
    again = await held_desk.start("UpdateOfferAndPublish", held_desk.images("4.2.1"))
    await held_desk.until_followed(again)
    await held_desk.let_publish()
    result = await again.result()
    assert (result.outcome, result.changed) == ("preview", False)
    assert await held_desk.effects("publish") == 2
