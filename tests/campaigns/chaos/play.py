"""Play scenarios: start their runs, act as the people in them, and wait for every run up to a limit."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import TemporalError, WorkflowAlreadyStartedError
from temporalio.service import RPCError

from tests.campaigns.apis import Call, CampaignApi
from tests.campaigns.chaos.faults import FOREIGN_EDITS, RESTORED_LISTING, Kind
from tests.campaigns.chaos.scenarios import APPROVER, Run, Scenario
from tests.campaigns.stack import Proxy, Stack
from tests.harness.programs import Program

LOOK_EVERY = 0.7
RUN_WITHIN = 600.0
"""Long enough for eight runs on one offer, each of which loses its worker during a write."""

STARTS_AT_MOST = 4
CANCELLED_WITHIN = 30.0
"""After this time certification continues, because a run whose publish cannot be cancelled waits for its end."""

QUEUE_WITHIN = 180.0
REFUSED_FOR = 3.0
"""Seconds for a queue to form if edits are refused. The marketplace does not show such a queue."""

CERTIFICATION = "steps/displaycertify"
CANCELS = {"cancels", "cancels at once", "cancels in the queue"}
DECIDES = {"approves", "approves early", "rejects"}

_STAGE = SearchAttributeKey.for_keyword("PublishStage")
_UNREACHABLE = (RPCError, RuntimeError, TimeoutError)


@dataclass(frozen=True)
class Observation:
    """The state of an offer at the marketplace, read at ``since`` or a little later."""

    since: datetime
    offer: dict[str, Any]


@dataclass
class Batch:
    """All scenarios of one kind of fault, with the programs that run them and the observations.

    Attributes:
        queue: The task queue.
        workers: The running workers, for a kind that has its own.
        strikes: When a fault hit processes or connections.
        ends: The ends of all starts of each run, by workflow ID.
        observations: The states of the offers after each end of a run, by publisher.
        approved: Workflow IDs of the runs that accepted an approval.
        forgetful: Workflow IDs of the runs that asked again without saying why.
        no_workers: Set while the workers are down on purpose.
    """

    kind: Kind
    api: CampaignApi
    scenarios: list[Scenario]
    stack: Stack
    client: Client
    queue: str
    workers: list[Program] = field(default_factory=list)
    temporal: Proxy | None = None
    marketplace: Proxy | None = None
    strikes: list[datetime] = field(default_factory=list)
    ends: dict[str, list[str]] = field(default_factory=dict)
    observations: dict[str, list[Observation]] = field(default_factory=dict)
    approved: set[str] = field(default_factory=set)
    forgetful: set[str] = field(default_factory=set)
    no_workers: asyncio.Event = field(default_factory=asyncio.Event)

    def start_worker(self) -> None:
        """Start another worker."""
        self.workers.append(
            self.stack.start_worker(
                self.queue,
                self.api,
                temporal=self.temporal.port if self.temporal else 0,
                marketplace=self.marketplace.port if self.marketplace else 0,
                disk_is_full=self.kind.trouble == "full disk",
            )
        )

    def struck(self) -> None:
        """Record that a fault hit the whole batch now."""
        self.strikes.append(datetime.now(UTC))

    async def control(self, method: str, path: str, body: object = None) -> Any:
        """Call the control API of the sandbox."""
        answer = await self.stack.http.request(method, f"{self.stack.sandbox_url}/_control/{path}", json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    async def requests(self, scenario: Scenario, call: Call) -> list[dict[str, Any]]:
        """Return the logged requests of one call."""
        path = f"requests?publisher={scenario.publisher}&call={scenario.api.calls[call]}"
        entries: list[dict[str, Any]] = await self.control("GET", path)
        return entries

    async def offer(self, scenario: Scenario) -> dict[str, Any] | None:
        """Return the offer of a scenario as the sandbox shows it, or ``None`` if there is none."""
        with contextlib.suppress(httpx.HTTPError):
            offer: dict[str, Any] = await self.control("GET", f"offers/{scenario.publisher}/{scenario.offer_id}")
            return offer
        return None


async def play(batch: Batch, scenario: Scenario) -> None:
    """Play the acts of one scenario in order."""
    publisher = f"publishers/{scenario.publisher}"
    if not scenario.api.names_publishers:
        await batch.control("PUT", f"owners/{scenario.offer_id}", {"publisher": scenario.publisher})
    if scenario.switches:
        await batch.control("PUT", f"{publisher}/switches", scenario.switches)
    for fault in scenario.injected:
        await batch.control("POST", f"{publisher}/faults", fault | {"call": scenario.api.calls[fault["call"]]})
    for act in scenario.acts:
        if scenario.shape == "queue" and len(act) > 1:
            await _play_queue(batch, scenario, act)
            continue
        # A publish that is to be cancelled must not become ready first.
        held = any(run.person in CANCELS for run in act)
        async with _certification_held(batch, scenario) if held else contextlib.nullcontext():
            await asyncio.gather(*(_perform(batch, scenario, run) for run in act))


@asynccontextmanager
async def _certification_held(batch: Batch, scenario: Scenario) -> AsyncIterator[None]:
    """Keep certification from ending while the context lasts."""
    step = f"publishers/{scenario.publisher}/{CERTIFICATION}"
    await batch.control("PUT", step, {"outcome": "never"})
    try:
        yield
    finally:
        await batch.control("DELETE", step)


async def _play_queue(batch: Batch, scenario: Scenario, act: Sequence[Run]) -> None:
    """Let one run publish and all others queue up behind it. Then let the marketplace continue."""
    leader, *others = act
    async with asyncio.TaskGroup() as runs, _certification_held(batch, scenario):
        runs.create_task(_perform(batch, scenario, leader))
        await _until(lambda: _publishes_again(batch, scenario))
        for run in others:
            runs.create_task(_perform(batch, scenario, run))
        await _until(lambda: _have_queued_up(batch, scenario, others))
        if scenario.refuses_edits:
            await asyncio.sleep(REFUSED_FOR)


async def _until(reached: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds, or give up. The invariants then show what went wrong."""
    deadline = time.monotonic() + QUEUE_WITHIN
    while not await reached() and time.monotonic() < deadline:  # noqa: ASYNC110 - the sandbox sends no events
        await asyncio.sleep(LOOK_EVERY / 2)


