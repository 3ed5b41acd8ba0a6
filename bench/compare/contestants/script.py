"""The floor: one asyncio process that sleeps and looks again, and forgets everything when it ends."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.compare.calls import Calls, time_to_next_look
from bench.compare.orders import run


class Script:
    """Publications as coroutines."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._approved: dict[str, asyncio.Event] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._ended = 0

    async def start(self, offer: str, *, at_sign_off: bool) -> None:
        """Start a publication."""
        self._approved[offer] = asyncio.Event()
        task = asyncio.create_task(self._publication(offer, at_sign_off=at_sign_off))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def approve(self, offer: str) -> None:
        """Approve a publication."""
        self._approved[offer].set()

    async def ended(self) -> int:
        """Count the publications that succeeded."""
        return self._ended

    async def _publication(self, offer: str, *, at_sign_off: bool) -> None:
        if not at_sign_off:
            await self._calls.put(offer)
            await self._follow(offer, await self._calls.publish(offer))
        await self._approved[offer].wait()
        await self._follow(offer, await self._calls.go_live(offer))
        self._ended += 1

    async def _follow(self, offer: str, operation: str) -> None:
        began = time.monotonic()
        while not await self._calls.look(offer, operation):
            await asyncio.sleep(time_to_next_look(began))
            began = time.monotonic()


@asynccontextmanager
async def client() -> AsyncIterator[Script]:
    """Run publications in the client itself."""
    async with Calls() as calls:
        yield Script(calls)


if __name__ == "__main__":
    run(client)
