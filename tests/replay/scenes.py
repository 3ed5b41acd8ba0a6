"""The scenes whose histories are recorded: every path that a run may take. A scene's name says what its run does."""

from tests.desk import OFFER, Desk, Run
from tests.harness.runs import until_asked, until_followed, until_progress, until_requested
from tests.harness.waiting import until
from tests.replay.player import Webhook
from tests.replay.stage import (
    CHECK,
    CREATE,
    DANA,
    NOTIFY,
    OFTEN,
    ONLY_WHEN_ASKED,
    SELDOM,
    UNATTENDED,
    UPDATE,
    VALIDATE,
    WRITE,
    approved,
    canceled,
    canceled_in,
    delay,
    ended,
    hold,
    recorded,
    release,
    run_of,
    somebody_publishes,
    until_continued,
    until_delaying,
    until_exists,
    until_newest_followed,
    until_noted,
    without_etags,
)

# CreateOfferAndPublish


@recorded(CREATE)
async def creates_the_offer_under_the_lease(desk: Desk) -> Run:
    return await ended(await desk.start(CREATE, desk.create(**SELDOM)))


@recorded(CREATE)
async def replaces_a_draft_that_an_etag_guards(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    return await ended(await desk.start(CREATE, desk.create("4.2.1", if_exists="replace", **SELDOM)))


@recorded(CREATE)
async def replaces_a_draft_without_an_etag_under_the_lease(desk: Desk) -> Run:
    await without_etags(desk)
    await desk.preview("4.2.0")
    return await ended(await desk.start(CREATE, desk.create("4.2.1", if_exists="replace", **SELDOM)))


@recorded(CREATE)
async def refuses_an_offer_that_exists(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    return await ended(await desk.start(CREATE, desk.create(**SELDOM)))


@recorded(CREATE)
async def waits_for_another_publish_before_it_replaces(desk: Desk) -> Run:
    await somebody_publishes(desk)
    run = await desk.start(CREATE, desk.create("4.2.1", if_exists="replace", **SELDOM))
    await until_followed(run)
    await release(desk)
    return await ended(run)


@recorded(CREATE)
async def somebody_publishes_at_the_same_moment(desk: Desk) -> Run:
    await desk.fault("publish", {"kind": "stranger_publish"})
    await desk.fault("publish", {"kind": "stranger_edit"})
    return await ended(await desk.start(CREATE, desk.create(**SELDOM)))


@recorded(CREATE)
async def publish_fails(desk: Desk) -> Run:
    await desk.step("displaycertify", outcome="fail", messages=["<p>The image does not boot.</p>"])
    return await ended(await desk.start(CREATE, desk.create(**SELDOM)))


@recorded(CREATE)
async def publish_is_canceled_at_the_marketplace(desk: Desk) -> Run:
    await hold(desk)
    run = await desk.start(CREATE, desk.create(**SELDOM))
    await until_followed(run)
    await desk.stranger("cancel")
    return await ended(run)


@recorded(CREATE)
async def publish_takes_longer_than_the_deadline(desk: Desk) -> Run:
    await hold(desk)
    return await ended(await desk.start(CREATE, desk.create(deadline="PT3S", **SELDOM)))


@recorded(CREATE)
async def canceled_while_it_publishes_takes_the_publish_back(desk: Desk) -> Run:
    await hold(desk)
    return await canceled(await desk.start(CREATE, desk.create(**SELDOM)))


@recorded(CREATE)
async def canceled_while_the_offer_is_put_waits_for_the_writer(desk: Desk) -> Run:
    await delay(desk, "put_offer")
    run = await desk.start(CREATE, desk.create(**SELDOM))
    await until_delaying(desk)
    await run.cancel()
    return await ended(run)


@recorded(CREATE)
async def continues_as_new_while_following(desk: Desk) -> Run:
    await hold(desk)
    run = await desk.start(CREATE, desk.create(**OFTEN))
    await until_continued(run)
    await release(desk)
    return await ended(run)


@recorded(CREATE)
async def looks_when_it_is_asked_to(desk: Desk) -> Run:
    await hold(desk)
    return await _looks_when_it_is_asked_to(desk, await desk.start(CREATE, desk.create(**ONLY_WHEN_ASKED)))


@recorded(CREATE)
async def refuses_a_wrong_input(desk: Desk) -> Run:
    return await ended(await desk.start(CREATE, {"offer": {"id": OFFER}}))


# UpdateOfferAndPublish


@recorded(UPDATE)
async def adds_an_image(desk: Desk) -> Run:
    await desk.live("4.2.0")
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


@recorded(UPDATE)
async def local_look_fails_and_the_activity_takes_over(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await desk.fault("look", {"kind": "respond", "status": 500}, after=1)
    await hold(desk)
    run = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
    await until_progress(run, lambda progress: progress.looks > 1)
    await release(desk)
    return await ended(run)


@recorded(UPDATE)
async def finds_nothing_to_do(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    return await ended(await desk.start(UPDATE, desk.images("4.2.0", **SELDOM)))


@recorded(UPDATE)
async def removes_the_oldest_to_make_room(desk: Desk) -> Run:
    await desk.live("1.0.0", "1.0.1", "1.0.2")
    wanted = desk.images("1.0.3", when_full="remove_oldest", max_versions_per_plan=3, **SELDOM)
    return await ended(await desk.start(UPDATE, wanted))


@recorded(UPDATE)
async def waits_for_another_publish(desk: Desk) -> Run:
    await somebody_publishes(desk)
    run = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
    await until_followed(run)
    await release(desk)
    return await ended(run)


@recorded(UPDATE)
async def joins_the_publish_that_carries_its_images(desk: Desk) -> Run:
    await somebody_publishes(desk)
    run = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
    await until_followed(run)
    await desk.stranger("cancel", "publish")
    await until_newest_followed(desk, run)
    await release(desk)
    return await ended(run)


@recorded(UPDATE)
async def cancels_another_publish(desk: Desk) -> Run:
    await somebody_publishes(desk)
    await desk.switch(cancel_async=True, cancel_seconds=3)
    run = await desk.start(UPDATE, desk.images("4.2.1", if_publishing="cancel", **SELDOM))
    await until_requested(desk, "cancel")
    await release(desk)
    return await ended(run)


@recorded(UPDATE)
async def touches_nothing_where_it_may_not_wait(desk: Desk) -> Run:
    await somebody_publishes(desk)
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", if_publishing="fail", **SELDOM)))


@recorded(UPDATE)
async def edits_are_refused_while_another_publish_runs(desk: Desk) -> Run:
    await somebody_publishes(desk)
    await desk.switch(edits_while_running="refuse")
    run = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
    await until_followed(run)
    await release(desk)
    return await ended(run)


@recorded(UPDATE)
async def waits_for_the_lease(desk: Desk) -> Run:
    await desk.live("4.2.0")
    run = await _waits_for_the_lease(desk, 3)
    return await ended(run)


@recorded(UPDATE)
async def waits_for_the_preview_to_show_its_images(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.switch(preview_lag_seconds=6)
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


@recorded(UPDATE)
async def canceled_while_it_waits_leaves_its_images(desk: Desk) -> Run:
    await somebody_publishes(desk)
    return await canceled(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


@recorded(UPDATE)
async def canceled_while_its_publish_is_requested(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await delay(desk, "publish")
    return await canceled_in(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)), "publish")


@recorded(UPDATE)
async def canceled_where_the_marketplace_cancels_at_sign_off_only(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await hold(desk)
    await desk.switch(cancel_window="sign_off_only")
    run = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
    await until_followed(run)
    await run.cancel()
    await until_noted(run, "asks again")
    await release(desk)
    return await ended(run)


@recorded(UPDATE)
async def continues_as_new_while_it_waits_for_another_publish(desk: Desk) -> Run:
    await somebody_publishes(desk)
    run = await desk.start(UPDATE, desk.images("4.2.1", **OFTEN))
    await until_continued(run)
    await release(desk)
    return await ended(run)


@recorded(UPDATE)
async def continues_as_new_while_it_waits_for_the_lease(desk: Desk) -> Run:
    await desk.live("4.2.0")
    run = await _waits_for_the_lease(desk, 14)
    await until_continued(run)
    return await ended(run)


@recorded(UPDATE)
async def continues_as_new_while_it_waits_for_the_preview(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.switch(preview_lag_seconds=12)
    run = await desk.start(UPDATE, desk.images("4.2.1", **OFTEN))
    await until_continued(run)
    return await ended(run)


# ValidateAndGoLive


@recorded(VALIDATE)
async def goes_live_through_the_preview_once_approved(desk: Desk) -> Run:
    await desk.live("4.2.0")
    run = await desk.start(VALIDATE, desk.images("4.2.1", approval={"approvers": [DANA]}, **SELDOM))
    await until_asked(run)
    await run.execute_update("decide_go_live", {"approve": True, "approver": DANA, "comment": "looks well"})
    return await ended(run)


@recorded(VALIDATE)
async def approved_with_its_start(desk: Desk) -> Run:
    await desk.live("4.2.0")
    wanted = desk.images("4.2.1", **SELDOM)
    return await ended(
        await desk.start(VALIDATE, wanted, start_signal="approve_go_live", start_signal_args=[{"approver": DANA}])
    )


@recorded(VALIDATE)
async def goes_live_unattended(desk: Desk) -> Run:
    await desk.live("4.2.0")
    return await ended(await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM, **UNATTENDED)))


@recorded(VALIDATE)
async def promotes_whatever_the_preview_holds(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    return await approved(await desk.start(VALIDATE, desk.images(**SELDOM)))


@recorded(VALIDATE)
async def waits_for_what_is_being_published_to_promote_it(desk: Desk) -> Run:
    await somebody_publishes(desk)
    run = await desk.start(VALIDATE, desk.images(**SELDOM))
    await until_followed(run)
    await release(desk)
    return await approved(run)


@recorded(VALIDATE)
async def finds_its_images_live(desk: Desk) -> Run:
    await desk.live("4.2.0")
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM)))


@recorded(VALIDATE)
async def decisions_that_do_not_count_are_noted(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    run = await desk.start(VALIDATE, desk.images("4.2.0", approval={"approvers": [DANA]}, **SELDOM))
    await until_asked(run)
    await run.signal("approve_go_live", {"approver": "eve"})
    await run.signal("approve_go_live", {"aprover": DANA})
    await run.signal("reject_go_live", {"because": "of the banner"})
    await run.signal("reject_go_live", {"approver": DANA, "reason": "the banner is wrong"})
    return await ended(run)


@recorded(VALIDATE)
async def nobody_decides_in_time(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", approval={"timeout": "PT1S"}, **SELDOM)))


@recorded(VALIDATE)
async def asks_again_because_the_offer_was_published_again(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    run = await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM))
    await until_asked(run)
    await desk.stranger("edit", version="4.2.5")
    await desk.stranger("publish")
    await desk.let_publish()
    await run.signal("approve_go_live", {"approver": DANA})
    await until_progress(run, lambda progress: bool(progress.approval and progress.approval.reopened))
    return await approved(run)


@recorded(VALIDATE)
async def go_live_fails(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.step("live", outcome="fail", messages=["No room in this region."])
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM, **UNATTENDED)))


@recorded(VALIDATE)
async def production_shows_its_images_late(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.switch(production_lag_seconds=4)
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM, **UNATTENDED)))


