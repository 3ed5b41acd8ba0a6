"""A limit on requests per second that holds where the marketplace counts them, however long they travel."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

ON_THE_WAY = 10.0
"""Seconds after which a request without an answer is taken to have arrived. A connection takes no longer."""


class Pace:
    """Limits how many requests arrive at the marketplace in any second.

    There are as many places as requests are allowed in a second. A request takes a place before it is sent, and frees
    it one second after it has arrived. The service does not say when a request arrived. It counts as arrived when its
    answer comes, and after `ON_THE_WAY` at the latest. The limit holds even when requests are held up on the way and
    arrive together. This costs some of the rate: if answers take 0.2 s, one sixth is not used.

    Requests pass in the order of arrival. None passes before the first call of `share`.
    """

    def __init__(self, requests_per_second: float) -> None:
        """Allow this many requests per second. A rate below one allows one request per ``1 / rate`` seconds."""
        self._allowed = requests_per_second
        self._sharers: int | None = None
        self._taken = 0
        self._left = asyncio.Event()
        self._next = asyncio.Lock()

    def share(self, sharers: int) -> None:
        """Use an equal share of the rate from now on, rounded down, with at least one request at a time."""
        self._sharers = sharers
        self._left.set()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn. Send the request and read its answer within the context."""
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
