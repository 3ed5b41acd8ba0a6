"""What gets in a run's way: faults of every kind, strangers, a service that refuses, a cancellation at each place."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy

from tests.desk import IMAGES, PLAN, SAS, Desk, Run, vhd
from tests.process.processes import Programs, in_flight
from tests.replay.stage import (
    CHECK,
    CREATE,
    DANA,
    ONLY_WHEN_ASKED,
    SELDOM,
    UNATTENDED,
    UPDATE,
    VALIDATE,
    canceled,
    checked_once_published,
    child,
    ended,
    many_looks,
    publishes,
    requests,
    scene,
    slowly,
    until,
    until_asked,
    until_followed,
    until_so,
)
from workflows.messages import PublicationResult, PublishStage

# Faults of the service and of the way to it, spread over the workflows

STRUCK: dict[str, str] = {}
"""The kind of fault of each scene that was made for one."""


def _struck(workflow: str, name: str, call: str, action: dict[str, Any]) -> None:
    """Make a scene of a run one of whose requests goes wrong, so that it is tried again."""

    async def play(desk: Desk) -> Run:
        await (desk.switch() if workflow == CREATE else desk.preview("4.2.0"))
        start: dict[str, Any] = desk.create() if workflow == CREATE else desk.images("4.2.1", **UNATTENDED)
        if workflow == UPDATE:
            del start["approval"]
        if workflow == CHECK:
            await desk.stranger("go_live")
            start = desk.check()
        await desk.fault(call, action)
        return await ended(await desk.start(workflow, start | SELDOM))

    STRUCK[f"{workflow}/struck_by_{name}"] = action["kind"]
    play.__name__ = f"struck_by_{name}"
    scene(workflow)(play)


_PATIENCE = {"status": 503, "headers": {"Retry-After": "1"}}

_struck(UPDATE, "429", "list_operations", {"kind": "respond", "status": 429, "headers": {"Retry-After": "1"}})
_struck(CREATE, "500", "publish", {"kind": "respond", "status": 500})
_struck(VALIDATE, "503", "go_live", {"kind": "respond", **_PATIENCE})
_struck(CHECK, "503", "read_operation", {"kind": "respond", **_PATIENCE})
_struck(CREATE, "502_after_the_effect", "put_offer", {"kind": "respond_after", "status": 502})
_struck(UPDATE, "502_after_the_effect", "publish", {"kind": "respond_after", "status": 502})
_struck(VALIDATE, "502_after_the_effect", "go_live", {"kind": "respond_after", "status": 502})
_struck(CREATE, "a_dropped_connection", "publish", {"kind": "drop", "when": "after"})
_struck(UPDATE, "a_dropped_connection", "put_offer", {"kind": "drop", "when": "before"})
_struck(CHECK, "a_dropped_connection", "list_operations", {"kind": "drop", "when": "before"})
_struck(VALIDATE, "a_truncated_answer", "read_offer", {"kind": "truncate"})
_struck(CHECK, "a_truncated_answer", "read_operation", {"kind": "truncate"})
_struck(UPDATE, "a_slow_answer", "publish", {"kind": "delay", "seconds": 4})
_struck(VALIDATE, "withdrawn_tokens", "go_live", {"kind": "expire_tokens"})
_struck(UPDATE, "a_strangers_edit", "put_offer", {"kind": "stranger_edit", "version": "4.1.9"})
_struck(UPDATE, "a_strangers_publish", "put_offer", {"kind": "stranger_publish", "when": "after"})
_struck(VALIDATE, "a_strangers_cancel", "go_live", {"kind": "stranger_cancel"})
_struck(VALIDATE, "a_strangers_go_live", "go_live", {"kind": "stranger_go_live"})


@scene(UPDATE)
async def worker_killed_in_a_publish(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await desk.fault("publish", {"kind": "delay", "seconds": 1})
    desk.task_queue = desk.publisher
    address = desk.temporal.client.service_client.config.target_host
    with TemporaryDirectory() as folder, Programs(Path(folder)) as programs:
        keys = {"AZURE_STORAGE_ACCOUNT_KEYS": "fabrikamimages=aW52ZW50ZWQ="}
        worker = programs.worker(address, desk.sandbox_url, desk.task_queue, **keys)
        run = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
        await until_so(lambda: in_flight(run, "publish"))
        await asyncio.sleep(0.5)
        worker.kill()
        programs.worker(address, desk.sandbox_url, desk.task_queue, **keys)
        return await ended(run)


# What the service refuses for good, or never answers


def _refused(workflow: str, name: str, call: str, status: int) -> None:
    """Make a scene of a run that ends because a request is refused."""

    async def play(desk: Desk) -> Run:
        await desk.live("4.2.0")
        start = desk.check() if workflow == CHECK else desk.images("4.2.1")
        if workflow == VALIDATE:
            start |= UNATTENDED
        if workflow == CREATE:
            start = desk.create("4.2.1", if_exists="replace")
        await desk.fault(call, {"kind": "respond", "status": status, "body": "No."}, times=-1)
        return await ended(await desk.start(workflow, start | SELDOM))

    play.__name__ = name
    scene(workflow)(play)


_refused(CREATE, "put_refused", "put_offer", 422)
_refused(CREATE, "publish_refused", "publish", 422)
_refused(UPDATE, "publish_refused", "publish", 403)
_refused(VALIDATE, "go_live_refused", "go_live", 403)
_refused(CHECK, "look_refused", "list_operations", 401)


@scene(UPDATE)
async def plan_not_found(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", plan="webstack-lst")))


@scene(UPDATE)
async def id_too_long(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    return await ended(await desk.start(UPDATE, desk.images("4.2.1"), workflow_id=f"{desk.publisher}/{'x' * 700}"))


@scene(UPDATE)
async def version_taken(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    images = [{"plan_id": PLAN, "version": "4.2.0", "os_vhd_url": vhd("4.2.0-fixed")}]
    return await ended(await desk.start(UPDATE, desk.images() | {"images": images}))


@scene(CREATE)
async def out_of_order(desk: Desk) -> Run:
    await desk.fault("put_offer", {"kind": "respond", "status": 500}, times=-1)
    return await ended(await desk.start(CREATE, desk.create(deadline="PT3S")))


@scene(CREATE)
async def silent(desk: Desk) -> Run:
    await desk.fault("put_offer", {"kind": "delay", "seconds": 5})
    return await ended(await desk.start(CREATE, desk.create(deadline="PT3S")))


# Things seen on the way


@scene(CREATE)
async def created_meanwhile(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.fault("read_offer", {"kind": "respond", "status": 404})
    return await ended(await desk.start(CREATE, desk.create(**SELDOM)))


def expiring(version: str) -> str:
    """Return the address of a disk whose signature is valid for fewer days than the marketplace asks for."""
    return f"{vhd(version)}?{SAS.replace('2199-01-01', f'{datetime.now(UTC) + timedelta(days=10):%Y-%m-%d}')}"


@scene(CREATE)
async def created_with_a_warning(desk: Desk) -> Run:
    await desk.switch(sas_min_days=1)
    document = desk.document("4.2.0")
    document["definition"]["plans"][0][IMAGES]["4.2.0"]["osVhdUrl"] = expiring("4.2.0")
    return await ended(await desk.start(CREATE, desk.create(document=document, **SELDOM)))


@scene(UPDATE)
async def added_with_a_warning(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.switch(sas_min_days=1)
    image = {"plan_id": PLAN, "version": "4.2.1", "os_vhd_url": expiring("4.2.1")}
    return await ended(await desk.start(UPDATE, desk.images(**SELDOM) | {"images": [image]}))


@scene(UPDATE)
async def added_with_a_warning_below_a_parent(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.switch(sas_min_days=1)
    image = {"plan_id": PLAN, "version": "4.2.1", "os_vhd_url": expiring("4.2.1")}
    parent = await desk.start(VALIDATE, desk.images(**SELDOM, **UNATTENDED) | {"images": [image]})
    await ended(parent)
    return child(desk, f"{parent.id}/update")


@scene(CREATE)
async def created_where_words_are_unknown(desk: Desk) -> Run:
    await desk.switch(running_word="ruminating")
    return await ended(await desk.start(CREATE, desk.create(**SELDOM)))


@scene(CHECK)
async def continued_with_a_note(desk: Desk) -> Run:
    await desk.switch(running_word="ruminating")
    return await ended(await many_looks(desk))


@scene(UPDATE)
async def added_to_a_draft(desk: Desk) -> Run:
    await desk.call("PUT", "", desk.document("4.2.0"), {"If-Match": "*"})
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


@scene(UPDATE)
async def update_checked_now(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await slowly(desk)
    return await checked_once_published(await desk.start(UPDATE, desk.images("4.2.1", **ONLY_WHEN_ASKED)))


@scene(UPDATE)
async def preview_lags(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.switch(preview_lag_seconds=8)
    parent = await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM, **UNATTENDED))
    await ended(parent)
    return child(desk, f"{parent.id}/update")


@scene(UPDATE)
async def preview_never_shows(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.switch(preview_lag_seconds=3600)
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", deadline="PT5S", **SELDOM)))


@scene(UPDATE)
async def joined_in_vain(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.call("PUT", "", desk.document("4.2.0", "4.2.1"), {"If-Match": "*"})
    await desk.publish()
    await desk.switch(preview_lag_seconds=4)
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


@scene(UPDATE)
async def joined_another_draft_in_vain(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await slowly(desk)
    await desk.stranger("edit", version="4.1.9")
    await desk.stranger("publish")
    draft = (await desk.state())["slots"]["Draft"]["document"]
    draft["definition"]["plans"][0][IMAGES]["4.2.1"] = {"osVhdUrl": f"{vhd('4.2.1')}?{SAS}", "lunVhdDetails": []}
    await desk.call("PUT", "", draft, {"If-Match": "*"})
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


@scene(UPDATE)
async def failed_below_a_parent(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await desk.step("displaycertify", outcome="fail", messages=["The image does not boot."])
    parent = await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM))
    await ended(parent)
    return child(desk, f"{parent.id}/update")


@scene(VALIDATE)
async def publish_fails_on_the_way(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await desk.step("displaycertify", outcome="reject", messages=["The image is too old."])
    return await ended(await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM)))


@scene(VALIDATE)
async def people_not_told(desk: Desk) -> Run:
    desk.webhook.status = 404
    await desk.preview("4.2.0")
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM, **UNATTENDED)))


STRAY = {"id": "1", "kind": "publish", "state": "running", "followed_by": "elsewhere"}


@scene(VALIDATE)
async def told_nonsense(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    run = await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM))
    await until_asked(run)
    await run.signal("operation_moved", {"moved": "to another town"})
    await run.signal("operation_moved", {"operation": STRAY, "steps": []})
    await run.signal("reject_go_live", {"because": "of the banner"})
    await run.signal("reject_go_live")
    return await ended(run)


@scene(VALIDATE)
async def checked_now_where_nothing_is_followed_any_more(desk: Desk) -> Run:
    await desk.live("4.2.0")
    run = await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM))
    await until_asked(run)
    lists = await requests(desk, "list_operations")
    await run.signal("check_now")

    async def is_surveyed() -> bool:
        return await requests(desk, "list_operations") > lists

    await until_so(is_surveyed)
    await until(run, lambda progress: (progress.waiting_for or "").startswith("approval"))
    await run.signal("approve_go_live")
    return await ended(run)


@scene(VALIDATE)
async def nobody_is_asked_about_another_preview(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.fault("list_operations", {"kind": "stranger_edit", "version": "4.2.5"}, after=1)
    await desk.fault("list_operations", {"kind": "stranger_publish"}, after=1)
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM, **UNATTENDED)))


@scene(VALIDATE)
async def published_again_before_it_was_approved(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    run = await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM))
    await until_asked(run)
    await desk.stranger("edit", version="4.2.5")
    await desk.stranger("publish")
    await run.signal("check_now")
    await until(run, lambda progress: progress.stage is PublishStage.PUBLISHING)
    await run.signal("approve_go_live")
    await until_asked(run)
    await run.signal("approve_go_live", {"approver": DANA})
    return await ended(run)


@scene(VALIDATE)
async def published_again_after_it_was_approved(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    run = await desk.start(VALIDATE, desk.images(**SELDOM))
    await until_asked(run)
    for _ in range(2):
        await desk.fault("list_operations", {"kind": "respond", "status": 503, "headers": {"Retry-After": "3"}})
    await run.signal("approve_go_live")
    await desk.stranger("edit", version="4.2.5")
    await desk.stranger("publish")
    await until(run, lambda progress: bool(progress.approval and progress.approval.reopened))
    await until_asked(run)
    await run.signal("approve_go_live", {"approver": DANA})
    return await ended(run)


@scene(VALIDATE)
async def promoted_by_another_while_production_lags(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.switch(production_lag_seconds=6)
    await desk.stranger("go_live")
    await desk.let_publish()
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM)))


@scene(VALIDATE)
async def approved_too_late(desk: Desk) -> Run:
    desk.webhook.status = 500
    await desk.preview("4.2.0")
    run = await desk.start(VALIDATE, desk.images("4.2.0", approval={"timeout": "PT20S"}, **SELDOM))
    await until(run, lambda progress: progress.stage is PublishStage.FAILED)
    await run.signal("approve_go_live")
    desk.webhook.status = 200
    return await ended(run)


@scene(VALIDATE)
async def approved_while_it_is_canceled(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await desk.switch(cancel_async=True, cancel_seconds=6)
    run = await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM))
    await until_asked(run)
    await run.cancel()

    async def is_asked() -> bool:
        return await requests(desk, "cancel") > 0

    await until_so(is_asked)
    await run.signal("approve_go_live")
    return await ended(run)


@scene(VALIDATE)
async def approved_before_there_was_a_preview(desk: Desk) -> Run:
    await desk.call("PUT", "", desk.document("4.2.0"))
    await desk.publish()
    run = await desk.start(VALIDATE, desk.images(**SELDOM), start_signal="approve_go_live")
    await until_asked(run)
    await run.signal("approve_go_live", {"approver": DANA})
    return await ended(run)


@scene(VALIDATE)
async def promoted_once_published(desk: Desk) -> Run:
    await desk.call("PUT", "", desk.document("4.2.0"))
    await desk.publish()
    run = await desk.start(VALIDATE, desk.images(**SELDOM))
    await until_asked(run)
    await run.signal("approve_go_live")
    return await ended(run)


@scene(VALIDATE)
async def others_go_live(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.step("live", duration_seconds=1)
    await desk.stranger("go_live")
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM)))


@scene(VALIDATE)
async def approved_though_nobody_asked(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    start = desk.images("4.2.0", **SELDOM, **UNATTENDED)
    return await ended(await desk.start(VALIDATE, start, start_signal="approve_go_live"))


@scene(VALIDATE)
async def decided_twice(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await slowly(desk)
    run = await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM))
    await until_followed(run)
    await run.signal("approve_go_live", {"approver": DANA})
    await run.signal("reject_go_live", {"approver": "eve"})
    return await ended(run)


@scene(VALIDATE)
async def decided_with_the_start_by_somebody_else(desk: Desk) -> Run:
    await desk.live("4.2.0")
    start: WithStartWorkflowOperation[Any, PublicationResult] = WithStartWorkflowOperation(
        VALIDATE,
        desk.images("4.2.1", approval={"approvers": [DANA]}, **SELDOM),
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
    await until_asked(run)
    await run.signal("reject_go_live", {"approver": DANA})
    return await ended(run)


@scene(VALIDATE)
async def taken_back_to_its_beginning(desk: Desk) -> Run:
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
    again = child(desk, run.id)
    await until_asked(again)
    await again.signal("approve_go_live")
    return await ended(again)


# Others who publish


@scene(UPDATE)
async def waited_for_another_publish_that_failed(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await desk.step("displaycertify", outcome="never")
    await desk.stranger("edit", version="4.1.9")
    await desk.stranger("publish")
    run = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
    await until_followed(run)
    await desk.stranger("cancel")
    await desk.step("displaycertify")
    return await ended(run)


@scene(UPDATE)
async def replaced_by_another_publish(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await slowly(desk)
    await desk.switch(second_publish="replace")
    run = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
    await until_followed(run)
    await desk.stranger("edit", version="4.2.5")
    await desk.stranger("publish")
    return await ended(run)


@scene(UPDATE)
async def update_canceled_by_a_stranger(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await desk.step("displaycertify", outcome="never")
    run = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
    await until_followed(run)
    await desk.stranger("cancel")
    return await ended(run)


@scene(CREATE)
async def published_and_canceled_meanwhile_by_another(desk: Desk) -> Run:
    await desk.fault("put_offer", {"kind": "stranger_publish", "when": "after"})
    await desk.fault("put_offer", {"kind": "stranger_cancel", "when": "after"})
    return await ended(await desk.start(CREATE, desk.create(**SELDOM)))


# Cancelled, at each place where a run may be


@scene(CREATE)
async def follower_canceled(desk: Desk) -> Run:
    await desk.step("displaycertify", outcome="never")
    run = await desk.start(CREATE, desk.create(**SELDOM))
    operation = (await until_followed(run)).operation
    assert operation is not None
    assert operation.followed_by is not None
    await child(desk, operation.followed_by).cancel()
    return await ended(run)


@scene(CREATE)
async def follower_terminated(desk: Desk) -> Run:
    await desk.step("displaycertify", outcome="never")
    run = await desk.start(CREATE, desk.create(**SELDOM))
    operation = (await until_followed(run)).operation
    assert operation is not None
    assert operation.followed_by is not None
    await child(desk, operation.followed_by).terminate()
    return await ended(run)


@scene(UPDATE)
async def canceled_while_waiting_for_another(desk: Desk) -> Run:
    await publishes(desk)
    return await canceled(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)), until_followed)


@scene(UPDATE)
async def canceled_after_joining(desk: Desk) -> Run:
    await desk.step("displaycertify", outcome="never")
    await desk.call("PUT", "", desk.document("4.2.0"))
    await desk.publish()
    return await canceled(await desk.start(UPDATE, desk.images("4.2.0", **SELDOM)), until_followed)


async def _canceled_in_a_request(desk: Desk, call: str, *actions: dict[str, Any]) -> Run:
    """Cancel a run while a request waits for its answer, which then comes or not."""
    for action in actions:
        await desk.fault(call, action)
    run = await desk.start(VALIDATE if call == "go_live" else UPDATE, desk.images("4.2.1", **SELDOM))
    if call == "go_live":
        await run.signal("approve_go_live")

    await until_so(lambda: in_flight(run, call))
    await run.cancel()
    return await ended(run)


_HELD = {"kind": "delay", "seconds": 2}


@scene(UPDATE)
async def canceled_while_the_publish_is_accepted(desk: Desk) -> Run:
    await desk.live("4.2.0")
    return await _canceled_in_a_request(desk, "publish", _HELD)


@scene(UPDATE)
async def canceled_while_the_publish_is_refused(desk: Desk) -> Run:
    await desk.live("4.2.0")
    return await _canceled_in_a_request(desk, "publish", _HELD, {"kind": "respond", "status": 422, "body": "No."})


@scene(UPDATE)
async def canceled_while_the_publish_is_lost(desk: Desk) -> Run:
    await desk.live("4.2.0")
    return await _canceled_in_a_request(desk, "publish", _HELD, {"kind": "drop", "when": "after"})


@scene(UPDATE)
async def canceled_while_the_publish_never_arrives(desk: Desk) -> Run:
    await desk.live("4.2.0")
    return await _canceled_in_a_request(desk, "publish", _HELD, {"kind": "drop", "when": "before"})


@scene(UPDATE)
async def canceled_while_joining(desk: Desk) -> Run:
    await desk.step("displaycertify", outcome="never")
    await desk.call("PUT", "", desk.document("4.2.1"))
    await desk.publish()
    return await _canceled_in_a_request(desk, "publish", _HELD)


@scene(VALIDATE)
async def canceled_while_going_live_is_requested(desk: Desk) -> Run:
    await desk.preview("4.2.1")
    return await _canceled_in_a_request(desk, "go_live", _HELD)


@scene(VALIDATE)
async def canceled_while_people_are_told(desk: Desk) -> Run:
    desk.webhook.status = 500
    await desk.preview("4.2.0")
    return await canceled(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM)), until_asked)


@scene(VALIDATE)
async def canceled_where_the_preview_stays(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await desk.switch(cancel_window="before_sign_off")
    return await canceled(await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM)), until_asked)


@scene(UPDATE)
async def canceled_with_an_end_that_nobody_knows(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await desk.step("displaycertify", outcome="never")
    await desk.switch(cancel_async=True, cancel_seconds=3600)
    return await canceled(await desk.start(UPDATE, desk.images("4.2.1", deadline="PT4S", **SELDOM)), until_followed)
