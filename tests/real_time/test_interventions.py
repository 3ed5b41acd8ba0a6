"""What people do to a run while one of its activities is in progress."""

from tests.desk import Desk
from tests.harness.runs import reset_activity, until_failed_once, until_followed
from tests.real_time.held_desk import HeldDesk

QUICK = {"polling": {"min_interval": 0.1, "max_interval": 0.2}}


async def test_a_publish_whose_answer_was_lost_is_recognised_after_the_activity_is_reset(real_desk: Desk) -> None:
    lost = {"kind": "respond_after", "status": 503, "headers": {"Retry-After": "60"}}
    await real_desk.fault("publish", lost)
    await real_desk.step("displaycertify", outcome="never")
    run = await real_desk.start("CreateOfferAndPublish", real_desk.create("4.2.0") | QUICK)
    await until_failed_once(run, "publish")

    await reset_activity(real_desk.temporal.client, run, "publish")
    progress = await until_followed(run)

    assert progress.operation is not None
    assert progress.operation.ours
    assert await real_desk.effects("publish") == 1
    await run.cancel()


async def test_no_approver_is_named_for_a_go_live_that_somebody_else_started(held_desk: HeldDesk) -> None:
    await held_desk.preview("4.2.0")
    run = await held_desk.start("ValidateAndGoLive", held_desk.images())
    await held_desk.until_asked(run)
    await held_desk.stranger("go_live")
    await held_desk.let_publish()
    await held_desk.fault("read_slot", {"kind": "respond", "status": 503}, times=-1)
    await run.signal("check_now")
    await until_failed_once(run, "survey")
    decision = await run.execute_update("decide_go_live", {"approve": False, "approver": "lee"})
    await held_desk.no_faults()
    result = await run.result()

    assert not decision["approve"]
    assert (result.outcome, result.approved_by) == ("live", None)
    assert "lee" not in str([body for body in held_desk.webhook.bodies if body["workflow_id"] == run.id])