async def _publishes_again(batch: Batch, scenario: Scenario) -> bool:
    """Return whether an operation other than the offer's first is running."""
    offer = await batch.offer(scenario)
    return offer is not None and len(offer["operations"]) > 1 and offer["operations"][-1]["outcome"] is None


async def _have_queued_up(batch: Batch, scenario: Scenario, runs: Sequence[Run]) -> bool:
    """Return whether the queue is complete. If the marketplace accepts edits, all images are then in the draft."""
    if not all(batch.ends.get(run.id) for run in runs if run.leaves == "nothing" or run.person in CANCELS):
        return False
    return scenario.refuses_edits or all(
        [await _is_in_draft(batch, scenario, run) for run in runs if run.leaves == "images"]
    )


async def _is_in_draft(batch: Batch, scenario: Scenario, run: Run) -> bool:
    offer = await batch.offer(scenario)
    return (
        offer is not None and run.images.keys() <= scenario.api.images_in(offer["slots"]["Draft"]["document"]).keys()
    )


async def _perform(batch: Batch, scenario: Scenario, run: Run) -> None:
    """Run a workflow to its end. If the fault ended it, remove the cause and start it again, as a person would."""
    ends = batch.ends.setdefault(run.id, [])
    mended: dict[str, Any] = {}
    await asyncio.sleep(run.after)
    for _ in range(STARTS_AT_MOST):
        handle = await _start(batch, run, (run.start_again if ends else run.start) | mended)
        ends.append(await _end(batch, scenario, run, handle))
        since = datetime.now(UTC)
        if offer := await batch.offer(scenario):
            batch.observations.setdefault(scenario.publisher, []).append(Observation(since, offer))
        if ends[-1] not in batch.kind.may_end:
            return
        await batch.control("DELETE", f"publishers/{scenario.publisher}/faults")
        if ends[-1] == FOREIGN_EDITS:
            mended = await _mend_foreign_edits(batch, scenario, Random(f"{run.id} {len(ends)}"))  # noqa: S311 - repeatable


async def _mend_foreign_edits(batch: Batch, scenario: Scenario, choose: Random) -> dict[str, Any]:
    """Revert the stranger's change, publish it, or allow the run to include it.

    Returns:
        What to add to the input of the next start.
    """
    how = choose.choice(["revert", "publish", "include"])
    if how == "include":
        return {"foreign_edits": "include"}
    act: dict[str, Any] = {"kind": "stranger_publish"}
    if how == "revert":
        act = RESTORED_LISTING

    async def accepted() -> bool:
        answer = await batch.control("POST", f"offers/{scenario.publisher}/{scenario.offer_id}/stranger", act)
        return answer["refused"] is None

    await _until(accepted)
    return {}


