"""A desk in real time whose marketplace moves only when a test says so."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sandbox.clock import SpeedClock
from tests.desk import Desk, Run, progress_of
from workflows.messages import Progress

POLLING = {"min_interval": 0.1, "max_interval": 0.2}


class HeldDesk(Desk):
    """Steps take minutes of a clock that the test puts forward, while runs look every tenth of a second."""

    clock: SpeedClock

    async def until(self, run: Run, ready: Callable[[Progress], bool], *, minutes: int = 1) -> Progress:
        """Wait until the run's progress is as wanted."""
        progress: Progress | None = None

        async def is_ready() -> bool:
            nonlocal progress
            progress = await progress_of(run)
            return ready(progress)

        await _until(is_ready, lambda: f"it never was: {progress}", within=60 * minutes)
        assert progress is not None
        return progress

    async def until_followed(self, run: Run) -> Progress:
        """Wait until the run has seen an operation's steps."""
        return await self.until(run, lambda progress: bool(progress.steps))

    async def until_requested(self, call: str, times: int = 1) -> None:
        """Wait until the marketplace has answered, well or not, so many requests of a call."""

        async def is_requested() -> bool:
            return [entry["call"] for entry in await self.requests()].count(call) >= times

        await _until(is_requested, lambda: f"no {call}", within=60)

    async def let_publish(self) -> None:
        """Put the clock forward until a preview waits for sign-off, or what was cancelled or promoted is done."""
        self.clock.advance(self.publishing.total_seconds())

    def create(self, *versions: str, document: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        return super().create(*versions, document=document, **{"polling": POLLING} | more)

    def images(self, *versions: str, plan: str = "webstack-lts", **more: Any) -> dict[str, Any]:
        return super().images(*versions, plan=plan, **{"polling": POLLING} | more)

    def check(self, **more: Any) -> dict[str, Any]:
        return super().check(**{"polling": POLLING} | more)


async def _until(ready: Callable[[], Awaitable[bool]], otherwise: Callable[[], str], *, within: float) -> None:
    try:
        async with asyncio.timeout(within):
            while True:
                if await ready():
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(otherwise()) from None
