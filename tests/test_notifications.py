"""The notifications that a run posts to the webhook: which, when, and what happens if the webhook fails."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio import workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.desk import Desk, Run, failure_of, progress_of
from workflows import calls, people
from workflows.messages import PublicationResult

DANA, LEE = "dana@fabrikam.example", "lee@fabrikam.example"

ONE_API = pytest.mark.only("cloud-partner", "the API makes no difference to when and how often people are notified")


@pytest.fixture(autouse=True)
async def webhook_works_again(desk: Desk) -> AsyncIterator[None]:
    """After a test in which the webhook failed, it works for the next test."""
    yield
    desk.webhook.status = 200


def notifications(desk: Desk, run: Run, event: str) -> list[dict[str, Any]]:
    return [body for body in desk.webhook.bodies if (body["workflow_id"], body["event"]) == (run.id, event)]


async def test_the_request_for_approval_says_what_going_live_changes_and_how_to_approve(desk: Desk) -> None:
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
        ' --input \'{"approve": true, "approver": "YOUR NAME"}\''
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


@ONE_API
async def test_people_are_reminded_halfway_and_shortly_before_the_approval_times_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted_at: list[datetime] = []
    post = desk.webhook.post

    async def post_and_keep_the_time(body: str) -> int | None:
        posted_at.append(await desk.temporal.get_current_time())
        return await post(body)

    monkeypatch.setattr(desk.webhook, "post", post_and_keep_the_time)
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0", approval={"timeout": "P14D"}))
    await desk.until_asked(run)
    assert (await failure_of(run)).type == "ApprovalTimedOut"

    assert desk.notified(run) == ["awaiting_approval", "awaiting_approval", "awaiting_approval", "failed"]
    assert [body["reminder"] for body in notifications(desk, run, "awaiting_approval")] == [0, 1, 2]
    days = [round((moment - posted_at[0]) / timedelta(days=1), 2) for moment in posted_at]
    assert days == [0, 7, 13, 14]
    assert "still waits" in notifications(desk, run, "awaiting_approval")[2]["text"]


@ONE_API
async def test_nobody_is_reminded_after_a_decision(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    await desk.temporal.sleep(timedelta(days=8))
    await run.signal("check_now")
    await desk.temporal.sleep(timedelta(days=1))
    await run.signal("approve_go_live")
    await run.result()

    assert desk.notified(run) == ["awaiting_approval", "awaiting_approval", "live"]


@ONE_API
async def test_check_now_without_news_notifies_nobody_again(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    for _ in range(3):
        await run.signal("check_now")
        await desk.until_asked(run)
    await run.signal("approve_go_live")
    await run.result()

    assert desk.notified(run) == ["awaiting_approval", "live"]


@ONE_API
async def test_reminders_start_again_when_approval_is_asked_for_again(desk: Desk) -> None:
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


@ONE_API
async def test_a_notification_that_the_webhook_refuses_is_noted_and_not_retried(desk: Desk) -> None:
    await desk.preview("4.2.0")
    desk.webhook.status = 404
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"), start_signal="approve_go_live")

    assert (await run.result()).outcome == "live"
    assert desk.notified(run) == ["live"]
    assert (await progress_of(run)).notes == ["nobody was notified: NotificationFailed: the webhook answered 404"]


@ONE_API
@pytest.mark.parametrize("status", [500, None], ids=["500", "no answer"])
async def test_a_webhook_that_fails_for_now_does_not_hold_up_the_run(desk: Desk, status: int | None) -> None:
    await desk.preview("4.2.0")
    desk.webhook.status = status
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"), start_signal="approve_go_live")

    assert (await run.result()).outcome == "live"
    assert set(desk.notified(run)) == {"live"}
    assert any("nobody was notified yet" in note for note in (await progress_of(run)).notes)


@workflow.defn
class Release:
    """A user's own workflow: going live is one of its steps."""

    @workflow.run
    async def run(self, start: dict[str, Any], task_queue: str) -> dict[str, Any]:
        result: dict[str, Any] = await workflow.execute_child_workflow(
            "ValidateAndGoLive", start, id=f"{workflow.info().workflow_id}/promotion", task_queue=task_queue
        )
        return result


@ONE_API
@ONE_API
async def test_a_run_that_is_cancelled_while_it_says_that_it_is_live_keeps_its_result(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = calls.call_locally

    async def cancelled_with_the_answer(*call: Any) -> None:
        await post(*call)
        if call[1].event == people.LIVE:
            await workflow.wait_condition(lambda: workflow.cancellation_reason() is not None)

    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0", approval={"required": False}))
    monkeypatch.setattr(people, "call_locally", cancelled_with_the_answer)
    await desk.until(run, lambda _progress: bool(notifications(desk, run, people.LIVE)))
    await run.cancel()

    assert (await run.result()).outcome == "live"
    assert any("nobody may have been notified" in note for note in (await progress_of(run)).notes)


async def test_a_publication_that_is_a_child_of_another_workflow_notifies_too(desk: Desk) -> None:
    await desk.preview("4.2.0")
    client, name = desk.temporal.client, f"{desk.publisher}/release"
    async with Worker(client, task_queue=name, workflows=[Release], workflow_runner=UnsandboxedWorkflowRunner()):
        release = await client.start_workflow(
            "Release", args=[desk.images("4.2.0"), desk.task_queue], id=name, task_queue=name
        )
        promotion = client.get_workflow_handle(f"{name}/promotion", result_type=PublicationResult)
        await desk.temporal.sleep(timedelta(minutes=1))
        await desk.until_asked(promotion)
        await promotion.signal("approve_go_live")
        assert (await release.result())["outcome"] == "live"

    assert desk.notified(promotion) == ["awaiting_approval", "live"]


@ONE_API
async def test_a_user_cannot_start_the_run_that_posts_for_days(desk: Desk) -> None:
    notification = {"event": "live", "text": "All is well.", "workflow_id": "no-such-run", "run_id": "no-such-run"}
    error = await desk.failure("Notify", notification)

    assert error.type == "InvalidInput"
    assert not [body for body in desk.webhook.bodies if body["workflow_id"] == "no-such-run"]


def test_a_failing_notification_is_retried_at_least_every_hour_for_two_days_or_more() -> None:
    retries = calls.NOTIFY_FOR_DAYS["retry_policy"]

    assert timedelta(days=2) <= people.FOR_DAYS
    assert retries is not None
    assert retries.maximum_attempts == 0
    assert retries.maximum_interval is not None
    assert retries.maximum_interval <= timedelta(hours=1)
