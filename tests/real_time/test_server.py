"""Behaviour that the time-skipping server lacks."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from tests.desk import Desk
from tests.harness.runs import until_followed, until_in_flight
from tests.real_time.held_desk import HeldDesk


async def test_the_deadline_counts_from_the_first_run_of_the_chain(real_desk: Desk) -> None:
    await real_desk.step("displaycertify", outcome="never")
    await real_desk.put("4.2.0")
    await real_desk.publish()
    check = real_desk.check(polling={"min_interval": 0.1, "max_interval": 0.1}, deadline=4)
    run = await real_desk.start("CheckLastOperationStatus", check)
    with pytest.raises(WorkflowFailureError):
        await run.result()
    client = real_desk.temporal.client
    first = await client.get_workflow_handle(run.id, run_id=run.first_execution_run_id).describe()
    last = await client.get_workflow_handle(run.id).describe()

    assert last.run_id != first.run_id
    assert last.close_time is not None
    assert timedelta(seconds=4) <= last.close_time - first.start_time < timedelta(seconds=10)


async def test_a_publish_that_starts_while_its_run_is_cancelled_is_cancelled_too(real_desk: Desk) -> None:
    await real_desk.live("4.2.0")
    await real_desk.switch(step_durations={"displaycertify": 600})
    await real_desk.fault("publish", {"kind": "delay", "seconds": 1})
    await real_desk.fault("publish", {"kind": "drop", "when": "after"})
    run = await real_desk.start("UpdateOfferAndPublish", real_desk.images("4.2.1"))
    await until_in_flight(run, "publish")
    await run.cancel()
    with pytest.raises(WorkflowFailureError) as failed:
        await run.result()

    assert isinstance(failed.value.cause, CancelledError)
    assert (await real_desk.operations())[2:] == [("publish", "canceled")]


async def test_a_terminated_run_leaves_its_publish_running_and_the_next_run_joins_it(held_desk: HeldDesk) -> None:
    await held_desk.live("4.2.0")
    run = await held_desk.start("UpdateOfferAndPublish", held_desk.images("4.2.1"))
    await until_followed(run)
    await run.terminate()

    assert await held_desk.effects("cancel") == 0
    assert (await held_desk.operations())[-1] == ("publish", None)
    again = await held_desk.start("UpdateOfferAndPublish", held_desk.images("4.2.1"))
    await until_followed(again)
    await held_desk.let_publish()
    result = await again.result()
    assert (result.outcome, result.changed) == ("preview", False)
    assert await held_desk.effects("publish") == 2
