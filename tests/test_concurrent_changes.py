"""Other clients edit, publish, cancel or go live between two requests of a run. No image is lost or sent twice."""

from typing import Any

import pytest

from tests.desk import Desk, progress_of

POLLING = {"min_interval": "PT20M", "max_interval": "PT30M"}
UNATTENDED: dict[str, Any] = {"approval": {"required": False}, "polling": POLLING}
NO_CONDITIONAL_WRITES = "the other API has no conditional writes: an edit just before a write is overwritten"


@pytest.mark.only("cloud-partner", NO_CONDITIONAL_WRITES)
async def test_an_edit_between_our_read_and_our_write_is_kept(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.fault("put_offer", {"kind": "stranger_edit", "version": "4.2.1"})
    result = await desk.run("UpdateOfferAndPublish", desk.images("4.3.0", polling=POLLING))

    assert result.outcome == "preview"
    assert await desk.versions("Preview") == ["4.2.0", "4.2.1", "4.3.0"]
    assert await desk.effects("put_offer") == 2
    assert await desk.effects("publish") == 2


async def test_an_edit_that_overwrites_ours_is_noticed_without_etags(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.switch(etag_on_get=False)
    await desk.fault("put_offer", {"kind": "stranger_edit", "version": "4.3.1", "when": "after"})
    result = await desk.run("UpdateOfferAndPublish", desk.images("4.3.0", polling=POLLING))

    assert result.outcome == "preview"
    assert await desk.versions("Preview") == ["4.2.0", "4.3.0", "4.3.1"]


@pytest.mark.only("cloud-partner", NO_CONDITIONAL_WRITES)
async def test_a_write_succeeds_after_seven_others_came_first(desk: Desk) -> None:
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
async def test_an_edit_at_any_moment_loses_no_image(desk: Desk, call: str) -> None:
    await desk.preview("4.2.0")
    await desk.fault(call, {"kind": "stranger_edit", "version": "4.2.1"})
    result = await desk.run("ValidateAndGoLive", desk.images("4.3.0", **UNATTENDED))

    assert result.outcome == "live"
    assert sorted(await desk.versions("Draft")) == ["4.2.0", "4.2.1", "4.3.0"]
    assert "4.3.0" in await desk.versions("Production")
    assert await desk.effects("publish") == 2
    assert await desk.effects("go_live") == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["put_offer", "publish"])
async def test_a_publish_by_another_client_is_joined_or_waited_for(desk: Desk, call: str, when: str) -> None:
    await desk.preview("4.2.0")
    await desk.fault(call, {"kind": "stranger_publish", "when": when})
    result = await desk.run("ValidateAndGoLive", desk.images("4.3.0", **UNATTENDED))

    assert result.outcome == "live"
    assert await desk.versions("Production") == ["4.2.0", "4.3.0"]
    assert (await desk.kinds()).count("publish") <= 3
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
    assert await desk.kinds() == ["publish", "goLive", "publish", "publish"]


@pytest.mark.parametrize(
    "action", [{"kind": "drop", "when": "after"}, {"kind": "respond_after", "status": 503}], ids=["dropped", "503"]
)
async def test_a_publish_by_another_client_after_our_write_whose_answer_was_lost_is_joined_and_not_ours(
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


async def test_a_preview_that_another_client_promotes_first_is_not_promoted_again(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.fault("go_live", {"kind": "stranger_go_live"})
    result = await desk.run("ValidateAndGoLive", desk.images("4.2.0", **UNATTENDED))

    assert result.outcome == "live"
    assert await desk.effects("go_live") == 0
    assert await desk.kinds() == ["publish", "goLive"]


async def test_a_promotion_by_another_client_before_ours_is_sent_is_waited_for(desk: Desk) -> None:
    await desk.preview("4.2.0")
    # The survey lists the operations once. The second list is the last look before the request.
    await desk.fault("list_operations", {"kind": "stranger_go_live"}, after=1)
    result = await desk.run("ValidateAndGoLive", desk.images("4.2.0", **UNATTENDED))

    assert result.outcome == "live"
    assert await desk.effects("go_live") == 0


@pytest.mark.parametrize("status", [409, 429])
async def test_a_promotion_by_another_client_after_ours_was_turned_away_does_not_count_as_ours(
    desk: Desk, status: int
) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    await desk.fault("go_live", {"kind": "respond", "status": status})
    # The next list is the last look before the request. The list after it is that of the next attempt.
    await desk.fault("list_operations", {"kind": "stranger_go_live"}, after=1 + (status == 409))
    await run.signal("approve_go_live", {"approver": "dana"})
    result = await run.result()

    assert (result.outcome, result.changed, result.approved_by) == ("live", False, None)
    assert await desk.effects("go_live") == 0


async def test_a_promotion_by_another_client_before_the_run_starts_is_waited_for(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.stranger("go_live")
    result = await desk.run("ValidateAndGoLive", desk.images("4.2.0"))

    assert (result.outcome, result.changed) == ("live", False)
    assert await desk.effects("go_live") == 0


async def test_check_now_finds_a_promotion_by_another_client_while_the_run_awaits_approval(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    await desk.stranger("go_live")
    await desk.let_publish()
    await run.signal("check_now")
    result = await run.result()

    assert (result.outcome, result.changed, result.approved_by) == ("live", False, None)
    assert await desk.effects("go_live") == 0
    assert desk.notified(run) == ["awaiting_approval"]


async def test_a_promotion_of_another_preview_does_not_count_as_approved_by_ours(desk: Desk) -> None:
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


async def test_a_preview_that_is_cancelled_just_before_its_promotion_is_published_again(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.fault("go_live", {"kind": "stranger_cancel"})
    result = await desk.run("ValidateAndGoLive", desk.images("4.2.0", **UNATTENDED))

    assert result.outcome == "live"
    assert await desk.effects("publish") == 2
    assert await desk.effects("go_live") == 1


@pytest.mark.only("cloud-partner", "there a preview that waits for sign-off is an operation that runs")
@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive"])
async def test_a_preview_that_is_being_cancelled_is_waited_for(desk: Desk, workflow: str) -> None:
    await desk.preview("4.2.0")
    await desk.switch(cancel_async=True, cancel_seconds=7200)
    await desk.stranger("cancel")
    unattended = UNATTENDED if workflow == "ValidateAndGoLive" else {"polling": POLLING}
    result = await desk.run(workflow, desk.images("4.2.0", "4.2.1", **unattended))

    assert result.outcome == ("live" if workflow == "ValidateAndGoLive" else "preview")
    assert (await desk.operations())[0] == ("publish", "canceled")
    assert await desk.effects("publish") == 2
    assert await desk.versions("Preview") == ["4.2.0", "4.2.1"]


@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive"])
@pytest.mark.parametrize(
    "switches",
    [
        pytest.param({"cancel_async": True, "cancel_has_own_operation": True}, id="listed as a separate operation"),
        pytest.param(
            {"sign_off_by": "operation_completed"},
            id="after the operation ended at sign-off",
            marks=pytest.mark.only("cloud-partner", "with the other API it always ends there"),
        ),
    ],
)
async def test_a_cancelled_preview_is_published_again(desk: Desk, switches: dict[str, object], workflow: str) -> None:
    await desk.switch(**switches)
    await desk.preview("4.2.0")
    await desk.stranger("cancel")
    await desk.let_publish()
    unattended = UNATTENDED if workflow == "ValidateAndGoLive" else {"polling": POLLING}
    result = await desk.run(workflow, desk.images("4.2.0", **unattended))

    assert result.outcome == ("live" if workflow == "ValidateAndGoLive" else "preview")
    assert result.changed
    assert await desk.effects("publish") == 2


async def test_a_preview_that_is_replaced_just_before_its_promotion_is_followed_and_promoted(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.fault("go_live", {"kind": "stranger_edit", "version": "4.2.1"})
    await desk.fault("go_live", {"kind": "stranger_publish"})
    result = await desk.run("ValidateAndGoLive", desk.images("4.2.0", **UNATTENDED))

    assert result.outcome == "live"
    assert await desk.effects("go_live") == 1
    assert await desk.versions("Draft") == ["4.2.0", "4.2.1"]


async def test_two_releases_of_another_client_and_ours_all_reach_production(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.stranger("edit", version="4.2.1")
    await desk.stranger("publish")
    await desk.stranger("edit", version="4.2.2")
    result = await desk.run("ValidateAndGoLive", desk.images("4.3.0", **UNATTENDED))

    assert result.outcome == "live"
    assert await desk.versions("Production") == ["4.2.0", "4.2.1", "4.2.2", "4.3.0"]
    assert await desk.effects("publish") == 2
