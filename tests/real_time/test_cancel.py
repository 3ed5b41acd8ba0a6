"""A cancelled run cancels at the marketplace what it started itself, and nothing else."""

import asyncio

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import CancelledError

from tests.desk import Run, progress_of
from tests.harness.runs import until_followed, until_in_flight, until_requested
from tests.harness.waiting import until
from tests.real_time.held_desk import HeldDesk
from workflows.messages import Progress
from workflows.search_attributes import PUBLISH_STAGE

REFUSED = {"kind": "respond", "status": 503}


async def ends_as_cancelled(run: Run) -> None:
    """Wait until a run has ended, and check that it ended as cancelled."""
    with pytest.raises(WorkflowFailureError) as failed:
        await run.result()
    assert isinstance(failed.value.cause, CancelledError), repr(failed.value.cause)
    described = await run.describe()
    assert described.typed_search_attributes.get(PUBLISH_STAGE) == "canceled"


async def cancel(run: Run) -> None:
    """Cancel a run, and wait until it has ended as cancelled."""
    await run.cancel()
    await ends_as_cancelled(run)


@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive"])
async def test_a_run_cancelled_while_it_reads_the_offer_cancels_nothing(held_desk: HeldDesk, workflow: str) -> None:
    await held_desk.live("4.2.0")
    await held_desk.fault("list_operations", REFUSED, times=-1)
    run = await held_desk.start(workflow, held_desk.images("4.2.1"))
    await until_requested(held_desk, "list_operations")
    await cancel(run)

    assert await held_desk.effects("cancel") == 0
    assert await held_desk.operations() == [("publish", None), ("goLive", None)]


async def test_a_run_cancelled_while_it_edits_the_draft_publishes_nothing(held_desk: HeldDesk) -> None:
    await held_desk.live("4.2.0")
    await held_desk.fault("put_offer", REFUSED, times=-1)
    run = await held_desk.start("UpdateOfferAndPublish", held_desk.images("4.2.1"))
    await until_requested(held_desk, "put_offer", times=2)
    await cancel(run)

    assert await held_desk.operations() == [("publish", None), ("goLive", None)]
    assert await held_desk.versions("Production") == ["4.2.0"]


async def test_a_run_cancelled_while_it_creates_the_offer_publishes_nothing(held_desk: HeldDesk) -> None:
    await held_desk.switch()
    await held_desk.fault("put_offer", REFUSED, times=-1)
    run = await held_desk.start("CreateOfferAndPublish", held_desk.create("4.2.0"))
    await until_requested(held_desk, "put_offer")
    await cancel(run)
    assert await held_desk.effects("put_offer") == 0


async def test_a_run_cancelled_while_its_publish_is_refused_cancels_nothing(held_desk: HeldDesk) -> None:
    await held_desk.live("4.2.0")
    await held_desk.fault("publish", REFUSED, times=-1)
    run = await held_desk.start("UpdateOfferAndPublish", held_desk.images("4.2.1"))
    await until_requested(held_desk, "publish", times=2)
    await cancel(run)

    assert await held_desk.effects("cancel") == 0
    assert await held_desk.operations() == [("publish", None), ("goLive", None)]


@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive"])
async def test_a_publish_whose_answer_was_lost_is_cancelled_too(held_desk: HeldDesk, workflow: str) -> None:
    await held_desk.live("4.2.0")
    await held_desk.fault("publish", {"kind": "drop", "when": "after"})
    run = await held_desk.start(workflow, held_desk.images("4.2.1"))
    await until_requested(held_desk, "publish", times=2)
    await held_desk.fault("list_operations", REFUSED, times=2)
    await cancel(run)

    assert (await held_desk.operations())[-1] == ("publish", "canceled")
    assert await held_desk.effects("publish") == 2


@pytest.mark.parametrize("workflow", ["CreateOfferAndPublish", "UpdateOfferAndPublish", "ValidateAndGoLive"])
@pytest.mark.parametrize("cancel_async", [False, True], ids=["at once", "after a while"])
async def test_a_run_cancelled_while_it_follows_its_publish_cancels_the_publish(
    held_desk: HeldDesk, workflow: str, *, cancel_async: bool
) -> None:
    await held_desk.switch(cancel_async=cancel_async)
    start = held_desk.create("4.2.0")
    if workflow != "CreateOfferAndPublish":
        await held_desk.live("4.2.0")
        start = held_desk.images("4.2.1")
    run = await held_desk.start(workflow, start)
    await until_followed(run)
    await run.cancel()
    await until_requested(held_desk, "cancel")
    if cancel_async:
        await held_desk.let_publish()
    await ends_as_cancelled(run)

    assert (await held_desk.operations())[-1] == ("publish", "canceled")
    assert await held_desk.effects("cancel") == 1
    assert await held_desk.versions("Production") == ([] if workflow == "CreateOfferAndPublish" else ["4.2.0"])
    assert await held_desk.versions("Preview") == await held_desk.versions("Production")


