"""Notifies people outside Temporal, by one POST to a webhook."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from temporalio import activity
from temporalio.exceptions import ApplicationError

from marketplace.model import ImageVersion, Payload

FAILED = "NotificationFailed"


class Notification(Payload):
    """The content of a notification.

    Attributes:
        event: ``awaiting_approval``, ``failed`` or ``live``.
        text: What happened and what to do now, for a person.
        reminder: For ``awaiting_approval``: 0 for the first notification, 1 and 2 for the reminders.
        until: When the run gives up waiting for the approval.
        approvers: The people who may approve; empty for anyone.
        approved_by: Who approved going live.
        adds: Image versions that going live adds, at most 100.
        removes: Image versions that going live removes, at most 100.
        deprecates: Image versions that going live deprecates, at most 100.
        changes: What else going live changes, one sentence each.
        command: The shell command that approves.
    """

    event: str
    text: str
    publisher_id: str | None = None
    offer_id: str | None = None
    images: list[ImageVersion] = []
    workflow_id: str
    run_id: str
    reminder: int = 0
    until: datetime | None = None
    approvers: list[str] = []
    approved_by: str | None = None
    adds: list[ImageVersion] = []
    removes: list[ImageVersion] = []
    deprecates: list[ImageVersion] = []
    changes: list[str] = []
    command: str | None = None


class Webhook(Protocol):
    """The receiver of notifications."""

    async def post(self, body: str) -> int | None:
        """Post JSON. Return the HTTP status, or ``None`` without an answer."""
        ...


def as_json(notification: Notification, _namespace: str) -> str:
    """Return the notification as JSON."""
    return notification.model_dump_json()


class NotificationActivities:
    """Activities that notify people. Without a webhook they do nothing."""

    def __init__(self, webhook: Webhook | None, write: Callable[[Notification, str], str] = as_json) -> None:
        """Create the activities.

        Args:
            webhook: Receives the notifications.
            write: Renders a notification, given the namespace of its run.
        """
        self._webhook = webhook
        self._write = write

    @activity.defn
    async def notify(self, notification: Notification) -> None:
        """Post the notification. It can arrive twice if the receiver answers too late.

        Raises:
            ApplicationError: ``NotificationFailed``. It is retryable on 429, 5xx and without an answer. It does not
                name the webhook's address, which is a secret.
        """
        if self._webhook is None:
            return
        status = await self._webhook.post(self._write(notification, activity.info().namespace))
        if status is not None and status < 300:  # noqa: PLR2004 - any 2xx
            _count(notification, "delivered")
            return
        patient = status is None or status == 429 or status >= 500  # noqa: PLR2004 - HTTP's own numbers
        _count(notification, "failed" if patient else "refused")
        raise ApplicationError(
            f"the webhook answered {status}" if status else "the webhook did not answer",
            type=FAILED,
            non_retryable=not patient,
        )


def _count(notification: Notification, outcome: str) -> None:
    counter = activity.metric_meter().create_counter("offer_publisher_notifications", "Posts to the webhook")
    counter.add(1, {"event": notification.event, "outcome": outcome})
