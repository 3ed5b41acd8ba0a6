"""A full plan makes room: which versions go, and how many."""

from typing import Any

import httpx

from tests.desk import Desk

ROOM_FOR_EIGHT: dict[str, Any] = {"when_full": "remove_oldest", "max_versions_per_plan": 8}
POLLING = {"min_interval": "PT20M", "max_interval": "PT30M"}
FULL = [f"4.{minor}.0" for minor in range(3, 11)]


async def test_the_numerically_oldest_version_makes_room(desk: Desk) -> None:
    await desk.preview(*FULL)
    update = desk.images("4.11.0", **ROOM_FOR_EIGHT, polling=POLLING)
    result = await desk.run("UpdateOfferAndPublish", update)

    assert [str(image) for image in result.removed] == ["webstack-lts 4.3.0"]
    assert sorted(await desk.versions("Preview")) == sorted([*FULL[1:], "4.11.0"])


async def test_as_many_versions_make_room_as_are_needed(desk: Desk) -> None:
    await desk.preview(*FULL)
    update = desk.images("4.11.0", "4.12.0", **ROOM_FOR_EIGHT, polling=POLLING)
    result = await desk.run("ValidateAndGoLive", update | {"approval": {"required": False}})

    assert [str(image) for image in result.removed] == ["webstack-lts 4.3.0", "webstack-lts 4.4.0"]
    assert len(await desk.versions("Production")) == 8
    assert await desk.effects("put_offer") == 2


async def test_removed_versions_are_reported_although_the_answer_to_the_write_was_lost(desk: Desk) -> None:
    await desk.preview(*FULL)
    await desk.fault("put_offer", {"kind": "drop", "when": "after"})
    update = desk.images("4.11.0", "4.12.0", **ROOM_FOR_EIGHT, polling=POLLING)
    result = await desk.run("UpdateOfferAndPublish", update)

    assert [str(image) for image in result.removed] == ["webstack-lts 4.3.0", "webstack-lts 4.4.0"]
    assert result.changed
    assert await desk.effects("put_offer") == 2


async def test_a_version_that_was_not_removed_after_all_is_not_reported(desk: Desk) -> None:
    await desk.preview(*FULL)
    await desk.switch(version_limit=0)

    async def another_client_adds_the_image(request: httpx.Request) -> None:
        if desk.api.writes(request):
            desk.http.event_hooks = {}
            await desk.put(*FULL, "4.11.0")

    await desk.fault("put_offer", {"kind": "respond", "status": 503}, after=1)
    desk.http.event_hooks = {"request": [another_client_adds_the_image]}
    update = desk.images("4.11.0", **ROOM_FOR_EIGHT, polling=POLLING)
    result = await desk.run("UpdateOfferAndPublish", update)

    assert result.removed == []
    assert len(await desk.versions("Preview")) == 9


async def test_the_newest_version_of_production_never_makes_room(desk: Desk) -> None:
    await desk.live("4.3.0", "4.4.0")
    update = desk.images("4.5.0", when_full="remove_oldest", max_versions_per_plan=1, polling=POLLING)
    error = await desk.failure("UpdateOfferAndPublish", update)

    assert error.type == "ImageLimitReached"
    assert await desk.effects("put_offer") == 1


async def test_nothing_is_removed_when_there_is_room(desk: Desk) -> None:
    await desk.preview(*FULL[:7])
    update = desk.images("4.11.0", **ROOM_FOR_EIGHT, polling=POLLING)
    result = await desk.run("UpdateOfferAndPublish", update)

    assert result.removed == []
    assert len(await desk.versions("Preview")) == 8
