"""Where no ETag guards a draft, a lease lets one run write at a time. A run that ends early gives the lease back."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError, TerminatedError
from temporalio.exceptions import TimeoutError as TimedOutError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from sandbox import serve
from tests.apis.product_ingestion import ProductIngestionApi
from tests.desk import Desk, Recorder, failure_of, progress_of, publishing_time, sandbox_with
from tests.harness.real_time_desk import RealTimeDesk
from tests.harness.runs import lease_of, until_followed
from tests.harness.waiting import until
from tests.real_time.conftest import STEP_SECONDS
from tests.real_time.test_concurrency import images, plans, results, start_each, versions_by_plan
from worker.registration import create_worker

ENDS = {"cancel": CancelledError, "terminate": TerminatedError, "time out": TimedOutError, "fail": ApplicationError}
POLLING = {"min_interval": 0.2, "max_interval": 0.5}
SLOW_READS: dict[str, Any] = {"kind": "delay", "seconds": 0.25}


def lease(desk: Desk) -> WorkflowHandle[Any, Any]:
    return lease_of(desk.temporal.client, desk.publisher)


async def is_held(desk: Desk) -> bool:
    """Return whether a run holds the lease on the draft."""
    try:
        described = await lease(desk).describe()
    except RPCError:
        return False
    return described.status is WorkflowExecutionStatus.RUNNING


@pytest.mark.parametrize("etags", [True, False], ids=["with ETags", "without ETags"])
async def test_eight_runs_at_once_lose_no_image_though_reads_are_slow(real_desk: Desk, *, etags: bool) -> None:
    await real_desk.switch(etag_on_get=etags, etag_on_put=etags)
    await real_desk.put(document=plans(real_desk, 8))
    await real_desk.fault("read_slot", SLOW_READS, times=-1)
    done = await results(await start_each(real_desk, "UpdateOfferAndPublish", 8))

    assert {result.outcome for result in done} == {"preview"}
    assert await versions_by_plan(real_desk, "Draft") == [["4.2.0", "4.2.1"]] * 8
    assert await versions_by_plan(real_desk, "Preview") == [["4.2.0", "4.2.1"]] * 8


async def test_no_run_takes_the_lease_where_etags_guard_the_draft(real_desk: Desk) -> None:
    await real_desk.put("4.2.0")
    await real_desk.run("UpdateOfferAndPublish", images(real_desk, "4.2.1"))

    with pytest.raises(RPCError, match="not found"):
        await lease(real_desk).describe()


async def test_a_run_that_waits_for_the_lease_shows_it_and_gets_its_turn(real_desk: Desk) -> None:
    await real_desk.put("4.2.0")
    await real_desk.switch(etag_on_get=False, etag_on_put=False)
    await real_desk.fault("put_offer", {"kind": "delay", "seconds": 1.5})
    first = await real_desk.start("UpdateOfferAndPublish", images(real_desk, "4.2.1"))
    await until(lambda: is_held(real_desk), "a run holds the lease")
    second = await real_desk.start("UpdateOfferAndPublish", images(real_desk, "4.2.2"))
    await real_desk.until(second, lambda progress: "another run that is writing" in (progress.waiting_for or ""))
    described = await lease(real_desk).describe()
    assert not [pair for pair in described.typed_search_attributes if pair.key.name in {"OfferId", "PublishStage"}]
    assert {result.outcome for result in await results([first, second])} == {"preview"}
    assert await real_desk.versions("Preview") == ["4.2.0", "4.2.1", "4.2.2"]


async def test_a_write_under_the_lease_takes_its_publishers_turn(real_desk: Desk) -> None:
    await real_desk.switch(etag_on_get=False)
    await real_desk.put("4.2.0")
    await real_desk.run("UpdateOfferAndPublish", images(real_desk, "4.2.1"))

    events = (await lease(real_desk).fetch_history()).events
    scheduled = [each.activity_task_scheduled_event_attributes for each in events]
    keys = [each.priority.fairness_key for each in scheduled if each.activity_id]
    assert set(keys) == {real_desk.publisher}


@pytest.mark.parametrize("end", ENDS)
async def test_a_run_that_ends_while_it_writes_gives_the_lease_back(real_desk: Desk, end: str) -> None:
    await real_desk.put("4.2.0")
    await real_desk.switch(etag_on_get=False, etag_on_put=False)
    await real_desk.fault("put_offer", {"kind": "respond", "status": 422 if end == "fail" else 503}, times=3)
    first = await real_desk.start(
        "UpdateOfferAndPublish",
        images(real_desk, "4.2.1"),
        execution_timeout=timedelta(seconds=1 if end == "time out" else 60),
    )
    if end in {"cancel", "terminate"}:
        await until(lambda: is_held(real_desk), "a run holds the lease")
        await (first.cancel() if end == "cancel" else first.terminate())
    with pytest.raises(WorkflowFailureError) as failed:
        await first.result()
    assert isinstance(failed.value.cause, ENDS[end])
    await real_desk.no_faults()

    async def is_free() -> bool:
        return not await is_held(real_desk)

    await until(is_free, "nobody holds the lease")
    result = await real_desk.run("UpdateOfferAndPublish", images(real_desk, "4.2.2"))
    assert result.outcome == "preview"
    assert "4.2.2" in await real_desk.versions("Preview")


async def test_a_run_fails_with_the_reason_if_somebody_cancels_its_internal_run(real_desk: Desk) -> None:
    await real_desk.put("4.2.0")
    await real_desk.switch(etag_on_get=False, etag_on_put=False)
    await real_desk.fault("put_offer", {"kind": "delay", "seconds": 0.5}, times=-1)
    await real_desk.fault("put_offer", {"kind": "respond", "status": 503}, times=-1)
    run = await real_desk.start("UpdateOfferAndPublish", images(real_desk, "4.2.1"))
    await until(lambda: is_held(real_desk), "a run holds the lease")
    await lease(real_desk).cancel()
    error = await failure_of(run)

    assert error.type == "MarketplaceError"
    assert "somebody cancelled the internal run that was writing to the draft" in error.message


async def test_images_that_wait_while_an_offer_is_replaced_are_added_to_the_new_one(real_desk: Desk) -> None:
    await real_desk.switch(etag_on_get=False, etag_on_put=False)
    await real_desk.put(document=plans(real_desk, 4))
    await real_desk.fault("put_offer", {"kind": "delay", "seconds": 1.5})
    whole = plans(real_desk, 4)
    whole["definition"]["displayText"] = "replaced"
    replacing = await real_desk.start(
        "CreateOfferAndPublish",
        real_desk.create(document=whole, if_exists="replace", polling=POLLING),
    )
    await until(lambda: is_held(real_desk), "a run holds the lease")
    adding = await start_each(real_desk, "UpdateOfferAndPublish", 4)

    assert {result.outcome for result in await results([replacing, *adding])} == {"preview"}
    assert await versions_by_plan(real_desk, "Preview") == [["4.2.0", "4.2.1"]] * 4
    assert (await real_desk.state())["slots"]["Preview"]["document"]["definition"]["displayText"] == "replaced"


async def test_the_internal_run_refuses_to_be_started_by_hand(real_desk: Desk) -> None:
    error = await failure_of(await real_desk.start("WriteDraft", {}, workflow_id=lease(real_desk).id))

    assert error.type == "InvalidInput"
    assert "Start one of them instead" in error.message


async def test_two_creations_of_one_offer_at_once_create_it_once(real_desk: Desk) -> None:
    await real_desk.fault("read_slot", SLOW_READS, times=-1)
    runs = [
        await real_desk.start("CreateOfferAndPublish", real_desk.create(version, polling=POLLING))
        for version in ("4.2.0", "4.3.0")
    ]
    ends = await asyncio.gather(*(run.result() for run in runs), return_exceptions=True)

    assert sum(isinstance(end, BaseException) for end in ends) == 1
    [lost] = [run for run, end in zip(runs, ends, strict=True) if isinstance(end, BaseException)]
    assert (await failure_of(lost)).type == "OfferExists"
    assert await real_desk.effects("put_offer") == 1


async def test_a_run_that_is_cancelled_before_its_turn_to_publish_has_nothing_to_cancel(
    real_temporal: WorkflowEnvironment, http: httpx.AsyncClient, webhook: Recorder
) -> None:
    api, name = ProductIngestionApi(), "before-its-turn"
    async with (
        serve(sandbox_with(STEP_SECONDS, account=name)) as url,
        create_worker(real_temporal.client, name, api.marketplace(http, url), webhook),
    ):
        desk = RealTimeDesk(
            api, real_temporal, http, url, name, name, webhook, publishing=publishing_time(STEP_SECONDS)
        )
        await desk.live("4.2.0")
        await desk.step("displaycertify", outcome="never")
        await desk.stranger("edit", "publish", version="4.2.1")
        run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.2", publish="modular", polling=POLLING))
        await until_followed(run)  # its image is in the draft, and waits for the publish to end
        other = await real_temporal.client.start_workflow("WriteDraft", id=lease(desk).id, task_queue="no-worker")
        await desk.step("displaycertify")
        await desk.until(run, lambda progress: "another run that is writing" in (progress.waiting_for or ""))
        await run.cancel()
        with pytest.raises(WorkflowFailureError):
            await run.result()
        await other.terminate()

        assert (await progress_of(run)).notes == [
            "The images stay in the draft: the next publish of the offer carries them.",
            "Nothing was cancelled at the marketplace: no operation of this run is running there.",
        ]
        assert "cancel" not in [entry["call"] for entry in await desk.requests()]
