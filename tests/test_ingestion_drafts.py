"""Foreign edits, modular publishes, deprecations and image types, which only the Product Ingestion API has."""

import json
from typing import Any

import httpx
import pytest

from tests.apis.product_ingestion import (
    CONFIGURATION,
    TENANT,
    configure,
    resource_of,
    version_entry,
    with_plan,
)
from tests.desk import OFFER, PLAN, Desk, vhd

pytestmark = pytest.mark.only("product-ingestion", "the other API has none of this")

EDGE = "webstack-edge"
POLLING = {"min_interval": "PT20M", "max_interval": "PT30M"}
ROOM_FOR_TWO: dict[str, Any] = {"when_full": "remove_oldest", "max_versions_per_plan": 2, "polling": POLLING}
GALLERY = (
    "/subscriptions/0a1b2c3d-0000-4000-8000-000000000001/resourceGroups/images/providers/Microsoft.Compute"
    "/galleries/fabrikam/images/webstack/versions/4.3.0"
)


async def configuration(desk: Desk, slot: str = "Draft", plan: int = 0) -> dict[str, Any]:
    """Return a plan's technical configuration as a slot holds it."""
    held = (await desk.state())["slots"][slot]["document"]
    return resource_of(held, CONFIGURATION, plan)


async def entries(desk: Desk, slot: str = "Draft") -> dict[str, dict[str, Any]]:
    """Return the image versions that a slot holds, by version number."""
    return {each["versionNumber"]: each for each in (await configuration(desk, slot))["vmImageVersions"]}


async def writes(desk: Desk) -> list[str]:
    """Return the calls that had an effect, in order."""
    return [entry["call"] for entry in await desk.requests() if entry["effect"]]


# Foreign edits


@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive"])
async def test_foreign_edits_are_named_before_anything_is_sent(desk: Desk, workflow: str) -> None:
    await desk.live("4.2.0")
    await desk.stranger("change", resource="listing", text="An unfinished sentence.")
    before = await writes(desk)
    error = await desk.failure(workflow, desk.images("4.2.1"))

    assert error.type == "ForeignEdits"
    assert "listing/" in error.message
    assert '"foreign_edits": "include"' in error.message
    assert await writes(desk) == before


async def test_foreign_edits_are_published_when_the_input_includes_them(desk: Desk) -> None:
    await desk.live("4.2.0")
    await desk.stranger("change", resource="listing", text="New words.")
    result = await desk.run("UpdateOfferAndPublish", desk.images("4.2.1", foreign_edits="include"))

    assert result.outcome == "preview"
    assert "New words." in json.dumps((await desk.state())["slots"]["Preview"])


async def test_a_foreign_edit_between_our_edit_and_our_publish_is_not_published(desk: Desk) -> None:
    await desk.live("4.2.0")
    published = await desk.effects("publish")
    await desk.fault("put_offer", {"kind": "stranger_change", "text": "In between.", "when": "after"})
    error = await desk.failure("UpdateOfferAndPublish", desk.images("4.2.1"))

    assert error.type == "ForeignEdits"
    assert await desk.effects("publish") == published


async def test_an_image_that_another_client_adds_before_our_last_read_is_kept(desk: Desk) -> None:
    await desk.live("4.2.0")
    await desk.fault("read_slot", {"kind": "stranger_edit", "version": "4.2.5"}, slot="Draft", after=1)
    result = await desk.run("UpdateOfferAndPublish", desk.images("4.2.1"))

    assert result.outcome == "preview"
    assert await desk.versions("Preview") == ["4.2.0", "4.2.1", "4.2.5"]


# Modular publishes


async def live_with_two_plans(desk: Desk) -> None:
    """Bring an offer of two plans to Production."""
    await desk.put(document=with_plan(desk.document("4.2.0"), EDGE, ["1.0.0"]))
    await desk.publish()
    await desk.let_publish()
    await desk.go_live()
    await desk.let_publish()


