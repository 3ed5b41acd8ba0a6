"""Many runs on one offer at once lose no image and do nothing twice."""

import asyncio
import copy
from typing import Any

import pytest

from tests.apis.cloud_partner import IMAGES
from tests.desk import Desk, Run
from workflows.messages import PublicationResult


def plans(real_desk: Desk, count: int) -> dict[str, Any]:
    """Return an offer with several plans, each with the image 4.2.0."""
    document = real_desk.document("4.2.0")
    first = document["definition"]["plans"][0]
    document["definition"]["plans"] = [copy.deepcopy(first) | {"planId": f"plan-{number}"} for number in range(count)]
    return document


async def start_each(real_desk: Desk, workflow: str, count: int, **more: Any) -> list[Run]:
    """Start one run for each plan, all at once."""
    return await asyncio.gather(
        *(
            real_desk.start(
                workflow,
                images(real_desk, "4.2.1", plan=f"plan-{number}") | more,
                workflow_id=f"{real_desk.publisher}/{number}",
            )
            for number in range(count)
        )
    )


def images(desk: Desk, version: str, **more: Any) -> dict[str, Any]:
    """Return the input of a run that looks often."""
    return desk.images(version, polling={"min_interval": 0.2, "max_interval": 0.5}, **more)


async def results(runs: list[Run]) -> list[PublicationResult]:
    return list(await asyncio.gather(*(run.result() for run in runs)))


async def versions_by_plan(real_desk: Desk, slot: str) -> list[list[str]]:
    """Return the image versions in each plan of a slot."""
    document = (await real_desk.state())["slots"][slot]["document"]
    return [list(plan[IMAGES]) for plan in document["definition"]["plans"]]


@pytest.mark.parametrize(
    ("count", "switches"),
    [
        (2, {"conflict_status": 409}),
        (3, {"etag_on_get": False, "etag_on_put": False}),
        (3, {"second_publish": "join"}),
        (3, {"second_publish": "replace"}),
        (12, {}),
    ],
    ids=str,
)
async def test_each_of_many_runs_brings_its_image_to_the_preview(
    real_desk: Desk, count: int, switches: dict[str, object]
) -> None:
    await real_desk.switch(**switches)
    await real_desk.put(document=plans(real_desk, count))
    done = await results(await start_each(real_desk, "UpdateOfferAndPublish", count))

    assert {result.outcome for result in done} == {"preview"}
    assert await versions_by_plan(real_desk, "Preview") == [["4.2.0", "4.2.1"]] * count
    assert await real_desk.effects("publish") <= count


@pytest.mark.parametrize(("count", "approved"), [(3, True), (5, False)], ids=["approved early", "without approval"])
async def test_each_of_many_runs_brings_its_image_to_production(
    real_desk: Desk, count: int, *, approved: bool
) -> None:
    await real_desk.put(document=plans(real_desk, count))
    runs = await start_each(real_desk, "ValidateAndGoLive", count, approval={"required": approved})
    if approved:
        for run in runs:
            await run.signal("approve_go_live")
    done = await results(runs)

    assert {result.outcome for result in done} == {"live"}
    assert await versions_by_plan(real_desk, "Production") == [["4.2.0", "4.2.1"]] * count
    assert await real_desk.effects("publish") <= 2 * count
    assert await real_desk.effects("go_live") <= count


async def test_an_image_that_three_runs_want_is_written_and_published_once(real_desk: Desk) -> None:
    await real_desk.live("4.2.0")
    runs = [await real_desk.start("UpdateOfferAndPublish", images(real_desk, "4.2.1")) for _ in range(3)]
    done = await results(runs)

    assert {result.outcome for result in done} == {"preview"}
    assert len({result.operation_id for result in done}) == 1
    assert await real_desk.effects("put_offer") == 2
    assert await real_desk.effects("publish") == 2
