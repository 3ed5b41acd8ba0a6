"""Whether the worker is of use: whether it polls Temporal with success.

A poll waits a minute for work, so its end says little about now, and that Temporal is gone shows in no count of
pollers: they try again. So Temporal is asked about the task queue every few seconds, which the service that gives out
its tasks answers. And polls have to come back: the server ends each within a minute, with a task or without.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

import aiohttp
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.common import MetricMeter
from temporalio.service import RPCError, RPCStatusCode

LOOK_EVERY = timedelta(seconds=4)
PATIENCE = timedelta(seconds=4)
ANSWERED_WITHIN = timedelta(seconds=20)
"""Not ready is the worker this long after Temporal answered last."""

POLLED_WITHIN = timedelta(seconds=150)
"""Nor this long after a poll came back last."""

A_POLL_CAME_BACK = re.compile(rb"^temporal_workflow_task_queue_poll_(?:empty|succeed)\{.*\} (\d+)$", re.MULTILINE)


class Readiness:
    """Watches a worker; it is not ready before it is watched."""

    def __init__(self, meter: MetricMeter = MetricMeter.noop, clock: Callable[[], float] = time.monotonic) -> None:
        """Create the metric.

        Args:
            meter: The runtime's.
            clock: Seconds that pass.
        """
        self._ready = meter.create_gauge("offer_publisher_ready", "Whether the worker polls Temporal with success")
        self._clock = clock
        self._answered_at: float | None = None
        self._polled_at: float | None = None
        self._polls = 0

    def objection(self) -> str | None:
        """Return why the worker is not ready."""
        if self._answered_at is None or self._polled_at is None:
            return "the worker does not work yet, or not any more"
        now = self._clock()
        if now - self._answered_at > ANSWERED_WITHIN.total_seconds():
            return f"Temporal has not answered for {now - self._answered_at:.0f} s"
        if now - self._polled_at > POLLED_WITHIN.total_seconds():
            return f"no poll has come back for {now - self._polled_at:.0f} s"
        return None

    async def watch(self, client: Client, task_queue: str, scrape: Callable[[], Awaitable[bytes]]) -> None:
        """Watch until it is cancelled.

        Args:
            client: The worker's.
            task_queue: What it takes tasks from.
            scrape: Returns the SDK's metrics.
        """
        self._polled_at = self._clock()
        try:
            while True:
                if await _answers(client, task_queue):
                    self._answered_at = self._clock()
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    self.polled(await scrape())
                self._ready.set(self.objection() is None)
                await asyncio.sleep(LOOK_EVERY.total_seconds())
        finally:
            self._answered_at = None
            self._ready.set(0)

    def polled(self, metrics: bytes) -> None:
        """Take note of the polls that have come back."""
        polls = sum(int(count) for count in A_POLL_CAME_BACK.findall(metrics))
        if polls != self._polls:
            self._polls, self._polled_at = polls, self._clock()


async def _answers(client: Client, task_queue: str) -> bool:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=task_queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    try:
        await client.workflow_service.describe_task_queue(request, timeout=PATIENCE)
    except RPCError as error:
        # Who may poll may not always ask this; whoever refuses it is there.
        return error.status is RPCStatusCode.PERMISSION_DENIED
    return True
