"""While the webhook is unavailable, a separate run retries a notification for days."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.workflow import ActivityConfig

from tests.desk import Desk, Run, progress_of
from tests.harness.waiting import until
from tests.real_time.held_desk import POLLING
from workflows import calls, people
from workflows.search_attributes import OFFER_ID, PUBLISHER_ID


@pytest.fixture(autouse=True)
def seconds_for_days(monkeypatch: pytest.MonkeyPatch, real_desk: Desk) -> Iterator[None]:
    """Replace the days between attempts by seconds."""
    once = ActivityConfig(retry_policy=RetryPolicy(maximum_attempts=1))
    often = ActivityConfig(retry_policy=RetryPolicy(initial_interval=timedelta(seconds=0.2), backoff_coefficient=1))
    monkeypatch.setattr(people, "NOTIFY", calls.NOTIFY | once)
    monkeypatch.setattr(calls, "NOTIFY_FOR_DAYS", calls.NOTIFY_FOR_DAYS | often)
    yield
    real_desk.webhook.status = 200


async def go_live(desk: Desk) -> Run:
    """Go live while the webhook is unavailable."""
    await desk.preview("4.2.0")
    desk.webhook.status = 503
    start = desk.images("4.2.0", polling=POLLING)
    run = await desk.start("ValidateAndGoLive", start, start_signal="approve_go_live")
    assert (await run.result()).outcome == "live"
    return run


async def retrying_run(desk: Desk, run: Run) -> WorkflowHandle[Any, Any]:
    """Return the run that retries for days, which a note of the ended run names."""
    [note] = [note for note in (await progress_of(run)).notes if "nobody was notified yet" in note]
    assert "the webhook answered 503; internal/notify/" in note
    return desk.temporal.client.get_workflow_handle(note.split("; ")[1].split()[0])


async def test_a_webhook_that_was_unavailable_gets_the_notification_later_and_delays_no_run(real_desk: Desk) -> None:
    run = await go_live(real_desk)
    trying = await retrying_run(real_desk, run)
    attributes = (await trying.describe()).typed_search_attributes
    assert [attributes.get(key) for key in (PUBLISHER_ID, OFFER_ID)] == [None, None]
    attempts = len(real_desk.notified(run))
    await until(lambda: len(real_desk.notified(run)) > attempts + 1, "the notification gets two more attempts")
    real_desk.webhook.status = 200
    await trying.result()

    delivered = [body for body in real_desk.webhook.bodies if body["workflow_id"] == run.id][-1]
    assert delivered["event"] == "live"


async def test_a_notification_to_a_webhook_that_stays_unavailable_is_given_up(
    real_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "FOR_DAYS", timedelta(seconds=2))
    trying = await retrying_run(real_desk, await go_live(real_desk))
    with pytest.raises(WorkflowFailureError) as failed:
        await trying.result()

    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "NotificationFailed"
    assert failed.value.cause.message == "nobody was notified: NotificationFailed: the webhook answered 503"
