"""Plays stories: starts their runs, acts as the people in them, and waits, but not for ever."""

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

from tests.campaigns.chaos.faults import CHANGED_BACK, FOREIGN_EDITS, Kind
from tests.campaigns.chaos.scenarios import APPROVER, Run, Story
from tests.harness.apis import Api, Call
from tests.harness.stack import Program, Stack, Wire

LOOK_EVERY = 0.7
RUN_WITHIN = 600.0
"""Long enough for eight runs on one offer, each of which loses its worker in a write."""

STARTS_AT_MOST = 4
CANCELLED_WITHIN = 30.0
"""Certification goes on then: where a publish cannot be cancelled, the run waits for its end."""

QUEUE_WITHIN = 180.0
REFUSED_FOR = 3.0
"""How long those wait whose edits are refused; nothing at the marketplace shows when all do."""

HELD = "steps/displaycertify"
CANCELS = {"cancels", "cancels at once", "cancels in the queue"}
DECIDES = {"approves", "approves early", "rejects"}

_STAGE = SearchAttributeKey.for_keyword("PublishStage")
_GONE = (RPCError, RuntimeError, TimeoutError)


@dataclass(frozen=True)
class Sight:
    """How an offer stood at the marketplace, not before a moment."""

    since: datetime
    offer: dict[str, Any]


