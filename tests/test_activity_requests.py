"""What activities are asked is read by older workers too, and its errors, which the history keeps, quote nothing."""

from typing import Any

import pytest
from pydantic import BaseModel

from activities.offers import EditRequest, SurveyRequest
from activities.operations import GoLiveRequest, VerifyLiveRequest
from worker.registration import data_converter
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
    """Return what an activity of another worker gets."""
    [payload] = await data_converter().encode([sent])
    [request] = await data_converter().decode([payload], [model])
    return request


@pytest.mark.parametrize("model", [SurveyRequest, EditRequest, GoLiveRequest, VerifyLiveRequest])
async def test_what_a_newer_worker_tells_of_an_image_is_ignored(model: type[BaseModel]) -> None:
    request = await received(REQUEST | {"images": [IMAGE]}, model)

    [image] = request.images
    assert (image.plan_id, image.version, [disk.lun for disk in image.data_disks]) == ("lts", "1.0.0", [0])
    assert ("TOPSECRET" in repr(image)) is (model is EditRequest)


@pytest.mark.parametrize(
    "images",
    [VHD, [VHD], [IMAGE | {"version": VHD}], [IMAGE | {"data_disks": VHD}], [IMAGE | {"data_disks": [VHD]}]],
    ids=["no list", "no image", "no version", "no list of disks", "no disk"],
)
@pytest.mark.parametrize("model", [SurveyRequest, EditRequest, UpdateOfferAndPublishInput])
async def test_what_cannot_be_read_is_not_quoted(model: type[BaseModel], images: object) -> None:
    with pytest.raises(ValueError, match="images") as refused:
        await received(REQUEST | {"images": images}, model)

    assert "SECRET" not in str(refused.value)
