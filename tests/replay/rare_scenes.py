"""Scenes of what else can get in the way of a run. They reach the lines that the other scenes do not reach."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from tests.apis.cloud_partner import IMAGES
from tests.desk import OFFER, Desk, Run
from tests.harness.runs import until_asked, until_followed, until_progress, until_requested
from tests.replay.player import GUARDED, Webhook
from tests.replay.stage import (
    CHECK,
    CREATE,
    DANA,
    ONLY_WHEN_ASKED,
    SELDOM,
    UNATTENDED,
    UPDATE,
    VALIDATE,
    approved,
    canceled,
    canceled_in,
    delay,
    ended,
    hold,
    image,
    recorded,
    release,
    run_of,
    signed,
    somebody_publishes,
    until_continued,
    until_delaying,
    until_newest_followed,
    until_noted,
)
from workflows.messages import PublicationResult, PublishStage

BUSY: dict[str, Any] = {"kind": "respond", "status": 503, "headers": {"Retry-After": "60"}}

# Requests that the marketplace refuses permanently or never answers


@recorded(UPDATE)
async def offer_not_found(desk: Desk) -> Run:
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


@recorded(CHECK)
async def workflow_id_too_long(desk: Desk) -> Run:
    return await ended(await desk.start(CHECK, desk.check(), workflow_id=f"{desk.publisher}/{'x' * 200}"))


@recorded(UPDATE)
async def publish_refused(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await desk.fault("publish", {"kind": "respond", "status": 422, "body": "No."}, times=-1)
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


@recorded(VALIDATE)
async def go_live_refused(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.fault("go_live", {"kind": "respond", "status": 403}, times=-1)
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM, **UNATTENDED)))


@recorded(CREATE)
async def put_fails_until_the_deadline(desk: Desk) -> Run:
    await desk.fault("put_offer", BUSY, times=-1)
    return await ended(await desk.start(CREATE, desk.create(deadline="PT9S", **SELDOM)))


@recorded(UPDATE)
async def put_is_not_answered_before_the_deadline(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await delay(desk, "put_offer", 4)
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", deadline="PT2S", **SELDOM)))


@recorded(CHECK)
async def look_takes_longer_than_a_local_activity_may(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await delay(desk, "list_operations", 3)
    return await ended(await desk.start(CHECK, desk.check(**SELDOM)))


@recorded(UPDATE)
async def preview_never_shows_its_images(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.switch(preview_lag_seconds=3600)
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", deadline="PT5S", **SELDOM)))


@recorded(VALIDATE)
async def notification_is_refused(desk: Desk) -> Run:
    desk.webhook.status = 404
    await desk.preview("4.2.0")
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM, **UNATTENDED)))


@recorded(VALIDATE)
async def notification_is_refused_at_the_second_attempt(desk: Desk) -> Run:
    assert isinstance(desk.webhook, Webhook)
    desk.webhook.status, desk.webhook.away = 404, 1
    await desk.preview("4.2.0")
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM, **UNATTENDED)))


@recorded(UPDATE)
async def webhook_is_slow(desk: Desk) -> Run:
    assert isinstance(desk.webhook, Webhook)
    desk.webhook.seconds = 1.5
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


# Differences between marketplaces


def _expiring(version: str) -> str:
    """Return the URL of a disk whose signature expires sooner than the marketplace asks for."""
    return signed(version, f"{datetime.now(UTC) + timedelta(days=10):%Y-%m-%d}")


@recorded(UPDATE)
async def added_with_a_warning(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.switch(sas_min_days=1)
    images = [image("4.2.1", _expiring("4.2.1"))]
    return await ended(await desk.start(UPDATE, desk.images(**SELDOM) | {"images": images}))


@recorded(UPDATE)
async def preview_is_cleared_once_live(desk: Desk) -> Run:
    await desk.switch(preview_cleared_after_go_live=True)
    await desk.live("4.2.0")
    return await ended(await desk.start(UPDATE, desk.images("4.2.0", **SELDOM)))


@recorded(UPDATE)
async def update_looks_when_it_is_asked_to(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await hold(desk)
    run = await desk.start(UPDATE, desk.images("4.2.1", **ONLY_WHEN_ASKED))
    await until_followed(run)
    await release(desk)
    await desk.let_publish()
    await run.signal("check_now")
    return await ended(run)


@recorded(UPDATE)
async def continues_as_new_while_a_look_is_still_asked_for(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await hold(desk)
    run = await desk.start(UPDATE, desk.images("4.2.1", **ONLY_WHEN_ASKED))
    await until_followed(run)
    await delay(desk, "look", 1)
    await run.signal("check_now")
    await until_delaying(desk)
    await asyncio.gather(*(run.signal("check_now") for _ in range(90)))
    await until_continued(run)
    await release(desk)
    await desk.let_publish()
    with contextlib.suppress(RPCError):  # the run may have ended after the earlier look
        await run.signal("check_now")
    return await ended(run)


@recorded(VALIDATE)
async def nothing_to_promote(desk: Desk) -> Run:
    await desk.put("4.2.0")
    return await ended(await desk.start(VALIDATE, desk.images(**SELDOM)))


@recorded(VALIDATE)
async def promoted_by_another_while_production_lags(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.switch(production_lag_seconds=6)
    await desk.stranger("go_live")
    await desk.let_publish()
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM)))


@recorded(VALIDATE)
async def somebody_else_goes_live(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.step("live", outcome="never")
    await desk.stranger("go_live")
    run = await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM))
    await until_followed(run)
    await desk.step("live")
    return await ended(run)


# Publishes by others


@recorded(UPDATE)
async def asks_to_join_what_is_being_published(desk: Desk) -> Run:
    await hold(desk)
    await desk.put("4.2.0")
    await desk.publish()
    run = await desk.start(UPDATE, desk.images("4.2.0", if_publishing="cancel", **SELDOM))
    await until_followed(run)
    await release(desk)
    return await ended(run)


@recorded(UPDATE)
async def joined_a_publish_without_its_image(desk: Desk) -> Run:
    await somebody_publishes(desk)
    draft = (await desk.state())["slots"]["Draft"]["document"]
    draft["definition"]["plans"][0][IMAGES]["4.2.1"] = {"osVhdUrl": signed("4.2.1"), "lunVhdDetails": []}
    await desk.put(document=draft)
    await desk.switch(second_publish="join")
    run = await desk.start(UPDATE, desk.images("4.2.1", if_publishing="cancel", **SELDOM))
    await until_followed(run)
    await release(desk)
    return await ended(run)


@recorded(UPDATE)
async def another_publish_ends_before_it_is_canceled(desk: Desk) -> Run:
    await somebody_publishes(desk)
    await desk.fault("put_offer", {"kind": "stranger_cancel", "when": "after"})
    run = await desk.start(UPDATE, desk.images("4.2.1", if_publishing="cancel", **SELDOM))
    await until_followed(run)
    await release(desk)
    return await ended(run)


@recorded(UPDATE)
async def another_publish_cannot_be_canceled(desk: Desk) -> Run:
    await somebody_publishes(desk)
    await desk.switch(cancel_window="sign_off_only")
    run = await desk.start(UPDATE, desk.images("4.2.1", if_publishing="cancel", **SELDOM))
    await until_noted(run, "waited for instead")
    await release(desk)
    return await ended(run)


@recorded(UPDATE)
async def replaced_by_another_publish(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await hold(desk)
    await desk.switch(second_publish="replace")
    run = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
    await until_followed(run)
    await desk.stranger("edit", version="4.2.5")
    await desk.stranger("publish")
    await until_newest_followed(desk, run)
    await release(desk)
    return await ended(run)


@recorded(UPDATE)
async def publish_that_carries_its_images_is_canceled(desk: Desk) -> Run:
    await somebody_publishes(desk)
    run = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
    await until_followed(run)
    await desk.stranger("cancel", "publish")
    await until_newest_followed(desk, run)
    await desk.stranger("cancel")
    await release(desk)
    return await ended(run)


# The internal run that holds the lease


@recorded(CREATE)
async def writer_is_canceled_by_somebody(desk: Desk) -> Run:
    await desk.fault("put_offer", BUSY, times=-1)
    run = await desk.start(CREATE, desk.create(**SELDOM))
    await until_requested(desk, "put_offer")
    await run_of(desk, f"internal/draft/{desk.publisher}/{OFFER}").cancel()
    return await ended(run)


@recorded(CREATE)
async def writer_is_terminated_by_somebody(desk: Desk) -> Run:
    await desk.fault("put_offer", BUSY, times=-1)
    run = await desk.start(CREATE, desk.create(**SELDOM))
    await until_requested(desk, "put_offer")
    await run_of(desk, f"internal/draft/{desk.publisher}/{OFFER}").terminate()
    return await ended(run)


# Decisions


@recorded(VALIDATE)
async def started_with_a_malformed_approval(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    wanted = desk.images("4.2.0", approval={"approvers": [DANA, "e" * 100, "f" * 100]}, **SELDOM)
    run = await desk.start(VALIDATE, wanted, start_signal="approve_go_live", start_signal_args=["yes"])
    await until_asked(run)
    await run.signal("reject_go_live", {"approver": DANA})
    return await ended(run)


@recorded(VALIDATE)
async def surveys_when_it_is_asked_to(desk: Desk) -> Run:
    await desk.live("4.2.0")
    run = await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM))
    await until_asked(run)
    lists = [entry["call"] for entry in await desk.requests()].count("list_operations")
    for times in (1, 2):
        await run.signal("check_now")
        await until_requested(desk, "list_operations", lists + times)
    return await approved(run)


@recorded(VALIDATE)
async def continues_as_new_because_of_signals_that_do_not_count(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    run = await desk.start(VALIDATE, desk.images("4.2.0", approval={"approvers": [DANA]}, **SELDOM))
    await until_asked(run)
    for _ in range(2):
        await asyncio.gather(*(run.signal("approve_go_live", {"approver": "eve"}) for _ in range(100)))
    await until_continued(run)
    return await approved(run)


@recorded(VALIDATE)
async def unattended_run_finds_another_preview(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.fault("list_operations", {"kind": "stranger_edit", "version": "4.2.5"}, after=1)
    await desk.fault("list_operations", {"kind": "stranger_publish"}, after=1)
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM, **UNATTENDED)))


@recorded(VALIDATE)
async def published_again_before_it_is_approved(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await hold(desk)
    run = await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM))
    await until_asked(run)
    await desk.stranger("edit", version="4.2.5")
    await desk.stranger("publish")
    await run.signal("check_now")
    await until_newest_followed(desk, run)
    await run.signal("approve_go_live")
    await release(desk)
    return await approved(run)


@recorded(VALIDATE)
async def published_again_after_it_was_approved(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    run = await desk.start(VALIDATE, desk.images(**SELDOM))
    await until_asked(run)
    await hold(desk)
    patience = {"kind": "respond", "status": 503, "headers": {"Retry-After": "3"}}
    await desk.fault("list_operations", patience)
    await run.signal("approve_go_live")
    await until_progress(run, lambda progress: bool(progress.approval and progress.approval.decision))
    await desk.stranger("edit", version="4.2.5")
    await desk.stranger("publish")
    await until_newest_followed(desk, run)
    await release(desk)
    await until_progress(run, lambda progress: bool(progress.approval and progress.approval.reopened))
    return await approved(run)


@recorded(VALIDATE)
async def approved_while_production_changes(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.switch(production_lag_seconds=4)
    await desk.stranger("go_live")
    await desk.let_publish()
    await desk.preview("4.2.0", "4.2.1")
    run = await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM))
    await until_progress(run, lambda progress: progress.approval is not None and len(progress.approval.adds) == 2)
    await until_asked(run)
    await asyncio.sleep(4)
    await delay(desk, "list_operations", 1)
    await run.signal("check_now")
    await until_delaying(desk)
    await run.signal("approve_go_live")
    await until_progress(run, lambda progress: bool(progress.approval and progress.approval.reopened))
    return await approved(run)


@recorded(VALIDATE)
async def approved_before_there_is_a_preview(desk: Desk) -> Run:
    await hold(desk)
    await desk.put("4.2.0")
    await desk.publish()
    run = await desk.start(VALIDATE, desk.images(**SELDOM), start_signal="approve_go_live")
    await until_followed(run)
    await release(desk)
    return await approved(run)


@recorded(VALIDATE)
async def approved_though_no_approval_is_required(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    start = desk.images("4.2.0", **SELDOM, **UNATTENDED)
    return await ended(await desk.start(VALIDATE, start, start_signal="approve_go_live"))


@recorded(VALIDATE)
async def approved_by_somebody_the_worker_does_not_allow(desk: Desk) -> Run:
    desk.task_queue = GUARDED
    await desk.live("4.2.0")
    run = await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM), start_signal="approve_go_live")
    return await approved(run)


@recorded(VALIDATE)
async def unattended_run_where_the_worker_requires_an_approval(desk: Desk) -> Run:
    desk.task_queue = GUARDED
    await desk.preview("4.2.0")
    return await approved(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM, **UNATTENDED)))


@recorded(VALIDATE)
async def names_no_approver_that_the_worker_allows(desk: Desk) -> Run:
    desk.task_queue = GUARDED
    await desk.preview("4.2.0")
    wanted = desk.images("4.2.0", approval={"approvers": ["eve"]}, **SELDOM)
    return await ended(await desk.start(VALIDATE, wanted))


@recorded(VALIDATE)
async def decided_twice(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await hold(desk)
    run = await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM))
    await until_followed(run)
    await run.signal("approve_go_live", {"approver": DANA})
    await run.signal("reject_go_live", {"approver": "eve"})
    await until_noted(run, "comes too late")
    await release(desk)
    return await ended(run)


@recorded(VALIDATE)
async def approved_too_late(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    run = await desk.start(VALIDATE, desk.images("4.2.0", approval={"timeout": "PT2S"}, **SELDOM))
    await until_asked(run)
    desk.webhook.status = 500
    await until_progress(run, lambda progress: progress.stage is PublishStage.FAILED)
    await run.signal("approve_go_live")
    await until_noted(run, "an approval was ignored")
    desk.webhook.status = 200
    return await ended(run)


@recorded(VALIDATE)
async def decided_with_the_start_by_somebody_else(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    start: WithStartWorkflowOperation[Any, PublicationResult] = WithStartWorkflowOperation(
        VALIDATE,
        desk.images("4.2.0", approval={"approvers": [DANA]}, **SELDOM),
        id=f"{desk.publisher}/update-with-start",
        task_queue=desk.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        result_type=PublicationResult,
    )
    try:
        await desk.temporal.client.execute_update_with_start_workflow(
            "decide_go_live", {"approve": True, "approver": "eve"}, start_workflow_operation=start
        )
    except WorkflowUpdateFailedError:
        run = await start.workflow_handle()
    return await approved(run)


@recorded(VALIDATE)
async def reset_to_its_beginning(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    run = await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM))
    await until_asked(run)
    await desk.temporal.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=desk.temporal.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=run.id),
            workflow_task_finish_event_id=4,
            reason="survey anew",
            request_id=run.id,
        )
    )
    return await approved(run_of(desk, run.id))


# Cancellation at every stage of a run


@recorded(CHECK)
async def canceled_in_a_local_look(desk: Desk) -> Run:
    await somebody_publishes(desk)
    # The cancellation arrives with the heartbeat of the workflow task, which by default comes after eight seconds.
    run = await desk.start(CHECK, desk.check(**ONLY_WHEN_ASKED), task_timeout=timedelta(seconds=1))
    await until_followed(run)
    await delay(desk, "look", 1.9)
    await run.signal("check_now")
    await until_delaying(desk)
    await run.cancel()
    return await ended(run)


@recorded(UPDATE)
async def canceled_after_joining(desk: Desk) -> Run:
    await somebody_publishes(desk)
    run = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
    await until_followed(run)
    await desk.stranger("cancel", "publish")
    await until_newest_followed(desk, run)
    return await canceled(run)


@recorded(UPDATE)
async def canceled_while_the_publish_is_refused(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await delay(desk, "publish")
    await desk.fault("publish", {"kind": "respond", "status": 422, "body": "No."})
    return await canceled_in(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)), "publish")


@recorded(UPDATE)
async def canceled_while_the_publish_is_lost(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await delay(desk, "publish")
    await desk.fault("publish", {"kind": "drop", "when": "after"})
    return await canceled_in(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)), "publish")


@recorded(UPDATE)
async def canceled_while_the_publish_never_arrives(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await delay(desk, "publish")
    await desk.fault("publish", {"kind": "drop", "when": "before"})
    return await canceled_in(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)), "publish")


@recorded(UPDATE)
async def canceled_while_it_asks_to_join(desk: Desk) -> Run:
    await hold(desk)
    await desk.put("4.2.0")
    await desk.publish()
    await delay(desk, "publish")
    run = await desk.start(UPDATE, desk.images("4.2.0", if_publishing="cancel", **SELDOM))
    return await canceled_in(run, "publish")


@recorded(VALIDATE)
async def canceled_while_it_notifies(desk: Desk) -> Run:
    desk.webhook.status = 500
    await desk.preview("4.2.0")
    return await canceled(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM)), until_asked)


@recorded(VALIDATE)
async def production_lags_behind_somebody_elses_go_live(desk: Desk) -> Run:
    await desk.switch(production_lag_seconds=3)
    await desk.live("4.2.0")
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **UNATTENDED, **SELDOM)))


@recorded(VALIDATE)
async def canceled_where_the_preview_stays(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await desk.switch(cancel_window="before_sign_off")
    return await canceled(await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM)), until_asked)


@recorded(UPDATE)
async def canceled_but_the_publish_does_not_end_in_time(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await hold(desk)
    await desk.switch(cancel_async=True, cancel_seconds=3600)
    return await canceled(await desk.start(UPDATE, desk.images("4.2.1", deadline="PT4S", **SELDOM)))


@recorded(VALIDATE)
async def approved_while_it_is_canceled(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await desk.switch(cancel_async=True, cancel_seconds=4)
    run = await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM))
    await until_asked(run)
    await run.cancel()
    await until_requested(desk, "cancel")
    await run.signal("approve_go_live")
    return await ended(run)


@recorded(CREATE)
async def canceled_while_the_writer_is_to_try_again(desk: Desk) -> Run:
    await desk.fault("put_offer", BUSY, times=-1)
    run = await desk.start(CREATE, desk.create(**SELDOM))
    await until_requested(desk, "put_offer")
    await asyncio.sleep(0.5)
    await run.cancel()
    return await ended(run)