@recorded(VALIDATE)
async def canceled_while_awaiting_approval_takes_its_publish_back(desk: Desk) -> Run:
    await desk.live("4.2.0")
    return await canceled(await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM)), until_asked)


@recorded(VALIDATE)
async def canceled_while_going_live_is_requested(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await delay(desk, "go_live")
    return await canceled_in(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM, **UNATTENDED)), "go_live")


@recorded(VALIDATE)
async def continues_as_new_while_publishing(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await hold(desk)
    run = await desk.start(VALIDATE, desk.images("4.2.1", **OFTEN))
    await until_followed(run)
    await run.signal("approve_go_live", {"approver": DANA})
    await until_continued(run)
    await release(desk)
    return await ended(run)


@recorded(VALIDATE)
async def continues_as_new_while_awaiting_approval(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    run = await desk.start(VALIDATE, desk.images("4.2.0", approval={"approvers": [DANA]}, **SELDOM))
    await until_asked(run)

    async def is_continued() -> bool:
        await run.signal("check_now")
        return (await run.describe()).run_id != run.first_execution_run_id

    await until(is_continued, f"{run.id} continues as new")
    return await approved(run)


@recorded(VALIDATE)
async def continues_as_new_while_going_live(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.step("live", outcome="never")
    run = await desk.start(VALIDATE, desk.images("4.2.0", **OFTEN))
    await until_asked(run)
    await run.execute_update("decide_go_live", {"approve": True, "approver": DANA})
    await until_continued(run)
    await desk.step("live")
    return await ended(run)


# CheckLastOperationStatus


@recorded(CHECK)
async def follows_to_the_preview(desk: Desk) -> Run:
    await somebody_publishes(desk)
    run = await desk.start(CHECK, desk.check(**SELDOM))
    await until_followed(run)
    await release(desk)
    return await ended(run)


@recorded(CHECK)
async def follows_a_go_live_to_production(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.step("live", outcome="never")
    await desk.stranger("go_live")
    run = await desk.start(CHECK, desk.check(**SELDOM))
    await until_followed(run)
    await desk.step("live")
    return await ended(run)


@recorded(CHECK)
async def looks_once(desk: Desk) -> Run:
    await somebody_publishes(desk)
    return await ended(await desk.start(CHECK, desk.check(wait=False)))


@recorded(CHECK)
async def finds_an_offer_that_was_never_published(desk: Desk) -> Run:
    await desk.put("4.2.0")
    return await ended(await desk.start(CHECK, desk.check(**SELDOM)))


@recorded(CHECK)
async def looks_at_once_when_it_is_asked_to(desk: Desk) -> Run:
    await somebody_publishes(desk)
    return await _looks_when_it_is_asked_to(desk, await desk.start(CHECK, desk.check(**ONLY_WHEN_ASKED)))


@recorded(CHECK)
async def first_local_look_fails_and_the_activity_takes_over(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.fault("list_operations", {"kind": "respond", "status": 500})
    return await ended(await desk.start(CHECK, desk.check(**SELDOM)))


@recorded(CHECK)
async def local_look_is_asked_for_patience(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.fault("look", {"kind": "respond", "status": 429, "headers": {"Retry-After": "1"}})
    return await ended(await desk.start(CHECK, desk.check(**SELDOM)))


@recorded(CHECK)
async def look_is_refused_for_good(desk: Desk) -> Run:
    await desk.preview("4.2.0")
    await desk.fault("list_operations", {"kind": "respond", "status": 403}, times=-1)
    return await ended(await desk.start(CHECK, desk.check(**SELDOM)))


@recorded(CHECK)
async def operation_fails(desk: Desk) -> Run:
    await desk.step("displaycertify", outcome="block", messages=["<b>Ports</b> are missing."])
    await desk.put("4.2.0")
    await desk.publish()
    return await ended(await desk.start(CHECK, desk.check(**SELDOM)))


@recorded(CHECK)
async def operation_takes_longer_than_the_deadline(desk: Desk) -> Run:
    await somebody_publishes(desk)
    return await ended(await desk.start(CHECK, desk.check(deadline="PT2S", **SELDOM)))


@recorded(CHECK)
async def canceled_while_it_follows(desk: Desk) -> Run:
    await somebody_publishes(desk)
    return await canceled(await desk.start(CHECK, desk.check(**SELDOM)))


@recorded(CHECK)
async def continues_as_new_with_a_note(desk: Desk) -> Run:
    await desk.switch(running_word="ruminating")
    await somebody_publishes(desk)
    run = await desk.start(CHECK, desk.check(**OFTEN))
    await until_continued(run)
    await release(desk)
    return await ended(run)


@recorded(CHECK)
async def refuses_to_wait_perhaps(desk: Desk) -> Run:
    return await ended(await desk.start(CHECK, desk.check(wait="perhaps")))


# WriteDraft


@recorded(WRITE)
async def creates_an_offer(desk: Desk) -> Run:
    return await ended(await desk.start(CREATE, desk.create(**SELDOM)))


@recorded(WRITE)
async def adds_an_image_where_no_etag_guards_the_draft(desk: Desk) -> Run:
    await without_etags(desk)
    await desk.live("4.2.0")
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", **SELDOM)))


@recorded(WRITE)
async def write_is_refused_for_good(desk: Desk) -> Run:
    await desk.fault("put_offer", {"kind": "respond", "status": 422, "body": "No."}, times=-1)
    return await ended(await desk.start(CREATE, desk.create(**SELDOM)))


@recorded(WRITE)
async def canceled_with_its_holder_waits_for_its_write_to_end(desk: Desk) -> Run:
    await delay(desk, "put_offer")
    run = await desk.start(CREATE, desk.create(**SELDOM))
    await until_delaying(desk)
    await run.terminate()
    return run


@recorded(WRITE)
async def refuses_to_be_started_by_itself(desk: Desk) -> Run:
    return await ended(await desk.start(WRITE, {"time": "PT1M"}))


# The internal run that sends notifications later


@recorded(NOTIFY)
async def tells_people_once_their_webhook_is_back(desk: Desk) -> Run:
    return await _go_live_without_a_webhook(desk)


@recorded(NOTIFY)
async def gives_up_where_the_webhook_refuses_for_good(desk: Desk) -> Run:
    desk.webhook.status = 404
    return await _go_live_without_a_webhook(desk)


@recorded(NOTIFY)
async def refuses_to_notify_by_itself(desk: Desk) -> Run:
    notification = {"event": "live", "text": "All is well.", "workflow_id": "nonesuch", "run_id": "nonesuch"}
    return await ended(await desk.start(NOTIFY, notification))


# What scenes have in common


async def _go_live_without_a_webhook(desk: Desk) -> Run:
    """Go live while the webhook is unavailable for every attempt of the run itself."""
    assert isinstance(desk.webhook, Webhook)
    await desk.preview("4.2.0")
    desk.webhook.away = 6
    return await ended(await desk.start(VALIDATE, desk.images("4.2.0", **SELDOM, **UNATTENDED)))


async def _looks_when_it_is_asked_to(desk: Desk, run: Run) -> Run:
    """Ask a run to look after the operation that it follows has ended."""
    await until_followed(run)
    await release(desk)
    await desk.let_publish()
    await run.signal("check_now")
    return await ended(run)


async def _waits_for_the_lease(desk: Desk, seconds: float) -> Run:
    """Start a run while another one takes some seconds to write to a draft without ETags."""
    await without_etags(desk)
    await delay(desk, "put_offer", seconds)
    holder = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
    await until_exists(run_of(desk, f"internal/draft/{desk.publisher}/{OFFER}"))
    run = await desk.start(UPDATE, desk.images("4.2.2", **SELDOM))
    await ended(holder)
    return run
