"""Readiness: whether the worker polls Temporal successfully.

A poll waits for up to a minute, and pollers retry while Temporal is gone. Neither shows the present state. Therefore
the worker asks Temporal about its task queue every few seconds; the matching service answers. In addition, polls must
come back: the server ends each one within a minute, with or without a task.
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
"""The worker is not ready if Temporal has not answered for this long."""

POLLED_WITHIN = timedelta(seconds=150)
"""The worker is not ready if no poll has come back for this long."""

A_POLL_CAME_BACK = re.compile(rb"^temporal_workflow_task_queue_poll_(?:empty|succeed)\{.*\} (\d+)$", re.MULTILINE)


class Readiness:
    """Watches a worker. The worker is not ready until it is watched."""

    def __init__(self, meter: MetricMeter = MetricMeter.noop, clock: Callable[[], float] = time.monotonic) -> None:
        """Create the metric.

        Args:
            meter: The runtime's meter.
            clock: Returns the time in seconds.
        """
        self._ready = meter.create_gauge("offer_publisher_ready", "Whether the worker polls Temporal successfully")
        self._clock = clock
        self._answered_at: float | None = None
        self._polled_at: float | None = None
        self._polls = 0

    def objection(self) -> str | None:
        """Return why the worker is not ready."""
        if self._answered_at is None or self._polled_at is None:
            return "the worker has not started yet, or has stopped"
        now = self._clock()
        if now - self._answered_at > ANSWERED_WITHIN.total_seconds():
            return f"Temporal has not answered for {now - self._answered_at:.0f} s"
        if now - self._polled_at > POLLED_WITHIN.total_seconds():
            return f"no poll has come back for {now - self._polled_at:.0f} s"
        return None

    async def watch(self, client: Client, task_queue: str, scrape: Callable[[], Awaitable[bytes]]) -> None:
        """Watch until it is cancelled.

        Args:
            client: The worker's client.
            task_queue: The worker's task queue.
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
        """Record the polls that have come back."""
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
        # The permission to poll does not always include this request. A refusal is an answer, too.
        return error.status is RPCStatusCode.PERMISSION_DENIED
    return True
