"""Play an overload: start server, sandbox, workers and all runs, and watch until the last run has ended."""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecutionStatus

from marketplace.cloud_partner.calls import API_VERSION
from sandbox import DEFAULT_TOKEN
from sandbox.demo import SERVER_TUNING
from tests.campaigns.overload.figures import Facts
from tests.campaigns.overload.plan import APPROVER, SETTLED, Run
from tests.campaigns.secrets import SAS
from tests.campaigns.stack import Stack, stack_in
from tests.harness.processes import ROOT
from tests.harness.programs import Program
from tests.harness.waiting import until

QUEUE = "offer-publishing"
STORAGE_KEYS = "fabrikamimages=c2FuZGJveA=="
CONCURRENT_STARTS = 50
LOOK_EVERY = 5.0
REPORT_EVERY = 60.0

_EXAMPLE = ROOT / "examples" / "create.json"
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Overload:
    """One overload.

    Attributes:
        allowed: How many requests per second the marketplace allows.
        capped: Whether the workers know this limit.
        patience: Seconds after which to give up.
        folder: Where logs go.
    """

    runs: Sequence[Run]
    allowed: int
    capped: bool
    workers: int
    patience: float
    folder: Path
    _requests: list[dict[str, Any]] = field(default_factory=list)
    _seen: int = 0
    _resident: list[int] = field(default_factory=list)
    _cpu_seconds: float = 0.0

    async def play(self) -> Facts:
        """Play the overload on a new stack."""
        async with stack_in(self.folder, SERVER_TUNING) as stack:
            return await self._on(stack)

    async def _on(self, stack: Stack) -> Facts:
        client = await stack.client()
        await self._put_offers(stack)
        workers = [self._start_worker(stack) for _ in range(self.workers)]
        for worker in workers:
            await worker.until_working()
        watching = asyncio.create_task(self._watch(workers[0]))
        began = datetime.now(UTC)
        await self._start_runs(client)
        print(f"{len(self.runs)} runs started in {(datetime.now(UTC) - began).total_seconds():.0f} s", flush=True)
        await self._wait(stack, client)
        watching.cancel()
        (self.folder / "requests.json").write_text(json.dumps(self._requests))
        ended, failed_attempts = await self._read_histories(client)
        return Facts(
            self.allowed, began, self.runs, self._requests, ended, failed_attempts, self._resident, self._cpu_seconds
        )

    async def _put_offers(self, stack: Stack) -> None:
        """Put the offers, publish the offers that runs only look at, and then turn on the limit."""
        offer = json.loads(_EXAMPLE.read_text())["offer"]
        image = offer["definition"]["plans"][0]["microsoft-azure-virtualmachines.vmImages"]["4.2.0"]
        image["osVhdUrl"] += f"?{SAS}"
        how: dict[str, Any] = {
            "params": {"api-version": API_VERSION},
            "headers": {"Authorization": f"Bearer {DEFAULT_TOKEN}"},
        }
        for publisher, name in dict.fromkeys((run.publisher, run.start["offer_id"]) for run in self.runs):
            address = f"{stack.sandbox_url}/api/publishers/{publisher}/offers/{name}"
            document = offer | {"publisherId": publisher, "id": name}
            (await stack.http.put(address, json=document, **how)).raise_for_status()
            if name == SETTLED:
                (await stack.http.post(f"{address}/publish", json={"metadata": {}}, **how)).raise_for_status()
        for publisher in {run.publisher for run in self.runs}:
            await _until_settled(stack, publisher)
        limit = {"requests_per_second": self.allowed}
        (await stack.http.put(f"{stack.sandbox_url}/_control/limit", json=limit)).raise_for_status()
        await self._fetch_requests(stack)
        self._seen = self._requests[-1]["number"]
        self._requests.clear()

    def _start_worker(self, stack: Stack) -> Program:
        cap = {"MARKETPLACE_REQUESTS_PER_SECOND": str(self.allowed)} if self.capped else {}
        address = f"127.0.0.1:{stack.temporal_port}"
        return stack.worker(address, stack.sandbox_url, QUEUE, AZURE_STORAGE_ACCOUNT_KEYS=STORAGE_KEYS, **cap)

    async def _start_runs(self, client: Client) -> None:
        turns = asyncio.Semaphore(CONCURRENT_STARTS)

        async def start(run: Run) -> None:
            early: dict[str, Any] = {}
            if run.workflow == "ValidateAndGoLive":
                early = {"start_signal": "approve_go_live", "start_signal_args": [{"approver": APPROVER}]}
            async with turns:
                await client.start_workflow(run.workflow, run.start, id=run.id, task_queue=QUEUE, **early)

        await asyncio.gather(*(start(run) for run in self.runs))

    async def _watch(self, worker: Program) -> None:
        """Read memory and CPU time of the worker every second."""
        at = Path("/proc") / str(worker.process.pid)
        while True:
            self._resident.append(int((at / "statm").read_text().split()[1]) * _PAGE)
            times = (at / "stat").read_text().rpartition(")")[2].split()
            self._cpu_seconds = (int(times[11]) + int(times[12])) / _TICKS
            await asyncio.sleep(1)

    async def _wait(self, stack: Stack, client: Client) -> None:
        began = reported = time.monotonic()
        while time.monotonic() < began + self.patience:
            stack.check()
            running = (await client.count_workflows("ExecutionStatus = 'Running'")).count
            await self._fetch_requests(stack)
            if not running:
                return
            if time.monotonic() >= reported + REPORT_EVERY:
                reported = time.monotonic()
                print(
                    f"{reported - began:.0f} s: {running} running, {len(self._requests)} requests,"
                    f" {self._resident[-1] / 2**20:.0f} MiB",
                    flush=True,
                )
            await asyncio.sleep(LOOK_EVERY)

    async def _fetch_requests(self, stack: Stack) -> None:
        """Fetch the new part of the request log. The sandbox does not keep it forever."""
        answer = await stack.http.get(f"{stack.sandbox_url}/_control/requests", params={"after": self._seen})
        self._requests += answer.json()
        if self._requests:
            self._seen = self._requests[-1]["number"]

    async def _read_histories(self, client: Client) -> tuple[dict[str, tuple[datetime, str]], Counter[str]]:
        """Return when and how the runs ended, and the number of failed activity attempts by their message."""
        wanted = {run.id for run in self.runs}
        ended: dict[str, tuple[datetime, str]] = {}
        failed_attempts = Counter[str]()
        async for seen in client.list_workflows():
            events = (await client.get_workflow_handle(seen.id, run_id=seen.run_id).fetch_history()).events
            for event in events:
                started = event.activity_task_started_event_attributes
                if started.attempt > 1:
                    failed_attempts[started.last_failure.message[-60:]] += started.attempt - 1
            continued = seen.status is WorkflowExecutionStatus.CONTINUED_AS_NEW
            if seen.id in wanted and seen.close_time and not continued:
                ended[seen.id] = (seen.close_time, _ending(events[-1]))
        return ended, failed_attempts


def _ending(end: HistoryEvent) -> str:
    """Return the outcome or the error message."""
    if end.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
        result = json.loads(end.workflow_execution_completed_event_attributes.result.payloads[0].data)
        return str(result["outcome"])
    return end.workflow_execution_failed_event_attributes.failure.message or EventType.Name(end.event_type)


async def _until_settled(stack: Stack, publisher: str) -> None:
    async def is_settled() -> bool:
        state = (await stack.http.get(f"{stack.sandbox_url}/_control/offers/{publisher}/{SETTLED}")).json()
        return bool(state["status"] == "waitingForPublisherReview")

    await until(is_settled, f"the offer {SETTLED} of {publisher} reaches its preview")
