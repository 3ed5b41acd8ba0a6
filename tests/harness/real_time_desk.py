"""A release engineer's desk at a Temporal server that does not skip time."""

from collections.abc import Callable

from tests.desk import Desk, Run
from tests.harness.runs import until_progress
from workflows.messages import Progress


class RealTimeDesk(Desk):
    """A desk that waits for runs in real time."""

    async def until(self, run: Run, ready: Callable[[Progress], bool], *, minutes: int = 1) -> Progress:
        return await until_progress(run, ready, seconds=60 * minutes)