async def test_a_run_that_continued_as_new_still_cancels_its_publish(held_desk: HeldDesk) -> None:
    await held_desk.live("4.2.0")
    run = await held_desk.start("UpdateOfferAndPublish", held_desk.images("4.2.1"))
    await until_followed(run)
    await until_requested(held_desk, "look", times=8)
    described = await run.describe()
    assert described.run_id != described.raw_description.workflow_execution_info.first_run_id
    await cancel(run)

    assert (await held_desk.operations())[-1] == ("publish", "canceled")
    assert await held_desk.effects("cancel") == 1


@pytest.mark.parametrize("seconds", [300, 0], ids=["followed for long", "settled at the first look"])
async def test_a_run_cancelled_while_it_awaits_approval_cancels_the_preview_it_published(
    held_desk: HeldDesk, seconds: int
) -> None:
    await held_desk.live("4.2.0")
    steps = ("displaydummycertify", "displaycertify", "displayprovision", "displaypackage")
    await held_desk.switch(step_durations=dict.fromkeys(steps, seconds))
    run = await held_desk.start("ValidateAndGoLive", held_desk.images("4.2.1"))
    if seconds:
        await until_followed(run)
        await held_desk.let_publish()
    await held_desk.until_asked(run)
    await cancel(run)

    assert (await held_desk.operations())[-1] == ("publish", "canceled")
    assert (await held_desk.state())["status"] == "canceled"
    assert await held_desk.versions("Production") == ["4.2.0"]


async def test_a_run_that_is_being_cancelled_refuses_decisions(held_desk: HeldDesk) -> None:
    await held_desk.live("4.2.0")
    await held_desk.switch(cancel_async=True, cancel_seconds=3600)
    run = await held_desk.start("ValidateAndGoLive", held_desk.images("4.2.1"))
    await until_followed(run)
    await held_desk.let_publish()
    await held_desk.until_asked(run)
    await run.cancel()
    await until_requested(held_desk, "cancel")

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await run.execute_update("decide_go_live", {"approve": True, "approver": "dana"})
    await run.signal("approve_go_live", {"approver": "dana"})
    progress = await held_desk.until(
        run, lambda progress: any("approval was ignored" in note for note in progress.notes)
    )
    held_desk.clock.advance(3700)
    await ends_as_cancelled(run)

    assert "this run is being cancelled" in str(refused.value.cause)
    assert progress.approval is not None
    assert progress.approval.decision is None
    assert await held_desk.effects("go_live") == 1


@pytest.mark.parametrize("answer", ["arrives", "is lost"])
async def test_a_preview_is_cancelled_at_once_where_sign_off_ends_its_operation(
    held_desk: HeldDesk, answer: str
) -> None:
    await held_desk.switch(sign_off_by="operation_completed")
    await held_desk.preview("4.2.0")
    run = await held_desk.start("ValidateAndGoLive", held_desk.images("4.2.1", deadline="PT20S"))
    await until_followed(run)
    await held_desk.let_publish()
    await held_desk.until_asked(run)
    if answer == "is lost":
        await held_desk.fault("cancel", {"kind": "drop", "when": "after"})
    async with asyncio.timeout(15):
        await cancel(run)

    assert (await held_desk.state())["status"] == "canceled"
    assert await held_desk.effects("cancel") == 1
    notes = (await progress_of(run)).notes
    assert notes == ["The images stay in the draft: the next publish of the offer carries them."]


async def test_a_preview_that_the_run_did_not_publish_is_left_alone(held_desk: HeldDesk) -> None:
    await held_desk.preview("4.2.0")
    run = await held_desk.start("ValidateAndGoLive", held_desk.images("4.2.0"))
    await held_desk.until_asked(run)
    await cancel(run)

    assert await held_desk.effects("cancel") == 0
    assert (await held_desk.state())["status"] == "waitingForPublisherReview"


