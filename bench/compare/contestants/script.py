"""The floor: one asyncio process that sleeps and looks again, and forgets everything when it ends."""

import asyncio
import time

from bench.compare.calls import Calls, time_to_next_look
from bench.compare.line import obey


class Script:
    """Publications as coroutines."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._approved: dict[str, asyncio.Event] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._ended = 0

    async def publication(self, offer: str, *, at_sign_off: bool) -> None:
        """Put, publish, follow, wait for the approval, go live, follow."""
        if not at_sign_off:
            await self._calls.put(offer)
            await self.follow(offer, await self._calls.publish(offer))
        await self._approved[offer].wait()
        await self.follow(offer, await self._calls.go_live(offer))
        self._ended += 1

    async def follow(self, offer: str, operation: str) -> None:
        """Look until it has settled."""
        began = time.monotonic()
        while not await self._calls.look(offer, operation):
            await asyncio.sleep(time_to_next_look(began))
            began = time.monotonic()

    async def start(self, offer: str, at_sign_off: bool = False) -> None:  # noqa: FBT001, FBT002
        """Start a publication."""
        self._approved[offer] = asyncio.Event()
        task = asyncio.create_task(self.publication(offer, at_sign_off=at_sign_off))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def approve(self, offer: str) -> None:
        """Approve."""
        self._approved[offer].set()

    async def ended(self) -> int:
        """Count those that ended well."""
        return self._ended


async def main() -> None:
    """Take orders until there are none left."""
    async with Calls() as calls:
        script = Script(calls)
        await obey({"start": script.start, "approve": script.approve, "ended": script.ended})


if __name__ == "__main__":
    asyncio.run(main())
