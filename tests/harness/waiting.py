"""Wait in real time for what another program brings about."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(
    condition: Callable[[], bool | Awaitable[bool]],
    what: str,
    *,
    seconds: float = 60,
    details: Callable[[], object] | None = None,
) -> None:
    """Poll a condition until it holds.

    Args:
        condition: Returns whether it holds.
        what: The condition in words, for the message of the failure.
        seconds: How long to wait.
        details: Returns what else the message shows.

    Raises:
        AssertionError: The condition did not hold in time.
    """
    try:
        async with asyncio.timeout(seconds):
            while True:
                holds = condition()
                if holds if isinstance(holds, bool) else await holds:
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        shown = f"\n{details()}" if details else ""
        raise AssertionError(f"this did not happen within {seconds:g} s: {what}{shown}") from None
