"""What only one of the APIs has is refused by a worker that speaks to the other, before anything is sent."""

from typing import Any

import pytest

from tests.apis.product_ingestion import configure
from tests.desk import OFFER, PLAN, Desk, vhd

GUID = "11111111-2222-3333-4444-555555555555"
GALLERY = (
    f"/subscriptions/{GUID}/resourceGroups/images/providers/Microsoft.Compute/galleries/fabrikam"
    "/images/web/versions/4.2.1"
)
BOTH = ["UpdateOfferAndPublish", "ValidateAndGoLive"]


def of_an_image(**members: Any) -> dict[str, Any]:
    """Make the members of an input that wants an image beside the usual one."""
    usual = {"plan_id": PLAN, "version": "4.2.0", "os_vhd_url": vhd("4.2.0")}
    return {"images": [usual, {"plan_id": PLAN, "version": "4.2.1", **members}]}


OF_INGESTION_ONLY: dict[str, tuple[str, dict[str, Any]]] = {
    "publish": ("publish", {"publish": "modular"}),
    "foreign edits fail": ("foreign_edits", {"foreign_edits": "fail"}),
    "foreign edits include": ("foreign_edits", {"foreign_edits": "include"}),
    "notice": ("deprecation", {"deprecation": {"notice": "P30D"}}),
    "reason": ("deprecation", {"deprecation": {"reason": "endOfSupport"}}),
    "alternative": ("deprecation", {"deprecation": {"alternative_plan_id": "edge"}}),
    "gallery": ("images.gallery_image_id", of_an_image(gallery_image_id=GALLERY)),
    "gallery of a tenant": (
        "images.gallery_image_id",
        of_an_image(gallery_image_id=GALLERY, gallery_tenant_id=GUID),
    ),
    "sku": ("images.sku", of_an_image(os_vhd_url=vhd("4.2.1"), sku={"id": "lts-gen2"})),
}


@pytest.mark.only("cloud-partner", "the other API has them")
@pytest.mark.parametrize("workflow", BOTH)
@pytest.mark.parametrize("asked", OF_INGESTION_ONLY)
async def test_what_only_the_other_api_has_is_refused_before_anything_is_sent(
    desk: Desk, workflow: str, asked: str
) -> None:
    member, members = OF_INGESTION_ONLY[asked]
    error = await desk.failure(workflow, desk.images("4.2.0") | members)
    assert (error.type, error.non_retryable) == ("InvalidInput", True)
    assert error.message == (
        f"{desk.publisher}/{OFFER}: {member}: is of the Product Ingestion API only, and this worker speaks to the"
        " Cloud Partner Portal API. Leave it out."
    )
    assert await desk.requests() == []


@pytest.mark.parametrize("workflow", BOTH)
async def test_the_defaults_may_be_said_to_either_api(desk: Desk, workflow: str) -> None:
    defaults = {"publish": "whole", "foreign_edits": None, "deprecation": {"notice": "P90D", "reason": "other"}}
    unattended = {"approval": {"required": False}} if workflow == "ValidateAndGoLive" else {}
    await desk.preview("4.2.0")
    result = await desk.run(workflow, desk.images("4.2.0") | defaults | unattended)
    assert result.outcome == ("live" if unattended else "preview")


async def test_an_offer_in_the_words_of_the_other_api_is_refused_before_anything_is_sent(desk: Desk) -> None:
    document = {"publisherId": desk.publisher, "id": OFFER, "offerTypeId": "x", "definition": {}}
    product = {"$schema": "https://schema.example/product/1", "identity": {"externalId": OFFER}}
    resources = {"publisher_id": desk.publisher, "configure": configure(product).body}
    error = await desk.failure("CreateOfferAndPublish", desk.per_api(resources, {"offer": document}))
    assert (error.type, error.non_retryable) == ("InvalidInput", True)
    refused = desk.per_api("configure: is of the Product", "offer: is of the Cloud Partner")
    assert error.message.startswith(f"{desk.publisher}/{OFFER}: {refused}")
    assert await desk.requests() == []
