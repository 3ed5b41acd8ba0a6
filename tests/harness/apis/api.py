"""What differs from API to API, as far as a campaign sees it."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Literal, Protocol, TypeAlias

Images: TypeAlias = Mapping[str, str]
"""The address of the disk of each image, by plan and version."""

Call: TypeAlias = Literal["edit", "publish", "go_live", "cancel", "read_slot", "list_operations", "read_operation"]
"""What is asked of a marketplace, in words of no API."""


class Api(Protocol):
    """An API of the marketplace.

    Attributes:
        name: How a worker is told of it.
        path: Where the sandbox serves it.
        calls: How the sandbox names each call.
        guards_drafts: Whether drafts have ETags, unless the sandbox is told otherwise.
        names_publishers: Whether its addresses say whose an offer is.
        cancels_all: Whether every publish can be cancelled until it is live; else one that is a preview already
            cannot, nor can one whose job is not known.
    """

    name: str
    path: str
    calls: Mapping[Call, str]
    guards_drafts: bool
    names_publishers: bool
    cancels_all: bool

    def offer_id(self, publisher: str) -> str:
        """Return the id of the one offer of a publisher."""
        ...

    def definition(self, publisher: str, plans: Sequence[str], images: Images) -> dict[str, Any]:
        """Return the members of an input that hold a whole offer with these plans and images."""
        ...

    def images_in(self, document: dict[str, Any]) -> dict[str, str]:
        """Return the images that a slot holds, as the sandbox shows or keeps it."""
        ...

    def deprecated_in(self, document: dict[str, Any]) -> frozenset[str]:
        """Return which of the images are deprecated."""
        ...

    def words_in(self, document: dict[str, Any]) -> str:
        """Return what the listing says."""
        ...

    def manners(self, choose: Random) -> dict[str, Any]:
        """Choose switches where the marketplace has been seen to behave in more than one way."""
        ...

    def promoted_by(self, go_live: str, operations: Sequence[dict[str, Any]]) -> str | None:
        """Return the publish that a go-live promotes; operations are oldest first."""
        ...


def plan_of(image: str) -> str:
    """Return an image's plan."""
    return image.partition(" ")[0]


def version_of(image: str) -> str:
    """Return an image's version."""
    return image.partition(" ")[2]
