"""Ours, as shipped: `ValidateAndGoLive` with an image that the preview lacks. The worker is ``python -m worker``."""

import asyncio
import os

from temporalio.client import Client

from bench.compare.line import obey
from bench.compare.offers import IMAGE, PLAN, VHD
from worker.registration import data_converter

PUBLISHER = "fabrikam-linux"
QUEUE = "offer-publishing"
WAIT = float(os.environ.get("BENCH_WAIT", "1"))


async def main() -> None:
    """Start and approve publications as a script of a user would."""
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"], data_converter=data_converter())

    async def start(offer: str, _at_sign_off: bool = False) -> None:  # noqa: FBT001, FBT002
        await client.start_workflow(
            "ValidateAndGoLive",
            {
                "publisher_id": PUBLISHER,
                "offer_id": offer,
                "images": [{"plan_id": PLAN, "version": IMAGE, "os_vhd_url": VHD.format(IMAGE)}],
                "polling": {"min_interval": WAIT, "max_interval": WAIT},
            },
            id=f"go-live/{PUBLISHER}/{offer}",
            task_queue=QUEUE,
        )

    async def approve(offer: str) -> None:
        handle = client.get_workflow_handle(f"go-live/{PUBLISHER}/{offer}")
        await handle.signal("approve_go_live", {"approver": "dana@fabrikam.example"})

    async def ended() -> int:
        counted = await client.count_workflows('WorkflowType="ValidateAndGoLive" AND ExecutionStatus="Completed"')
        return counted.count

    await obey({"start": start, "approve": approve, "ended": ended})


if __name__ == "__main__":
    asyncio.run(main())
