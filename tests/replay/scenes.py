"""What is recorded: every way that a run may take through its workflow, on a publisher of its own.

A scene acts as a release engineer, lets its run end and answers with it. Its name is that of the history's file,
the folder that of the workflow.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from temporalio.client import WorkflowFailureError

from tests.desk import OFFER, Desk, Run, progress_of
from workflows.messages import Progress, PublicationResult, PublishStage

Scene: TypeAlias = Callable[[Desk], Awaitable[Run]]

CREATE, UPDATE, VALIDATE, CHECK = (
    "CreateOfferAndPublish",
    "UpdateOfferAndPublish",
    "ValidateAndGoLive",
    "CheckLastOperationStatus",
)
SELDOM: dict[str, Any] = {"polling": {"min_interval": "PT2S", "max_interval": "PT2S"}}
UNATTENDED: dict[str, Any] = {"approval": {"required": False}}
DANA = "dana@fabrikam.example"

SCENES: dict[str, dict[str, Scene]] = {CREATE: {}, UPDATE: {}, VALIDATE: {}, CHECK: {}}


def scene(workflow: str) -> Callable[[Scene], Scene]:
    """Name a function as a scene of a workflow."""

    def named(play: Scene) -> Scene:
        SCENES[workflow][play.__name__] = play
        return play

    return named


async def ended(run: Run) -> Run:
    """Let a run end, well or badly."""
    with contextlib.suppress(WorkflowFailureError):
        await run.result()
    return run


async def until(run: Run, ready: Callable[[Progress], bool]) -> Progress:
    """Wait until the run's progress is as wanted."""
    async with asyncio.timeout(60):
        while True:
            progress = await progress_of(run)
            if ready(progress):
                return progress
            await asyncio.sleep(0.1)


async def until_published(run: Run) -> Progress:
    """Wait until the run follows an operation."""
    return await until(run, lambda progress: progress.operation is not None)


async def until_asked(run: Run) -> Progress:
    """Wait until the run asks for approval."""
    return await until(run, lambda progress: progress.stage is PublishStage.AWAITING_APPROVAL)


async def preview(desk: Desk, *versions: str) -> None:
    """Bring an offer to its preview."""
    await desk.run(CREATE, desk.create(*versions or ("4.2.0",), **SELDOM))


async def live(desk: Desk, *versions: str) -> None:
    """Bring an offer to Production."""
    await preview(desk, *versions)
    await desk.run(VALIDATE, desk.images(*versions or ("4.2.0",), **SELDOM, **UNATTENDED))


async def publishes(desk: Desk) -> None:
    """Let somebody else publish another draft of an offer that is live."""
    await live(desk)
    await desk.stranger("edit", version="4.1.9")
    await desk.stranger("publish")


# CreateOfferAndPublish


@scene(CREATE)
async def created(desk: Desk) -> Run:
    return await ended(await desk.start(CREATE, desk.create(**SELDOM)))


@scene(CREATE)
async def replaced(desk: Desk) -> Run:
    await preview(desk)
    return await ended(await desk.start(CREATE, desk.create("4.2.1", if_exists="replace", **SELDOM)))


@scene(CREATE)
async def replaced_after_another_publish(desk: Desk) -> Run:
    await publishes(desk)
    return await ended(await desk.start(CREATE, desk.create("4.2.1", if_exists="replace", **SELDOM)))


@scene(CREATE)
async def published_first_by_another(desk: Desk) -> Run:
    await desk.fault("publish", {"kind": "stranger_publish"})
    await desk.fault("publish", {"kind": "stranger_edit"})
    return await ended(await desk.start(CREATE, desk.create(**SELDOM)))


@scene(CREATE)
async def exists(desk: Desk) -> Run:
    await preview(desk)
    return await ended(await desk.start(CREATE, desk.create(**SELDOM)))


@scene(CREATE)
async def publish_fails(desk: Desk) -> Run:
    await desk.step("displaycertify", outcome="fail", messages=["<p>The image does not boot.</p>"])
    return await ended(await desk.start(CREATE, desk.create(**SELDOM)))


