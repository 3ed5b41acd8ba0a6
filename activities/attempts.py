"""What an attempt of an activity records for the next attempt, and how a write is kept from being interrupted."""

import asyncio
import contextlib
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from marketplace.protocol import SETTLE, Attempt

Answer = TypeVar("Answer")

SENT = "sent"
WAITED = "waited"


class Trail:
    """What the attempts of an activity record for later attempts. It is kept in heartbeats and survives the process.

    Attributes:
        repeated: Whether an earlier attempt may have had an effect. The attempt number alone does not show it:
            ``temporal activity reset`` starts again at one.
        may_have_sent: Whether a request may have been sent. It is recorded just before sending.
        handle: The marketplace's ID of that request.
        waited: Whether an earlier attempt has waited for the request to show.
    """

    def __init__(self) -> None:
        info = activity.info()
        marks = [mark for mark in info.heartbeat_details if isinstance(mark, str)]
        self.repeated = info.attempt > 1 or bool(marks)
        self.may_have_sent = self._earlier_may_have_sent = SENT in marks
        self.waited = WAITED in marks
        self.handle = next((mark for mark in marks if mark not in {SENT, WAITED}), None)

    def attempt(self, settle: timedelta = SETTLE) -> Attempt:
        """Return what the marketplace client needs to know of earlier attempts.

        Args:
            settle: How long the effect of a request may take to show when its answer was lost.
        """
        return Attempt(
            repeated=self.repeated,
            may_have_sent=self.may_have_sent,
            handle=self.handle,
            settle=settle,
            before_send=self.record_send,
            accepted=self._record_handle,
        )

    def record_send(self) -> None:
        """Record that a request is about to be sent.

        Raises:
            ApplicationError: Temporal has given this attempt up, because its heartbeats did not arrive. The next
                attempt may be running.
        """
        given_up = activity.cancellation_details()
        if given_up is not None and (given_up.not_found or given_up.timed_out):
            raise ApplicationError("Temporal has given this attempt up; nothing was sent", type="AttemptGivenUp")
        self.may_have_sent, self.waited = True, False
        self.heartbeat()

    def record_no_effect(self) -> None:
        """Record that the request had no effect. An earlier attempt's request may have had one."""
        self.may_have_sent = self._earlier_may_have_sent
        self.heartbeat()

    def record_wait(self) -> None:
        """Record that the next attempt begins only after a wait for the request to show."""
        self.waited = True
        self.heartbeat()

    def heartbeat(self) -> None:
        """Send a heartbeat."""
        marks = [SENT] * self.may_have_sent + [WAITED] * self.waited
        activity.heartbeat(*marks, *([self.handle] if self.handle is not None else []))

    def _record_handle(self, handle: str) -> None:
        self.handle = handle
        self.heartbeat()


async def unbroken(call: Coroutine[Any, Any, Answer]) -> Answer:
    """Run a write to its end even if the activity is cancelled: its outcome must be known.

    Cancellations arrive with heartbeats, and a write needs heartbeats: without them, it would take minutes to notice
    that its worker has died.
    """
    running = asyncio.ensure_future(call)
    while not running.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(running)
    return running.result()
