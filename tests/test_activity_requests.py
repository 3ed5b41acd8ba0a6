"""Requests of workflows to activities: readable across versions, and never quoted in an error."""

from typing import Any

import pytest
from pydantic import BaseModel

from activities.offers import EditRequest, SurveyRequest
from activities.operations import GoLiveRequest, VerifyLiveRequest
from worker.registration import create_data_converter
from workflows.messages import UpdateOfferAndPublishInput

VHD = "https://images.blob.core.windows.net/vhds/web.vhd?sv=2022-11-02&sig=TOPSECRET"
IMAGE: dict[str, Any] = {
    "plan_id": "lts",
    "version": "1.0.0",
    "os_vhd_url": VHD,
    "data_disks": [{"lun": 0, "vhd_url": VHD, "cached": True}],
    "architecture": {"name": "arm64"},
}
REQUEST: dict[str, Any] = {
    "offer": {"publisher_id": "fabrikam", "offer_id": "web"},
    "when_full": "fail",
    "known_operations": [],
    "approved_publish": "op-1",
    "priority": 1,
}


async def received(sent: dict[str, Any], model: type[BaseModel]) -> Any:
    """Encode a request as the workflow does, and decode it as the activity does."""
    [payload] = await create_data_converter().encode([sent])
    [request] = await create_data_converter().decode([payload], [model])
    return request


ALL_MODELS = [SurveyRequest, EditRequest, GoLiveRequest, VerifyLiveRequest]


@pytest.mark.parametrize("model", ALL_MODELS)
async def test_members_of_an_image_that_only_a_newer_worker_knows_are_ignored(model: type[BaseModel]) -> None:
    request = await received(REQUEST | {"images": [IMAGE]}, model)

    [image] = request.images
    assert (image.plan_id, image.version, [disk.lun for disk in image.data_disks]) == ("lts", "1.0.0", [0])


@pytest.mark.parametrize("model", ALL_MODELS)
async def test_only_the_activity_that_edits_the_draft_receives_disk_urls(model: type[BaseModel]) -> None:
    request = await received(REQUEST | {"images": [IMAGE]}, model)

    assert ("TOPSECRET" in repr(request)) is (model is EditRequest)


@pytest.mark.parametrize(
    "images",
    [VHD, [VHD], [IMAGE | {"version": VHD}], [IMAGE | {"data_disks": VHD}], [IMAGE | {"data_disks": [VHD]}]],
    ids=["images: no list", "image: no object", "version: no version", "disks: no list", "disk: no object"],
)
@pytest.mark.parametrize("model", [SurveyRequest, EditRequest, UpdateOfferAndPublishInput])
async def test_a_request_that_cannot_be_decoded_is_not_quoted_in_the_error(
    model: type[BaseModel], images: object
) -> None:
    with pytest.raises(ValueError, match="images") as refused:
        await received(REQUEST | {"images": images}, model)

    assert "SECRET" not in str(refused.value)
