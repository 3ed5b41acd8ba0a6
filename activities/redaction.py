"""Images as inputs of activities that only look: without the signatures of their SAS.

An input stands in the history, and only the run's own and that of the edit have a reason to hold a signature.
"""

from typing import Annotated

from pydantic import AfterValidator

from marketplace.model import Image
from marketplace.sas import redacted


def _redacted(images: list[Image]) -> list[Image]:
    """Keep what the rules about a SAS look at: permissions, dates, and that there is a signature."""
    return [
        image.model_copy(
            update={
                "os_vhd_url": redacted(image.os_vhd_url),
                "data_disks": [
                    disk.model_copy(update={"vhd_url": redacted(disk.vhd_url)}) for disk in image.data_disks
                ],
            }
        )
        for image in images
    ]


RedactedImages = Annotated[list[Image], AfterValidator(_redacted)]
