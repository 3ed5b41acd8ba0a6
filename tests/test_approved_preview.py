"""What goes live is the preview that was approved, whatever others do to it meanwhile."""

from datetime import timedelta

import pytest

from tests.desk import STEPS, Desk, failure_of, numbers, progress_of


async def test_without_images_what_the_preview_holds_is_promoted_and_listed(desk: Desk) -> None:
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


async def test_without_images_the_preview_at_the_time_of_the_approval_is_meant(desk: Desk) -> None:
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


async def test_without_images_and_with_nothing_to_promote_the_run_says_so(desk: Desk) -> None:
    await desk.put("4.2.0")
    error = await desk.failure("ValidateAndGoLive", desk.images())
    assert error.type == "MarketplaceError"
    assert "nothing waits for sign-off" in error.message

    await desk.preview("4.2.0")
    await desk.stranger("go_live")
    await desk.let_publish()
    result = await desk.run("ValidateAndGoLive", desk.images())
    assert (result.outcome, result.changed, result.images) == ("live", False, [])


async def test_without_images_what_is_being_published_is_not_cancelled(desk: Desk) -> None:
    await desk.put("4.2.0")
    await desk.publish()
    error = await desk.failure("ValidateAndGoLive", desk.images(if_publishing="cancel"))

    assert error.type == "InvalidInput"
    assert "if_publishing: cancel needs images" in error.message
    assert await desk.operations() == [("publish", None)]


async def test_an_approval_of_no_images_before_there_is_a_preview_is_asked_for_again(desk: Desk) -> None:
    await desk.put("4.2.0")
    await desk.publish()
    run = await desk.start("ValidateAndGoLive", desk.images(), start_signal="approve_go_live")
    asked = await desk.until_asked(run)

    assert asked.approval is not None
    assert asked.approval.reopened == "it was given before there was a preview to approve"
    await run.signal("approve_go_live", {"approver": "dana"})
    result = await run.result()
    assert (result.outcome, result.approved_by) == ("live", "dana")
    assert numbers(result.images) == ["4.2.0"]


async def test_an_approval_of_no_images_while_they_are_being_published_is_asked_for_again(desk: Desk) -> None:
    await desk.put("4.2.0")
    await desk.publish()
    run = await desk.start("ValidateAndGoLive", desk.images())
    await desk.until(run, lambda progress: bool(progress.steps))
    await run.execute_update("decide_go_live", {"approve": True, "approver": "dana"})
    asked = await desk.until_asked(run)

    assert asked.approval is not None
    assert asked.approval.reopened == "it was given before there was a preview to approve"
    assert await desk.effects("go_live") == 0
    await run.signal("approve_go_live", {"approver": "lee"})
    assert (await run.result()).approved_by == "lee"


async def test_a_rejection_of_no_images_while_they_are_being_published_holds(desk: Desk) -> None:
    await desk.put("4.2.0")
    await desk.publish()
    run = await desk.start("ValidateAndGoLive", desk.images())
    await desk.until(run, lambda progress: bool(progress.steps))
    await run.signal("reject_go_live", {"reason": "wrong kernel"})

    assert (await failure_of(run)).type == "GoLiveRejected"