async def test_a_modular_publish_leaves_the_drafts_of_other_plans_unpublished(desk: Desk) -> None:
    await live_with_two_plans(desk)
    await desk.stranger("edit", plan_id=EDGE, version="1.0.1")
    await desk.stranger("change", resource="plan-listing", plan_id=EDGE, text="Not yet.")
    result = await desk.run("UpdateOfferAndPublish", desk.images("4.2.1", publish="modular"))

    assert result.outcome == "preview"
    assert await desk.versions("Preview") == ["4.2.0", "4.2.1"]
    assert await desk.versions("Preview", 1) == ["1.0.0"]
    assert await desk.versions("Draft", 1) == ["1.0.0", "1.0.1"]
    assert "Not yet." not in json.dumps((await desk.state())["slots"]["Preview"])


async def test_a_modular_publish_fails_if_its_own_plans_hold_foreign_edits(desk: Desk) -> None:
    await live_with_two_plans(desk)
    await desk.stranger("change", resource="plan-listing", plan_id=PLAN, text="Not yet.")
    error = await desk.failure("UpdateOfferAndPublish", desk.images("4.2.1", publish="modular"))

    assert error.type == "ForeignEdits"
    assert "plan-listing/" in error.message


# Making room


async def test_a_published_version_is_deprecated_to_make_room_and_an_unpublished_one_is_removed(desk: Desk) -> None:
    await desk.live("4.0.0", "4.1.0")
    await desk.stranger("edit", plan_id=PLAN, version="4.1.5")
    update = desk.images("4.2.0", **ROOM_FOR_TWO, deprecation={"notice": "P120D", "reason": "endOfSupport"})
    result = await desk.run("ValidateAndGoLive", update | {"approval": {"required": False}})

    assert [str(each) for each in result.deprecated] == ["webstack-lts 4.0.0"]
    assert [str(each) for each in result.removed] == ["webstack-lts 4.1.5"]
    live = await entries(desk, "Production")
    assert sorted(live) == ["4.0.0", "4.1.0", "4.2.0"]
    assert live["4.0.0"]["lifecycleState"] == "deprecated"
    assert live["4.0.0"]["deprecationSchedule"].items() >= {"dateOffset": "P120D", "reason": "endOfSupport"}.items()


async def test_a_version_that_was_not_deprecated_after_all_is_not_reported(desk: Desk) -> None:
    await desk.live("4.0.0", "4.1.0")

    async def another_client_adds_the_image(request: httpx.Request) -> None:
        if desk.api.writes(request):
            desk.http.event_hooks = {}
            draft = await configuration(desk)
            draft["vmImageVersions"].append(version_entry("4.2.0"))
            await desk.send(configure(draft))

    await desk.fault("put_offer", {"kind": "respond", "status": 503}, after=1)
    desk.http.event_hooks = {"request": [another_client_adds_the_image]}
    result = await desk.run("UpdateOfferAndPublish", desk.images("4.2.0", **ROOM_FOR_TWO))

    assert result.deprecated == []
    assert await desk.versions("Preview") == ["4.0.0", "4.1.0", "4.2.0"]


async def test_deprecated_versions_are_reported_although_the_answer_to_the_edit_was_lost(desk: Desk) -> None:
    await desk.live("4.0.0", "4.1.0")
    await desk.fault("put_offer", {"kind": "drop", "when": "after"})
    result = await desk.run("UpdateOfferAndPublish", desk.images("4.2.0", **ROOM_FOR_TWO))

    assert [str(each) for each in result.deprecated] == ["webstack-lts 4.0.0"]
    assert result.changed
    assert await desk.effects("put_offer") == 2


# Images


async def test_a_version_may_be_lower_than_existing_ones(desk: Desk) -> None:
    await desk.live("4.2.0")
    result = await desk.run("UpdateOfferAndPublish", desk.images("4.1.9"))

    assert result.outcome == "preview"
    assert await desk.versions("Preview") == ["4.1.9", "4.2.0"]


async def test_an_image_without_a_generation_gets_every_image_type_of_its_plan(desk: Desk) -> None:
    await desk.live("4.2.0")
    await desk.run("UpdateOfferAndPublish", desk.images("4.2.1"))

    held = (await entries(desk, "Preview"))["4.2.1"]
    assert [image["imageType"] for image in held["vmImages"]] == ["x64Gen1", "x64Gen2"]