@scene(CREATE)
async def canceled_while_publishing(desk: Desk) -> Run:
    await desk.step("displaycertify", outcome="never")
    run = await desk.start(CREATE, desk.create(**SELDOM))
    await until_published(run)
    await run.cancel()
    return await ended(run)


@scene(CREATE)
async def canceled_by_a_stranger(desk: Desk) -> Run:
    await desk.step("displaycertify", outcome="never")
    run = await desk.start(CREATE, desk.create(**SELDOM))
    await until_published(run)
    await desk.stranger("cancel")
    return await ended(run)


@scene(CREATE)
async def checked_now(desk: Desk) -> Run:
    run = await desk.start(CREATE, desk.create(**SELDOM))
    await until(run, lambda progress: bool(progress.steps))
    await run.signal("check_now")
    return await ended(run)


@scene(CREATE)
async def times_out(desk: Desk) -> Run:
    await desk.step("displaycertify", outcome="never")
    return await ended(await desk.start(CREATE, desk.create(deadline="PT3S", **SELDOM)))


@scene(CREATE)
async def created_from_a_wrong_input(desk: Desk) -> Run:
    return await ended(await desk.start(CREATE, {"offer": {"id": OFFER}}))


# UpdateOfferAndPublish


@scene(UPDATE)
async def added(desk: Desk) -> Run:
    await live(desk)
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


@scene(UPDATE)
async def oldest_removed(desk: Desk) -> Run:
    await live(desk, "1.0.0", "1.0.1", "1.0.2")
    wanted = desk.images("1.0.3", when_full="remove_oldest", max_versions_per_plan=3, **SELDOM)
    return await ended(await desk.start(UPDATE, wanted))


@scene(UPDATE)
async def full(desk: Desk) -> Run:
    await live(desk, "1.0.0", "1.0.1")
    return await ended(await desk.start(UPDATE, desk.images("1.0.2", max_versions_per_plan=2, **SELDOM)))


@scene(UPDATE)
async def unchanged(desk: Desk) -> Run:
    await preview(desk)
    return await ended(await desk.start(UPDATE, desk.images("4.2.0", **SELDOM)))


@scene(UPDATE)
async def joined(desk: Desk) -> Run:
    await live(desk)
    first = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
    await until_published(first)
    run = await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))
    await first.result()
    return run


@scene(UPDATE)
async def waited_for_another_publish(desk: Desk) -> Run:
    await publishes(desk)
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


@scene(UPDATE)
async def another_publish_canceled(desk: Desk) -> Run:
    await publishes(desk)
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", if_publishing="cancel", **SELDOM)))


@scene(UPDATE)
async def another_publish_refused(desk: Desk) -> Run:
    await publishes(desk)
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", if_publishing="fail", **SELDOM)))


@scene(UPDATE)
async def published_first_by_another_editor(desk: Desk) -> Run:
    await live(desk)
    await desk.fault("publish", {"kind": "stranger_publish"})
    await desk.fault("publish", {"kind": "stranger_edit"})
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


@scene(UPDATE)
async def retried(desk: Desk) -> Run:
    await live(desk)
    await desk.fault("publish", {"kind": "drop", "when": "after"})
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


@scene(UPDATE)
async def update_fails(desk: Desk) -> Run:
    await live(desk)
    await desk.step("displaycertify", outcome="reject", messages=["The image is too old."])
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


@scene(UPDATE)
async def update_canceled(desk: Desk) -> Run:
    await live(desk)
    await desk.step("displaycertify", outcome="never")
    run = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
    await until_published(run)
    await run.cancel()
    return await ended(run)


@scene(UPDATE)
async def canceled_before_sign_off_only(desk: Desk) -> Run:
    await live(desk)
    await desk.switch(cancel_window="sign_off_only")
    run = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
    await until_published(run)
    await run.cancel()
    return await ended(run)


@scene(UPDATE)
async def offer_not_found(desk: Desk) -> Run:
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


@scene(UPDATE)
async def updated_from_a_wrong_input(desk: Desk) -> Run:
    return await ended(await desk.start(UPDATE, desk.images()))


# ValidateAndGoLive


