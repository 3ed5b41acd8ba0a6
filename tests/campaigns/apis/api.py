"""What a campaign needs to know about an API."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Literal, Protocol, TypeAlias

Images: TypeAlias = Mapping[str, str]
"""The disk URL of each image. An image is named by its plan and version, such as ``lts 1.0.0``."""

Call: TypeAlias = Literal["edit", "publish", "go_live", "cancel", "read_slot", "list_operations", "read_operation"]
"""A kind of request to the marketplace. Its name is the same for both APIs."""


class CampaignApi(Protocol):
    """An API of the marketplace, as campaigns publish through it.

    Attributes:
        name: The value of ``MARKETPLACE_API``.
        path: Where the sandbox serves the API.
        calls: The sandbox's name for each call.
        guards_drafts: Whether drafts have ETags, unless a switch of the sandbox removes them.
        names_publishers: Whether request URLs name the publisher.
        cancels_all: Whether every publish can be cancelled until it is live. If not, a publish that has become a
            preview cannot be cancelled, nor can a publish whose job is unknown.
    """

    name: str
    path: str
    calls: Mapping[Call, str]
    guards_drafts: bool
    names_publishers: bool
    cancels_all: bool

    def offer_id(self, publisher: str) -> str:
        """Return the ID of a publisher's only offer."""
        ...

    def definition(self, publisher: str, plans: Sequence[str], images: Images) -> dict[str, Any]:
        """Return the part of a workflow's input that defines a whole offer with these plans and images."""
        ...

    def images_in(self, document: dict[str, Any]) -> dict[str, str]:
        """Return the images in a slot's document, as the sandbox stores or shows it."""
        ...

    def deprecated_in(self, document: dict[str, Any]) -> frozenset[str]:
        """Return the deprecated images in a slot's document."""
        ...

    def listing_in(self, document: dict[str, Any]) -> str:
        """Return the listing's description in a slot's document."""
        ...

    def quirks(self, choose: Random) -> dict[str, Any]:
        """Choose values for the switches of behaviour that differs between real marketplaces."""
        ...

    def promoted_by(self, go_live: str, operations: Sequence[dict[str, Any]]) -> str | None:
        """Return the publish that a go-live promotes. The operations are sorted, oldest first."""
        ...


def plan_of(image: str) -> str:
    """Return the plan of an image."""
    return image.partition(" ")[0]


def version_of(image: str) -> str:
    """Return the version of an image."""
    return image.partition(" ")[2]
