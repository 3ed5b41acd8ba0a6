"""An approval is for the preview that was shown. It is void when anything else would go live: the run asks again."""

from datetime import timedelta

from tests.desk import STEPS, Desk, numbers, progress_of


async def test_an_approval_is_void_and_has_its_whole_time_again_if_the_offer_was_published_again(
    desk: Desk,
) -> None:
    await desk.preview("4.2.0")
    # Shorter than the other publish takes.
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0", approval={"timeout": "PT15M"}))
    first = (await desk.until_asked(run)).approval
    await desk.stranger("edit", version="4.2.5")
    await desk.stranger("publish")
    await run.signal("approve_go_live")
    await desk.until(run, lambda progress: bool(progress.approval and progress.approval.reopened))
    second = (await desk.until_asked(run)).approval

    assert await desk.effects("go_live") == 0
    assert first is not None
    assert second is not None
    assert second.decision is None
    assert "the offer has been published again" in (second.reopened or "")
    assert numbers(second.adds) == ["4.2.0", "4.2.5"]
    assert first.until is not None
    assert second.until is not None
    assert second.until > first.until
    await run.signal("approve_go_live")
    assert (await run.result()).outcome == "live"
    assert desk.notified(run) == ["awaiting_approval", "awaiting_approval", "live"]
    assert await desk.effects("go_live") == 1


async def test_an_approval_is_void_if_the_offer_is_published_between_the_approval_and_go_live(desk: Desk) -> None:
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


async def test_an_approval_is_void_if_the_run_has_seen_another_publish_since_it_asked(desk: Desk) -> None:
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


async def test_an_approval_is_void_if_the_preview_has_come_to_hold_more_than_was_shown(desk: Desk) -> None:
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


async def test_a_preview_that_is_published_during_the_survey_is_shown_with_what_it_holds(desk: Desk) -> None:
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


async def test_an_early_approval_of_named_images_stands_when_another_client_publishes_them(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.fault("list_operations", {"kind": "stranger_edit", "version": "4.2.5"}, after=1)
    await desk.fault("list_operations", {"kind": "stranger_publish"}, after=1)
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"), start_signal="approve_go_live")

    assert (await run.result()).outcome == "live"
    assert await desk.effects("go_live") == 1
    assert any("the offer has been published again" in note for note in (await progress_of(run)).notes)