@scene(VALIDATE)
async def approved_early(desk: Desk) -> Run:
    await live(desk)
    wanted = desk.images("4.2.1", **SELDOM)
    run = await desk.start(VALIDATE, wanted, start_signal="approve_go_live", start_signal_args=[{"approver": DANA}])
    return await ended(run)


@scene(VALIDATE)
async def approved_by_update(desk: Desk) -> Run:
    await preview(desk)
    run = await desk.start(VALIDATE, desk.images("4.2.0", approval={"approvers": [DANA]}, **SELDOM))
    await until_asked(run)
    await run.signal("approve_go_live", {"approver": "eve"})
    await run.signal("approve_go_live", {"aprover": DANA})
    await run.execute_update("decide_go_live", {"approve": True, "approver": DANA, "comment": "looks well"})
    return await ended(run)


@scene(VALIDATE)
async def approved_by_signal(desk: Desk) -> Run:
    await preview(desk)
    run = await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM))
    await until_asked(run)
    await run.signal("check_now")
    await run.signal("approve_go_live")
    return await ended(run)


@scene(VALIDATE)
async def rejected(desk: Desk) -> Run:
    await preview(desk)
    run = await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM))
    await until_asked(run)
    await run.signal("reject_go_live", {"approver": DANA, "reason": "the banner is wrong"})
    return await ended(run)


@scene(VALIDATE)
async def nobody_decided(desk: Desk) -> Run:
    await preview(desk)
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", approval={"timeout": "PT1S"}, **SELDOM)))


@scene(VALIDATE)
async def asked_again(desk: Desk) -> Run:
    await preview(desk)
    run = await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM))
    await until_asked(run)
    await desk.stranger("edit", version="4.1.9")
    await desk.stranger("publish")
    await run.signal("approve_go_live", {"approver": DANA})
    await until(run, lambda progress: progress.approval is not None and progress.approval.reopened is not None)
    await until_asked(run)
    await run.signal("approve_go_live", {"approver": DANA})
    return await ended(run)


@scene(VALIDATE)
async def unattended(desk: Desk) -> Run:
    await preview(desk)
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM, **UNATTENDED)))


@scene(VALIDATE)
async def whatever_the_preview_holds(desk: Desk) -> Run:
    await preview(desk)
    run = await desk.start(VALIDATE, desk.images(**SELDOM))
    await until_asked(run)
    await run.signal("approve_go_live", {"approver": DANA})
    return await ended(run)


@scene(VALIDATE)
async def nothing_to_promote(desk: Desk) -> Run:
    await desk.call("PUT", "", desk.document("4.2.0"), {"If-Match": "*"})
    return await ended(await desk.start(VALIDATE, desk.images(**SELDOM)))


@scene(VALIDATE)
async def already_live(desk: Desk) -> Run:
    await live(desk)
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM)))


@scene(VALIDATE)
async def through_the_preview(desk: Desk) -> Run:
    await live(desk)
    return await ended(await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM, **UNATTENDED)))


@scene(VALIDATE)
async def go_live_fails(desk: Desk) -> Run:
    await preview(desk)
    await desk.step("live", outcome="fail", messages=["No room in this region."])
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM, **UNATTENDED)))


@scene(VALIDATE)
async def validation_canceled_while_publishing(desk: Desk) -> Run:
    await live(desk)
    await desk.step("displaycertify", outcome="never")
    run = await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM))
    await until_published(run)
    await run.cancel()
    return await ended(run)


@scene(VALIDATE)
async def canceled_while_awaiting_approval(desk: Desk) -> Run:
    await preview(desk)
    run = await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM))
    await until_asked(run)
    await run.cancel()
    return await ended(run)


@scene(VALIDATE)
async def canceled_while_going_live(desk: Desk) -> Run:
    await preview(desk)
    await desk.step("live", duration_seconds=3)
    run = await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM, **UNATTENDED))
    await until_published(run)
    await run.cancel()
    return await ended(run)


@scene(VALIDATE)
async def validated_from_a_wrong_input(desk: Desk) -> Run:
    return await ended(await desk.start(VALIDATE, desk.images(approval={"require": False})))


# CheckLastOperationStatus


@scene(CHECK)
async def never_published(desk: Desk) -> Run:
    await desk.call("PUT", "", desk.document("4.2.0"), {"If-Match": "*"})
    return await ended(await desk.start(CHECK, desk.check(**SELDOM)))


