"""Cancelling a run takes back at the marketplace what the run itself started, and nothing else."""

import asyncio
from collections.abc import Callable

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from tests.desk import Desk, Run, progress_of
from workflows.messages import Progress
from workflows.search_attributes import PUBLISH_STAGE

REFUSED = {"kind": "respond", "status": 503}


async def ends_as_cancelled(run: Run) -> None:
    """Wait until the cancelled run has ended, as nothing but cancelled."""
    with pytest.raises(WorkflowFailureError) as failed:
        await run.result()
    assert isinstance(failed.value.cause, CancelledError), repr(failed.value.cause)
    described = await run.describe()
    assert described.typed_search_attributes.get(PUBLISH_STAGE) == "canceled"


async def cancelled(run: Run) -> None:
    """Cancel the run and wait until it has ended."""
    await asyncio.sleep(0.3)  # see `requested`
    await run.cancel()
    await ends_as_cancelled(run)


async def requested(desk: Desk, call: str, times: int = 1) -> None:
    """Wait in real time until the marketplace has got requests of a call."""
    for _ in range(200):
        if sum(entry["call"] == call for entry in await desk.requests()) >= times:
            # Let the try end: the server of the tests never skips time again after a run that left one behind.
            await asyncio.sleep(0.2)
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"no {call}")


async def seen(run: Run, ready: Callable[[Progress], bool]) -> None:
    """Wait in real time, no time skipped, until the run's progress is as wanted."""
    for _ in range(200):
        if ready(await progress_of(run)):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never was")


@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive"])
async def test_while_the_offer_is_surveyed(desk: Desk, workflow: str) -> None:
    await desk.live("4.2.0")
    await desk.fault("list_operations", REFUSED, times=-1)
    run = await desk.start(workflow, desk.images("4.2.1"))
    await requested(desk, "list_operations")
    await cancelled(run)

    assert await desk.effects("cancel") == 0
    assert await desk.operations() == [("publish", "completed"), ("goLive", "completed")]


async def test_while_the_draft_is_edited(desk: Desk) -> None:
    await desk.live("4.2.0")
    await desk.fault("put_offer", REFUSED, times=-1)
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.1"))
    await requested(desk, "put_offer", times=2)
    await cancelled(run)

    assert await desk.operations() == [("publish", "completed"), ("goLive", "completed")]
    assert await desk.versions("Production") == ["4.2.0"]


async def test_while_the_offer_is_put(desk: Desk) -> None:
    await desk.switch()
    await desk.fault("put_offer", REFUSED, times=-1)
    run = await desk.start("CreateOfferAndPublish", desk.create("4.2.0"))
    await requested(desk, "put_offer")
    await cancelled(run)
    assert await desk.effects("put_offer") == 0


async def test_while_the_publish_request_is_refused_there_is_nothing_to_take_back(desk: Desk) -> None:
    await desk.live("4.2.0")
    await desk.fault("publish", REFUSED, times=-1)
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.1"))
    await requested(desk, "publish", times=2)
    await cancelled(run)

    assert await desk.effects("cancel") == 0
    assert await desk.operations() == [("publish", "completed"), ("goLive", "completed")]


@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive"])
async def test_an_operation_whose_answer_was_lost_is_cancelled_too(desk: Desk, workflow: str) -> None:
    await desk.live("4.2.0")
    await desk.fault("publish", {"kind": "drop", "when": "after"})
    run = await desk.start(workflow, desk.images("4.2.1"))
    await requested(desk, "publish", times=2)
    await desk.fault("list_operations", REFUSED, times=2)
    await cancelled(run)

    assert (await desk.operations())[-1] == ("publish", "canceled")
    assert await desk.effects("publish") == 2


