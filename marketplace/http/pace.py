"""How many requests a second: exact as the marketplace counts, however long they are on the way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

ON_THE_WAY = 10.0
"""Seconds after which a request that has no answer yet is taken to have arrived: a connection takes no longer."""


class Pace:
    """Lets so many requests pass that no second sees more arrive at the marketplace than are allowed.

    There are as many places as requests are allowed in a second. A request takes one before it is sent, and the
    place is free again a second after it has arrived. Nobody says when that was: before its answer came, or within
    `ON_THE_WAY` where the service thinks for minutes. So requests may be held up anywhere, and none are bunched; the
    price is that of a service that takes 0.2 s to answer a sixth of what it allows is not used.

    Who came first goes first. Nobody passes until `share` has said how many share what is allowed.
    """

    def __init__(self, requests_per_second: float) -> None:
        """Allow so many a second; below one, a request every so many seconds. Parts of a request are not used."""
        self._allowed = requests_per_second
        self._sharers: int | None = None
        self._taken = 0
        self._left = asyncio.Event()
        self._next = asyncio.Lock()

    def share(self, sharers: int) -> None:
        """Keep to an equal share of what is allowed, from now on. Where that is less than one it is one at a time."""
        self._sharers = sharers
        self._left.set()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn; send the request and receive its answer within."""
        async with self._next:
            while self._taken >= self._places:
                self._left.clear()
                await self._left.wait()
            self._taken += 1
        loop = asyncio.get_running_loop()
        arrives_by = loop.time() + ON_THE_WAY
        leaving = loop.call_at(arrives_by + self._second, self._leave)
        try:
            yield
        finally:
            if loop.time() < arrives_by:
                leaving.cancel()
                loop.call_later(self._second, self._leave)

    def _leave(self) -> None:
        self._taken -= 1
        self._left.set()

    @property
    def _places(self) -> int:
        return max(1, int(self._allowed / self._sharers)) if self._sharers is not None else 0

    @property
    def _second(self) -> float:
        return max(1.0, (self._sharers or 1) / self._allowed)