async def _start(batch: Batch, run: Run, start: dict[str, Any]) -> WorkflowHandle[Any, Any]:
    """Start a run like a pipeline. Repeat the start with the same workflow ID until the server accepts it."""
    options: dict[str, Any] = {}
    if run.person == "approves early":
        options = {"start_signal": "approve_go_live", "start_signal_args": [{"approver": APPROVER}]}
    async with asyncio.timeout(RUN_WITHIN):
        while True:
            try:
                return await batch.client.start_workflow(
                    run.workflow,
                    start,
                    id=run.id,
                    task_queue=batch.queue,
                    rpc_timeout=timedelta(seconds=10),
                    **options,
                )
            except WorkflowAlreadyStartedError:
                return batch.client.get_workflow_handle(run.id)
            except _UNREACHABLE:
                await asyncio.sleep(LOOK_EVERY)


async def _end(batch: Batch, scenario: Scenario, run: Run, handle: WorkflowHandle[Any, Any]) -> str:
    """Watch a run until it ends, act as its person, and return how it ended."""
    deadline, acted = time.monotonic() + RUN_WITHIN, False
    release = deadline
    while time.monotonic() < deadline:
        batch.stack.check()
        with contextlib.suppress(*_UNREACHABLE):
            seen = await handle.describe(rpc_timeout=timedelta(seconds=10))
            if seen.status is not WorkflowExecutionStatus.RUNNING:
                return await _ending(handle, seen.status)
            stage = seen.typed_search_attributes.get(_STAGE)
            if stage == "awaiting_approval" and run.person in DECIDES:
                await _decide(batch, run, handle)
            elif not acted and run.person in CANCELS and await _may_be_cancelled_now(batch, scenario, run):
                await handle.cancel(rpc_timeout=timedelta(seconds=10))
                acted, release = True, time.monotonic() + CANCELLED_WITHIN
            elif not acted and run.person == "terminates in its write" and await _writes(batch, scenario, run):
                await handle.terminate(rpc_timeout=timedelta(seconds=10))
                acted = True
            elif run.impatient:
                await handle.signal("check_now", rpc_timeout=timedelta(seconds=10))
            if time.monotonic() > release:
                await batch.control("DELETE", f"publishers/{scenario.publisher}/{CERTIFICATION}")
                release = deadline
        await asyncio.sleep(LOOK_EVERY)
    return "stuck"


async def _ending(handle: WorkflowHandle[Any, Any], status: WorkflowExecutionStatus | None) -> str:
    """Return the outcome, the error type, or the status that a run ended with."""
    if status is WorkflowExecutionStatus.COMPLETED:
        return str((await handle.result(rpc_timeout=timedelta(seconds=10)))["outcome"])
    if status is WorkflowExecutionStatus.FAILED:
        history = await handle.fetch_history()
        failure = history.events[-1].workflow_execution_failed_event_attributes.failure
        return failure.application_failure_info.type
    return status.name.lower() if status else "unknown"


async def _decide(batch: Batch, run: Run, handle: WorkflowHandle[Any, Any]) -> None:
    """Send the decision: as an update, or as a signal while there is no worker to answer."""
    if batch.no_workers.is_set():
        name = "reject_go_live" if run.person == "rejects" else "approve_go_live"
        await handle.signal(name, {"approver": APPROVER})
        return
    if run.person == "approves early" or run.id in batch.approved:
        approval = (await handle.query("progress", rpc_timeout=timedelta(seconds=10)))["approval"]
        if approval["decision"] is not None:
            return
        if approval["reopened"] is None:
            batch.forgetful.add(run.id)
    decision = {"approve": run.person != "rejects", "approver": APPROVER}
    with contextlib.suppress(WorkflowUpdateFailedError, TemporalError):
        await asyncio.wait_for(
            handle.execute_update("decide_go_live", decision, rpc_timeout=timedelta(seconds=10)), 10
        )
        batch.approved.add(run.id)


async def _may_be_cancelled_now(batch: Batch, scenario: Scenario, run: Run) -> bool:
    """Return whether it is time to cancel, because the publish is running or the image waits in the draft."""
    if run.person == "cancels in the queue" and not scenario.refuses_edits:
        return await _is_in_draft(batch, scenario, run)
    return run.person != "cancels" or await _publishes_again(batch, scenario)


async def _writes(batch: Batch, scenario: Scenario, run: Run) -> bool:
    """Return whether a run, or its internal child workflow, is writing the draft."""
    seen = await batch.client.get_workflow_handle(run.id).describe()
    if any(each.activity_type.name == "edit_images" for each in seen.raw_description.pending_activities):
        return True
    return any(each.workflow_id == scenario.writer_id for each in seen.raw_description.pending_children)