@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive"])
async def test_a_publish_that_the_run_joined_is_left_alone(held_desk: HeldDesk, workflow: str) -> None:
    await held_desk.put("4.2.0")
    await held_desk.publish()
    run = await held_desk.start(workflow, held_desk.images("4.2.0"))
    await until_followed(run)
    await cancel(run)

    assert await held_desk.effects("cancel") == 0
    assert await held_desk.operations() == [("publish", None)]


async def test_somebody_elses_publish_that_the_run_waits_for_is_left_alone(held_desk: HeldDesk) -> None:
    await held_desk.put("4.2.0")
    await held_desk.publish()
    run = await held_desk.start("UpdateOfferAndPublish", held_desk.images("4.2.1"))
    await until_followed(run)
    await cancel(run)

    assert await held_desk.operations() == [("publish", None)]


@pytest.mark.parametrize("stage", ["requested", "followed"])
async def test_a_run_cancelled_while_it_cancels_somebody_elses_publish_does_nothing_more(
    held_desk: HeldDesk, stage: str
) -> None:
    await held_desk.live("4.2.0")
    await held_desk.switch(cancel_async=True, cancel_seconds=3600)
    await held_desk.stranger("edit", "publish", version="4.2.1")
    if stage == "requested":
        await held_desk.fault("cancel", {"kind": "delay", "seconds": 1})
    run = await held_desk.start("UpdateOfferAndPublish", held_desk.images("4.3.0", if_publishing="cancel"))
    if stage == "requested":
        await until_in_flight(run, "cancel_operation")
    else:
        await until_followed(run)
    await cancel(run)

    assert await held_desk.effects("cancel") == 1
    assert await held_desk.versions("Draft") == ["4.2.0", "4.2.1", "4.3.0"]
    assert [kind for kind, _ in await held_desk.operations()] == ["publish", "goLive", "publish"]


async def test_a_run_cancelled_while_its_request_to_cancel_fails_ends_as_cancelled(held_desk: HeldDesk) -> None:
    await held_desk.live("4.2.0")
    await held_desk.stranger("edit", "publish", version="4.2.1")
    await held_desk.fault("cancel", {"kind": "delay", "seconds": 0.5})
    await held_desk.fault("cancel", {"kind": "respond", "status": 422})
    run = await held_desk.start("UpdateOfferAndPublish", held_desk.images("4.3.0", if_publishing="cancel"))
    await until_in_flight(run, "cancel_operation")
    await cancel(run)

    assert (await held_desk.operations())[-1] == ("publish", None)
    assert held_desk.notified(run) == []


async def test_a_cancelled_status_check_cancels_nothing_at_the_marketplace(held_desk: HeldDesk) -> None:
    await held_desk.preview("4.2.0")
    await held_desk.put("4.2.1")
    await held_desk.publish()
    run = await held_desk.start("CheckLastOperationStatus", held_desk.check())
    await until_followed(run)
    await cancel(run)

    assert await held_desk.effects("cancel") == 0
    assert (await held_desk.operations())[-1] == ("publish", None)
    ended = await progress_of(run)
    assert (ended.waiting_for, ended.next_look) == (None, None)


async def test_a_cancelled_run_waits_for_the_preview_where_only_a_preview_can_be_cancelled(
    held_desk: HeldDesk,
) -> None:
    await held_desk.live("4.2.0")
    await held_desk.switch(cancel_window="sign_off_only")
    run = await held_desk.start("UpdateOfferAndPublish", held_desk.images("4.2.1"))
    await until_followed(run)
    await run.cancel()
    await held_desk.until(run, asks_again)
    await held_desk.let_publish()
    await ends_as_cancelled(run)

    assert (await held_desk.operations())[-1] == ("publish", "canceled")


async def test_a_preview_that_can_no_longer_be_cancelled_stays_and_a_note_says_so(held_desk: HeldDesk) -> None:
    await held_desk.live("4.2.0")
    await held_desk.switch(cancel_window="before_sign_off")
    run = await held_desk.start("ValidateAndGoLive", held_desk.images("4.2.1"))
    await until_followed(run)
    await held_desk.let_publish()
    await held_desk.until_asked(run)
    await cancel(run)

    assert (await held_desk.state())["status"] == "waitingForPublisherReview"
    assert any("The preview stays" in note for note in (await progress_of(run)).notes)


