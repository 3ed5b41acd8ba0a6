"""Tells people outside Temporal what happened: one JSON POST to a webhook."""

from typing import Protocol

from temporalio import activity
from temporalio.exceptions import ApplicationError

from marketplace.model import Fact, ImageVersion


class Notification(Fact):
    """What the webhook gets, as a JSON object.

    Attributes:
        event: ``awaiting_approval``, ``failed`` or ``live``.
        text: What happened and what to do now, for a person.
    """

    event: str
    text: str
    publisher_id: str | None = None
    offer_id: str | None = None
    images: list[ImageVersion] = []
    workflow_id: str
    run_id: str


class Webhook(Protocol):
    """Where notifications go."""

    async def post(self, body: str) -> int | None:
        """Post JSON; answers with the HTTP status, ``None`` when nobody answered."""
        ...


class NotificationActivities:
    """Activities that tell people; without a webhook they do nothing."""

    def __init__(self, webhook: Webhook | None) -> None:
        self._webhook = webhook

    @activity.defn
    async def notify(self, notification: Notification) -> None:
        """Post the notification. May arrive twice when the receiver answers too late.

        Raises:
            ApplicationError: ``NotificationFailed``: retryable on 429, 5xx and silence, otherwise not. The
                webhook's address is a secret and is not named.
        """
        if self._webhook is None:
            return
        status = await self._webhook.post(notification.model_dump_json())
        if status is not None and status < 300:  # noqa: PLR2004 - any 2xx
            _count(notification, "delivered")
            return
        patient = status is None or status == 429 or status >= 500  # noqa: PLR2004 - HTTP's own numbers
        _count(notification, "failed" if patient else "refused")
        raise ApplicationError(
            f"the webhook answered {status}" if status else "the webhook did not answer",
            type="NotificationFailed",
            non_retryable=not patient,
        )


def _count(notification: Notification, outcome: str) -> None:
    counter = activity.metric_meter().create_counter("offer_publisher_notifications", "Posts to the webhook")
    counter.add(1, {"event": notification.event, "outcome": outcome})
