"""What time it is in the sandbox."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """The sandbox's time; asynchronous so that a test may ask another server for it."""

    async def now(self) -> datetime:
        """The present, with a time zone."""
        ...


class SpeedClock:
    """The wall clock, made faster, and moved ahead on demand."""

    def __init__(self, speed: float = 1.0, start: datetime | None = None) -> None:
        """Start at `start`, or at the wall clock's time."""
        if speed <= 0:
            message = f"the speed of the clock must be above 0, not {speed}"
            raise ValueError(message)
        self.speed = speed
        self._wall_origin = datetime.now(UTC)
        self._origin = start or self._wall_origin

    async def now(self) -> datetime:
        """The sandbox's present."""
        return self.read()

    def read(self) -> datetime:
        """The sandbox's present, for callers that cannot wait."""
        return self._origin + (datetime.now(UTC) - self._wall_origin) * self.speed

    def advance(self, seconds: float) -> None:
        """Jump ahead."""
        self._origin += timedelta(seconds=seconds)

    def resume_at(self, moment: datetime) -> None:
        """Go on after a restart from `moment`.

        Never behind the wall clock: a signature made today would otherwise seem to begin in the future.
        """
        self._wall_origin = datetime.now(UTC)
        self._origin = max(moment, self._wall_origin)


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self, start: datetime | None = None) -> None:
        """Stand at `start`, or at the wall clock's present."""
        self._now = start or datetime.now(UTC)

    async def now(self) -> datetime:
        """The time it was last moved to."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move ahead."""
        self._now += timedelta(seconds=seconds)
