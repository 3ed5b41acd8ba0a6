"""Others edit, publish, cancel or go live between two requests of a run. No image is lost or sent twice."""

from typing import Any

import pytest

from tests.desk import Desk

POLLING = {"min_interval": "PT20M", "max_interval": "PT30M"}
NO_APPROVAL: dict[str, Any] = {"approval": {"required": False}, "polling": POLLING}


NO_CONDITIONAL_WRITES = "the other API has no conditional writes: what comes just before one is overwritten"


@pytest.mark.only("cloud-partner", NO_CONDITIONAL_WRITES)
async def test_an_edit_between_our_read_and_our_write_is_kept(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.fault("put_offer", {"kind": "stranger_edit", "version": "4.2.1"})
    result = await desk.run("UpdateOfferAndPublish", desk.images("4.3.0", polling=POLLING))

    assert result.outcome == "preview"
    assert await desk.versions("Preview") == ["4.2.0", "4.2.1", "4.3.0"]
    assert await desk.effects("put_offer") == 2
    assert await desk.effects("publish") == 2


async def test_an_edit_that_overwrites_ours_is_found_where_there_is_no_etag(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.switch(etag_on_get=False)
    await desk.fault("put_offer", {"kind": "stranger_edit", "version": "4.3.1", "when": "after"})
    result = await desk.run("UpdateOfferAndPublish", desk.images("4.3.0", polling=POLLING))

    assert result.outcome == "preview"
    assert await desk.versions("Preview") == ["4.2.0", "4.3.0", "4.3.1"]


@pytest.mark.only("cloud-partner", NO_CONDITIONAL_WRITES)
async def test_a_draft_that_others_write_all_the_time_is_written_in_the_end(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.switch(version_limit=0)
    for number in range(1, 8):
        await desk.fault("put_offer", {"kind": "stranger_edit", "version": f"4.2.{number}"})
    result = await desk.run("UpdateOfferAndPublish", desk.images("4.3.0", polling=POLLING, max_versions_per_plan=0))

    assert result.outcome == "preview"
    assert len(await desk.versions("Preview")) == 9
    assert await desk.effects("publish") == 2


@pytest.mark.parametrize(
    "call",
    [
        pytest.param("put_offer", marks=pytest.mark.only("cloud-partner", NO_CONDITIONAL_WRITES)),
        *("publish", "look", "list_operations", "read_slot"),
    ],
)
async def test_an_edit_at_any_moment_loses_nobodys_image(desk: Desk, call: str) -> None:
    await desk.preview("4.2.0")
    await desk.fault(call, {"kind": "stranger_edit", "version": "4.2.1"})
    result = await desk.run("ValidateAndGoLive", desk.images("4.3.0", **NO_APPROVAL))

    assert result.outcome == "live"
    assert sorted(await desk.versions("Draft")) == ["4.2.0", "4.2.1", "4.3.0"]
    assert "4.3.0" in await desk.versions("Production")
    assert await desk.effects("publish") == 2
    assert await desk.effects("go_live") == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["put_offer", "publish"])
async def test_a_publish_by_somebody_else_is_joined_or_waited_for(desk: Desk, call: str, when: str) -> None:
    await desk.preview("4.2.0")
    await desk.fault(call, {"kind": "stranger_publish", "when": when})
    result = await desk.run("ValidateAndGoLive", desk.images("4.3.0", **NO_APPROVAL))

    assert result.outcome == "live"
    assert await desk.versions("Production") == ["4.2.0", "4.3.0"]
    publishes = [kind for kind, _ in await desk.operations() if kind == "publish"]
    assert len(publishes) <= 3
    assert await desk.effects("publish") <= 2
    assert await desk.effects("go_live") == 1


@pytest.mark.parametrize("workflow", ["CreateOfferAndPublish", "UpdateOfferAndPublish"])
async def test_a_publish_of_the_old_draft_during_our_write_is_not_taken_for_ours(desk: Desk, workflow: str) -> None:
    await desk.live("4.2.0")
    await desk.fault("put_offer", {"kind": "stranger_publish"})
    await desk.fault("publish", {"kind": "respond", "status": 503})
    start = desk.images("4.3.0", polling=POLLING, deadline="P2D")
    if workflow == "CreateOfferAndPublish":
        start = desk.create("4.2.0", "4.3.0", if_exists="replace", polling=POLLING, deadline="P2D")
    result = await desk.run(workflow, start)

    assert result.operation_id == (await desk.state())["operations"][-1]["id"]
    assert await desk.versions("Preview") == ["4.2.0", "4.3.0"]
    assert [kind for kind, _ in await desk.operations()] == ["publish", "goLive", "publish", "publish"]


@pytest.mark.parametrize("action", [{"kind": "drop", "when": "after"}, {"kind": "respond_after", "status": 503}])
async def test_a_publish_of_our_draft_after_a_write_whose_answer_was_lost_is_joined_and_not_ours(
    desk: Desk, action: dict[str, object]
) -> None:
    await desk.live("4.2.0")
    await desk.fault("put_offer", {"kind": "stranger_publish", "when": "after"})
    await desk.fault("put_offer", action)
    await desk.fault("publish", {"kind": "respond", "status": 503})
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.3.0", polling=POLLING))
    followed = await desk.until(run, lambda progress: bool(progress.steps))

    assert followed.operation is not None
    assert not followed.operation.ours
    assert (await run.result()).outcome == "preview"
    assert await desk.versions("Preview") == ["4.2.0", "4.3.0"]
    assert await desk.effects("publish") == 1


async def test_a_preview_that_somebody_else_promotes_first_is_followed_and_not_promoted_again(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.fault("go_live", {"kind": "stranger_go_live"})
    result = await desk.run("ValidateAndGoLive", desk.images("4.2.0", **NO_APPROVAL))

    assert result.outcome == "live"
    assert await desk.effects("go_live") == 0
    assert [kind for kind, _ in await desk.operations()] == ["publish", "goLive"]


async def test_a_promotion_by_somebody_else_before_ours_is_sent_is_waited_for(desk: Desk) -> None:
    await desk.preview("4.2.0")
    # Surveys list once; the list before the request is the second.
    await desk.fault("list_operations", {"kind": "stranger_go_live"}, after=1)
    result = await desk.run("ValidateAndGoLive", desk.images("4.2.0", **NO_APPROVAL))

    assert result.outcome == "live"
    assert await desk.effects("go_live") == 0


async def test_a_preview_that_somebody_cancels_before_it_is_promoted_is_published_again(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.fault("go_live", {"kind": "stranger_cancel"})
    result = await desk.run("ValidateAndGoLive", desk.images("4.2.0", **NO_APPROVAL))

    assert result.outcome == "live"
    assert await desk.effects("publish") == 2
    assert await desk.effects("go_live") == 1


@pytest.mark.only("cloud-partner", "there a preview that waits for sign-off is an operation that runs")
@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive"])
async def test_a_preview_that_somebody_is_cancelling_is_in_the_way_until_it_is_cancelled(
    desk: Desk, workflow: str
) -> None:
    await desk.preview("4.2.0")
    await desk.switch(cancel_async=True, cancel_seconds=7200)
    await desk.stranger("cancel")
    unattended = NO_APPROVAL if workflow == "ValidateAndGoLive" else {"polling": POLLING}
    result = await desk.run(workflow, desk.images("4.2.0", "4.2.1", **unattended))

    assert result.outcome == ("live" if workflow == "ValidateAndGoLive" else "preview")
    assert (await desk.operations())[0] == ("publish", "canceled")
    assert await desk.effects("publish") == 2
    assert await desk.versions("Preview") == ["4.2.0", "4.2.1"]


CANCELED: dict[str, dict[str, object]] = {
    "listed as a separate operation": {"cancel_async": True, "cancel_has_own_operation": True},
    "though sign-off ended the operation": {"sign_off_by": "operation_completed"},
}


@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive"])
@pytest.mark.parametrize("switches", CANCELED.values(), ids=CANCELED)
async def test_a_preview_that_somebody_has_cancelled_is_published_again(
    desk: Desk, switches: dict[str, object], workflow: str
) -> None:
    await desk.switch(**switches)
    await desk.preview("4.2.0")
    await desk.stranger("cancel")
    await desk.let_publish()
    unattended = NO_APPROVAL if workflow == "ValidateAndGoLive" else {"polling": POLLING}
    result = await desk.run(workflow, desk.images("4.2.0", **unattended))

    assert result.outcome == ("live" if workflow == "ValidateAndGoLive" else "preview")
    assert result.changed
    assert await desk.effects("publish") == 2


async def test_a_preview_replaced_by_a_stranger_before_it_is_promoted_is_brought_up_again(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.fault("go_live", {"kind": "stranger_edit", "version": "4.2.1"})
    await desk.fault("go_live", {"kind": "stranger_publish"})
    result = await desk.run("ValidateAndGoLive", desk.images("4.2.0", **NO_APPROVAL))

    assert result.outcome == "live"
    assert await desk.effects("go_live") == 1
    assert await desk.versions("Draft") == ["4.2.0", "4.2.1"]


async def test_two_strangers_releases_and_ours_all_reach_production(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.stranger("edit", version="4.2.1")
    await desk.stranger("publish")
    await desk.stranger("edit", version="4.2.2")
    result = await desk.run("ValidateAndGoLive", desk.images("4.3.0", **NO_APPROVAL))

    assert result.outcome == "live"
    assert await desk.versions("Production") == ["4.2.0", "4.2.1", "4.2.2", "4.3.0"]
    assert await desk.effects("publish") == 2
