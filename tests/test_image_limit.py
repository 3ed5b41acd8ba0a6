"""Full plans make room in the right order, and what is done already is not done again."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.desk import PLAN, Desk, vhd

EIGHT: dict[str, Any] = {"when_full": "remove_oldest", "max_versions_per_plan": 8}
POLLING = {"min_interval": "PT20M", "max_interval": "PT30M"}
FULL = [f"4.{minor}.0" for minor in range(3, 11)]


async def test_the_numerically_oldest_version_makes_room(desk: Desk) -> None:
    await desk.preview(*FULL)
    update = desk.images("4.11.0", **EIGHT, polling=POLLING)
    result = await desk.run("UpdateOfferAndPublish", update)

    assert [str(image) for image in result.removed] == ["webstack-lts 4.3.0"]
    assert sorted(await desk.versions("Preview")) == sorted([*FULL[1:], "4.11.0"])


async def test_as_many_versions_make_room_as_are_needed(desk: Desk) -> None:
    await desk.preview(*FULL)
    update = desk.images("4.11.0", "4.12.0", **EIGHT, polling=POLLING)
    result = await desk.run("ValidateAndGoLive", update | {"approval": {"required": False}})

    assert [str(image) for image in result.removed] == ["webstack-lts 4.3.0", "webstack-lts 4.4.0"]
    assert len(await desk.versions("Production")) == 8
    assert await desk.effects("put_offer") == 2


async def test_removed_versions_are_reported_although_the_answer_to_the_write_was_lost(desk: Desk) -> None:
    await desk.preview(*FULL)
    await desk.fault("put_offer", {"kind": "drop", "when": "after"})
    update = desk.images("4.11.0", "4.12.0", **EIGHT, polling=POLLING)
    result = await desk.run("UpdateOfferAndPublish", update)

    assert [str(image) for image in result.removed] == ["webstack-lts 4.3.0", "webstack-lts 4.4.0"]
    assert result.changed
    assert await desk.effects("put_offer") == 2


async def test_a_version_that_was_not_removed_after_all_is_not_reported_as_removed(desk: Desk) -> None:
    await desk.preview(*FULL)
    await desk.switch(version_limit=0)

    async def add_the_image_first(request: httpx.Request) -> None:
        if desk.api.writes(request):
            desk.http.event_hooks = {}
            await desk.put(*FULL, "4.11.0")

    await desk.fault("put_offer", {"kind": "respond", "status": 503}, after=1)
    desk.http.event_hooks = {"request": [add_the_image_first]}
    update = desk.images("4.11.0", **EIGHT, polling=POLLING)
    result = await desk.run("UpdateOfferAndPublish", update)

    assert result.removed == []
    assert len(await desk.versions("Preview")) == 9


async def test_the_newest_version_of_production_never_makes_room(desk: Desk) -> None:
    await desk.preview("4.3.0", "4.4.0")
    await desk.go_live()
    await desk.temporal.sleep(timedelta(minutes=6))
    update = desk.images("4.5.0", when_full="remove_oldest", max_versions_per_plan=1, polling=POLLING)
    error = await desk.failure("UpdateOfferAndPublish", update)

    assert error.type == "ImageLimitReached"
    assert await desk.effects("put_offer") == 1


async def test_a_limit_of_the_users_own_holds(desk: Desk) -> None:
    await desk.preview("4.3.0", "4.4.0")
    error = await desk.failure("UpdateOfferAndPublish", desk.images("4.5.0", max_versions_per_plan=2))

    assert error.type == "ImageLimitReached"


async def test_no_room_is_made_where_none_is_needed(desk: Desk) -> None:
    await desk.preview(*FULL[:7])
    update = desk.images("4.11.0", **EIGHT, polling=POLLING)
    result = await desk.run("UpdateOfferAndPublish", update)

    assert result.removed == []
    assert len(await desk.versions("Preview")) == 8


@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive"])
async def test_a_run_repeated_after_it_made_room_sends_nothing_and_removes_nothing(desk: Desk, workflow: str) -> None:
    await desk.preview(*FULL)
    update = desk.images("4.11.0", **EIGHT, polling=POLLING)
    if workflow == "ValidateAndGoLive":
        update |= {"approval": {"required": False}}
    first = await desk.run(workflow, update)
    sent = len([entry for entry in await desk.requests() if entry["method"] in {"PUT", "POST"}])
    again = await desk.run(workflow, update)

    assert first.changed
    assert not again.changed
    assert again.removed == []
    assert (again.outcome, again.images) == (first.outcome, first.images)
    assert len([entry for entry in await desk.requests() if entry["method"] in {"PUT", "POST"}]) == sent


async def test_a_signature_of_its_own_does_not_make_an_image_another_one(desk: Desk) -> None:
    await desk.preview("4.2.0")
    url = f"{vhd('4.2.0')}?sv=2022-11-02&sr=c&sp=rl&st=2024-01-01T00%3A00%3A00Z&se=2198-01-01T00%3A00%3A00Z&sig=OTHER"
    images = [{"plan_id": PLAN, "version": "4.2.0", "os_vhd_url": url}]
    result = await desk.run("UpdateOfferAndPublish", desk.images() | {"images": images})

    assert not result.changed
    assert await desk.effects("put_offer") == 1
