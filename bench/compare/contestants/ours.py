"""Our client: `ValidateAndGoLive` with an image that is not in the preview. The worker is ``python -m worker``."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.client import Client

from bench.compare.offers import IMAGE, PLAN, VHD
from bench.compare.orders import run
from worker.registration import create_data_converter

PUBLISHER = "fabrikam-linux"
WAIT = float(os.environ.get("BENCH_WAIT", "1"))


class Ours:
    """Starts and approves publications as a user's script would."""

    def __init__(self, temporal: Client) -> None:
        self._temporal = temporal

    async def start(self, offer: str, *, at_sign_off: bool) -> None:  # noqa: ARG002 - the survey finds the preview
        """Start a publication."""
        await self._temporal.start_workflow(
            "ValidateAndGoLive",
            {
                "publisher_id": PUBLISHER,
                "offer_id": offer,
                "images": [{"plan_id": PLAN, "version": IMAGE, "os_vhd_url": VHD.format(IMAGE)}],
                "polling": {"min_interval": WAIT, "max_interval": WAIT},
            },
            id=f"go-live/{PUBLISHER}/{offer}",
            task_queue="offer-publishing",
        )

    async def approve(self, offer: str) -> None:
        """Approve a publication."""
        handle = self._temporal.get_workflow_handle(f"go-live/{PUBLISHER}/{offer}")
        await handle.signal("approve_go_live", {"approver": "dana@fabrikam.example"})

    async def ended(self) -> int:
        """Count the publications that succeeded."""
        query = 'WorkflowType="ValidateAndGoLive" AND ExecutionStatus="Completed"'
        return (await self._temporal.count_workflows(query)).count


@asynccontextmanager
async def client() -> AsyncIterator[Ours]:
    """Connect to Temporal."""
    yield Ours(await Client.connect(os.environ["TEMPORAL_ADDRESS"], data_converter=create_data_converter()))


if __name__ == "__main__":
    run(client)
