"""What is measured, each as one function of a contestant that answers with figures."""

import asyncio
import contextlib
import statistics
import subprocess
import sys
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
from tests.harness.processes import ROOT

Figures: TypeAlias = dict[str, Any]

WAIT = 1.0
"""Seconds between two looks."""

WAITS = 8
"""Between five looks at each of two operations."""


WARM_UP = 4
LIMIT = 600.0
"""Seconds that a round may take."""

CRASH_LIMIT = 120.0
"""Seconds after which what a killed worker has left behind is lost."""

WRITE_SECONDS = 0.3
"""How long the marketplace takes to answer a write where the worker is killed: so some are under way then."""

REST_SECONDS = 2
RESTING = 0.1
"""Cores that worker and engine take together when nothing happens any more."""

LONG_WAIT = 60.0
"""Seconds between two looks at an operation that does not end."""

ENDLESS = 1_000_000
"""Looks at an operation, more than anybody has time for."""

STARTS = 3
IMPORTS = 7


async def in_flight(contestant: Contestant, *, number: int, read_seconds: float = 0.0) -> Figures:
    """Measure so many publications at once."""
    number = min(number, contestant.most)
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
    """Ask the engine how many it has seen end well; visibility may lag."""
    ended: int | None = None
    for _ in range(50):
        ended = await running.client.do("ended")
        if ended is None or ended >= expected:
            break
        await asyncio.sleep(0.2)
    return ended


async def crash(contestant: Contestant, *, number: int) -> Figures:
    """Kill the worker with writes under way, when half of the publish requests have arrived, and start another."""
    number = min(number, contestant.most)
    undisturbed = await _disturbed(contestant, number, kill=False)
    struck = await _disturbed(contestant, number, kill=True)
    return {
        "number": number,
        "undisturbed": None if undisturbed.lost else undisturbed.took,
        "took": None if struck.lost else struck.took,
        "lost": struck.lost,
        "failed": struck.failed,
        "doubled": struck.doubled,
    }


async def _disturbed(contestant: Contestant, number: int, *, kill: bool) -> Round:
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
                raise ProgramFailedError("The worker was not killed: fewer than half of the publish requests came")
            await killing
        finally:
            killing.cancel()
        return played


async def parked(contestant: Contestant, *, number: int, seconds: float, approval: bool) -> Figures:
    """Let so many wait, watch them wait, then approve all at once.

    For their approval they wait with previews that are ready from the beginning, and a go-live settles at the first
    look. Otherwise they wait between two looks at a publish that does not end, and are not woken.

    Args:
        contestant: Who waits.
        number: How many.
        seconds: How long they are watched.
        approval: Whether they wait for their approval.
    """
    async with at_work(contestant, wait=WAIT if approval else LONG_WAIT) as running:
        running.marketplace.looks = 1 if approval else ENDLESS
        park = Park(running, approval=approval)
        memory = {0: running.memory()}
        parking = 0.0
        for count in (number // 2, number):
            parking += await park.fill(count)
            async with asyncio.timeout(LIMIT):
                await _at_rest(running)
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
            await park.approve_all()
            waking = max(park.lived.values(), default=begun) - begun
            figures |= {"woken": len(park.lived), "waking_seconds": waking}
        return figures


async def _at_rest(running: Running) -> None:
    """Wait until worker and engine have done what was begun: that a publication waits is heard of before."""
    before = sum(running.cpu())
    while True:
        await asyncio.sleep(REST_SECONDS)
        spent = sum(running.cpu()) - before
        if spent < RESTING * REST_SECONDS:
            return
        before += spent


class Park:
    """Publications that wait, for their approval or for the next look at their publish."""

    def __init__(self, running: Running, *, approval: bool) -> None:
        self.lived: dict[str, float] = {}
        self._running = running
        self._approval = approval
        self._waits = running.contestant.waits if approval else "looked"
        self._offers: list[str] = []
        self._waiting: set[str] = set()
        running.marketplace.tell = self._tell

    def _tell(self, event: str, offer: str, at: float) -> None:
        if event == self._waits:
            self._waiting.add(offer)
        if event == self._running.contestant.done:
            self.lived.setdefault(offer, at)

    async def fill(self, number: int) -> float:
        """Park until there are so many; answers with the seconds that it took.

        Raises:
            TimeoutError: It took too long.
        """
        begun = time.monotonic()
        more = [f"parked-{each}" for each in range(len(self._offers), number)]
        self._offers += more
        if self._approval:
            for offer in more:
                self._running.marketplace.await_sign_off(offer)
        async with asyncio.timeout(LIMIT):
            await asyncio.gather(*[self._running.client.order("start", offer, self._approval) for offer in more])
            # A contestant without a webhook sends nothing before it waits for its approval.
            if self._waits == "looked" or self._waits.startswith("told_"):
                await self._until(self._waiting, number)
        return time.monotonic() - begun

    async def approve_all(self) -> None:
        """Approve all, and wait until they are live, or for too long."""
        orders = [self._running.client.order("approve", offer) for offer in self._offers]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIMIT):
                await asyncio.gather(*orders)
                await self._until(self.lived, len(self._offers))

    async def _until(self, those: Collection[str], number: int) -> None:
        while len(those) < number:
            self._running.check()
            await asyncio.sleep(0.05)


async def cold_start(contestant: Contestant) -> Figures:
    """Measure from the start of a worker's process to its first request, with a publication waiting for it."""
    seconds = []
    async with at_work(contestant, wait=WAIT) as running:
        for each in range(STARTS):
            asked: asyncio.Future[float] = asyncio.get_running_loop().create_future()

            def tell(event: str, _offer: str, at: float, asked: "asyncio.Future[float]" = asked) -> None:
                if event == "asked" and not asked.done():
                    asked.set_result(at)

            running.workers[-1].kill()
            running.marketplace.tell = tell
            running.client.order("start", f"cold-{each}")
            await asyncio.sleep(1)
            worker = running.begin_worker()
            seconds.append(await asyncio.wait_for(asked, 60) - worker.started)
    return {"seconds": statistics.median(seconds), "import_seconds": await asyncio.to_thread(_imports, contestant)}


def _imports(contestant: Contestant) -> float | None:
    """Return what importing the worker adds to the start of the interpreter: the median of some."""
    module = contestant.imports
    if module is None:
        return None
    return statistics.median(_runs(f"import {module}") - _runs("pass") for _ in range(IMPORTS))


def _runs(code: str) -> float:
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    return time.monotonic() - begun


async def single(contestant: Contestant) -> Figures:
    """Measure one publication by itself, and count what it leaves on the Temporal server."""
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
    """Count what is on the Temporal server of an offer: every run of its chain, and the internal ones."""
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
