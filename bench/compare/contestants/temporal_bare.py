"""The engine itself: the least code on Temporal's SDK that does the job. No checks, nothing shown to people."""

import asyncio
import os
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from bench.compare.calls import WAIT, Calls
    from bench.compare.line import obey

QUEUE = "bare"
A_TRY = timedelta(seconds=20)
"""The bound of one attempt, as in ours; the marketplace answers within 0.5 s."""


class Activities:
    """One request each."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    @activity.defn
    async def put(self, offer: str) -> None:
        """Put the offer."""
        await self.calls.put(offer)

    @activity.defn
    async def publish(self, offer: str) -> str:
        """Publish."""
        return await self.calls.publish(offer)

    @activity.defn
    async def go_live(self, offer: str) -> str:
        """Go live."""
        return await self.calls.go_live(offer)

    @activity.defn
    async def look(self, offer: str, operation: str) -> bool:
        """Look."""
        return await self.calls.look(offer, operation)


@workflow.defn
class Publication:
    """Put, publish, follow, wait for the approval, go live, follow."""

    def __init__(self) -> None:
        self._approved = False

    @workflow.run
    async def run(self, offer: str, wait: float, at_sign_off: bool) -> None:  # noqa: FBT001
        """Publish one offer."""
        if not at_sign_off:
            await workflow.execute_activity_method(Activities.put, offer, start_to_close_timeout=A_TRY)
            operation = await workflow.execute_activity_method(
                Activities.publish, offer, start_to_close_timeout=A_TRY
            )
            await self._follow(offer, operation, wait)
        await workflow.wait_condition(lambda: self._approved)
        operation = await workflow.execute_activity_method(Activities.go_live, offer, start_to_close_timeout=A_TRY)
        await self._follow(offer, operation, wait)

    async def _follow(self, offer: str, operation: str, wait: float) -> None:
        looked_at = workflow.now()
        while not await self.look(offer, operation):
            due = looked_at + timedelta(seconds=wait) - workflow.now()
            await workflow.sleep(max(due, timedelta(milliseconds=1)))
            looked_at = workflow.now()

    async def look(self, offer: str, operation: str) -> bool:
        """Look once."""
        return await workflow.execute_activity_method(
            Activities.look, args=[offer, operation], start_to_close_timeout=A_TRY
        )

    @workflow.signal
    def approve(self) -> None:
        """Approve."""
        self._approved = True


async def work(publication: type) -> None:
    """Run the workflow's worker until killed."""
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    async with Calls() as calls:
        activities = Activities(calls)
        worker = Worker(
            client,
            task_queue=QUEUE,
            workflows=[publication],
            activities=[activities.put, activities.publish, activities.go_live, activities.look],
            # As in ours: how soon the runs of a killed worker are taken over.
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        )
        print("Working", flush=True)
        await worker.run()


async def take_orders() -> None:
    """Start and approve publications."""
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])

    async def start(offer: str, at_sign_off: bool = False) -> None:  # noqa: FBT001, FBT002
        await client.start_workflow(Publication.run, args=[offer, WAIT, at_sign_off], id=offer, task_queue=QUEUE)

    async def approve(offer: str) -> None:
        await client.get_workflow_handle(offer).signal(Publication.approve)

    async def ended() -> int:
        return (await client.count_workflows('WorkflowType="Publication" AND ExecutionStatus="Completed"')).count

    await obey({"start": start, "approve": approve, "ended": ended})


def main(publication: type) -> None:
    """Run the worker or the client, as the command line says."""
    asyncio.run(work(publication) if sys.argv[1] == "worker" else take_orders())


if __name__ == "__main__":
    main(Publication)