@scene(CHECK)
async def one_look(desk: Desk) -> Run:
    await publishes(desk)
    return await ended(await desk.start(CHECK, desk.check(wait=False)))


@scene(CHECK)
async def followed_to_the_preview(desk: Desk) -> Run:
    await publishes(desk)
    return await ended(await desk.start(CHECK, desk.check(**SELDOM)))


@scene(CHECK)
async def followed_to_production(desk: Desk) -> Run:
    await preview(desk)
    await desk.step("live", duration_seconds=2)
    await desk.stranger("go_live")
    return await ended(await desk.start(CHECK, desk.check(**SELDOM)))


@scene(CHECK)
async def followed_for_a_parent(desk: Desk) -> Run:
    run = await desk.start(CREATE, desk.create(**SELDOM))
    result = await run.result()
    return desk.temporal.client.get_workflow_handle(
        f"{run.id}/publish-{result.operation_id}", result_type=PublicationResult
    )


@scene(CHECK)
async def looked_at_now(desk: Desk) -> Run:
    await publishes(desk)
    hourly = {"polling": {"min_interval": "PT1H", "max_interval": "PT1H"}}
    run = await desk.start(CHECK, desk.check(**hourly))
    await until(run, lambda progress: progress.looks == 1 and progress.next_look is not None)
    await asyncio.sleep(3)
    await run.signal("check_now")
    return await ended(run)


@scene(CHECK)
async def operation_fails(desk: Desk) -> Run:
    await desk.step("displaycertify", outcome="block", messages=["<b>Ports</b> are missing."])
    await publishes_a_new_offer(desk)
    return await ended(await desk.start(CHECK, desk.check(**SELDOM)))


@scene(CHECK)
async def operation_canceled(desk: Desk) -> Run:
    await desk.step("displaycertify", outcome="never")
    await publishes_a_new_offer(desk)
    run = await desk.start(CHECK, desk.check(**SELDOM))
    await until_published(run)
    await desk.stranger("cancel")
    return await ended(run)


@scene(CHECK)
async def operation_never_settles(desk: Desk) -> Run:
    await desk.step("displaycertify", outcome="never")
    await publishes_a_new_offer(desk)
    return await ended(await desk.start(CHECK, desk.check(deadline="PT2S", **SELDOM)))


@scene(CHECK)
async def continued_as_new(desk: Desk) -> Run:
    run = await ended(await many_looks(desk))
    return desk.temporal.client.get_workflow_handle(
        run.id, run_id=run.first_execution_run_id, result_type=PublicationResult
    )


@scene(CHECK)
async def continued(desk: Desk) -> Run:
    return await ended(await many_looks(desk))


@scene(CHECK)
async def following_canceled(desk: Desk) -> Run:
    await publishes(desk)
    run = await desk.start(CHECK, desk.check(**SELDOM))
    await until(run, lambda progress: progress.next_look is not None)
    await run.cancel()
    return await ended(run)


@scene(CHECK)
async def unknown_word(desk: Desk) -> Run:
    await desk.switch(running_word="ruminating")
    await publishes(desk)
    return await ended(await desk.start(CHECK, desk.check(**SELDOM)))


@scene(CHECK)
async def checked_with_a_wrong_input(desk: Desk) -> Run:
    return await ended(await desk.start(CHECK, desk.check(wait="perhaps")))


async def publishes_a_new_offer(desk: Desk) -> None:
    """Let somebody publish by hand."""
    await desk.call("PUT", "", desk.document("4.2.0"), {"If-Match": "*"})
    await desk.publish()


async def many_looks(desk: Desk) -> Run:
    """Follow so often that the server suggests to continue as new."""
    await desk.step("displaycertify", outcome="never")
    await publishes_a_new_offer(desk)
    run = await desk.start(CHECK, desk.check(polling={"min_interval": "PT0.2S", "max_interval": "PT0.2S"}))
    first = run.first_execution_run_id
    async with asyncio.timeout(60):
        while True:
            if (await run.describe()).run_id != first:
                break
            await asyncio.sleep(0.2)
    await desk.stranger("cancel")
    return run
