"""Which notifications a run posts to the webhook, and when."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.desk import Desk, Run, failure_of, progress_of
from workflows import calls, people

DANA, LEE = "dana@fabrikam.example", "lee@fabrikam.example"


@pytest.fixture(autouse=True)
async def answers_again(desk: Desk) -> AsyncIterator[None]:
    """A webhook that was away in a test is back after it."""
    yield
    desk.webhook.status = 200


def notifications(desk: Desk, run: Run, event: str) -> list[dict[str, Any]]:
    return [body for body in desk.webhook.bodies if (body["workflow_id"], body["event"]) == (run.id, event)]


async def test_who_is_asked_reads_what_going_live_does_and_the_command_that_approves(desk: Desk) -> None:
    await desk.live("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.1", approval={"approvers": [DANA, LEE]}))
    asked = await desk.until_asked(run)

    [body] = notifications(desk, run, "awaiting_approval")
    assert {(image["plan_id"], image["version"]) for image in body["adds"]} == {("webstack-lts", "4.2.1")}
    assert (body["removes"], body["deprecates"], body["changes"]) == ([], [], [])
    assert (body["approvers"], body["reminder"], body["approved_by"]) == ([DANA, LEE], 0, None)
    assert asked.approval is not None
    assert asked.approval.until == datetime.fromisoformat(body["until"])
    assert body["command"] == (
        f"temporal workflow update execute --workflow-id {run.id} --name decide_go_live"
        f' --input \'{{"approve": true, "approver": "{DANA}"}}\''
    )
    await run.signal("approve_go_live", {"approver": LEE})
    await run.result()


async def test_the_notification_of_a_live_offer_names_the_approver(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    await run.execute_update("decide_go_live", {"approve": True, "approver": DANA})
    await run.result()

    [body] = notifications(desk, run, "live")
    assert body["approved_by"] == DANA
    assert f"is live, approved by {DANA}: webstack-lts 4.2.0" in body["text"]
    assert {(image["plan_id"], image["version"]) for image in body["adds"]} == {("webstack-lts", "4.2.0")}
    assert body["command"] is None


async def test_people_are_reminded_halfway_and_shortly_before_the_approval_times_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    when: list[datetime] = []
    post = desk.webhook.post

    async def noted(body: str) -> int | None:
        when.append(await desk.temporal.get_current_time())
        return await post(body)

    monkeypatch.setattr(desk.webhook, "post", noted)
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0", approval={"timeout": "P14D"}))
    await desk.until_asked(run)
    assert (await failure_of(run)).type == "ApprovalTimedOut"

    assert desk.told(run) == ["awaiting_approval", "awaiting_approval", "awaiting_approval", "failed"]
    assert [body["reminder"] for body in notifications(desk, run, "awaiting_approval")] == [0, 1, 2]
    days = [round((moment - when[0]) / timedelta(days=1), 2) for moment in when]
    assert days == [0, 7, 13, 14]
    assert "still waits" in notifications(desk, run, "awaiting_approval")[2]["text"]


async def test_nobody_is_reminded_of_what_was_decided(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    await desk.temporal.sleep(timedelta(days=8))
    await run.signal("check_now")
    await desk.temporal.sleep(timedelta(days=1))
    await run.signal("approve_go_live")
    await run.result()

    assert desk.told(run) == ["awaiting_approval", "awaiting_approval", "live"]


async def test_what_is_approved_again_is_reminded_of_again(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    await desk.temporal.sleep(timedelta(days=8))
    await desk.stranger("edit", version="4.2.5")
    await desk.stranger("publish")
    await desk.let_publish()
    await run.signal("approve_go_live")
    await desk.until(run, lambda progress: bool(progress.approval and progress.approval.reopened))
    await desk.temporal.sleep(timedelta(days=8))
    await run.signal("approve_go_live")
    await run.result()

    assert [body["reminder"] for body in notifications(desk, run, "awaiting_approval")] == [0, 1, 0, 1]


async def test_what_the_webhook_refuses_for_good_is_tried_once(desk: Desk) -> None:
    await desk.preview("4.2.0")
    desk.webhook.status = 404
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"), start_signal="approve_go_live")
    await run.result()

    assert (await progress_of(run)).notes == ["nobody was notified: NotificationFailed: the webhook answered 404"]


async def test_the_run_that_tries_for_days_cannot_be_started_by_itself(desk: Desk) -> None:
    notification = {"event": "live", "text": "All is well.", "workflow_id": "nonesuch", "run_id": "nonesuch"}
    error = await desk.failure("Notify", notification)

    assert error.type == "InvalidInput"
    assert not [body for body in desk.webhook.bodies if body["workflow_id"] == "nonesuch"]


def test_a_notification_is_retried_for_days_at_least_every_hour() -> None:
    retries = calls.NOTIFY_FOR_DAYS["retry_policy"]

    assert timedelta(days=2) <= people.FOR_DAYS
    assert retries is not None
    assert retries.maximum_attempts == 0
    assert retries.maximum_interval is not None
    assert retries.maximum_interval <= timedelta(hours=1)
