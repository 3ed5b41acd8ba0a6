"""The measurements. Each is a function that measures a contestant and returns figures."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client as TemporalClient

from bench.compare.lineup import Contestant, Running, at_work
from bench.compare.programs import ProgramFailedError
from bench.compare.rounds import Round, play

Figures: TypeAlias = dict[str, Any]

WAIT = 1.0
"""Seconds between two looks."""

WAITS = 8
"""The waits of a publication: four between the five looks at each of its two operations."""

WARM_UP = 4
LIMIT = 600.0
"""The maximum seconds of a round."""

CRASH_LIMIT = 120.0
"""Seconds after which a publication whose worker was killed counts as lost."""

WRITE_SECONDS = 0.3
"""How long the answer to a write takes while a worker is killed, so that writes are under way."""

IDLE_SECONDS = 2
IDLE_CORES = 0.1
"""The cores that worker and engine may use together when they are idle."""

LONG_WAIT = 60.0
"""Seconds between two looks at an operation that does not end."""

ENDLESS = 1_000_000
"""The look at which an endless operation settles. No contestant looks that often."""


async def in_flight(contestant: Contestant, *, number: int, read_seconds: float = 0.0) -> Figures:
    """Measure concurrent publications."""
    async with at_work(contestant, wait=WAIT) as running:
        await play(running, "warm-up", WARM_UP, limit=LIMIT)
        running.marketplace.read_seconds = read_seconds
        begun = running.marketplace.requests
        many = await play(running, "many", number, limit=LIMIT)
        requests = running.marketplace.requests - begun
        expected = WARM_UP + len(many.lived)
        ended = await _ended(running, expected)
    return {
        "number": number,
        "done": len(many.lived),
        "per_second": len(many.lived) / (LIMIT if many.lost else many.took),
        "worker_cpu_ms": _each(many.worker_cpu, many),
        "engine_cpu_ms": _each(many.engine_cpu, many),
        "requests": requests / number,
        "others": many.others,
        "doubled": many.doubled,
        "not_ended": 0 if ended is None else max(expected - ended, 0),
    }


def _each(seconds: float, measured: Round) -> float | None:
    return 1000 * seconds / len(measured.lived) if measured.lived and not measured.lost else None


async def _ended(running: Running, expected: int) -> int | None:
    """Ask the engine how many publications succeeded. Visibility may lag."""
    ended: int | None = None
    for _ in range(50):
        ended = await running.client.order("ended")
        if ended is None or ended >= expected:
            break
        await asyncio.sleep(0.2)
    return ended


async def crash(contestant: Contestant, *, number: int) -> Figures:
    """Kill the worker during writes, after half of the publish requests have arrived, and start another."""
    undisturbed = await _with_slow_writes(contestant, number, kill=False)
    killed = await _with_slow_writes(contestant, number, kill=True)
    return {
        "number": number,
        "undisturbed": None if undisturbed.lost else undisturbed.took,
        "took": None if killed.lost else killed.took,
        "lost": killed.lost,
        "failed": killed.failed,
        "doubled": killed.doubled,
    }


async def _with_slow_writes(contestant: Contestant, number: int, *, kill: bool) -> Round:
    async with at_work(contestant, wait=WAIT) as running:
        await play(running, "warm-up", WARM_UP, limit=LIMIT)
        running.marketplace.write_seconds = WRITE_SECONDS
        if not kill:
            return await play(running, "many", number, limit=CRASH_LIMIT)
        strike: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def kill_and_start() -> None:
            await strike
            running.workers[0].kill()
            running.begin_worker()

        killing = asyncio.create_task(kill_and_start())
        try:
            played = await play(running, "many", number, limit=CRASH_LIMIT, strike=strike)
            if not strike.done():
                raise ProgramFailedError("The worker was not killed: fewer than half of the publish requests arrived")
            await killing
        finally:
            killing.cancel()
        return played


async def waiting_publications(contestant: Contestant, *, number: int, seconds: float, approval: bool) -> Figures:
    """Let publications wait, measure the cost of waiting, then approve all at once.

    Publications that wait for the approval have their previews from the beginning, and go live at the first look. The
    others wait between two looks at an endless publish and are not approved.

    Args:
        contestant: The contestant.
        number: How many publications.
        seconds: How long to measure.
        approval: Whether they wait for the approval.
    """
    async with at_work(contestant, wait=WAIT if approval else LONG_WAIT) as running:
        running.marketplace.looks = 1 if approval else ENDLESS
        waiting = WaitingPublications(running, approval=approval)
        memory = {0: running.memory()}
        parking = 0.0
        for count in (number // 2, number):
            parking += await waiting.fill(count)
            async with asyncio.timeout(LIMIT):
                await _until_idle(running)
            memory[count] = running.memory()
        cpu, looks = running.cpu(), running.marketplace.count("look")
        await asyncio.sleep(seconds)
        after, looks = running.cpu(), running.marketplace.count("look") - looks
        figures = {
            "number": number,
            "parking_seconds": parking,
            "memory": {str(count): {"worker": each[0], "engine": each[1]} for count, each in memory.items()},
            "idle_seconds": seconds,
            "idle_worker_cpu": after[0] - cpu[0],
            "idle_engine_cpu": after[1] - cpu[1],
            "idle_looks": looks,
        }
        if approval:
            begun = time.monotonic()
            await waiting.approve_all()
            waking = max(waiting.lived.values(), default=begun) - begun
            figures |= {"woken": len(waiting.lived), "waking_seconds": waking}
        return figures


async def _until_idle(running: Running) -> None:
    """Wait until worker and engine are idle, some time after the last publication has begun to wait."""
    before = sum(running.cpu())
    while True:
        await asyncio.sleep(IDLE_SECONDS)
        spent = sum(running.cpu()) - before
        if spent < IDLE_CORES * IDLE_SECONDS:
            return
        before += spent


class WaitingPublications:
    """Publications that wait for the approval, or for the next look."""

    def __init__(self, running: Running, *, approval: bool) -> None:
        self.lived: dict[str, float] = {}
        self._running = running
        self._approval = approval
        self._waits = running.contestant.waits if approval else "looked"
        self._offers: list[str] = []
        self._waiting: set[str] = set()
        running.marketplace.on_event = self._on_event

    def _on_event(self, event: str, offer: str, at: float) -> None:
        if event == self._waits:
            self._waiting.add(offer)
        if event == self._running.contestant.done:
            self.lived.setdefault(offer, at)

    async def fill(self, number: int) -> float:
        """Start publications until this many wait. Return the seconds that this took.

        Raises:
            TimeoutError: It took too long.
        """
        begun = time.monotonic()
        more = [f"waiting-{each}" for each in range(len(self._offers), number)]
        self._offers += more
        if self._approval:
            for offer in more:
                self._running.marketplace.await_sign_off(offer)
        async with asyncio.timeout(LIMIT):
            await asyncio.gather(*[self._order("start", offer=offer, at_sign_off=self._approval) for offer in more])
            # Without a webhook, nothing shows that a publication waits for the approval.
            if self._waits == "looked" or self._waits.startswith("notified_"):
                await self._until(self._waiting, number)
        return time.monotonic() - begun

    async def approve_all(self) -> None:
        """Approve all, and wait until they are live or `LIMIT` has passed."""
        orders = [self._order("approve", offer=offer) for offer in self._offers]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIMIT):
                await asyncio.gather(*orders)
                await self._until(self.lived, len(self._offers))

    def _order(self, what: str, **arguments: object) -> "asyncio.Future[Any]":
        return self._running.client.order(what, **arguments)

    async def _until(self, those: Collection[str], number: int) -> None:
        while len(those) < number:
            self._running.check()
            await asyncio.sleep(0.05)


async def single(contestant: Contestant) -> Figures:
    """Measure one publication by itself, and count its events and tasks on the Temporal server."""
    async with at_work(contestant, wait=WAIT) as running:
        await play(running, "warm-up", WARM_UP, limit=LIMIT)
        requests = running.marketplace.requests
        took = (await play(running, "single", 1, limit=LIMIT)).took
        figures = {"added_ms": 1000 * (took - WAITS * WAIT), "requests": running.marketplace.requests - requests}
        if "TEMPORAL_ADDRESS" in running.environment:
            await _ended(running, WARM_UP + 1)
            figures |= await _history(running.environment["TEMPORAL_ADDRESS"], "single-0")
        return figures


async def _history(address: str, offer: str) -> Figures:
    """Count the history of an offer's runs, internal ones included."""
    client = await TemporalClient.connect(address)
    runs = [
        await _counted(client, found.workflow_type, found.id, found.run_id)
        async for found in client.list_workflows()
        if offer in found.id
    ]
    total: Counter[str] = sum((Counter(run["figures"]) for run in runs), Counter())
    return {"runs": runs, **total}


async def _counted(client: TemporalClient, kind: str, workflow_id: str, run_id: str) -> Mapping[str, Any]:
    described = await client.workflow_service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(
            namespace=client.namespace, execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
        )
    )
    fetched = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
    kinds = Counter(EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in fetched.events)
    execution = described.workflow_execution_info
    return {
        "workflow": kind,
        "figures": {
            "events": len(fetched.events),
            "bytes": execution.history_size_bytes,
            "state_transitions": execution.state_transition_count,
            "workflow_tasks": kinds["WORKFLOW_TASK_COMPLETED"],
            "activities": kinds["ACTIVITY_TASK_COMPLETED"],
            "markers": kinds["MARKER_RECORDED"],
            "timers": kinds["TIMER_STARTED"],
            "upserts": kinds["UPSERT_WORKFLOW_SEARCH_ATTRIBUTES"],
        },
        "events": dict(kinds.most_common()),
    }
