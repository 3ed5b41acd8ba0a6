"""A read gets one short attempt as a local activity. If that fails, an ordinary activity repeats it."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from temporalio import workflow
from temporalio.api.common.v1 import ActivityType
from temporalio.exceptions import ApplicationError

from tests.desk import Run, failure_of, progress_of
from tests.harness.runs import until_in_flight
from tests.real_time.conftest import client_of
from tests.real_time.held_desk import HeldDesk
from worker.registration import create_worker
from workflows import calls, waiting

CHECK = "CheckLastOperationStatus"


async def ordinary(run: Run) -> list[str]:
    """Return the names of the ordinary activities that a run scheduled, in order."""
    found: list[ActivityType] = [
        event.activity_task_scheduled_event_attributes.activity_type
        for event in (await run.fetch_history()).events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    return [each.name for each in found]


@pytest.mark.parametrize(("status", "requests"), [(401, 2), (422, 1)], ids=["with another token", "once"])
async def test_a_read_that_is_refused_permanently_is_not_repeated(
    held_desk: HeldDesk, status: int, requests: int
) -> None:
    await held_desk.preview("4.2.0")
    await held_desk.fault("list_operations", {"kind": "respond", "status": status}, times=-1)
    run = await held_desk.start(CHECK, held_desk.check())
    error = await failure_of(run)

    assert error.type == {401: "NotAuthorized", 422: "ValidationFailed"}[status]
    assert await ordinary(run) == []
    assert [entry["call"] for entry in await held_desk.requests()].count("list_operations") == requests


async def test_a_read_is_repeated_no_sooner_than_the_service_asks_for(held_desk: HeldDesk) -> None:
    await held_desk.preview("4.2.0")
    by_hand = len(await held_desk.requests())
    busy = {"kind": "respond", "status": 429, "headers": {"Retry-After": "1"}}
    await held_desk.fault("list_operations", busy)
    run = await held_desk.start(CHECK, held_desk.check())
    result = await run.result()
    described = await run.describe()

    assert result.outcome == "preview"
    assert await ordinary(run) == ["look"]
    assert described.close_time is not None
    assert described.close_time - described.start_time > timedelta(seconds=1)
    asked = [entry["call"] for entry in (await held_desk.requests())[by_hand:]]
    assert asked[:3] == ["list_operations", "list_operations", "look"]


async def test_a_slow_read_becomes_a_pending_activity_and_delays_no_query(
    held_desk: HeldDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "LOCAL_ATTEMPT", timedelta(seconds=0.3))
    await held_desk.preview("4.2.0")
    await held_desk.fault("list_operations", {"kind": "delay", "seconds": 2}, times=2)
    run = await held_desk.start(CHECK, held_desk.check())
    await until_in_flight(run, "look")
    async with asyncio.timeout(1):
        assert (await progress_of(run)).waiting_for == "the marketplace to show the last operation"
    result = await run.result()

    assert result.outcome == "preview"
    assert await ordinary(run) == ["look"]


async def test_a_rate_limited_worker_reads_with_ordinary_activities_only(
    held_desk: HeldDesk, http: httpx.AsyncClient
) -> None:
    await held_desk.live("4.2.0")
    asked: list[list[str]] = []
    client, marketplace = held_desk.temporal.client, client_of(http, held_desk.sandbox_url)
    async with create_worker(client, "rationed", marketplace, held_desk.webhook, requests_per_second=100):
        for task_queue in (held_desk.task_queue, "rationed"):
            held_desk.task_queue = task_queue
            before = len(await held_desk.requests())
            run = await held_desk.start(CHECK, held_desk.check(wait=False))
            assert (await run.result()).outcome == "live"
            asked.append([entry["call"] for entry in (await held_desk.requests())[before:]])

    assert await ordinary(run) == ["look"]
    assert asked[0] == asked[1] != []


def test_a_run_that_is_evicted_while_it_reads_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python closes the coroutines of an evicted run outside the workflow, where there is no workflow time."""

    async def fail(*_arguments: object) -> None:
        raise ApplicationError("unavailable")

    async def hang(*_arguments: object, **_options: object) -> None:
        await asyncio.Future(loop=loop)

    monkeypatch.setattr(waiting, "call_locally", fail)
    monkeypatch.setattr(workflow, "execute_activity_method", hang)
    loop = asyncio.new_event_loop()
    reading = waiting.Waiting.read(waiting.Waiting.__new__(waiting.Waiting), fail, None, {})
    reading.send(None)
    reading.close()
    loop.close()
