"""Counts the running publications by stage, and measures how long the oldest has been in each stage.

Every worker of a task queue counts the same runs. Take the maximum over the workers, not the sum.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from temporalio.client import Client, WorkflowExecution, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.common import MetricMeter
from temporalio.service import RPCError

from workflows.messages import PublishStage
from workflows.search_attributes import PUBLISH_STAGE

EVERY = timedelta(minutes=1)
REST = 1.0
"""The shortest time between two counts, in seconds."""

UNDER_WAY = (
    PublishStage.PREPARING,
    PublishStage.PUBLISHING,
    PublishStage.AWAITING_APPROVAL,
    PublishStage.GOING_LIVE,
)
ASKED_AT_ONCE = 20
"""Runs queried in one count. The others are queried in the next. Each query costs a workflow task."""

PATIENCE = timedelta(seconds=10)

logger = logging.getLogger("worker")

InStage: TypeAlias = tuple[str, str]
"""The ID of a run, and the stage that it is in."""


class Census:
    """The counts of one task queue."""

    def __init__(self, meter: MetricMeter, task_queue: str) -> None:
        """Create the metrics."""
        self._task_queue = task_queue
        self._runs = meter.create_gauge("offer_publisher_runs", "Running publications in each stage")
        self._oldest = meter.create_gauge_float(
            "offer_publisher_oldest_run_seconds",
            "Seconds since the oldest running publication entered its stage",
            "s",
        )
        # When runs entered their stages; ``None`` if they did not answer. Those asked last are at the end.
        self._entered: dict[InStage, datetime | None] = {}

    async def watch(self, client: Client) -> None:
        """Count every minute, forever."""
        failing = False
        while True:
            began = time.monotonic()
            try:
                await self.count(client)
                failing = False
            except RPCError as error:
                if not failing:
                    logger.warning("The running publications cannot be counted: %s", error.message)
                failing = True
            await asyncio.sleep(max(EVERY.total_seconds() - (time.monotonic() - began), REST))

    async def count(self, client: Client) -> None:
        """Count once. A run that was not queried yet counts, and its age does not.

        Raises:
            RPCError: The server does not answer, or refuses.
        """
        stages = ", ".join(f'"{stage}"' for stage in UNDER_WAY)
        query = f'TaskQueue="{self._task_queue}" AND ExecutionStatus="Running" AND PublishStage IN ({stages})'
        runs = {
            (run.run_id, run.typed_search_attributes.get(PUBLISH_STAGE, "")): run
            async for run in client.list_workflows(query, page_size=1000)
        }
        await self._ask(client, runs)
        oldest: dict[str, datetime] = {}
        for (run_id, stage), entered in self._entered.items():
            since = entered or runs[run_id, stage].start_time
            oldest[stage] = min(oldest.get(stage, since), since)
        self._show(Counter(stage for _, stage in runs), oldest)

    async def _ask(self, client: Client, runs: Mapping[InStage, WorkflowExecution]) -> None:
        """Query when runs entered their stages: first those never asked, then those that have not answered."""
        self._entered = {key: entered for key, entered in self._entered.items() if key in runs}
        never_asked = [key for key in runs if key not in self._entered]
        unanswered = [key for key, entered in self._entered.items() if entered is None]
        asked = [*never_asked, *unanswered][:ASKED_AT_ONCE]
        answers = await asyncio.gather(*(_entered(client, runs[key], key[1]) for key in asked))
        for key, answer in zip(asked, answers, strict=True):
            self._entered.pop(key, None)
            self._entered[key] = answer

    def _show(self, counted: Mapping[str, int], oldest: Mapping[str, datetime]) -> None:
        now = datetime.now(UTC)
        for stage in UNDER_WAY:
            labels = {"stage": str(stage)}
            age = now - oldest.get(stage, now)
            self._runs.set(counted.get(stage, 0), labels)
            self._oldest.set(max(age.total_seconds(), 0), labels)


async def _entered(client: Client, run: WorkflowExecution, stage: str) -> datetime | None:
    """Query when a run entered its stage. Return ``None`` if it does not answer."""
    try:
        progress = await client.get_workflow_handle(run.id, run_id=run.run_id).query("progress", rpc_timeout=PATIENCE)
        if progress["stage"] != stage:
            return datetime.now(UTC)  # it has left the stage, and the search attribute shows that soon
        return datetime.fromisoformat(progress["since"])
    except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError, KeyError, TypeError, ValueError):
        return None
