"""The bare engine: the least code on Temporal's SDK that does the work. It checks nothing and shows nothing."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from bench.compare.calls import WAIT, Calls
    from bench.compare.orders import run

QUEUE = "bare"
ATTEMPT = timedelta(seconds=20)
"""The timeout of one attempt, the same as ours. The marketplace of the benchmark answers within 0.5 s."""

LOCAL_LOOKS = "BENCH_LOCAL_LOOKS" in os.environ
"""Whether a look is first a local activity with one attempt. If that fails, an ordinary activity follows."""


class Activities:
    """One activity for each request."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    @activity.defn
    async def put(self, offer: str) -> None:
        """Put the offer."""
        await self.calls.put(offer)

    @activity.defn
    async def publish(self, offer: str) -> str:
        """Publish, and return the operation."""
        return await self.calls.publish(offer)

    @activity.defn
    async def go_live(self, offer: str) -> str:
        """Go live, and return the operation."""
        return await self.calls.go_live(offer)

    @activity.defn
    async def look(self, offer: str, operation: str) -> bool:
        """Return whether an operation has settled."""
        return await self.calls.look(offer, operation)


@workflow.defn
class Publication:
    """Put, publish, follow, wait for the approval, go live, follow."""

    def __init__(self) -> None:
        self._approved = False

    @workflow.run
    async def run(self, offer: str, wait: float, at_sign_off: bool, local_looks: bool) -> None:  # noqa: FBT001
        """Publish one offer."""
        if not at_sign_off:
            await workflow.execute_activity_method(Activities.put, offer, start_to_close_timeout=ATTEMPT)
            operation = await workflow.execute_activity_method(
                Activities.publish, offer, start_to_close_timeout=ATTEMPT
            )
            await self._follow(offer, operation, wait, local=local_looks)
        await workflow.wait_condition(lambda: self._approved)
        operation = await workflow.execute_activity_method(Activities.go_live, offer, start_to_close_timeout=ATTEMPT)
        await self._follow(offer, operation, wait, local=local_looks)

    @workflow.signal
    def approve(self) -> None:
        """Approve."""
        self._approved = True

    async def _follow(self, offer: str, operation: str, wait: float, *, local: bool) -> None:
        looked_at = workflow.now()
        while not await self._look(offer, operation, local=local):
            due = looked_at + timedelta(seconds=wait) - workflow.now()
            await workflow.sleep(max(due, timedelta(milliseconds=1)))
            looked_at = workflow.now()

    async def _look(self, offer: str, operation: str, *, local: bool) -> bool:
        if local:
            try:
                return await workflow.execute_local_activity_method(
                    Activities.look,
                    args=[offer, operation],
                    start_to_close_timeout=timedelta(seconds=2),
                    retry_policy=RetryPolicy(maximum_attempts=1),
                )
            except (ActivityError, ApplicationError):
                pass
        return await workflow.execute_activity_method(
            Activities.look, args=[offer, operation], start_to_close_timeout=ATTEMPT
        )


class Bare:
    """Starts and approves publications."""

    def __init__(self, temporal: Client) -> None:
        self._temporal = temporal

    async def start(self, offer: str, *, at_sign_off: bool) -> None:
        """Start a publication."""
        arguments = [offer, WAIT, at_sign_off, LOCAL_LOOKS]
        await self._temporal.start_workflow(Publication.run, args=arguments, id=offer, task_queue=QUEUE)

    async def approve(self, offer: str) -> None:
        """Approve a publication."""
        await self._temporal.get_workflow_handle(offer).signal(Publication.approve)

    async def ended(self) -> int:
        """Count the publications that succeeded."""
        query = 'WorkflowType="Publication" AND ExecutionStatus="Completed"'
        return (await self._temporal.count_workflows(query)).count


@asynccontextmanager
async def client() -> AsyncIterator[Bare]:
    """Connect to Temporal."""
    yield Bare(await Client.connect(os.environ["TEMPORAL_ADDRESS"]))


async def work() -> None:
    """Run the worker until it is killed."""
    temporal = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    async with Calls() as calls:
        activities = Activities(calls)
        worker = Worker(
            temporal,
            task_queue=QUEUE,
            workflows=[Publication],
            activities=[activities.put, activities.publish, activities.go_live, activities.look],
            # The same as ours. It sets how soon other workers take over the runs of a killed worker.
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        )
        print("Working", flush=True)
        await worker.run()


if __name__ == "__main__":
    run(client, work)