@pytest.mark.parametrize("going", ["requested", "followed"])
async def test_a_run_cancelled_after_it_requested_go_live_cancels_nothing(held_desk: HeldDesk, going: str) -> None:
    await held_desk.live("4.2.0")
    if going == "requested":
        await held_desk.fault("go_live", {"kind": "respond_after", "status": 503})
    run = await held_desk.start("ValidateAndGoLive", held_desk.images("4.2.1", approval={"required": False}))
    await until_followed(run)
    await held_desk.let_publish()
    if going == "requested":
        await until_requested(held_desk, "go_live", times=2)
    else:
        await held_desk.until(run, lambda progress: progress.stage == "going_live" and bool(progress.steps))
    await cancel(run)

    assert await held_desk.effects("cancel") == 0
    assert (await held_desk.operations())[-1] == ("goLive", None)
    assert any("It cannot be cancelled" in note for note in (await progress_of(run)).notes)


FAILURES: dict[str, dict[str, object]] = {
    "401": {"kind": "respond", "status": 401},
    "409": {"kind": "respond", "status": 409},
    "503": {"kind": "respond", "status": 503, "headers": {"Retry-After": "1"}},
    "dropped after": {"kind": "drop", "when": "after"},
}


@pytest.mark.parametrize("action", FAILURES.values(), ids=FAILURES)
async def test_a_request_to_cancel_that_fails_once_is_repeated_and_cancels_once(
    held_desk: HeldDesk, action: dict[str, object]
) -> None:
    await held_desk.preview("4.2.0")
    await held_desk.fault("cancel", action)
    run = await held_desk.start("UpdateOfferAndPublish", held_desk.images("4.2.1"))
    await until_followed(run)
    await run.cancel()
    if action.get("status") == 409:  # a refusal: the run asks again once the preview waits for sign-off
        await held_desk.until(run, asks_again)
        await held_desk.let_publish()
    await ends_as_cancelled(run)

    assert await held_desk.effects("cancel") == 1
    assert (await held_desk.operations())[-1] == ("publish", "canceled")


CANCELLATIONS: dict[str, dict[str, object]] = {
    "at once, a word with two l, 200 where nothing runs": {"cancel_word": "cancelled", "cancel_idle_status": 200},
    "later, with If-Match on every call": {
        "cancel_async": True,
        "cancel_seconds": 3600,
        "if_match_required": "every_call",
    },
    "later, with the location in the body": {"cancel_async": True, "cancel_location": "body"},
    "later, listed as an operation, in any order, at times without zone": {
        "cancel_async": True,
        "cancel_has_own_operation": True,
        "submissions_order": "shuffled",
        "timestamp_zone": False,
    },
    "later, without a location": {"cancel_async": True, "location_form": "none"},
    "only at sign-off": {"cancel_window": "sign_off_only"},
    "only before sign-off": {"cancel_window": "before_sign_off"},
    "sign-off ends the operation": {"sign_off_by": "operation_completed"},
}
"""Switches that do not affect each other share a line."""


@pytest.mark.parametrize("switches", CANCELLATIONS.values(), ids=CANCELLATIONS)
async def test_a_cancelled_run_cancels_its_publish_once_and_the_next_run_publishes(
    held_desk: HeldDesk, switches: dict[str, object]
) -> None:
    await held_desk.preview("4.2.0")
    await held_desk.switch(**switches)
    update = held_desk.images("4.2.1")
    run = await held_desk.start("UpdateOfferAndPublish", update)
    await held_desk.until(run, follows_its_own)

    async def is_cancelled() -> bool:
        return await held_desk.effects("cancel") == 1

    await run.cancel()
    if switches.get("cancel_window") == "sign_off_only":
        await held_desk.until(run, asks_again)
    else:  # a first request may be refused, for example because it lacks the ETag
        await until(is_cancelled, "the marketplace accepts to cancel")
    held_desk.clock.advance(2 * 3600)
    await ends_as_cancelled(run)
    assert await held_desk.effects("cancel") == 1

    again = await held_desk.start("UpdateOfferAndPublish", update)
    await held_desk.until(again, follows_its_own)
    await held_desk.let_publish()
    assert (await again.result()).outcome == "preview"
    assert await held_desk.versions("Preview") == ["4.2.0", "4.2.1"]
    assert await held_desk.effects("put_offer") == 2
    assert await held_desk.effects("publish") == 3


def follows_its_own(progress: Progress) -> bool:
    """Return whether a run follows an operation that it started itself."""
    return progress.operation is not None and progress.operation.ours and bool(progress.steps)


def asks_again(progress: Progress) -> bool:
    """Return whether a run notes that its request to cancel was refused and will be repeated."""
    return any("asks again" in note for note in progress.notes)
