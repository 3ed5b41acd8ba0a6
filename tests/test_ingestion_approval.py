"""With the Product Ingestion API, an approval shows and covers everything that going live changes."""

from typing import Any

import pytest

from tests.desk import PLAN, Desk, numbers, progress_of

pytestmark = pytest.mark.only("product-ingestion", "the other API compares previews by their images only")

POLLING = {"min_interval": "PT20M", "max_interval": "PT30M"}
ROOM_FOR_TWO: dict[str, Any] = {"when_full": "remove_oldest", "max_versions_per_plan": 2, "polling": POLLING}


async def test_an_approval_shows_what_is_added_and_deprecated_and_what_else_changes(desk: Desk) -> None:
    await desk.live("4.0.0", "4.1.0")
    await desk.stranger("change", resource="listing", text="New words.")
    update = desk.images("4.2.0", **ROOM_FOR_TWO, foreign_edits="include")
    run = await desk.start("ValidateAndGoLive", update)
    asked = (await desk.until_asked(run)).approval

    assert asked is not None
    assert (numbers(asked.adds), numbers(asked.deprecates), asked.removes) == (["4.2.0"], ["4.0.0"], [])
    [change] = asked.changes
    assert "listing" in change
    assert "description" in change
    await run.signal("approve_go_live")
    result = await run.result()
    assert (result.outcome, numbers(result.deprecated)) == ("live", ["4.0.0"])


async def test_an_approval_says_that_the_offer_goes_live_for_the_first_time(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    asked = (await desk.until_asked(run)).approval

    assert asked is not None
    assert numbers(asked.adds) == ["4.2.0"]
    assert any("for the first time" in change for change in asked.changes)
    await run.terminate()


async def test_an_approval_is_void_if_the_words_of_the_preview_changed_after_it_was_shown(desk: Desk) -> None:
    await desk.live("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.1", polling=POLLING))
    shown = (await desk.until_asked(run)).approval
    await desk.stranger("change", resource="plan-listing", plan_id=PLAN, text="Other words.")
    await desk.stranger("publish")
    await desk.let_publish()
    await run.signal("approve_go_live")
    await desk.until(run, lambda progress: bool(progress.approval and progress.approval.reopened))
    again = (await desk.until_asked(run)).approval

    assert shown is not None
    assert again is not None
    assert shown.changes == []
    assert numbers(again.adds) == numbers(shown.adds) == ["4.2.1"]
    assert any("plan-listing" in change for change in again.changes)
    assert await desk.effects("go_live") == 1
    await run.signal("approve_go_live")
    assert (await run.result()).outcome == "live"
    assert await desk.effects("go_live") == 2


async def test_an_early_approval_promotes_the_latest_preview_although_it_is_shown_late(desk: Desk) -> None:
    await desk.live("4.2.0")
    await desk.put("4.2.0", "4.2.1")
    await desk.publish()
    await desk.let_publish()
    await desk.switch(preview_lag_seconds=3600)
    await desk.stranger("change", resource="listing", text="Other words.")
    await desk.stranger("publish")
    await desk.let_publish()
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.1", polling=POLLING), start_signal="approve_go_live")
    result = await run.result()

    assert result.outcome == "live"
    assert await desk.effects("go_live") == 2
    assert "Other words." in str((await desk.state())["slots"]["Production"])


async def test_a_preview_that_is_published_over_just_before_its_promotion_does_not_go_live(desk: Desk) -> None:
    await desk.live("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.1", polling=POLLING))
    await desk.until_asked(run)
    await desk.fault("go_live", {"kind": "stranger_publish"})
    await run.signal("approve_go_live")
    await desk.until(run, lambda progress: bool(progress.approval and progress.approval.reopened))
    assert await desk.versions("Production") == ["4.2.0"]
    await desk.until_asked(run)
    await run.signal("approve_go_live")
    result = await run.result()

    assert result.outcome == "live"
    assert await desk.kinds() == ["publish", "goLive", "publish", "publish", "goLive"]
    assert result.operation_id == (await desk.state())["operations"][-1]["submission"]
    assert (await progress_of(run)).stage == "live"
