"""The number of open runs per stage, and the time that the oldest has spent in it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio import workflow
from temporalio.runtime import MetricBuffer, Runtime, TelemetryConfig
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.harness.temporal_server import development_server
from tests.harness.waiting import until
from worker import census
from worker.census import Census
from workflows.search_attributes import PUBLISH_STAGE

AGE = timedelta(days=3)


@workflow.defn
class Waits:
    """A workflow that reports the given progress and never ends."""

    @workflow.run
    async def run(self, stage: str, says: str) -> None:
        self.says = says
        workflow.upsert_search_attributes([PUBLISH_STAGE.value_set(stage)])
        await workflow.wait_condition(lambda: False)

    @workflow.query
    def progress(self) -> dict[str, str]:
        return {"stage": self.says, "since": (datetime.now(UTC) - AGE).isoformat()}


@pytest.fixture(scope="module")
async def searchable() -> AsyncIterator[WorkflowEnvironment]:
    """A server for all tests of this module, with our search attributes."""
    async with development_server() as environment:
        yield environment


@pytest.fixture
async def runs(searchable: WorkflowEnvironment) -> AsyncIterator[str]:
    """A task queue with runs in three stages. One run reports a later stage than visibility shows."""
    queue = f"census-{datetime.now(UTC).timestamp()}"
    client = searchable.client
    async with (
        Worker(client, task_queue=queue, workflows=[Waits], workflow_runner=UnsandboxedWorkflowRunner()),
        Worker(client, task_queue=f"{queue}-other", workflows=[Waits], workflow_runner=UnsandboxedWorkflowRunner()),
    ):
        for number, (stage, says, of) in enumerate(
            [
                ("awaiting_approval", "awaiting_approval", queue),
                ("awaiting_approval", "awaiting_approval", queue),
                ("publishing", "going_live", queue),
                ("live", "live", queue),
                ("going_live", "going_live", f"{queue}-other"),
            ]
        ):
            await client.start_workflow("Waits", args=[stage, says], id=f"{queue}/{number}", task_queue=of)

        async def all_are_shown() -> bool:
            shown = await client.count_workflows(f'TaskQueue="{queue}" AND PublishStage IS NOT NULL')
            return shown.count == 4

        await until(all_are_shown, "search attributes show all runs")
        yield queue


def gauges(buffer: MetricBuffer) -> dict[tuple[str, str], float]:
    """Return the last value of each gauge, by name and stage."""
    return {
        (update.metric.name.removeprefix("offer_publisher_"), str(update.attributes["stage"])): float(update.value)
        for update in buffer.retrieve_updates()
        if update.metric.name.startswith("offer_publisher_")
    }


async def test_the_runs_of_a_task_queue_are_counted_and_queried_for_their_time_in_the_stage(
    searchable: WorkflowEnvironment, runs: str
) -> None:
    buffer = MetricBuffer(1000)
    runtime = Runtime(telemetry=TelemetryConfig(metrics=buffer))
    counting = Census(runtime.metric_meter, runs)
    await counting.count(searchable.client)
    found = gauges(buffer)

    assert {
        stage: found["runs", stage] for stage in ("preparing", "publishing", "awaiting_approval", "going_live")
    } == {
        "preparing": 0,
        "publishing": 1,
        "awaiting_approval": 2,
        "going_live": 0,
    }
    assert found["oldest_run_seconds", "awaiting_approval"] == pytest.approx(3 * 86400, abs=120)
    assert found["oldest_run_seconds", "publishing"] < 120
    assert found["oldest_run_seconds", "going_live"] == 0


async def test_a_run_counts_from_when_it_entered_its_stage_even_if_it_started_before(
    searchable: WorkflowEnvironment, runs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def soon(_client: Any, _run: Any, _stage: str) -> datetime:
        return datetime.now(UTC) + AGE

    monkeypatch.setattr(census, "_entered", soon)
    buffer = MetricBuffer(1000)
    await Census(Runtime(telemetry=TelemetryConfig(metrics=buffer)).metric_meter, runs).count(searchable.client)

    assert gauges(buffer)["oldest_run_seconds", "awaiting_approval"] == 0


async def test_each_run_is_queried_until_it_answers_a_few_at_a_time(
    searchable: WorkflowEnvironment, runs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    answers: dict[str, datetime] = {}

    async def entered(_client: Any, run: Any, _stage: str) -> datetime | None:
        asked.append(run.id)
        return answers.get(run.id)

    monkeypatch.setattr(census, "_entered", entered)
    monkeypatch.setattr(census, "ASKED_AT_ONCE", 2)
    counting = Census(Runtime(telemetry=TelemetryConfig()).metric_meter, runs)
    for _ in range(3):
        await counting.count(searchable.client)
    assert {run: asked.count(run) for run in asked} == {f"{runs}/{number}": 2 for number in range(3)}

    answers |= dict.fromkeys(asked, datetime.now(UTC))
    for _ in range(3):
        await counting.count(searchable.client)
    assert {run: asked.count(run) for run in asked} == {f"{runs}/{number}": 3 for number in range(3)}


async def test_counting_goes_on_after_a_refusal_which_is_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, enough = 0, asyncio.Event()

    async def refused(_self: Census, _client: Any) -> None:
        nonlocal counts
        counts += 1
        if counts == 3:
            enough.set()
        raise RPCError("not allowed", RPCStatusCode.PERMISSION_DENIED, b"")

    monkeypatch.setattr(Census, "count", refused)
    monkeypatch.setattr(census, "EVERY", timedelta(0))
    monkeypatch.setattr(census, "REST", 0.01)
    watching = asyncio.create_task(
        Census(Runtime(telemetry=TelemetryConfig()).metric_meter, "queue").watch(None)  # type: ignore[arg-type]
    )
    await enough.wait()
    watching.cancel()

    assert [record.message for record in caplog.records] == [
        "The running publications cannot be counted: not allowed"
    ]
