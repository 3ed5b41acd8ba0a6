"""A run that is started again does only what is still missing."""

from typing import Any

import pytest

from tests.desk import PLAN, Desk, vhd

POLLING = {"min_interval": "PT20M", "max_interval": "PT30M"}
UNATTENDED: dict[str, Any] = {"approval": {"required": False}}


async def effects(desk: Desk) -> list[str]:
    """Return the calls that had an effect at the marketplace, in order."""
    return [entry["call"] for entry in await desk.requests() if entry["effect"]]


@pytest.mark.parametrize(
    "more",
    [{}, {"when_full": "remove_oldest", "max_versions_per_plan": 2}],
    ids=["with room", "after making room"],
)
@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive"])
async def test_a_run_that_is_repeated_after_success_does_nothing(
    desk: Desk, workflow: str, more: dict[str, Any]
) -> None:
    await desk.live("4.1.0", "4.2.0")
    unattended = UNATTENDED if workflow == "ValidateAndGoLive" else {}
    start = desk.images("4.2.1", polling=POLLING, **more, **unattended)
    first = await desk.run(workflow, start)
    sent = await effects(desk)
    second = await desk.run(workflow, start)

    assert (first.changed, second.changed) == (True, False)
    assert bool(first.removed or first.deprecated) is bool(more)
    assert (second.removed, second.deprecated) == ([], [])
    assert (second.outcome, second.images) == (first.outcome, first.images)
    assert await effects(desk) == sent


async def test_a_run_that_is_repeated_after_a_step_failed_publishes_without_another_edit(desk: Desk) -> None:
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


async def test_a_disk_with_a_new_signature_is_the_same_disk(desk: Desk) -> None:
    await desk.preview("4.2.0")
    url = f"{vhd('4.2.0')}?sv=2022-11-02&sr=c&sp=rl&st=2024-01-01T00%3A00%3A00Z&se=2198-01-01T00%3A00%3A00Z&sig=OTHER"
    images = [{"plan_id": PLAN, "version": "4.2.0", "os_vhd_url": url}]
    result = await desk.run("UpdateOfferAndPublish", desk.images() | {"images": images})

    assert not result.changed
    assert await desk.effects("put_offer") == 1


@pytest.mark.only("cloud-partner", "only there has a new version to be the greatest")
async def test_a_version_that_comes_after_a_greater_one_is_refused_and_loses_nothing(desk: Desk) -> None:
    await desk.live("4.2.0")
    first = await desk.run("UpdateOfferAndPublish", desk.images("4.2.2"))
    error = await desk.failure("UpdateOfferAndPublish", desk.images("4.2.1"))

    assert first.outcome == "preview"
    assert error.type == "InvalidInput"
    assert "4.2.1" in error.message
    assert "4.2.2" in error.message
    assert await desk.versions("Preview") == ["4.2.0", "4.2.2"]
