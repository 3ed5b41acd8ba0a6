"""Where offers behave differently, by the API through which they were created."""

from collections.abc import Mapping
from typing import Protocol

from sandbox.cloud_partner.behaviour import CloudPartnerBehaviour
from sandbox.product_ingestion.behaviour import ProductIngestionBehaviour
from sandbox.state import ApiName, Disk, Offer
from sandbox.switches import Switches


class OfferBehaviour(Protocol):
    """What the state machine of offers needs to know of an API and its documents.

    Attributes:
        joins_running_publish: Whether a second publish of the same draft joins the first. If not, it is refused.
        publish_ends_at_sign_off: Whether a publish is complete once its preview waits for sign-off.
        go_live_can_be_repeated: Whether a failed go-live leaves a preview that can go live.
    """

    joins_running_publish: bool
    publish_ends_at_sign_off: bool
    go_live_can_be_repeated: bool

    def publish_id(self, ticks: int) -> str:
        """Return the ID of a new publish."""
        ...

    def go_live_id(self, publish_id: str) -> str:
        """Return the ID of a new go-live of that publish."""
        ...

    def fingerprint(self, text: str, switches: Switches) -> str:
        """Return a digest that two documents share if a publisher would call them the same draft."""
        ...

    def check_draft(self, publisher_id: str, offer: Offer, text: str, switches: Switches) -> None:
        """Refuse a document that the service does not store."""
        ...

    def check_publish(self, offer: Offer, text: str, switches: Switches) -> None:
        """Refuse a document that is not ready to be published."""
        ...

    def has_test_drive(self, text: str) -> bool:
        """Return whether the offer has a test drive, which takes a step to validate."""
        ...

    def disks(self, offer: Offer, text: str) -> list[Disk]:
        """Return the disks that certification copies."""
        ...

    def images(self, text: str) -> dict[str, list[str]]:
        """Return the image versions of each plan, newest first."""
        ...

    def with_added_version(self, text: str, plan_id: str | None, version: str | None) -> str:
        """Return the document with one more image version: a copy of a plan's newest one.

        Without `plan_id` the first plan gets it. Without `version` it is one patch above the newest.
        """
        ...

    def with_changed_text(self, text: str, resource_type: str, plan_id: str | None, words: str) -> str:
        """Return the document with `words` as a description, of the offer or of a plan."""
        ...


BEHAVIOURS: Mapping[ApiName, OfferBehaviour] = {
    "cloud_partner": CloudPartnerBehaviour(),
    "product_ingestion": ProductIngestionBehaviour(),
}


def behaviour_of(offer: Offer) -> OfferBehaviour:
    """Return the behaviour of an offer."""
    return BEHAVIOURS[offer.api]
