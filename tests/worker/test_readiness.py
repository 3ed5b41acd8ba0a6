"""When a worker is ready."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from temporalio.api.workflowservice.v1 import DescribeTaskQueueResponse
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from worker import readiness
from worker.readiness import ANSWERED_WITHIN, POLLED_WITHIN, Readiness


class Clock:
    """A clock that advances only when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Temporal:
    """A server that answers, or does not."""

    namespace = "default"

    def __init__(self) -> None:
        self.refusal: RPCStatusCode | None = None
        self.asked = asyncio.Event()
        self.workflow_service = self

    async def describe_task_queue(self, _request: Any, *, timeout: timedelta) -> DescribeTaskQueueResponse:  # noqa: ASYNC109
        assert timeout < ANSWERED_WITHIN / 2
        self.asked.set()
        if self.refusal is not None:
            raise RPCError("", self.refusal, b"")
        return DescribeTaskQueueResponse()


@asynccontextmanager
async def watched(ready: Readiness, client: Any, scrape: Callable[[], Any]) -> AsyncIterator[None]:
    watching = asyncio.create_task(ready.watch(client, "queue", scrape))
    try:
        yield
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def nothing() -> bytes:
    return b""


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "LOOK_EVERY", timedelta(seconds=0.01))


async def until_asked(temporal: Temporal, times: int = 2) -> None:
    for _ in range(times):
        temporal.asked.clear()
        await temporal.asked.wait()


async def test_a_worker_is_not_ready_once_temporal_has_been_silent_for_twenty_seconds() -> None:
    clock, temporal = Clock(), Temporal()
    ready = Readiness(clock=clock)
    assert ready.objection() == "the worker has not started yet, or has stopped"
    async with watched(ready, temporal, nothing):
        await until_asked(temporal)
        assert ready.objection() is None

        temporal.refusal = RPCStatusCode.UNAVAILABLE
        await until_asked(temporal)
        clock.now = ANSWERED_WITHIN.total_seconds()
        assert ready.objection() is None
        clock.now += 1
        assert ready.objection() == "Temporal has not answered for 21 s"

        temporal.refusal = None
        await until_asked(temporal)
        assert ready.objection() is None
    assert ready.objection() == "the worker has not started yet, or has stopped"


async def test_a_server_that_refuses_to_describe_the_task_queue_counts_as_reachable() -> None:
    clock, temporal = Clock(), Temporal()
    temporal.refusal = RPCStatusCode.PERMISSION_DENIED
    ready = Readiness(clock=clock)
    async with watched(ready, temporal, nothing):
        await until_asked(temporal)
        assert ready.objection() is None


async def test_a_worker_whose_polls_do_not_come_back_is_not_ready() -> None:
    clock, temporal = Clock(), Temporal()
    ready = Readiness(clock=clock)
    came_back = 0

    async def scrape() -> bytes:
        return (
            b"# TYPE temporal_workflow_task_queue_poll_empty counter\n"
            b'temporal_workflow_task_queue_poll_empty{task_queue="queue"} %d\n'
            b'temporal_workflow_task_queue_poll_succeed{task_queue="queue"} 1\n' % came_back
        )

    async with watched(ready, temporal, scrape):
        await until_asked(temporal)
        clock.now = POLLED_WITHIN.total_seconds() + 1
        await until_asked(temporal)
        assert ready.objection() == "no poll has come back for 151 s"

        came_back += 1
        await until_asked(temporal)
        assert ready.objection() is None


async def test_the_watch_goes_on_after_a_failed_scrape() -> None:
    clock, temporal = Clock(), Temporal()
    ready = Readiness(clock=clock)

    async def scrape() -> bytes:
        raise aiohttp.ClientConnectionError

    async with watched(ready, temporal, scrape):
        await until_asked(temporal, 3)
        assert ready.objection() is None


async def test_a_real_server_describes_a_task_queue_that_has_no_poller_yet(server: WorkflowEnvironment) -> None:
    ready, looked = Readiness(), asyncio.Event()

    async def scrape() -> bytes:
        looked.set()
        return b""

    async with watched(ready, server.client, scrape):
        await looked.wait()
        assert ready.objection() is None
