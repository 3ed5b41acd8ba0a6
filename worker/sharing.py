"""Shares the marketplace's rate limit between the workers of a task queue."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from itertools import chain

from temporalio.api.enums.v1 import DescribeTaskQueueMode, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue, TaskQueueVersionSelection
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from marketplace.http.pace import Pace

LOOK_EVERY = timedelta(seconds=5)

SEEN_AFTER = timedelta(seconds=11)
"""By then, all other workers know of a new one. They look every five seconds, at data up to five seconds old."""

SEEN_WITHIN = timedelta(seconds=75)
"""An idle worker polls about once a minute."""

logger = logging.getLogger("worker")


async def share(pace: Pace, client: Client, task_queue: str) -> None:
    """Keep the pace at this worker's share of the limit, forever.

    The first request must wait for `SEEN_AFTER`. By then, the other workers have lowered their shares.
    """
    sharers, counting = 1, True
    await asyncio.sleep(SEEN_AFTER.total_seconds())
    while True:
        try:
            counted, counting = max(await count_workers(client, task_queue), 1), True
        except RPCError as error:
            if counting:
                logger.warning(
                    "The workers of task queue %s cannot be counted, %d assumed: %s",
                    task_queue,
                    sharers,
                    error.message,
                )
            counted, counting = sharers, False
        if counted != sharers:
            logger.info("The marketplace's rate limit is shared by %d workers", counted)
        sharers = counted
        pace.share(sharers)
        await asyncio.sleep(LOOK_EVERY.total_seconds())


async def count_workers(client: Client, task_queue: str) -> int:
    """Count the workers of all versions that have polled lately.

    Raises:
        RPCError: The server does not answer, or refuses.
    """
    seen = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    routed = seen.versioning_info
    current, ramping = routed.current_deployment_version, routed.ramping_deployment_version
    named = {(p.deployment_options.deployment_name, p.deployment_options.build_id) for p in seen.pollers}
    named |= {(current.deployment_name, current.build_id), (ramping.deployment_name, ramping.build_id)}
    versions = sorted(f"{name}:{build_id}" for name, build_id in named if name)
    # Pollers of other partitions can be missing for up to a minute. The enhanced mode asks every partition, but needs
    # the versions.
    everywhere = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            api_mode=DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED,
            versions=TaskQueueVersionSelection(unversioned=True, build_ids=versions),
            task_queue_types=[TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW],
            report_pollers=True,
        )
    )
    kinds = [kind for version in everywhere.versions_info.values() for kind in version.types_info.values()]
    last: dict[str, datetime] = {}
    for poller in chain(seen.pollers, *(kind.pollers for kind in kinds)):
        asked = poller.last_access_time.ToDatetime(UTC)
        last[poller.identity] = max(asked, last.get(poller.identity, asked))
    # Only the server's clock counts: this machine's may differ.
    return sum(asked >= max(last.values()) - SEEN_WITHIN for asked in last.values())