async def test_a_preview_published_again_after_it_was_shown_is_asked_about_again(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    await desk.stranger("edit", version="4.2.5")
    await desk.stranger("publish")
    await run.signal("approve_go_live")
    await desk.until(run, lambda progress: bool(progress.approval and progress.approval.reopened))
    asked = await desk.until_asked(run)

    assert await desk.effects("go_live") == 0
    assert asked.approval is not None
    assert asked.approval.decision is None
    assert "the offer has been published again" in (asked.approval.reopened or "")
    assert numbers(asked.approval.adds) == ["4.2.0", "4.2.5"]
    await run.signal("approve_go_live")
    assert (await run.result()).outcome == "live"
    assert desk.told(run) == ["awaiting_approval", "awaiting_approval", "live"]
    assert await desk.effects("go_live") == 1


async def test_a_preview_published_between_approval_and_go_live_is_asked_about_again(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    await desk.fault("list_operations", {"kind": "stranger_edit", "version": "4.2.5"})
    await desk.fault("list_operations", {"kind": "stranger_publish"})
    await run.signal("approve_go_live")
    await desk.until(run, lambda progress: bool(progress.approval and progress.approval.reopened))
    await desk.until_asked(run)
    await run.signal("approve_go_live")

    assert (await run.result()).outcome == "live"
    assert await desk.effects("go_live") == 1


async def test_a_preview_published_while_the_offer_is_surveyed_is_shown_with_what_it_holds(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.switch(step_durations=dict.fromkeys(STEPS, 0.0))
    await desk.fault("list_operations", {"kind": "stranger_edit", "version": "4.2.5"})
    await desk.fault("list_operations", {"kind": "stranger_publish"})
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    asked = await desk.until_asked(run)

    assert asked.approval is not None
    assert numbers(asked.approval.adds) == ["4.2.0", "4.2.5"]
    await run.signal("approve_go_live")
    assert (await run.result()).outcome == "live"


async def test_an_approval_of_a_shown_preview_does_not_hold_for_the_one_seen_meanwhile(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    await desk.stranger("edit", version="4.2.5")
    await desk.stranger("publish")
    await run.signal("check_now")
    await desk.until(run, lambda progress: "which is running on the offer" in (progress.waiting_for or ""))
    await run.signal("approve_go_live")
    asked = await desk.until_asked(run)

    assert asked.approval is not None
    assert asked.approval.reopened == "the offer has been published again since"
    assert await desk.effects("go_live") == 0
    await run.signal("approve_go_live")
    assert (await run.result()).outcome == "live"


async def test_approval_that_is_asked_for_again_has_its_whole_time_again(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0", approval={"timeout": "PT15M"}))
    first = await desk.until_asked(run)
    await desk.stranger("edit", version="4.2.5")
    await desk.stranger("publish")
    await run.signal("approve_go_live")
    await desk.until(run, lambda progress: bool(progress.approval and progress.approval.reopened))
    second = await desk.until_asked(run)

    assert first.approval is not None
    assert second.approval is not None
    assert first.approval.until is not None
    assert second.approval.until is not None
    assert second.approval.until > first.approval.until
    await run.signal("approve_go_live")
    assert (await run.result()).outcome == "live"


async def test_an_early_approval_holds_when_somebody_else_publishes_the_images(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.fault("list_operations", {"kind": "stranger_edit", "version": "4.2.5"}, after=1)
    await desk.fault("list_operations", {"kind": "stranger_publish"}, after=1)
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"), start_signal="approve_go_live")

    assert (await run.result()).outcome == "live"
    assert await desk.effects("go_live") == 1
    assert any("the offer has been published again" in note for note in (await progress_of(run)).notes)


async def test_a_go_live_of_a_preview_that_nobody_approved_here_is_not_taken_for_the_approved_one(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    await desk.stranger("edit", "publish", version="4.2.5")
    await desk.let_publish()
    await desk.stranger("go_live")
    await run.signal("approve_go_live", {"approver": "dana"})
    result = await run.result()

    assert (result.outcome, result.changed, result.approved_by) == ("live", False, None)
    assert await desk.effects("go_live") == 0
    assert any("somebody else has gone live since" in note for note in (await progress_of(run)).notes)


async def test_check_now_notices_that_somebody_else_went_live(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    await desk.stranger("go_live")
    await desk.let_publish()
    await run.signal("check_now")
    result = await run.result()

    assert (result.outcome, result.changed, result.approved_by) == ("live", False, None)
    assert await desk.effects("go_live") == 0
    assert desk.told(run) == ["awaiting_approval"]


async def test_check_now_without_news_keeps_asking_and_tells_nobody_twice(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    for _ in range(3):
        await run.signal("check_now")
        asked = await desk.until_asked(run)
    assert asked.waiting_for is not None
    await run.signal("approve_go_live")
    await run.result()
    assert desk.told(run) == ["awaiting_approval", "live"]


async def test_somebody_elses_go_live_is_waited_for(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.stranger("go_live")
    result = await desk.run("ValidateAndGoLive", desk.images("4.2.0"))

    assert (result.outcome, result.changed) == ("live", False)
    assert await desk.effects("go_live") == 0


async def test_what_was_not_shown_for_approval_does_not_go_live(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.switch(preview_lag_seconds=3600)
    await desk.stranger("edit", version="4.2.5")
    await desk.stranger("publish")
    await desk.let_publish()
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    asked = await desk.until_asked(run)
    assert asked.approval is not None
    assert numbers(asked.approval.adds) == ["4.2.0"]

    await desk.temporal.sleep(timedelta(hours=1))
    await run.signal("approve_go_live")
    await desk.until(run, lambda progress: bool(progress.approval and progress.approval.reopened))
    again = await desk.until_asked(run)

    assert again.approval is not None
    assert "4.2.5" in (again.approval.reopened or "")
    assert numbers(again.approval.adds) == ["4.2.0", "4.2.5"]
    assert await desk.effects("go_live") == 0
    await run.signal("approve_go_live")
    assert (await run.result()).outcome == "live"


async def test_a_preview_that_was_published_after_the_approval_is_asked_for_anew(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images())
    await desk.until_asked(run)
    for _ in range(6):
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


@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive"])
async def test_the_steps_of_a_preview_that_was_ready_already_are_shown(desk: Desk, workflow: str) -> None:
    await desk.preview("4.2.0")
    run = await desk.start(workflow, desk.images("4.2.0"))
    if workflow == "ValidateAndGoLive":
        progress = await desk.until_asked(run)
        await run.terminate()
    else:
        await run.result()
        progress = await progress_of(run)

    assert progress.operation is not None
    assert (progress.operation.state, progress.operation.ours) == ("preview", False)
    step = next(step for step in progress.steps if step.name == desk.api.first_step)
    assert step.state == "complete"
