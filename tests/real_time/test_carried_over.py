"""What a run carries over when it continues as new, here after 20 events."""

import asyncio
import contextlib
import json
import threading
from datetime import timedelta
from typing import Any

import httpx
import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from tests.desk import Run, failure_of, progress_of
from tests.harness.runs import lease_of, until_followed, until_in_flight, until_requested
from tests.real_time.chain import histories, until_continued
from tests.real_time.conftest import client_of
from tests.real_time.held_desk import HeldDesk
from tests.real_time.test_cancel import ends_as_cancelled
from worker.encryption import EncryptionCodec
from worker.registration import create_data_converter, create_worker
from workflows import history, stages, waiting
from workflows.messages import GoLiveDecision, Progress

DANA = "dana@fabrikam.example"
APPROVERS: dict[str, Any] = {"approval": {"approvers": [DANA, "lee@fabrikam.example"]}}


@pytest.fixture
def few_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run look again, and then continue as new, after four signals instead of a hundred."""
    monkeypatch.setattr(waiting, "MANY", 4)
    monkeypatch.setattr(waiting, "BETWEEN_LOOKS", timedelta(seconds=0.1))


async def send_refused(run: Run, times: int) -> None:
    """Send approvals of somebody who may not decide, one after the other."""
    for number in range(times):
        await run.signal("approve_go_live", {"approver": f"mallory {number}"})


async def approve(run: Run, approver: str) -> GoLiveDecision | None:
    """Approve. Repeat the update if the error asks for it. Return ``None`` if somebody else decided first."""
    while True:
        try:
            wanted = {"approve": True, "approver": approver}
            decision: GoLiveDecision = await run.execute_update("decide_go_live", wanted, result_type=GoLiveDecision)
        except WorkflowUpdateFailedError as error:
            if "comes too late" not in str(error.cause):
                raise
            return None
        except RPCError as error:
            aborted = "aborted by closing workflow" in error.message
            if not aborted and error.status not in {RPCStatusCode.UNAVAILABLE, RPCStatusCode.FAILED_PRECONDITION}:
                raise
            await asyncio.sleep(0.02)
        else:
            return decision


@pytest.mark.usefixtures("few_signals")
async def test_of_several_approvals_each_is_answered_and_the_first_counts(held_desk: HeldDesk) -> None:
    await held_desk.preview("4.2.0")
    run = await held_desk.start("ValidateAndGoLive", held_desk.images("4.2.0", **APPROVERS))
    await held_desk.until_asked(run)
    flood = asyncio.create_task(send_refused(run, 60))
    await until_continued(run)

    async def approve_later(number: int) -> GoLiveDecision | None:
        await asyncio.sleep(0.05 * number)
        return await approve(run, [DANA, "lee@fabrikam.example"][number % 2])

    answers = await asyncio.gather(*(approve_later(number) for number in range(8)))
    await flood
    await held_desk.until(run, lambda progress: progress.stage == "going_live" and bool(progress.looks))
    await held_desk.let_publish()
    result = await run.result()
    [first] = [answer for answer in answers if answer is not None]
    shown = (await progress_of(run)).approval

    assert shown is not None
    assert shown.decision == first
    assert (result.outcome, result.approved_by) == ("live", first.approver)
    assert await held_desk.effects("go_live") == 1
    assert held_desk.notified(run) == ["awaiting_approval", "live"]


@pytest.mark.usefixtures("few_signals")
async def test_each_refused_signal_is_noted_once(held_desk: HeldDesk) -> None:
    await held_desk.preview("4.2.0")
    run = await held_desk.start("ValidateAndGoLive", held_desk.images("4.2.0", **APPROVERS))
    await held_desk.until_asked(run)
    await send_refused(run, 45)
    notes = (await progress_of(run)).notes

    assert len(await histories(held_desk, run)) > 1
    refusal = f"is not among those who may decide on going live: {DANA}, lee@fabrikam.example"
    assert notes == [f"an approval was ignored: mallory {number} {refusal}" for number in range(45)]
    await run.terminate()


@pytest.mark.usefixtures("few_signals")
async def test_the_approval_timeout_counts_from_the_first_request_for_approval(
    held_desk: HeldDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "MAX_ROUNDS", 1)
    await held_desk.preview("4.2.0")
    wanted = held_desk.images("4.2.0", approval={"approvers": [DANA], "timeout": 2})
    run = await held_desk.start("ValidateAndGoLive", wanted)
    asked = await held_desk.until_asked(run)
    with contextlib.suppress(RPCError):  # the run may have ended
        await send_refused(run, 1000)
    error = await failure_of(run)
    closed = (await run.describe()).close_time

    assert error.type == "ApprovalTimedOut"
    assert len(await histories(held_desk, run)) > 1
    assert asked.approval is not None
    assert asked.approval.until is not None
    assert closed is not None
    assert timedelta(0) <= closed - asked.approval.until < timedelta(seconds=10)


@pytest.mark.usefixtures("few_signals")
async def test_the_deadline_does_not_count_the_time_that_people_take(held_desk: HeldDesk) -> None:
    await held_desk.preview("4.2.0")
    run = await held_desk.start("ValidateAndGoLive", held_desk.images("4.2.0", deadline=2.5, **APPROVERS))
    await held_desk.until_asked(run)
    await asyncio.sleep(2.6)
    await held_desk.fault("list_operations", {"kind": "respond", "status": 503})
    await send_refused(run, 30)
    await until_requested(held_desk, "list_operations", times=3)
    await held_desk.until_asked(run)
    assert len(await histories(held_desk, run)) > 1
    await run.terminate()


@pytest.mark.parametrize("workflow", ["CreateOfferAndPublish", "CheckLastOperationStatus"])
async def test_every_run_of_the_chain_answers_queries_with_the_whole_progress(
    held_desk: HeldDesk, workflow: str
) -> None:
    await held_desk.switch(running_word="frobnicating")
    start = held_desk.create("4.2.0")
    if workflow == "CheckLastOperationStatus":
        await held_desk.put("4.2.0")
        await held_desk.publish()
        start = held_desk.check()
    run = await held_desk.start(workflow, start)
    await until_followed(run)
    answers: list[Progress] = []

    async def query() -> None:
        while True:
            answers.append(await progress_of(run))
            await asyncio.sleep(0.1)

    querying = asyncio.create_task(query())
    await until_continued(run, 2)
    querying.cancel()
    await held_desk.let_publish()
    result = await run.result()

    assert result.outcome == "preview"
    looks = [answer.looks for answer in answers]
    assert looks == sorted(looks)
    assert looks[-1] >= looks[0] + 3
    assert {answer.stage for answer in answers} == {"publishing"}
    assert {len(answer.steps) for answer in answers} == {6}
    assert {tuple(answer.notes) for answer in answers} == {
        ("the marketplace uses a status word that is not known here: 'frobnicating'",)
    }


async def test_a_run_that_continued_as_new_while_it_waited_for_the_lease_gets_it(held_desk: HeldDesk) -> None:
    await held_desk.switch(etag_on_get=False, etag_on_put=False)
    await held_desk.preview("4.2.0")
    await held_desk.fault("put_offer", {"kind": "delay", "seconds": 2})
    first = await held_desk.start("UpdateOfferAndPublish", held_desk.images("4.2.1"))
    await until_in_flight(lease_of(held_desk.temporal.client, held_desk.publisher), "edit_images")
    second = await held_desk.start("UpdateOfferAndPublish", held_desk.images("4.2.2"))
    await held_desk.until(second, lambda progress: "another run that is writing" in (progress.waiting_for or ""))
    await until_continued(second)
    ends = asyncio.gather(first.result(), second.result())
    while not ends.done():
        await held_desk.let_publish()
        await asyncio.sleep(0.2)

    assert {result.outcome for result in await ends} == {"preview"}
    assert await held_desk.versions("Preview") == ["4.2.0", "4.2.1", "4.2.2"]


@pytest.mark.usefixtures("few_signals")
async def test_a_run_cancelled_just_after_it_continued_as_new_cancels_its_publish(
    held_desk: HeldDesk, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    continuing, go_on = threading.Event(), threading.Event()
    continue_as_new = history.continue_as_new

    def held(*run: Any) -> None:
        continuing.set()
        assert go_on.wait(1.5)
        continue_as_new(*run)

    held_desk.task_queue = "cancelled-at-once"
    await held_desk.live("4.2.0")
    async with own_worker(held_desk, http) as first:
        run = await held_desk.start("ValidateAndGoLive", held_desk.images("4.2.1", **APPROVERS))
        await until_followed(run)
        await held_desk.let_publish()
        await held_desk.until_asked(run)
        monkeypatch.setattr(history, "continue_as_new", held)
        continued = asyncio.create_task(until_continued(run))
        while not continuing.is_set():
            await send_refused(run, 1)
            await asyncio.sleep(0.1)
        stopping = asyncio.create_task(first.shutdown())
        await asyncio.sleep(0.5)  # until the worker has stopped polling
        go_on.set()
        await stopping
    await continued
    await run.cancel()
    async with own_worker(held_desk, http):
        await ends_as_cancelled(run)

    types = [event.event_type for event in (await histories(held_desk, run))[-1].events]
    cancel_requested = types.index(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED)
    assert cancel_requested < types.index(EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED)
    assert (await held_desk.operations())[-1] == ("publish", "canceled")


async def test_what_a_run_carries_over_is_encrypted_like_its_input(
    held_desk: HeldDesk, http: httpx.AsyncClient
) -> None:
    held_desk.task_queue = "continued-encrypted"
    await held_desk.put("4.2.0")
    await held_desk.publish()
    codec = EncryptionCodec({"key": b"k" * 32})
    client = Client(**held_desk.temporal.client.config() | {"data_converter": create_data_converter(codec)})
    async with own_worker(held_desk, http, client):
        run = await held_desk.start("CheckLastOperationStatus", held_desk.check())
        await until_continued(run)
        await held_desk.let_publish()
        described = await client.get_workflow_handle(run.id, result_type=dict).result()

    started = (await histories(held_desk, run))[-1].events[0].workflow_execution_started_event_attributes
    [carried] = started.input.payloads
    assert described["outcome"] == "preview"
    assert carried.metadata["encoding"] == b"binary/encrypted"
    assert b"looks" not in carried.SerializeToString()
    [opened] = await codec.decode([carried])
    assert b"looks" in opened.metadata["publication"]


async def test_forged_carried_over_state_is_ignored(held_desk: HeldDesk) -> None:
    await held_desk.preview("4.2.0")
    forged = {
        "since": "2026-01-01T00:00:00Z",
        "wait_until": "2126-01-01T00:00:00Z",
        "own_publish": (await held_desk.state())["operations"][-1]["id"],
        "notes": ["forged"],
    }
    metadata = {"encoding": b"json/plain", "publication": json.dumps(forged).encode()}
    sent = RawValue(Payload(metadata=metadata, data=json.dumps(held_desk.images("4.2.0")).encode()))
    first = await held_desk.start("UpdateOfferAndPublish", sent, cron_schedule="@every 1s")
    await until_continued(first)
    await until_continued(first)
    assert (await progress_of(first)).notes == []
    await held_desk.temporal.client.get_workflow_handle(first.id).cancel()
    assert await held_desk.effects("cancel") == 0


def own_worker(desk: HeldDesk, http: httpx.AsyncClient, client: Client | None = None) -> Worker:
    """Return a worker on the task queue of the desk, for the test to stop."""
    return create_worker(
        client or desk.temporal.client, desk.task_queue, client_of(http, desk.sandbox_url), desk.webhook
    )
