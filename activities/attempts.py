"""What a try of an activity knows of the tries before it, and how a write is kept from being broken off."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

from temporalio import activity

Answer = TypeVar("Answer")

TRIED = "tried"
"""The heartbeat of a write: it outlives the try, and the process."""


def tried_before() -> bool:
    """Tell whether an earlier try may have had its effect.

    The number of the try does not say it alone: ``temporal activity reset`` counts from one again.
    """
    attempt = activity.info()
    return attempt.attempt > 1 or TRIED in attempt.heartbeat_details


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