async def test_images_of_several_types_make_one_version_and_add_the_skus_of_the_input(desk: Desk) -> None:
    await desk.live("4.2.0")
    images = [
        {"plan_id": PLAN, "version": "4.3.0", "generation": "x64Gen2", "os_vhd_url": vhd("4.3.0")},
        {
            "plan_id": PLAN,
            "version": "4.3.0",
            "generation": "arm64Gen2",
            "gallery_image_id": GALLERY,
            "sku": {"id": "webstack-lts-arm64", "security_types": []},
        },
    ]
    update = desk.images(approval={"required": False}, polling=POLLING) | {"images": images}
    result = await desk.run("ValidateAndGoLive", update)
    again = await desk.run("ValidateAndGoLive", update)

    assert (result.outcome, result.changed, again.changed) == ("live", True, False)
    assert [str(each) for each in result.images] == [
        "webstack-lts 4.3.0 (generation x64Gen2)",
        "webstack-lts 4.3.0 (generation arm64Gen2)",
    ]
    by_vhd, by_gallery = (await entries(desk, "Production"))["4.3.0"]["vmImages"]
    assert by_vhd["source"]["osDisk"]["uri"].startswith(vhd("4.3.0"))
    assert by_gallery["imageType"] == "arm64Gen2"
    assert by_gallery["source"]["sharedImage"] == {"tenantId": TENANT, "resourceId": GALLERY}
    skus = (await configuration(desk, "Production"))["skus"]
    assert [sku["skuId"] for sku in skus] == ["webstack-lts-gen1", "webstack-lts", "webstack-lts-arm64"]


async def test_an_image_type_without_a_sku_is_refused_before_anything_is_sent(desk: Desk) -> None:
    await desk.live("4.2.0")
    before = await writes(desk)
    images = [{"plan_id": PLAN, "version": "4.3.0", "generation": "arm64Gen2", "os_vhd_url": vhd("4.3.0")}]
    error = await desk.failure("UpdateOfferAndPublish", desk.images() | {"images": images})

    assert error.type == "PlanNotFound"
    assert "arm64Gen2" in error.message
    assert "sku" in error.message
    assert await writes(desk) == before


async def test_an_empty_list_of_versions_is_not_believed_for_a_published_plan(desk: Desk) -> None:
    await desk.live("4.2.0")
    before = await writes(desk)
    tree = (await desk.state())["slots"]["Draft"]["document"]
    resource_of(tree, CONFIGURATION)["vmImageVersions"] = []
    answer = {"kind": "respond", "status": 200, "body": json.dumps(tree)}
    await desk.fault("read_slot", answer, slot="Draft", times=-1)
    error = await desk.failure("UpdateOfferAndPublish", desk.images("4.2.1"))

    assert error.type == "MarketplaceError"
    assert PLAN in error.message
    assert await writes(desk) == before


# Whole offers


async def test_replace_keeps_the_resources_that_the_document_does_not_name(desk: Desk) -> None:
    await desk.live("4.2.0")
    document = desk.document("4.2.0", "4.2.1")
    kept = ("product", "plan", CONFIGURATION)
    named = [each for each in document["resources"] if each["$schema"].split("/")[-2] in kept]
    start = desk.create(document=document | {"resources": named}, if_exists="replace", polling=POLLING)
    result = await desk.run("CreateOfferAndPublish", start)

    assert result.outcome == "preview"
    assert await desk.versions("Preview") == ["4.2.0", "4.2.1"]
    assert resource_of((await desk.state())["slots"]["Preview"]["document"], "listing")["title"] == "Webstack"


async def test_replace_refuses_a_document_that_leaves_out_a_published_version(desk: Desk) -> None:
    await desk.live("4.2.0")
    before = await writes(desk)
    error = await desk.failure("CreateOfferAndPublish", desk.create("4.2.1", if_exists="replace"))

    assert error.type == "InvalidInput"
    assert "leaves out version 4.2.0" in error.message
    assert await writes(desk) == before


async def test_a_document_with_a_submission_is_refused(desk: Desk) -> None:
    document = desk.document("4.2.0")
    publish = {
        "$schema": "https://schema.mp.microsoft.com/schema/submission/2022-03-01-preview2",
        "product": {"externalId": OFFER},
        "target": {"targetType": "live"},
    }
    start = desk.create(document=document | {"resources": [*document["resources"], publish]})
    error = await desk.failure("CreateOfferAndPublish", start)

    assert error.type == "InvalidInput"
    assert "submission" in error.message
    assert await desk.requests() == []
