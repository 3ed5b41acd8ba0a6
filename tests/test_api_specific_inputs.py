"""Members of an input that exist in one API only are refused by a worker for the other, before anything is sent."""

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


def with_image(**members: Any) -> dict[str, Any]:
    """Return images for an input: an ordinary one, and one with these members."""
    ordinary = {"plan_id": PLAN, "version": "4.2.0", "os_vhd_url": vhd("4.2.0")}
    return {"images": [ordinary, {"plan_id": PLAN, "version": "4.2.1", **members}]}


INGESTION_ONLY: dict[str, tuple[str, dict[str, Any]]] = {
    "publish": ("publish", {"publish": "modular"}),
    "foreign edits fail": ("foreign_edits", {"foreign_edits": "fail"}),
    "foreign edits include": ("foreign_edits", {"foreign_edits": "include"}),
    "notice": ("deprecation", {"deprecation": {"notice": "P30D"}}),
    "reason": ("deprecation", {"deprecation": {"reason": "endOfSupport"}}),
    "alternative": ("deprecation", {"deprecation": {"alternative_plan_id": "edge"}}),
    "gallery": ("images.gallery_image_id", with_image(gallery_image_id=GALLERY)),
    "gallery of another tenant": (
        "images.gallery_image_id",
        with_image(gallery_image_id=GALLERY, gallery_tenant_id=GUID),
    ),
    "sku": ("images.sku", with_image(os_vhd_url=vhd("4.2.1"), sku={"id": "lts-gen2"})),
}


@pytest.mark.only("cloud-partner", "the other API takes them")
@pytest.mark.parametrize("workflow", BOTH)
@pytest.mark.parametrize("case", INGESTION_ONLY)
async def test_a_member_of_the_product_ingestion_api_is_refused_by_a_worker_for_the_portal(
    desk: Desk, workflow: str, case: str
) -> None:
    member, members = INGESTION_ONLY[case]
    error = await desk.failure(workflow, desk.images("4.2.0") | members)
    assert (error.type, error.non_retryable) == ("InvalidInput", True)
    assert error.message == (
        f"{desk.publisher}/{OFFER}: {member}: is of the Product Ingestion API only, and this worker speaks to the"
        " Cloud Partner Portal API. Leave it out."
    )
    assert await desk.requests() == []


@pytest.mark.parametrize("workflow", BOTH)
async def test_both_apis_take_the_defaults(desk: Desk, workflow: str) -> None:
    defaults = {"publish": "whole", "foreign_edits": None, "deprecation": {"notice": "P90D", "reason": "other"}}
    unattended = {"approval": {"required": False}} if workflow == "ValidateAndGoLive" else {}
    await desk.preview("4.2.0")
    result = await desk.run(workflow, desk.images("4.2.0") | defaults | unattended)
    assert result.outcome == ("live" if unattended else "preview")


async def test_an_offer_in_the_form_of_the_other_api_is_refused(desk: Desk) -> None:
    document = {"publisherId": desk.publisher, "id": OFFER, "offerTypeId": "x", "definition": {}}
    product = {"$schema": "https://schema.example/product/1", "identity": {"externalId": OFFER}}
    resources = {"publisher_id": desk.publisher, "configure": configure(product).body}
    error = await desk.failure("CreateOfferAndPublish", desk.per_api(resources, {"offer": document}))
    assert (error.type, error.non_retryable) == ("InvalidInput", True)
    refused = desk.per_api("configure: is of the Product", "offer: is of the Cloud Partner")
    assert error.message.startswith(f"{desk.publisher}/{OFFER}: {refused}")
    assert await desk.requests() == []
