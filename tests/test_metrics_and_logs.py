"""The metrics and log lines of a run: its stages, steps, decisions and end."""

import logging
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError
from temporalio.runtime import BufferedMetricUpdate, MetricBuffer, Runtime, TelemetryConfig
from temporalio.testing import WorkflowEnvironment

from tests.desk import Desk, failure_of
from tests.harness.runs import until_in_flight
from tests.harness.temporal_server import time_skipping_server

DANA = "dana@fabrikam.example"
SDK_LABELS = {"namespace", "task_queue", "workflow_type", "activity_type", "service_name"}


class Metrics:
    """The updates of metrics that clients and workers made."""

    def __init__(self) -> None:
        self.buffer = MetricBuffer(1_000_000)
        self._updates: list[BufferedMetricUpdate] = []

    def updates(self, name: str) -> list[tuple[Mapping[str, str], float]]:
        """Return the labels and values that one of our metrics was updated with."""
        self._updates += self.buffer.retrieve_updates()
        return [
            (
                {key: str(value) for key, value in update.attributes.items() if key not in SDK_LABELS},
                float(update.value),
            )
            for update in self._updates
            if update.metric.name == f"offer_publisher_{name}"
        ]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def temporal(metrics: Metrics) -> AsyncIterator[WorkflowEnvironment]:
    """The server that skips time, with clients and workers whose metrics are kept."""
    async with time_skipping_server(
        runtime=Runtime(telemetry=TelemetryConfig(metrics=metrics.buffer))
    ) as environment:
        yield environment


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="temporalio.workflow")
    return caplog


def messages(lines: pytest.LogCaptureFixture, workflow_id: str) -> list[str]:
    """Return the messages about a run, without the name of its offer."""
    return [
        record.getMessage().split(": ", 1)[1].split(" ({")[0]
        for record in lines.records
        if vars(record).get("temporal_workflow", {}).get("workflow_id") == workflow_id
    ]


async def test_every_stage_and_step_of_a_publication_is_measured_and_its_end_is_counted_once(
    desk: Desk, metrics: Metrics, lines: pytest.LogCaptureFixture
) -> None:
    await desk.live("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.1"))
    await desk.until_asked(run)
    await desk.temporal.sleep(timedelta(days=2))
    await run.execute_update("decide_go_live", {"approve": True, "approver": DANA})
    await run.result()

    stages = {labels["stage"]: seconds for labels, seconds in metrics.updates("stage_seconds")}
    assert stages.keys() == {"preparing", "publishing", "awaiting_approval", "going_live"}
    assert stages["publishing"] == pytest.approx(desk.publishing.total_seconds(), abs=600)
    assert stages["awaiting_approval"] == pytest.approx(2 * 86400, rel=0.01)
    assert {labels["workflow"] for labels, _ in metrics.updates("stage_seconds")} == {"ValidateAndGoLive"}
    steps = metrics.updates("step_seconds")
    assert steps
    assert all(set(labels) == {"step"} and 0 < seconds < 3600 for labels, seconds in steps)
    assert metrics.updates("publications") == [({"workflow": "ValidateAndGoLive", "outcome": "live"}, 1)]
    notifications = [labels for labels, _ in metrics.updates("notifications")]
    assert {"event": "live", "outcome": "delivered"} in notifications

    assert messages(lines, run.id) == [
        "preparing",
        "publishing",
        "awaiting approval",
        f"going live was approved by {DANA}",
        "going live",
        "live",
    ]
    offers = {vars(record)["offer"] for record in lines.records if hasattr(record, "offer")}
    assert offers == {f"{desk.publisher}/webstack-appliance"}
    assert {record.levelno for record in lines.records if hasattr(record, "offer")} == {logging.INFO}


async def test_a_failed_run_is_counted_and_logged_by_its_error_type(
    desk: Desk, metrics: Metrics, lines: pytest.LogCaptureFixture
) -> None:
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.1"))
    error = await failure_of(run)

    assert error.type == "OfferNotFound"
    assert metrics.updates("publications") == [({"workflow": "UpdateOfferAndPublish", "outcome": "OfferNotFound"}, 1)]
    assert messages(lines, run.id)[-1].startswith("failed, OfferNotFound: ")


async def test_a_run_with_a_wrong_input_is_counted_and_logged_too(
    desk: Desk, metrics: Metrics, lines: pytest.LogCaptureFixture
) -> None:
    run = await desk.start("CheckLastOperationStatus", {"publisher_id": desk.publisher})
    await failure_of(run)

    assert [labels["outcome"] for labels, _ in metrics.updates("publications")] == ["InvalidInput"]
    assert messages(lines, run.id)[-1].startswith("failed, InvalidInput: ")


async def test_a_cancelled_run_is_counted_as_canceled(
    desk: Desk, metrics: Metrics, lines: pytest.LogCaptureFixture
) -> None:
    await desk.live("4.2.0")
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.1"))
    await desk.until(run, lambda progress: bool(progress.steps))
    await run.cancel()
    with pytest.raises(WorkflowFailureError):
        await run.result()

    assert metrics.updates("publications") == [({"workflow": "UpdateOfferAndPublish", "outcome": "canceled"}, 1)]
    assert messages(lines, run.id)[-1] == "canceled"


async def test_a_run_that_is_cancelled_inside_an_activity_is_counted_as_canceled_too(
    desk: Desk, metrics: Metrics
) -> None:
    await desk.put("4.2.0")
    await desk.fault("list_operations", {"kind": "respond", "status": 503}, times=-1)
    run = await desk.start("CheckLastOperationStatus", desk.check())
    await until_in_flight(run, "look")
    await run.cancel()
    with pytest.raises(WorkflowFailureError) as failed:
        await run.result()

    assert isinstance(failed.value.cause, CancelledError)
    assert metrics.updates("publications") == [({"workflow": "CheckLastOperationStatus", "outcome": "canceled"}, 1)]


async def test_a_run_of_one_look_is_counted_by_its_outcome(desk: Desk, metrics: Metrics) -> None:
    await desk.put("4.2.0")
    await desk.run("CheckLastOperationStatus", desk.check(wait=False))

    outcome = {"workflow": "CheckLastOperationStatus", "outcome": "never_published"}
    assert metrics.updates("publications") == [(outcome, 1)]


async def test_ignored_and_negative_decisions_are_logged(desk: Desk, lines: pytest.LogCaptureFixture) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0", approval={"approvers": [DANA]}))
    await desk.until_asked(run)
    await run.signal("approve_go_live", {"approver": "mallory"})
    await run.signal("reject_go_live", {"approver": DANA, "reason": "wrong kernel"})
    await failure_of(run)

    ignored = f"an approval was ignored: mallory is not among those who may decide on going live: {DANA}"
    assert ignored in messages(lines, run.id)
    assert f"going live was rejected by {DANA}" in messages(lines, run.id)
