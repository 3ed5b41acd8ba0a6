"""Without `images`, `ValidateAndGoLive` promotes what the preview holds when it is approved."""

from datetime import timedelta

import pytest

from tests.desk import Desk, failure_of, numbers

ONE_API = pytest.mark.only("cloud-partner", "the API makes no difference to when a decision may come")


async def test_all_images_of_the_preview_are_shown_promoted_and_listed_in_the_result(desk: Desk) -> None:
    await desk.preview("4.2.0", "4.2.1")
    run = await desk.start("ValidateAndGoLive", desk.images())
    asked = await desk.until_asked(run)
    assert asked.approval is not None
    assert numbers(asked.approval.adds) == ["4.2.0", "4.2.1"]

    await run.signal("approve_go_live")
    result = await run.result()

    assert result.outcome == "live"
    assert numbers(result.images) == ["4.2.0", "4.2.1"]
    assert await desk.versions("Production") == ["4.2.0", "4.2.1"]
    notification = next(
        body for body in desk.webhook.bodies if body["workflow_id"] == run.id and body["event"] == "live"
    )
    assert list(dict.fromkeys(image["version"] for image in notification["images"])) == ["4.2.0", "4.2.1"]


async def test_the_preview_at_the_time_of_the_approval_goes_live(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images())
    await desk.until_asked(run)
    await desk.stranger("edit", version="4.2.5")
    await desk.stranger("publish")
    await desk.let_publish()

    await run.signal("approve_go_live")
    result = await run.result()

    assert numbers(result.images) == ["4.2.0", "4.2.5"]
    assert await desk.versions("Production") == ["4.2.0", "4.2.5"]


async def test_a_draft_that_was_never_published_cannot_be_promoted(desk: Desk) -> None:
    await desk.put("4.2.0")
    error = await desk.failure("ValidateAndGoLive", desk.images())

    assert error.type == "MarketplaceError"
    assert "nothing waits for sign-off" in error.message


async def test_an_offer_that_is_live_already_is_left_as_it_is(desk: Desk) -> None:
    await desk.live("4.2.0")
    result = await desk.run("ValidateAndGoLive", desk.images())

    assert (result.outcome, result.changed, result.images) == ("live", False, [])


async def test_a_running_publish_can_be_cancelled_only_for_the_sake_of_images(desk: Desk) -> None:
    await desk.put("4.2.0")
    await desk.publish()
    error = await desk.failure("ValidateAndGoLive", desk.images(if_publishing="cancel"))

    assert error.type == "InvalidInput"
    assert "if_publishing: cancel needs images" in error.message
    assert await desk.operations() == [("publish", None)]


@pytest.mark.parametrize("ready", [True, False], ids=["the preview is ready", "the preview is being published"])
async def test_an_approval_that_comes_with_the_start_is_asked_for_again_once_a_preview_is_shown(
    desk: Desk, *, ready: bool
) -> None:
    await desk.put("4.2.0")
    await desk.publish()
    if ready:
        await desk.let_publish()
    run = await desk.start("ValidateAndGoLive", desk.images(), start_signal="approve_go_live")
    asked = await desk.until_asked(run)

    assert asked.approval is not None
    assert asked.approval.reopened == "it was given before a preview was shown"
    await run.signal("approve_go_live", {"approver": "dana"})
    result = await run.result()
    assert (result.outcome, result.approved_by) == ("live", "dana")
    assert numbers(result.images) == ["4.2.0"]


@ONE_API
async def test_an_approval_that_comes_during_a_publish_is_asked_for_again_when_there_is_a_preview(desk: Desk) -> None:
    await desk.put("4.2.0")
    await desk.publish()
    run = await desk.start("ValidateAndGoLive", desk.images())
    await desk.until(run, lambda progress: bool(progress.steps))
    await run.execute_update("decide_go_live", {"approve": True, "approver": "dana"})
    asked = await desk.until_asked(run)

    assert asked.approval is not None
    assert asked.approval.reopened == "it was given before a preview was shown"
    assert await desk.effects("go_live") == 0
    await run.signal("approve_go_live", {"approver": "lee"})
    assert (await run.result()).approved_by == "lee"


@ONE_API
async def test_a_rejection_that_comes_during_a_publish_stands(desk: Desk) -> None:
    await desk.put("4.2.0")
    await desk.publish()
    run = await desk.start("ValidateAndGoLive", desk.images())
    await desk.until(run, lambda progress: bool(progress.steps))
    await run.signal("reject_go_live", {"reason": "wrong kernel"})

    assert (await failure_of(run)).type == "GoLiveRejected"


async def test_an_approval_is_void_if_the_offer_is_published_again_before_go_live_is_requested(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images())
    await desk.until_asked(run)
    for _ in range(6):  # hold up the run between the approval and its request to go live
        await desk.fault("list_operations", {"kind": "respond", "status": 503, "headers": {"Retry-After": "600"}})
    await run.signal("approve_go_live", {"approver": "dana"})
    await desk.stranger("edit", version="4.2.5")
    await desk.stranger("publish")
    await desk.let_publish()
    await desk.until(run, lambda progress: bool(progress.approval and progress.approval.reopened))

    assert await desk.effects("go_live") == 0
    await run.signal("approve_go_live", {"approver": "lee"})
    result = await run.result()
    assert result.approved_by == "lee"
    assert numbers(result.images) == ["4.2.0", "4.2.5"]


@ONE_API
async def test_the_time_to_decide_counts_from_the_moment_the_run_asks(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.fault("read_slot", {"kind": "respond", "status": 503, "headers": {"Retry-After": "600"}}, times=9)
    run = await desk.start("ValidateAndGoLive", desk.images(approval={"timeout": "PT30M"}))
    asked = await desk.until(run, lambda progress: progress.stage == "awaiting_approval", minutes=300)

    assert asked.approval is not None
    assert asked.approval.until is not None
    assert asked.approval.until - asked.since >= timedelta(minutes=29)
    await run.signal("approve_go_live")
    assert (await run.result()).outcome == "live"
