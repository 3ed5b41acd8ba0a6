"""Trouble for processes and connections while scenarios are played, with one coroutine for each kind."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random
from typing import TypeAlias, cast

from temporalio.client import WorkflowExecutionDescription
from temporalio.service import RPCError

from tests.campaigns.apis import Call
from tests.campaigns.chaos.faults import Trouble
from tests.campaigns.chaos.play import Batch
from tests.campaigns.chaos.scenarios import Scenario
from tests.campaigns.stack import Proxy

CHECK_EVERY = 0.15
STRIKES_AT_MOST = 20
EIGHT_DAYS = 11.5
"""Seconds that eight days of the marketplace take."""

Maker: TypeAlias = Callable[[Batch, Random], Awaitable[None]]
Moment: TypeAlias = Callable[[Batch, Scenario], Awaitable[bool]]


@asynccontextmanager
async def trouble_for(batch: Batch, choose: Random) -> AsyncIterator[None]:
    """Start the workers of a batch, and make its trouble while the context lasts."""
    servers = await _open_proxies(batch)
    if batch.kind.own_workers:
        for _ in range(2 if batch.kind.trouble == "kill at random" else 1):
            batch.start_worker()
    making = asyncio.create_task(_make(batch, choose))
    try:
        yield
    finally:
        making.cancel()
        await asyncio.wait([making])
        if batch.kind.own_workers:
            for worker in batch.workers:
                worker.kill()
        for proxy in (batch.temporal, batch.marketplace):
            if proxy:
                proxy.hang_up()
        for server in servers:
            server.close()
    if not making.cancelled():
        making.result()


async def _open_proxies(batch: Batch) -> list[asyncio.Server]:
    servers = []
    if batch.kind.trouble == "cut temporal":
        batch.temporal = Proxy(batch.stack.temporal_port)
        servers.append(await batch.temporal.open())
    if batch.kind.trouble == "cut marketplace":
        batch.marketplace = Proxy(batch.stack.sandbox_port)
        servers.append(await batch.marketplace.open())
    return servers


async def _make(batch: Batch, choose: Random) -> None:
    maker = _TROUBLES.get(batch.kind.trouble)
    if maker is not None:
        await maker(batch, choose)
    elif batch.kind.trouble in _MOMENTS:
        await _kill_once_in_each_scenario(batch, _MOMENTS[batch.kind.trouble])


async def _kill_once_in_each_scenario(batch: Batch, moment: Moment) -> None:
    lock = asyncio.Lock()

    async def watch(scenario: Scenario) -> None:
        while True:
            asked_at = datetime.now(UTC)
            with contextlib.suppress(RPCError, RuntimeError):
                if await moment(batch, scenario):
                    break
            await asyncio.sleep(CHECK_EVERY)
        async with lock:
            if not (batch.strikes and batch.strikes[-1] > asked_at):
                await _kill_workers(batch)
        if batch.kind.trouble in {"kill before activity", "kill at continue-as-new"}:
            await batch.control("DELETE", f"publishers/{scenario.publisher}/faults")

    await asyncio.gather(*(watch(scenario) for scenario in batch.scenarios))


async def _kill_workers(batch: Batch, *, away: float = 0) -> None:
    """Kill all workers of the batch, and start as many ``away`` seconds later."""
    killed, batch.workers = batch.workers, []
    for worker in killed:
        worker.kill()
    batch.struck()
    await asyncio.sleep(away)
    for _ in killed:
        batch.start_worker()


async def _is_held(batch: Batch, scenario: Scenario) -> bool:
    """Return whether the sandbox is delaying the write. If it is, the fault is no longer waiting."""
    faults = await batch.control("GET", f"publishers/{scenario.publisher}/faults")
    return not faults and bool(scenario.injected)


async def _is_pending(batch: Batch, scenario: Scenario) -> bool:
    """Return whether a worker has started the activity. Its first read is slow, so it has not written yet."""
    return any(
        each.activity_type.name == batch.kind.at and each.HasField("last_started_time")
        for seen in await _open_runs(batch, scenario)
        for each in seen.raw_description.pending_activities
    )


async def _has_had_effect(batch: Batch, scenario: Scenario) -> bool:
    return any(entry["effect"] for entry in await batch.requests(scenario, cast("Call", batch.kind.at)))


async def _continues_as_new(batch: Batch, scenario: Scenario) -> bool:
    query = f"WorkflowId STARTS_WITH '{scenario.publisher}/' AND ExecutionStatus = 'ContinuedAsNew'"
    return (await batch.client.count_workflows(query)).count > 0


async def _open_runs(batch: Batch, scenario: Scenario) -> list[WorkflowExecutionDescription]:
    mine = f"(WorkflowId STARTS_WITH '{scenario.publisher}/' OR WorkflowId = '{scenario.writer_id}')"
    query = f"{mine} AND ExecutionStatus = 'Running'"
    ids = [each.id async for each in batch.client.list_workflows(query)]
    return [await batch.client.get_workflow_handle(workflow_id).describe() for workflow_id in ids]


async def _kill_at_approval(batch: Batch, _choose: Random) -> None:
    """Kill the workers whenever a run begins to wait for a person, who decides before new workers start."""
    struck: set[str] = set()
    while True:
        with contextlib.suppress(RPCError, RuntimeError):
            query = f"TaskQueue = '{batch.queue}' AND PublishStage = 'awaiting_approval'"
            waiting = {each.id async for each in batch.client.list_workflows(query)} - struck
            if waiting:
                struck |= waiting
                batch.no_workers.set()
                await _kill_workers(batch, away=2.5)
                batch.no_workers.clear()
        await asyncio.sleep(CHECK_EVERY)


async def _kill_at_random(batch: Batch, choose: Random) -> None:
    """Kill one worker, or both at once, again and again."""
    for _ in range(STRIKES_AT_MOST):
        await asyncio.sleep(choose.uniform(1.5, 6))
        if choose.random() < 0.3:
            await _kill_workers(batch)
        else:
            batch.workers.pop(choose.randrange(len(batch.workers))).kill()
            batch.struck()
            batch.start_worker()


async def _kill_server(batch: Batch, choose: Random) -> None:
    for _ in range(STRIKES_AT_MOST):
        await asyncio.sleep(choose.uniform(2, 5))
        batch.stack.server.kill()
        batch.struck()
        await asyncio.sleep(choose.uniform(0, 2))
        batch.stack.start_server()


async def _replace_build(batch: Batch, choose: Random) -> None:
    """Start a new worker and shut the old one down, as a rolling deployment does, again and again."""
    while True:
        await asyncio.sleep(choose.uniform(2, 7))
        old, batch.workers = batch.workers, []
        batch.start_worker()
        batch.struck()
        for worker in old:
            await asyncio.to_thread(worker.stop)


async def _full_disk(batch: Batch, _choose: Random) -> None:
    """Count a hit after a worker has put an offer. By then the disk was full for its log lines."""
    while not any([await batch.requests(scenario, "edit") for scenario in batch.scenarios]):  # noqa: ASYNC110
        await asyncio.sleep(CHECK_EVERY)
    batch.struck()


async def _cut_temporal(batch: Batch, choose: Random) -> None:
    await _cut(batch, batch.temporal, choose)


async def _cut_marketplace(batch: Batch, choose: Random) -> None:
    await _cut(batch, batch.marketplace, choose)


async def _cut(batch: Batch, proxy: Proxy | None, choose: Random) -> None:
    """Cut, silence and cut the proxy again. A hit counts from the moment the connection is back."""
    if proxy is None:
        return
    for interrupt in (proxy.cut, proxy.silence, proxy.cut):
        await asyncio.sleep(choose.uniform(2, 5))
        interrupt()
        await asyncio.sleep(choose.uniform(3, 7))
        proxy.mend()
        batch.struck()


async def _stand_still(batch: Batch, choose: Random) -> None:
    """Stop certification for eight days of the marketplace's clock."""

    async def hold(scenario: Scenario) -> None:
        step = f"publishers/{scenario.publisher}/steps/displaycertify"
        await asyncio.sleep(choose.uniform(0, 2))
        await batch.control("PUT", step, {"outcome": "never"})
        await asyncio.sleep(EIGHT_DAYS)
        await batch.control("DELETE", step)
        batch.struck()

    await asyncio.gather(*(hold(scenario) for scenario in batch.scenarios))


_MOMENTS: dict[Trouble, Moment] = {
    "kill when held": _is_held,
    "kill before activity": _is_pending,
    "kill after effect": _has_had_effect,
    "kill at continue-as-new": _continues_as_new,
}
_TROUBLES: dict[Trouble, Maker] = {
    "kill at approval": _kill_at_approval,
    "kill at random": _kill_at_random,
    "kill server": _kill_server,
    "replace build": _replace_build,
    "full disk": _full_disk,
    "cut temporal": _cut_temporal,
    "cut marketplace": _cut_marketplace,
    "stand still": _stand_still,
}
