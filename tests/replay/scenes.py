"""The ways a run may take through its workflow."""

from tests.desk import OFFER, Desk, Run
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
    publishes_a_new_offer,
    scene,
    slowly,
    until,
    until_asked,
    until_followed,
)
from workflows.messages import PublicationResult

# CreateOfferAndPublish


@scene(CREATE)
async def created(desk: Desk) -> Run:
    return await ended(await desk.start(CREATE, desk.create(**SELDOM)))


@scene(CREATE)
async def replaced(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    return await ended(await desk.start(CREATE, desk.create("4.2.1", if_exists="replace", **SELDOM)))


@scene(CREATE)
async def replaced_after_another_publish(desk: Desk) -> Run:
    await publishes(desk)
    return await ended(await desk.start(CREATE, desk.create("4.2.1", if_exists="replace", **SELDOM)))


@scene(CREATE)
async def published_first_by_another(desk: Desk) -> Run:
    await slowly(desk)
    await desk.fault("publish", {"kind": "stranger_publish"})
    await desk.fault("publish", {"kind": "stranger_edit"})
    return await ended(await desk.start(CREATE, desk.create(**SELDOM)))


@scene(CREATE)
async def exists(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    return await ended(await desk.start(CREATE, desk.create(**SELDOM)))


@scene(CREATE)
async def publish_fails(desk: Desk) -> Run:
    await desk.step("displaycertify", outcome="fail", messages=["<p>The image does not boot.</p>"])
    return await ended(await desk.start(CREATE, desk.create(**SELDOM)))


@scene(CREATE)
async def canceled_while_publishing(desk: Desk) -> Run:
    await desk.step("displaycertify", outcome="never")
    run = await desk.start(CREATE, desk.create(**SELDOM))
    await until_followed(run)
    await run.cancel()
    return await ended(run)


@scene(CREATE)
async def canceled_by_a_stranger(desk: Desk) -> Run:
    await desk.step("displaycertify", outcome="never")
    run = await desk.start(CREATE, desk.create(**SELDOM))
    await until_followed(run)
    await desk.stranger("cancel")
    return await ended(run)


@scene(CREATE)
async def checked_now(desk: Desk) -> Run:
    await slowly(desk)
    return await checked_once_published(await desk.start(CREATE, desk.create(**ONLY_WHEN_ASKED)))


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
    await desk.live("4.2.0")
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


@scene(UPDATE)
async def oldest_removed(desk: Desk) -> Run:
    await desk.live("1.0.0", "1.0.1", "1.0.2")
    wanted = desk.images("1.0.3", when_full="remove_oldest", max_versions_per_plan=3, **SELDOM)
    return await ended(await desk.start(UPDATE, wanted))


@scene(UPDATE)
async def full(desk: Desk) -> Run:
    await desk.live("1.0.0", "1.0.1")
    return await ended(await desk.start(UPDATE, desk.images("1.0.2", max_versions_per_plan=2, **SELDOM)))


@scene(UPDATE)
async def unchanged(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    return await ended(await desk.start(UPDATE, desk.images("4.2.0", **SELDOM)))


@scene(UPDATE)
async def joined(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await slowly(desk)
    first = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
    await until_followed(first)
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
async def canceled_while_another_publish_is_canceled(desk: Desk) -> Run:
    await desk.switch(cancel_async=True)
    await publishes(desk)
    run = await desk.start(UPDATE, desk.images("4.2.1", if_publishing="cancel", **SELDOM))
    return await canceled(run, until_followed)


@scene(UPDATE)
async def another_publish_refused(desk: Desk) -> Run:
    await publishes(desk)
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", if_publishing="fail", **SELDOM)))


@scene(UPDATE)
async def published_first_by_another_editor(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await slowly(desk)
    await desk.fault("publish", {"kind": "stranger_publish"})
    await desk.fault("publish", {"kind": "stranger_edit"})
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


@scene(UPDATE)
async def retried(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await desk.fault("publish", {"kind": "drop", "when": "after"})
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


@scene(UPDATE)
async def update_fails(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await desk.step("displaycertify", outcome="reject", messages=["The image is too old."])
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


@scene(UPDATE)
async def update_canceled(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await desk.step("displaycertify", outcome="never")
    run = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
    await until_followed(run)
    await run.cancel()
    return await ended(run)


@scene(UPDATE)
async def canceled_before_sign_off_only(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await slowly(desk)
    await desk.switch(cancel_window="sign_off_only")
    run = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
    await until_followed(run)
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
    await desk.live("4.2.0")
    wanted = desk.images("4.2.1", **SELDOM)
    run = await desk.start(VALIDATE, wanted, start_signal="approve_go_live", start_signal_args=[{"approver": DANA}])
    return await ended(run)


@scene(VALIDATE)
async def approved_by_update(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    run = await desk.start(VALIDATE, desk.images("4.2.0", approval={"approvers": [DANA]}, **SELDOM))
    await until_asked(run)
    await run.signal("approve_go_live", {"approver": "eve"})
    await run.signal("approve_go_live", {"aprover": DANA})
    await run.execute_update("decide_go_live", {"approve": True, "approver": DANA, "comment": "looks well"})
    return await ended(run)


@scene(VALIDATE)
async def approved_by_signal(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    run = await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM))
    await until_asked(run)
    await run.signal("check_now")
    await run.signal("approve_go_live")
    return await ended(run)


@scene(VALIDATE)
async def rejected(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    run = await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM))
    await until_asked(run)
    await run.signal("reject_go_live", {"approver": DANA, "reason": "the banner is wrong"})
    return await ended(run)


@scene(VALIDATE)
async def nobody_decided(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", approval={"timeout": "PT1S"}, **SELDOM)))


@scene(VALIDATE)
async def asked_again(desk: Desk) -> Run:
    await desk.preview("4.2.0")
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
    await desk.preview("4.2.0")
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM, **UNATTENDED)))


@scene(VALIDATE)
async def whatever_the_preview_holds(desk: Desk) -> Run:
    await desk.preview("4.2.0")
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
    await desk.live("4.2.0")
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM)))


@scene(VALIDATE)
async def through_the_preview(desk: Desk) -> Run:
    await desk.live("4.2.0")
    return await ended(await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM, **UNATTENDED)))


@scene(VALIDATE)
async def go_live_fails(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.step("live", outcome="fail", messages=["No room in this region."])
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM, **UNATTENDED)))


@scene(VALIDATE)
async def validation_canceled_while_publishing(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await desk.step("displaycertify", outcome="never")
    run = await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM))
    await until_followed(run)
    await run.cancel()
    return await ended(run)


@scene(VALIDATE)
async def canceled_while_awaiting_approval(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    run = await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM))
    await until_asked(run)
    await run.cancel()
    return await ended(run)


@scene(VALIDATE)
async def canceled_while_going_live(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.step("live", duration_seconds=3)
    run = await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM, **UNATTENDED))
    await until_followed(run)
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
    await desk.preview("4.2.0")
    await desk.step("live", duration_seconds=2)
    await desk.stranger("go_live")
    return await ended(await desk.start(CHECK, desk.check(**SELDOM)))


@scene(CHECK)
async def followed_for_a_parent(desk: Desk) -> Run:
    run = await desk.start(CREATE, desk.create(**SELDOM))
    result = await run.result()
    return child(desk, f"{run.id}/publish-{result.operation_id}")


@scene(CHECK)
async def looked_at_now(desk: Desk) -> Run:
    await publishes(desk)
    return await checked_once_published(await desk.start(CHECK, desk.check(**ONLY_WHEN_ASKED)))


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
    await until_followed(run)
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
