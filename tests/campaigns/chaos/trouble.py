"""What is done to processes and wires while stories are played: one coroutine a kind, until it is cancelled."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random
from typing import TypeAlias, cast

from temporalio.client import WorkflowExecutionDescription
from temporalio.service import RPCError

from tests.campaigns.chaos.faults import Trouble
from tests.campaigns.chaos.play import Cell
from tests.campaigns.chaos.scenarios import Story
from tests.harness.apis import Call
from tests.harness.stack import Wire

OFTEN = 0.15
STRIKES_AT_MOST = 20
EIGHT_DAYS = 11.5
"""At the campaign's speed of the marketplace's clock."""

Making: TypeAlias = Callable[[Cell, Random], Awaitable[None]]
Moment: TypeAlias = Callable[[Cell, Story], Awaitable[bool]]


@asynccontextmanager
async def trouble_for(cell: Cell, choose: Random) -> AsyncIterator[None]:
    """Give the cell its workers, and make its trouble while the context lasts."""
    servers = await _lay_wires(cell)
    if cell.kind.own_workers:
        for _ in range(2 if cell.kind.trouble == "kill at random" else 1):
            cell.start_worker()
    making = asyncio.create_task(_make(cell, choose))
    try:
        yield
    finally:
        making.cancel()
        await asyncio.wait([making])
        if cell.kind.own_workers:
            for worker in cell.workers:
                worker.kill()
        for wire in (cell.temporal, cell.marketplace):
            if wire:
                wire.hang_up()
        for server in servers:
            server.close()
    if not making.cancelled():
        making.result()


async def _lay_wires(cell: Cell) -> list[asyncio.Server]:
    servers = []
    if cell.kind.trouble == "cut temporal":
        cell.temporal = Wire(cell.stack.temporal_port)
        servers.append(await cell.temporal.open())
    if cell.kind.trouble == "cut marketplace":
        cell.marketplace = Wire(cell.stack.sandbox_port)
        servers.append(await cell.marketplace.open())
    return servers


async def _make(cell: Cell, choose: Random) -> None:
    making = _TROUBLES.get(cell.kind.trouble)
    if making is not None:
        await making(cell, choose)
    elif cell.kind.trouble in _MOMENTS:
        await _kill_once_in_each_story(cell, _MOMENTS[cell.kind.trouble])


async def _kill_once_in_each_story(cell: Cell, moment: Moment) -> None:
    lock = asyncio.Lock()

    async def watch(story: Story) -> None:
        while True:
            asked = datetime.now(UTC)
            with contextlib.suppress(RPCError, RuntimeError):
                if await moment(cell, story):
                    break
            await asyncio.sleep(OFTEN)
        async with lock:
            if not (cell.strikes and cell.strikes[-1] > asked):
                await _kill_workers(cell)
        if cell.kind.trouble in {"kill before activity", "kill at continue-as-new"}:
            await cell.control("DELETE", f"publishers/{story.publisher}/faults")

    await asyncio.gather(*(watch(story) for story in cell.stories))


async def _kill_workers(cell: Cell, *, away: float = 0) -> None:
    """Kill all workers of the cell and start as many."""
    killed, cell.workers = cell.workers, []
    for worker in killed:
        worker.kill()
    cell.struck()
    await asyncio.sleep(away)
    for _ in killed:
        cell.start_worker()


async def _is_held(cell: Cell, story: Story) -> bool:
    """Return whether the sandbox holds the answer to the write: then its fault has been taken."""
    faults = await cell.control("GET", f"publishers/{story.publisher}/faults")
    return not faults and bool(story.injected)


async def _is_pending(cell: Cell, story: Story) -> bool:
    """Return whether a worker has begun with the activity and, with its first read slowed down, not yet written."""
    return any(
        each.activity_type.name == cell.kind.at and each.HasField("last_started_time")
        for seen in await _open_runs(cell, story)
        for each in seen.raw_description.pending_activities
    )


async def _has_had_effect(cell: Cell, story: Story) -> bool:
    return any(entry["effect"] for entry in await cell.requests(story, cast("Call", cell.kind.at)))


async def _continues_as_new(cell: Cell, story: Story) -> bool:
    query = f"WorkflowId STARTS_WITH '{story.publisher}/' AND ExecutionStatus = 'ContinuedAsNew'"
    return (await cell.client.count_workflows(query)).count > 0


async def _open_runs(cell: Cell, story: Story) -> list[WorkflowExecutionDescription]:
    mine = f"(WorkflowId STARTS_WITH '{story.publisher}/' OR WorkflowId = '{story.writer_id}')"
    query = f"{mine} AND ExecutionStatus = 'Running'"
    ids = [each.id async for each in cell.client.list_workflows(query)]
    return [await cell.client.get_workflow_handle(workflow_id).describe() for workflow_id in ids]


async def _kill_at_approval(cell: Cell, _choose: Random) -> None:
    """Kill the workers whenever a run has begun to wait for a person, who decides while there is none."""
    struck: set[str] = set()
    while True:
        with contextlib.suppress(RPCError, RuntimeError):
            query = f"TaskQueue = '{cell.queue}' AND PublishStage = 'awaiting_approval'"
            waiting = {each.id async for each in cell.client.list_workflows(query)} - struck
            if waiting:
                struck |= waiting
                cell.sleeping.set()
                await _kill_workers(cell, away=2.5)
                cell.sleeping.clear()
        await asyncio.sleep(OFTEN)


async def _kill_at_random(cell: Cell, choose: Random) -> None:
    """Kill one worker, or both at the same moment."""
    for _ in range(STRIKES_AT_MOST):
        await asyncio.sleep(choose.uniform(1.5, 6))
        if choose.random() < 0.3:
            await _kill_workers(cell)
        else:
            cell.workers.pop(choose.randrange(len(cell.workers))).kill()
            cell.struck()
            cell.start_worker()


async def _kill_server(cell: Cell, choose: Random) -> None:
    for _ in range(STRIKES_AT_MOST):
        await asyncio.sleep(choose.uniform(2, 5))
        if cell.stack.server:
            cell.stack.server.kill()
            cell.struck()
        await asyncio.sleep(choose.uniform(0, 2))
        cell.stack.start_server()


async def _replace_build(cell: Cell, choose: Random) -> None:
    """Start the next worker and ask the one before to end, as a rolling deployment does."""
    while True:
        await asyncio.sleep(choose.uniform(2, 7))
        old, cell.workers = cell.workers, []
        cell.start_worker()
        cell.struck()
        for worker in old:
            await worker.stop()


async def _full_disk(cell: Cell, _choose: Random) -> None:
    """Count it as soon as a worker has done something: it logs that it works before, which no disk took."""
    while not any([await cell.requests(story, "edit") for story in cell.stories]):  # noqa: ASYNC110
        await asyncio.sleep(OFTEN)
    cell.struck()


async def _cut_temporal(cell: Cell, choose: Random) -> None:
    await _cut(cell, cell.temporal, choose)


async def _cut_marketplace(cell: Cell, choose: Random) -> None:
    await _cut(cell, cell.marketplace, choose)


async def _cut(cell: Cell, wire: Wire | None, choose: Random) -> None:
    """Cut a wire in turns: connections break, or nothing is heard of the far end; counted from the mending."""
    if wire is None:
        return
    for how in (wire.cut, wire.silence, wire.cut):
        await asyncio.sleep(choose.uniform(2, 5))
        how()
        await asyncio.sleep(choose.uniform(3, 7))
        wire.mend()
        cell.struck()


async def _stand_still(cell: Cell, choose: Random) -> None:
    """Let certification make no progress for days of the marketplace's clock."""

    async def hold(story: Story) -> None:
        step = f"publishers/{story.publisher}/steps/displaycertify"
        await asyncio.sleep(choose.uniform(0, 2))
        await cell.control("PUT", step, {"outcome": "never"})
        await asyncio.sleep(EIGHT_DAYS)
        await cell.control("DELETE", step)
        cell.struck()

    await asyncio.gather(*(hold(story) for story in cell.stories))


_MOMENTS: dict[Trouble, Moment] = {
    "kill when held": _is_held,
    "kill before activity": _is_pending,
    "kill after effect": _has_had_effect,
    "kill at continue-as-new": _continues_as_new,
}
_TROUBLES: dict[Trouble, Making] = {
    "kill at approval": _kill_at_approval,
    "kill at random": _kill_at_random,
    "kill server": _kill_server,
    "replace build": _replace_build,
    "full disk": _full_disk,
    "cut temporal": _cut_temporal,
    "cut marketplace": _cut_marketplace,
    "stand still": _stand_still,
}
