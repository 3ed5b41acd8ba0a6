"""An operation is followed until it settles, whoever started it."""

import time
from datetime import timedelta

import pytest

from tests.desk import Desk, failure_of, progress_of
from workflows.calls import START

POLLING = {"min_interval": "PT20M", "max_interval": "PT30M"}
ONE_API = pytest.mark.only("cloud-partner", "the API makes no difference to how an activity takes its first look")


@pytest.mark.parametrize("wait", [True, False], ids=["wait", "one look"])
async def test_an_offer_that_was_never_published_ends_the_run_with_that_outcome(desk: Desk, *, wait: bool) -> None:
    await desk.put("4.2.0")
    result = await desk.run("CheckLastOperationStatus", desk.check(wait=wait))
    assert (result.outcome, result.operation_id) == ("never_published", None)


async def test_one_look_returns_the_state_of_the_last_operation(desk: Desk) -> None:
    await desk.put("4.2.0")
    await desk.publish()
    running = await desk.run("CheckLastOperationStatus", desk.check(wait=False))
    await desk.let_publish()
    preview = await desk.run("CheckLastOperationStatus", desk.check(wait=False))
    await desk.stranger("go_live")
    going_live = await desk.run("CheckLastOperationStatus", desk.check(wait=False))
    await desk.let_publish()
    live = await desk.run("CheckLastOperationStatus", desk.check(wait=False))

    assert [each.outcome for each in (running, preview, going_live, live)] == [
        "running",
        "preview",
        "running",
        "live",
    ]
    assert running.operation_id == preview.operation_id
    assert going_live.operation_id == live.operation_id


async def test_a_publish_and_a_go_live_of_another_client_are_followed_to_their_ends(desk: Desk) -> None:
    await desk.put("4.2.0")
    await desk.publish()
    preview = await desk.run("CheckLastOperationStatus", desk.check())
    await desk.stranger("go_live")
    live = await desk.run("CheckLastOperationStatus", desk.check())
    assert (preview.outcome, live.outcome) == ("preview", "live")


async def test_an_operation_that_fails_or_is_cancelled_fails_the_run(desk: Desk) -> None:
    await desk.step("displaycertify", outcome="block", messages=["<p>No <b>agent</b></p>"])
    await desk.put("4.2.0")
    await desk.publish()
    failed = await desk.failure("CheckLastOperationStatus", desk.check())
    await desk.step("displaycertify")
    await desk.publish()
    run = await desk.start("CheckLastOperationStatus", desk.check())
    await desk.until(run, lambda progress: progress.looks > 0)
    await desk.stranger("cancel")
    cancelled = await failure_of(run)

    assert failed.type == "PublishFailed"
    assert desk.per_api("Certification: No agent", "its certification report") in failed.message
    assert cancelled.type == "OperationCanceled"
    assert "cancelled at the marketplace" in cancelled.message


@pytest.mark.only("cloud-partner", "only its documentation has several words for one state")
async def test_an_unknown_status_is_noted_once_and_means_still_running(desk: Desk) -> None:
    await desk.switch(running_word="frobnicating")
    await desk.put("4.2.0")
    await desk.publish()
    run = await desk.start("CheckLastOperationStatus", desk.check())
    result = await run.result()
    progress = await progress_of(run)

    assert result.outcome == "preview"
    assert progress.looks > 3
    assert [note for note in progress.notes if "frobnicating" in note] == [
        "the marketplace uses a status word that is not known here: 'frobnicating'"
    ]


