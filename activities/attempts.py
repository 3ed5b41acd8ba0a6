"""What an attempt of an activity leaves for those after it, and how a write is kept from being broken off."""

import asyncio
import contextlib
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import activity

from marketplace.protocol import SETTLE, Attempt

Answer = TypeVar("Answer")

SENT = "sent"
WAITED = "waited"


class Trail:
    """What the attempts of an activity leave for those after them, in heartbeats: it outlives the process.

    Attributes:
        repeated: Whether an earlier attempt may have had its effect. The number of the attempt does not say it alone:
            ``temporal activity reset`` counts from one again.
        sent: Whether an earlier attempt has sent its request.
        handle: What the marketplace called that request.
        waited: Whether the attempts have waited for the request to show.
    """

    def __init__(self) -> None:
        info = activity.info()
        marks = [mark for mark in info.heartbeat_details if isinstance(mark, str)]
        self.repeated = info.attempt > 1 or bool(marks)
        self.sent = self._was_sent = SENT in marks
        self.waited = WAITED in marks
        self.handle = next((mark for mark in marks if mark not in {SENT, WAITED}), None)

    def attempt(self, settle: timedelta = SETTLE) -> Attempt:
        """Return what the marketplace needs to know of the earlier attempts.

        Args:
            settle: How long a request whose answer was lost may take to show.
        """
        return Attempt(
            repeated=self.repeated,
            sent=self.sent,
            handle=self.handle,
            settle=settle,
            sends=self.sends,
            note=self._note,
        )

    def sends(self) -> None:
        """Remember that a request is about to be sent."""
        self.sent, self.waited = True, False
        self.beat()

    def was_not_served(self) -> None:
        """Remember that the request had no effect; one of an earlier attempt may have had its."""
        self.sent = self._was_sent
        self.beat()

    def waits(self) -> None:
        """Remember that the next attempt has waited for the request to show."""
        self.waited = True
        self.beat()

    def beat(self) -> None:
        """Send a heartbeat."""
        marks = [SENT] * self.sent + [WAITED] * self.waited
        activity.heartbeat(*marks, *([self.handle] if self.handle is not None else []))

    def _note(self, handle: str) -> None:
        self.handle = handle
        self.beat()


async def unbroken(call: Coroutine[Any, Any, Answer]) -> Answer:
    """Run a write to its end, though it is cancelled meanwhile: its outcome has to be known.

    Heartbeats bring cancellations along, and without heartbeats it would take minutes to notice that a worker died
    in the middle of a write.
    """
    running = asyncio.ensure_future(call)
    while not running.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(running)
    return running.result()
