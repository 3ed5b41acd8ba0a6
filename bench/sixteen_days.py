"""Count the looks, history events and delays of a publication of sixteen days: ``make sixteen-days``.

The real workflows, activities and client run with the default polling against the sandbox, on a Temporal server that
skips time. The figures come from the sandbox's request log and from the histories.
"""

import asyncio
import json
import sys
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from marketplace.cloud_partner.calls import Portal
from marketplace.cloud_partner.marketplace import CloudPartnerMarketplace
from marketplace.http.credentials import FixedToken
from marketplace.sas import Signer
from sandbox import DEFAULT_TOKEN, SandboxMarketplace, serve
from tests.harness.processes import end_on_sigterm
from tests.harness.temporal_server import time_skipping_server
from worker.__main__ import end
from worker.registration import create_worker

EXAMPLES = Path(__file__).parent.parent / "examples"
QUEUE = "offer-publishing"
DAY = 86_400.0
DURATIONS = {
    "displaydummycertify": 900.0,
    "displaycertify": 4.4 * DAY + 1_234,
    "displayprovision": 5.3 * DAY + 345,
    "displaypackage": 3_300.0,
    "live": 16 * DAY - 900 - 4.4 * DAY - 1_234 - 5.3 * DAY - 345 - 3_300,
}


class TemporalClock:
    """A clock for the sandbox that shows the time of the time-skipping server."""

    def __init__(self, temporal: WorkflowEnvironment) -> None:
        self._temporal = temporal

    async def now(self) -> datetime:
        """Return the time of the server."""
        return (await self._temporal.get_current_time()).astimezone(UTC)


def main() -> int:
    end_on_sigterm()
    try:
        asyncio.run(play())
    except FileNotFoundError as missing:
        print(missing, file=sys.stderr)
        return 2
    return 0


async def play() -> None:
    """Play the publication and print its cost.

    Raises:
        FileNotFoundError: There is no server that skips time.
    """
    async with time_skipping_server() as temporal:
        sandbox = SandboxMarketplace(clock=TemporalClock(temporal))
        async with serve(sandbox) as url, httpx.AsyncClient() as http:
            portal = Portal(http, FixedToken(SecretStr(DEFAULT_TOKEN)), url=url)
            marketplace = CloudPartnerMarketplace(portal, signer=Signer({"fabrikamimages": "aW52ZW50ZWQ="}))
            async with create_worker(temporal.client, QUEUE, marketplace):
                state = await _publish_and_promote(temporal.client, http, url)
            requests = (await http.get(f"{url}/_control/requests")).json()
        await _report(temporal.client, requests, state)


async def _publish_and_promote(client: Client, http: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """Bring an offer to the preview in seconds, and then a new version to Production in sixteen days."""
    create = json.loads((EXAMPLES / "create.json").read_text())
    publisher, offer = create["offer"]["publisherId"], create["offer"]["id"]
    switches = f"{url}/_control/publishers/{publisher}/switches"
    await http.put(switches, json={"step_durations": dict.fromkeys(DURATIONS, 1.0)})
    await client.execute_workflow("CreateOfferAndPublish", create, id="create", task_queue=QUEUE)
    await http.put(switches, json={"step_durations": DURATIONS})
    promote = json.loads((EXAMPLES / "go-live.json").read_text())
    promote.pop("polling", None)
    promote["approval"] = {"approvers": ["dana"]}
    await client.execute_workflow(
        "ValidateAndGoLive",
        promote,
        id="go-live",
        task_queue=QUEUE,
        start_signal="approve_go_live",
        start_signal_args=[{"approver": "dana"}],
    )
    state: dict[str, Any] = (await http.get(f"{url}/_control/offers/{publisher}/{offer}")).json()
    state["operations"] = state["operations"][1:]
    return state


async def _report(client: Client, requests: list[dict[str, Any]], state: dict[str, Any]) -> None:
    table = Table("operation", "duration", "looks", "longest delay until a change was seen")
    all_looks, all_time = 0, timedelta()
    for operation in state["operations"]:
        looks = [
            datetime.fromisoformat(entry["sandbox_time"])
            for entry in requests
            if entry["call"] == "read_operation" and operation["id"] in entry["path"]
        ]
        changes = _changes(operation)
        took = max(changes) - looks[0]
        delay = max(looks[bisect_left(looks, change)] - change for change in changes)
        all_looks, all_time = all_looks + len(looks), all_time + took
        table.add_row(operation["kind"], _days(took), str(len(looks)), str(delay))
    table.add_row("together", _days(all_time), str(all_looks), "")
    Console().print(table)
    events = await _events(client, "go-live")
    print(f"History events: {sum(events):,}, in runs of {', '.join(map(str, events))}")


def _days(time: timedelta) -> str:
    return f"{time / timedelta(days=1):.2f} days"


def _changes(operation: dict[str, Any]) -> list[datetime]:
    """Return the times at which the steps of an operation ended, except for the sign-off."""
    steps = [step for step in operation["steps"] if (step["id"] == "live") == (operation["kind"] == "goLive")]
    return [
        datetime.fromisoformat(step["messages"][-1]["timestamp"])
        for step in steps
        if step["messages"] and step["id"] != "publisher-signoff"
    ]


async def _events(client: Client, workflow_id: str) -> list[int]:
    """Count the events of each run in a chain of runs."""
    counts: list[int] = []
    run_id: str | None = None
    while run_id != "":
        history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
        counts.insert(0, len(history.events))
        run_id = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
    return counts


if __name__ == "__main__":
    end(main())