async def test_a_run_says_what_it_is_waiting_for_before_its_first_look_succeeds(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.fault("list_operations", {"kind": "respond", "status": 503}, times=3)
    run = await desk.start("CheckLastOperationStatus", desk.check())
    progress = await progress_of(run)

    assert progress.waiting_for == "the marketplace to show the last operation"
    assert (await run.result()).outcome == "preview"


async def test_the_deadline_ends_the_run_and_the_error_says_what_it_was_waiting_for(desk: Desk) -> None:
    await desk.step("displaycertify", outcome="never")
    await desk.put("4.2.0")
    await desk.publish()
    run = await desk.start("CheckLastOperationStatus", desk.check(deadline="PT5H", polling=POLLING))
    error = await failure_of(run)
    described = await run.describe()

    assert error.type == "OperationTimedOut"
    assert f"it is waiting for {desk.per_api('Certification', 'Publish to preview')} (in progress)" in error.message
    assert described.close_time is not None
    assert abs(described.close_time - described.start_time - timedelta(hours=5)) < timedelta(minutes=1)
    assert await desk.operations() == [("publish", None)]


@pytest.mark.parametrize("workflow", ["CheckLastOperationStatus", "UpdateOfferAndPublish", "ValidateAndGoLive"])
async def test_check_now_cuts_the_wait_short(desk: Desk, workflow: str) -> None:
    polling = {"min_interval": "P1D", "max_interval": "P1D"}
    if workflow == "CheckLastOperationStatus":
        await desk.put("4.2.0")
        await desk.publish()
        start = desk.check(polling=polling)
    else:
        await desk.live("4.2.0")
        start = desk.images("4.2.1", polling=polling)
    run = await desk.start(workflow, start)
    await desk.until(run, lambda progress: bool(progress.steps))
    await desk.let_publish()
    signalled = await desk.temporal.get_current_time()
    await run.signal("check_now")
    if workflow == "ValidateAndGoLive":
        await desk.until_asked(run)
        await run.signal("check_now")
        await run.signal("reject_go_live")
        assert (await failure_of(run)).type == "GoLiveRejected"
    else:
        assert (await run.result()).outcome == "preview"
    closed = (await run.describe()).close_time
    assert closed is not None
    assert closed - signalled < timedelta(minutes=10)


@pytest.mark.only("cloud-partner", "the other API refuses a publish while one runs")
async def test_a_publish_that_a_later_one_replaced_is_followed_through_the_later_one(desk: Desk) -> None:
    await desk.live("4.2.0")
    await desk.switch(second_publish="replace")
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.1"))
    await desk.until(run, lambda progress: bool(progress.steps))
    await desk.stranger("edit", version="4.2.5")
    await desk.stranger("publish")
    result = await run.result()

    assert result.outcome == "preview"
    assert await desk.versions("Preview") == ["4.2.0", "4.2.1", "4.2.5"]
    assert (await desk.operations())[2:] == [("publish", "canceled"), ("publish", None)]
    assert any("Another publish took its place" in note for note in (await progress_of(run)).notes)


@pytest.mark.only("cloud-partner", "the other API refuses a publish while one runs")
async def test_a_run_whose_only_publish_was_replaced_says_that_it_changed_something(desk: Desk) -> None:
    await desk.switch(second_publish="replace")
    await desk.put("4.2.0")
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.0"))
    await desk.until(run, lambda progress: bool(progress.steps))
    await desk.stranger("edit", version="4.2.5")
    await desk.stranger("publish")
    result = await run.result()

    assert (result.outcome, result.changed) == ("preview", True)
    assert await desk.effects("publish") == 1


@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive"])
async def test_the_steps_of_a_publish_that_is_over_already_are_shown(desk: Desk, workflow: str) -> None:
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


async def test_a_publish_succeeds_although_its_first_look_fails(desk: Desk) -> None:
    await desk.live("4.2.0")
    await desk.fault("look", {"kind": "respond", "status": 503}, after=desk.api.looks_at_an_edit)
    result = await desk.run("UpdateOfferAndPublish", desk.images("4.2.1"))

    assert result.outcome == "preview"
    assert await desk.effects("publish") == 2


@ONE_API
async def test_a_slow_first_look_does_not_make_the_publish_time_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(START, "heartbeat_timeout", timedelta(seconds=1))
    monkeypatch.setattr("activities.errors.BEAT_AFTER", timedelta(seconds=0.2))
    await desk.live("4.2.0")
    await desk.fault("look", {"kind": "delay", "seconds": 2}, after=desk.api.looks_at_an_edit)
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.1"))

    assert (await run.result()).outcome == "preview"
    events = (await run.fetch_history()).events
    names = {e.event_id: e.activity_task_scheduled_event_attributes.activity_type.name for e in events}
    started = [e.activity_task_started_event_attributes for e in events]
    assert [each.attempt for each in started if names.get(each.scheduled_event_id) == "publish"] == [1]


@ONE_API
async def test_the_wait_for_a_first_look_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.operations.FIRST_LOOK", timedelta(seconds=0.3))
    await desk.live("4.2.0")
    await desk.fault("look", {"kind": "delay", "seconds": 20}, after=desk.api.looks_at_an_edit)
    began = time.monotonic()

    assert (await desk.run("UpdateOfferAndPublish", desk.images("4.2.1"))).outcome == "preview"
    assert time.monotonic() - began < 15
