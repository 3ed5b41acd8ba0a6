"""What an operator does to a run from outside: reset an activity."""

from tests.desk import Desk
from tests.harness.runs import reset_activity, until_failed_once, until_followed

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