@pytest.mark.parametrize("workflow", ["CreateOfferAndPublish", "UpdateOfferAndPublish", "ValidateAndGoLive"])
@pytest.mark.parametrize("cancel_async", [False, True], ids=["at once", "after a while"])
async def test_while_the_publish_is_followed(desk: Desk, workflow: str, *, cancel_async: bool) -> None:
    await desk.switch(cancel_async=cancel_async)
    start = desk.create("4.2.0")
    if workflow != "CreateOfferAndPublish":
        await desk.live("4.2.0")
        start = desk.images("4.2.1")
    run = await desk.start(workflow, start)
    await seen(run, lambda progress: bool(progress.steps))
    await cancelled(run)

    assert (await desk.operations())[-1] == ("publish", "canceled")
    assert await desk.effects("cancel") == 1
    assert await desk.versions("Production") == ([] if workflow == "CreateOfferAndPublish" else ["4.2.0"])
    assert await desk.versions("Preview") == await desk.versions("Production")


@pytest.mark.parametrize("seconds", [300, 0], ids=["followed for long", "settled at the first look"])
async def test_the_preview_that_the_run_published_is_taken_back_while_it_waits(desk: Desk, seconds: int) -> None:
    await desk.live("4.2.0")
    steps = ("displaydummycertify", "displaycertify", "displayprovision", "displaypackage")
    await desk.switch(step_durations=dict.fromkeys(steps, seconds))
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.1"))
    await desk.until_asked(run)
    await cancelled(run)

    assert (await desk.operations())[-1] == ("publish", "canceled")
    assert (await desk.state())["status"] == "canceled"
    assert await desk.versions("Production") == ["4.2.0"]


async def test_a_preview_that_the_run_found_is_left_alone(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    await cancelled(run)

    assert await desk.effects("cancel") == 0
    assert (await desk.state())["status"] == "waitingForPublisherReview"


@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive"])
async def test_a_publish_that_the_run_joined_is_left_alone(desk: Desk, workflow: str) -> None:
    await desk.call("PUT", "", desk.document("4.2.0"))
    await desk.publish()
    run = await desk.start(workflow, desk.images("4.2.0"))
    await seen(run, lambda progress: bool(progress.steps))
    await cancelled(run)

    assert await desk.effects("cancel") == 0
    assert await desk.operations() == [("publish", None)]


async def test_somebody_elses_publish_that_the_run_waits_for_is_left_alone(desk: Desk) -> None:
    await desk.call("PUT", "", desk.document("4.2.0"))
    await desk.publish()
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.1"))
    await seen(run, lambda progress: bool(progress.steps))
    await cancelled(run)

    assert await desk.operations() == [("publish", None)]


async def test_only_the_follower_being_cancelled_takes_nothing_back(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.call("PUT", "", desk.document("4.2.1"), {"If-Match": "*"})
    await desk.publish()
    run = await desk.start("CheckLastOperationStatus", desk.check())
    await seen(run, lambda progress: bool(progress.steps))
    await cancelled(run)

    assert await desk.effects("cancel") == 0
    assert (await desk.operations())[-1] == ("publish", None)


async def test_where_only_a_preview_can_be_cancelled_it_is_waited_for(desk: Desk) -> None:
    await desk.live("4.2.0")
    await desk.switch(cancel_window="sign_off_only")
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.1"))
    await seen(run, lambda progress: bool(progress.steps))
    await cancelled(run)

    assert (await desk.operations())[-1] == ("publish", "canceled")
    assert any("asked again" in note for note in (await progress_of(run)).notes)


async def test_where_a_preview_cannot_be_cancelled_any_more_it_stays(desk: Desk) -> None:
    await desk.live("4.2.0")
    await desk.switch(cancel_window="before_sign_off")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.1"))
    await desk.until_asked(run)
    await cancelled(run)

    assert (await desk.state())["status"] == "waitingForPublisherReview"
    assert any("The preview stays" in note for note in (await progress_of(run)).notes)


@pytest.mark.parametrize("going", ["requested", "followed"])
async def test_once_go_live_was_requested_nothing_is_cancelled(desk: Desk, going: str) -> None:
    await desk.live("4.2.0")
    if going == "requested":
        await desk.fault("go_live", {"kind": "respond_after", "status": 503})
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.1", approval={"required": False}))
    await desk.until(run, lambda progress: progress.stage == "going_live")
    await requested(desk, "go_live", times=2)
    await cancelled(run)

    assert await desk.effects("cancel") == 0
    assert (await desk.operations())[-1] == ("goLive", None)
    assert any("The go-live goes on" in note for note in (await progress_of(run)).notes)
