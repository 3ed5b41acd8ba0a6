"""Images as inputs of activities: members that a newer worker added are ignored, and signatures are redacted.

Inputs are written to the history. Only the input of the run and that of the edit need signatures.
"""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator

from marketplace.model import DataDisk, Image, Sku
from marketplace.sas import redacted


def _known(sent: object) -> object:
    """Drop members that this worker does not know. A person's typing error was refused when the run started."""
    if not isinstance(sent, list):
        return sent
    images = [_members(image, Image) for image in sent]
    for image in images:
        if isinstance(image, dict) and isinstance(image.get("data_disks"), list):
            image["data_disks"] = [_members(disk, DataDisk) for disk in image["data_disks"]]
        if isinstance(image, dict) and image.get("sku") is not None:
            image["sku"] = _members(image["sku"], Sku)
    return images


def _members(sent: object, model: type[BaseModel]) -> object:
    return {name: sent[name] for name in model.model_fields if name in sent} if isinstance(sent, dict) else sent


def _redacted(images: list[Image]) -> list[Image]:
    """Redact the signatures. The rules about SAS URLs check only that there is one, beside permissions and dates."""
    return [
        image.model_copy(
            update={
                "os_vhd_url": image.os_vhd_url and redacted(image.os_vhd_url),
                "data_disks": [
                    disk.model_copy(update={"vhd_url": redacted(disk.vhd_url)}) for disk in image.data_disks
                ],
            }
        )
        for image in images
    ]


SentImages = Annotated[list[Image], BeforeValidator(_known)]

RedactedImages = Annotated[SentImages, AfterValidator(_redacted)]
