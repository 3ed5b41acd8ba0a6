"""Tells people outside Temporal what happened: one POST to a webhook."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from temporalio import activity
from temporalio.exceptions import ApplicationError

from marketplace.model import Fact, ImageVersion

FAILED = "NotificationFailed"


class Notification(Fact):
    """What people are told.

    Attributes:
        event: ``awaiting_approval``, ``failed`` or ``live``.
        text: What happened and what to do now, for a person.
        reminder: Of ``awaiting_approval``: 0 when it is asked for, then 1 and 2.
        until: When the run gives up waiting for the approval.
        approvers: Who may approve; empty: anyone.
        approved_by: Who approved what is live.
        adds: Image versions that going live adds, at most 100.
        removes: Image versions that it removes.
        deprecates: Image versions that it deprecates.
        changes: What else it changes, a sentence each.
        command: The command that approves, for a shell.
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
    """Where notifications go."""

    async def post(self, body: str) -> int | None:
        """Post JSON; answers with the HTTP status, ``None`` when nobody answered."""
        ...


def as_json(notification: Notification, _namespace: str) -> str:
    """Write a notification as it is."""
    return notification.model_dump_json()


class NotificationActivities:
    """Activities that tell people; without a webhook they do nothing."""

    def __init__(self, webhook: Webhook | None, write: Callable[[Notification, str], str] = as_json) -> None:
        """Tell people.

        Args:
            webhook: Where they are told.
            write: Returns what is posted, of a notification and the namespace of its run.
        """
        self._webhook = webhook
        self._write = write

    @activity.defn
    async def notify(self, notification: Notification) -> None:
        """Post the notification. May arrive twice when the receiver answers too late.

        Raises:
            ApplicationError: ``NotificationFailed``: retryable on 429, 5xx and silence, otherwise not. The
                webhook's address is a secret and is not named.
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
