"""A desk in real time, at a marketplace that moves only when the test says so."""

from typing import Any

from sandbox.clock import SpeedClock
from tests.harness.real_time_desk import RealTimeDesk

POLLING = {"min_interval": 0.1, "max_interval": 0.2}


class HeldDesk(RealTimeDesk):
    """Steps take minutes on a clock that only the test advances, while runs look every tenth of a second."""

    clock: SpeedClock

    async def let_publish(self) -> None:
        """Advance the clock until a publish waits for sign-off, or a cancellation or a go-live is done."""
        self.clock.advance(self.publishing.total_seconds())

    def create(self, *versions: str, document: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        return super().create(*versions, document=document, **{"polling": POLLING} | more)

    def images(self, *versions: str, plan: str = "webstack-lts", **more: Any) -> dict[str, Any]:
        return super().images(*versions, plan=plan, **{"polling": POLLING} | more)

    def check(self, **more: Any) -> dict[str, Any]:
        return super().check(**{"polling": POLLING} | more)