@dataclass
class Cell:
    """All stories of one kind of fault, the workers they run on, and when these were struck."""

    kind: Kind
    api: Api
    stories: list[Story]
    stack: Stack
    client: Client
    queue: str
    workers: list[Program] = field(default_factory=list)
    temporal: Wire | None = None
    marketplace: Wire | None = None
    strikes: list[datetime] = field(default_factory=list)
    ends: dict[str, list[str]] = field(default_factory=dict)
    sights: dict[str, list[Sight]] = field(default_factory=dict)
    approved: set[str] = field(default_factory=set)
    forgetful: set[str] = field(default_factory=set)
    sleeping: asyncio.Event = field(default_factory=asyncio.Event)

    def start_worker(self) -> None:
        """Start one more worker."""
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
        """Note that a fault hit everything in this cell."""
        self.strikes.append(datetime.now(UTC))

    async def control(self, method: str, path: str, body: object = None) -> Any:
        """Ask the sandbox itself."""
        answer = await self.stack.http.request(method, f"{self.stack.sandbox_url}/_control/{path}", json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    async def requests(self, story: Story, call: Call) -> list[dict[str, Any]]:
        """Return what the marketplace was asked."""
        path = f"requests?publisher={story.publisher}&call={story.api.calls[call]}"
        entries: list[dict[str, Any]] = await self.control("GET", path)
        return entries

    async def offer(self, story: Story) -> dict[str, Any] | None:
        """Return how a story's offer stands, if there is one."""
        with contextlib.suppress(httpx.HTTPError):
            offer: dict[str, Any] = await self.control("GET", f"offers/{story.publisher}/{story.offer_id}")
            return offer
        return None


async def play(cell: Cell, story: Story) -> None:
    """Play one story from its first act to its last."""
    publisher = f"publishers/{story.publisher}"
    if not story.api.names_publishers:
        await cell.control("PUT", f"owners/{story.offer_id}", {"publisher": story.publisher})
    if story.switches:
        await cell.control("PUT", f"{publisher}/switches", story.switches)
    for fault in story.injected:
        await cell.control("POST", f"{publisher}/faults", fault | {"call": story.api.calls[fault["call"]]})
    for act in story.acts:
        if story.shape == "queue" and len(act) > 1:
            await _play_queue(cell, story, act)
            continue
        # What is to be cancelled must not be ready before.
        held = any(run.person in CANCELS for run in act)
        async with _certification_held(cell, story) if held else contextlib.nullcontext():
            await asyncio.gather(*(_perform(cell, story, run) for run in act))


@asynccontextmanager
async def _certification_held(cell: Cell, story: Story) -> AsyncIterator[None]:
    """Let certification come to no end while the context lasts."""
    step = f"publishers/{story.publisher}/{HELD}"
    await cell.control("PUT", step, {"outcome": "never"})
    try:
        yield
    finally:
        await cell.control("DELETE", step)


async def _play_queue(cell: Cell, story: Story, act: Sequence[Run]) -> None:
    """Let one run publish, all others queue up behind it, and the marketplace get on only then."""
    leader, *others = act
    async with asyncio.TaskGroup() as runs, _certification_held(cell, story):
        runs.create_task(_perform(cell, story, leader))
        await _until(lambda: _publishes_again(cell, story))
        for run in others:
            runs.create_task(_perform(cell, story, run))
        await _until(lambda: _have_queued_up(cell, story, others))
        if story.refuses_edits:
            await asyncio.sleep(REFUSED_FOR)


async def _until(moment: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a moment; when it does not come, what is judged in the end says so."""
    until = time.monotonic() + QUEUE_WITHIN
    while not await moment() and time.monotonic() < until:  # noqa: ASYNC110 - the moment is the marketplace's
        await asyncio.sleep(LOOK_EVERY / 2)


async def _publishes_again(cell: Cell, story: Story) -> bool:
    """Return whether an operation after the offer's first has begun."""
    offer = await cell.offer(story)
    return offer is not None and len(offer["operations"]) > 1 and offer["operations"][-1]["outcome"] is None


async def _have_queued_up(cell: Cell, story: Story, runs: Sequence[Run]) -> bool:
    """Return whether all wait that will: their images are in the draft, where that takes any."""
    if not all(cell.ends.get(run.id) for run in runs if run.leaves == "nothing" or run.person in CANCELS):
        return False
    return story.refuses_edits or all(
        [await _is_in_draft(cell, story, run) for run in runs if run.leaves == "images"]
    )


async def _is_in_draft(cell: Cell, story: Story, run: Run) -> bool:
    offer = await cell.offer(story)
    return offer is not None and run.images.keys() <= story.api.images_in(offer["slots"]["Draft"]["document"]).keys()


async def _perform(cell: Cell, story: Story, run: Run) -> None:
    """Start a run and see it to its end; a person starts it again where the fact that ended it was mended."""
    ends = cell.ends.setdefault(run.id, [])
    mended: dict[str, Any] = {}
    await asyncio.sleep(run.after)
    for _ in range(STARTS_AT_MOST):
        handle = await _start(cell, run, (run.start_again if ends else run.start) | mended)
        ends.append(await _end(cell, story, run, handle))
        since = datetime.now(UTC)
        if offer := await cell.offer(story):
            cell.sights.setdefault(story.publisher, []).append(Sight(since, offer))
        if ends[-1] not in cell.kind.may_end:
            return
        await cell.control("DELETE", f"publishers/{story.publisher}/faults")
        if ends[-1] == FOREIGN_EDITS:
            mended = await _mend_foreign_edits(cell, story, Random(f"{run.id} {len(ends)}"))  # noqa: S311 - repeatable


async def _mend_foreign_edits(cell: Cell, story: Story, choose: Random) -> dict[str, Any]:
    """Let a person take back what somebody else changed, publish it, or say that the run shall do so.

    Returns:
        What the next start says more than the first.
    """
    how = choose.choice(["takes it back", "publishes it", "includes it"])
    if how == "includes it":
        return {"foreign_edits": "include"}
    act: dict[str, Any] = {"kind": "stranger_publish"}
    if how == "takes it back":
        act = CHANGED_BACK

    async def accepted() -> bool:
        answer = await cell.control("POST", f"offers/{story.publisher}/{story.offer_id}/stranger", act)
        return answer["refused"] is None

    await _until(accepted)
    return {}


async def _start(cell: Cell, run: Run, start: dict[str, Any]) -> WorkflowHandle[Any, Any]:
    """Start a run as a pipeline does: again, under the same id, until the server says that it is accepted."""
    options: dict[str, Any] = {}
    if run.person == "approves early":
        options = {"start_signal": "approve_go_live", "start_signal_args": [{"approver": APPROVER}]}
    async with asyncio.timeout(RUN_WITHIN):
        while True:
            try:
                return await cell.client.start_workflow(
                    run.workflow,
                    start,
                    id=run.id,
                    task_queue=cell.queue,
                    rpc_timeout=timedelta(seconds=10),
                    **options,
                )
            except WorkflowAlreadyStartedError:
                return cell.client.get_workflow_handle(run.id)
            except _GONE:
                await asyncio.sleep(LOOK_EVERY)


async def _end(cell: Cell, story: Story, run: Run, handle: WorkflowHandle[Any, Any]) -> str:
    """Look at a run until it has ended, and do what its person does; answers with how it ended."""
    until, acted = time.monotonic() + RUN_WITHIN, False
    release = until
    while time.monotonic() < until:
        cell.stack.check()
        with contextlib.suppress(*_GONE):
            seen = await handle.describe(rpc_timeout=timedelta(seconds=10))
            if seen.status is not WorkflowExecutionStatus.RUNNING:
                return await _how(handle, seen.status)
            stage = seen.typed_search_attributes.get(_STAGE)
            if stage == "awaiting_approval" and run.person in DECIDES:
                await _decide(cell, run, handle)
            elif not acted and run.person in CANCELS and await _is_to_be_cancelled(cell, story, run):
                await handle.cancel(rpc_timeout=timedelta(seconds=10))
                acted, release = True, time.monotonic() + CANCELLED_WITHIN
            elif not acted and run.person == "terminates in its write" and await _writes(cell, story, run):
                await handle.terminate(rpc_timeout=timedelta(seconds=10))
                acted = True
            elif run.impatient:
                await handle.signal("check_now", rpc_timeout=timedelta(seconds=10))
            if time.monotonic() > release:
                await cell.control("DELETE", f"publishers/{story.publisher}/{HELD}")
                release = until
        await asyncio.sleep(LOOK_EVERY)
    return "stuck"


async def _how(handle: WorkflowHandle[Any, Any], status: WorkflowExecutionStatus | None) -> str:
    """Return how a run ended: its outcome, its error's type, or the status itself."""
    if status is WorkflowExecutionStatus.COMPLETED:
        return str((await handle.result(rpc_timeout=timedelta(seconds=10)))["outcome"])
    if status is WorkflowExecutionStatus.FAILED:
        history = await handle.fetch_history()
        failure = history.events[-1].workflow_execution_failed_event_attributes.failure
        return failure.application_failure_info.type
    return status.name.lower() if status else "unknown"


async def _decide(cell: Cell, run: Run, handle: WorkflowHandle[Any, Any]) -> None:
    """Take the decision; by signal where no worker is there to answer."""
    if cell.sleeping.is_set():
        name = "reject_go_live" if run.person == "rejects" else "approve_go_live"
        await handle.signal(name, {"approver": APPROVER})
        return
    if run.person == "approves early" or run.id in cell.approved:
        approval = (await handle.query("progress", rpc_timeout=timedelta(seconds=10)))["approval"]
        if approval["decision"] is not None:
            return
        if approval["reopened"] is None:
            cell.forgetful.add(run.id)
    decision = {"approve": run.person != "rejects", "approver": APPROVER}
    with contextlib.suppress(WorkflowUpdateFailedError, TemporalError):
        await asyncio.wait_for(
            handle.execute_update("decide_go_live", decision, rpc_timeout=timedelta(seconds=10)), 10
        )
        cell.approved.add(run.id)


async def _is_to_be_cancelled(cell: Cell, story: Story, run: Run) -> bool:
    """Return whether the moment has come: the operation to be cancelled runs, or the image waits for the next one."""
    if run.person == "cancels in the queue" and not story.refuses_edits:
        return await _is_in_draft(cell, story, run)
    return run.person != "cancels" or await _publishes_again(cell, story)


async def _writes(cell: Cell, story: Story, run: Run) -> bool:
    """Return whether a run, or the internal run that does so for it, writes the draft now."""
    seen = await cell.client.get_workflow_handle(run.id).describe()
    if any(each.activity_type.name == "edit_images" for each in seen.raw_description.pending_activities):
        return True
    return any(each.workflow_id == story.writer_id for each in seen.raw_description.pending_children)
