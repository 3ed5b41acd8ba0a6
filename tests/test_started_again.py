"""The same run again, and a run that finds others at work: only what is missing is done."""

import pytest

from tests.desk import Desk, vhd


@pytest.mark.only("cloud-partner", "there a new version has to be the greatest")
async def test_a_lower_version_that_comes_too_late_is_refused_and_loses_nothing(desk: Desk) -> None:
    await desk.live("4.2.0")
    first = await desk.run("UpdateOfferAndPublish", desk.images("4.2.2"))
    error = await desk.failure("UpdateOfferAndPublish", desk.images("4.2.1"))

    assert first.outcome == "preview"
    assert error.type == "InvalidInput"
    assert "4.2.1" in error.message
    assert await desk.versions("Preview") == ["4.2.0", "4.2.2"]


async def test_a_run_that_must_not_wait_says_what_is_running(desk: Desk) -> None:
    await desk.put("4.2.0")
    await desk.publish()
    error = await desk.failure("UpdateOfferAndPublish", desk.images("4.2.1", if_publishing="fail"))

    assert error.type == "PublishInProgress"
    assert await desk.operations() == [("publish", None)]
    assert await desk.effects("put_offer") == 1


@pytest.mark.only("cloud-partner", "the other API cancels only what the canceller has begun")
async def test_a_run_may_cancel_what_is_in_its_way(desk: Desk) -> None:
    await desk.put("4.2.0")
    await desk.publish()
    result = await desk.run("UpdateOfferAndPublish", desk.images("4.2.1", if_publishing="cancel"))

    assert result.outcome == "preview"
    assert await desk.operations() == [("publish", "canceled"), ("publish", None)]
    assert await desk.versions("Preview") == ["4.2.0", "4.2.1"]


@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive"])
async def test_a_run_started_again_after_it_is_done_does_nothing(desk: Desk, workflow: str) -> None:
    await desk.live("4.2.0")
    start = desk.images("4.2.1") | ({"approval": {"required": False}} if workflow == "ValidateAndGoLive" else {})
    first = await desk.run(workflow, start)
    effects = [each["call"] for each in await desk.requests() if each["effect"]]
    second = await desk.run(workflow, start)

    assert (first.changed, second.changed) == (True, False)
    assert second.outcome == first.outcome
    assert [each["call"] for each in await desk.requests() if each["effect"]] == effects


async def test_a_run_started_again_after_a_step_failed_only_publishes(desk: Desk) -> None:
    await desk.live("4.2.0")
    await desk.step("displaycertify", outcome="fail", messages=["<b>No agent.</b>"])
    error = await desk.failure("UpdateOfferAndPublish", desk.images("4.2.1"))
    await desk.step("displaycertify")
    result = await desk.run("UpdateOfferAndPublish", desk.images("4.2.1"))

    assert error.type == "PublishFailed"
    assert "Certification: " in error.message
    assert "No agent." in error.message
    assert result.outcome == "preview"
    assert await desk.effects("put_offer") == 2
    assert vhd("4.2.1") in str((await desk.state())["slots"]["Preview"])
