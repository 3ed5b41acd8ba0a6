"""What a slot of an offer holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from marketplace.cloud_partner.image_rules import objections
from marketplace.cloud_partner.plans import HeldImage, read
from marketplace.cloud_partner.wanted_images import slot_images
from marketplace.model import Image, ImageVersion
from marketplace.wording import MAX_NAME, one_line


@dataclass(frozen=True)
class OfferContents:
    """Implements `marketplace.protocol.Contents`."""

    images: list[HeldImage]

    @cached_property
    def versions(self) -> list[ImageVersion]:
        """All image versions, in the document's order."""
        return [version_of(image) for image in self.images]

    @property
    def publish_id(self) -> str | None:
        """The publish that made these contents. The document does not name it."""
        return None

    def missing(self, images: Sequence[Image]) -> list[ImageVersion]:
        """Return the images that are not in every map they belong in, whatever their disks.

        A version that is there only in another spelling is missing. `conflicts` says why it cannot be added.
        """
        slot = slot_images(self.images, images)
        missing: list[ImageVersion] = []
        for image in images:
            wanted = slot.generations_for(image)
            found = {held.generation for held in slot.same_version(image)}
            if not wanted or not wanted <= found:
                missing.append(image.image_version)
        return missing

    def conflicts(self, images: Sequence[Image]) -> list[str]:
        """Return a sentence for each image whose version is there with other disks or in another spelling."""
        slot = slot_images(self.images, images)
        return [sentence for image in images for sentence in objections(image, slot, slot.generations_for(image))[:1]]


def held_images(document: str) -> list[HeldImage]:
    """Return the image versions of all plans of an offer document, in the document's order.

    Raises:
        ValueError: The text is not JSON or not an object, or it has more than `plans.MAX_IMAGES` image versions.
    """
    return [entry.held for entry in read(document).entries()]


def version_of(held: HeldImage) -> ImageVersion:
    """Return an image version for a person, without its disks. Each word is one bounded line."""
    generation = None if held.generation is None else one_line(held.generation, MAX_NAME)
    return ImageVersion(
        plan_id=one_line(held.plan_id, MAX_NAME), version=one_line(held.version, MAX_NAME), generation=generation
    )
