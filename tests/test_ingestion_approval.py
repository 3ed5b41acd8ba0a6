"""What people approve with the Product Ingestion API is all that going live changes, and nothing else goes live."""

from typing import Any

import pytest

from tests.desk import PLAN, Desk, numbers, progress_of

pytestmark = pytest.mark.only("product-ingestion", "the other API identifies a preview by its images")

POLLING = {"min_interval": "PT20M", "max_interval": "PT30M"}
ROOM_FOR_TWO: dict[str, Any] = {"when_full": "remove_oldest", "max_versions_per_plan": 2, "polling": POLLING}


async def test_the_approval_shows_what_is_added_deprecated_and_changed_otherwise(desk: Desk) -> None:
    await desk.live("4.0.0", "4.1.0")
    await desk.stranger("change", resource="listing", text="A whole thought.")
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


async def test_a_first_go_live_is_shown_as_one(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    asked = (await desk.until_asked(run)).approval

    assert asked is not None
    assert numbers(asked.adds) == ["4.2.0"]
    assert any("for the first time" in change for change in asked.changes)
    await run.terminate()


async def test_a_preview_that_says_something_else_than_was_shown_is_asked_about_again(desk: Desk) -> None:
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
    assert any("plan-listing" in change or "listing" in change for change in again.changes)
    assert await desk.effects("go_live") == 1
    await run.signal("approve_go_live")
    assert (await run.result()).outcome == "live"
    assert await desk.effects("go_live") == 2


async def test_a_preview_that_is_shown_late_is_not_approved_by_what_was_shown_before(desk: Desk) -> None:
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


async def test_a_preview_published_over_just_before_it_is_promoted_stays_where_it_is(desk: Desk) -> None:
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
