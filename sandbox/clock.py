"""The sandbox's time."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """A source of time. It is asynchronous because a test may ask another server for the time."""

    async def now(self) -> datetime:
        """Return the current time, with a time zone."""
        ...


class SpeedClock:
    """A clock that runs faster than the wall clock, and jumps ahead on demand."""

    def __init__(self, speed: float = 1.0) -> None:
        """Start at the wall clock's time.

        Raises:
            ValueError: The speed is not above 0.
        """
        if speed <= 0:
            raise ValueError(f"the speed of the clock must be above 0, not {speed}")
        self.speed = speed
        self._wall_origin = datetime.now(UTC)
        self._origin = self._wall_origin

    async def now(self) -> datetime:
        """Return the sandbox's time."""
        return self.read()

    def read(self) -> datetime:
        """Return the sandbox's time, without awaiting it."""
        return self._origin + (datetime.now(UTC) - self._wall_origin) * self.speed

    def advance(self, seconds: float) -> None:
        """Jump ahead."""
        self._origin += timedelta(seconds=seconds)

    def resume_at(self, moment: datetime) -> None:
        """Continue from `moment` after a restart.

        The clock is never behind the wall clock. If it were, a SAS signed today would not be valid yet.
        """
        self._wall_origin = datetime.now(UTC)
        self._origin = max(moment, self._wall_origin)


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime | None = None) -> None:
        """Stand at `start`, by default at the wall clock's time."""
        self._now = start or datetime.now(UTC)

    async def now(self) -> datetime:
        """Return the time to which it was last moved."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move ahead."""
        self._now += timedelta(seconds=seconds)
