"""The procedures as a release engineer lives them, time skipped."""

from tests.desk import Desk


async def test_a_new_offer_is_put_published_and_followed_to_its_preview(desk: Desk) -> None:
    result = await desk.run("CreateOfferAndPublish", desk.create("4.2.0"))

    assert result.outcome == "preview"
    assert [str(image) for image in result.images] == ["webstack-lts 4.2.0"]
    assert await desk.effects("publish") == 1


async def test_an_image_goes_through_the_preview_to_production(desk: Desk) -> None:
    await desk.live("4.2.0")
    result = await desk.run("ValidateAndGoLive", desk.images("4.2.1", approval={"required": False}))

    assert result.outcome == "live"
    assert result.changed
    assert await desk.effects("publish") == 2
    assert await desk.effects("go_live") == 2
