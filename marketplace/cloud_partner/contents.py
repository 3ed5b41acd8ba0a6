"""What a slot of an offer holds, as the procedures ask for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from marketplace.cloud_partner import images as held
from marketplace.cloud_partner.plans import HeldImage
from marketplace.model import Image, ImageVersion


@dataclass(frozen=True)
class OfferContents:
    """Implements `marketplace.protocol.Contents`."""

    images: list[HeldImage]

    @cached_property
    def versions(self) -> list[ImageVersion]:
        """All image versions, in the document's order."""
        return [held.version_of(image) for image in self.images]

    @property
    def publish_id(self) -> str | None:
        """Id of the publish that it is of: the document does not say."""
        return None

    def missing(self, images: Sequence[Image]) -> list[ImageVersion]:
        """Return which of the images it lacks, whatever their disks."""
        return held.missing(images, self.images)

    def conflicts(self, images: Sequence[Image]) -> list[str]:
        """Return a sentence for each of the images whose version it holds with other disks or spelled otherwise."""
        return held.conflicts(images, self.images)
