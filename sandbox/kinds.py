"""What depends on whose documents an offer holds: every API has a kind of its own."""

from collections.abc import Mapping
from typing import Protocol

from sandbox.cloud_partner.kind import CloudPartnerKind
from sandbox.product_ingestion.kind import ProductIngestionKind
from sandbox.state import Api, Disk, Offer
from sandbox.switches import Switches


class OfferKind(Protocol):
    """What the state machine needs to know of a document, and where the APIs let it go different ways."""

    joins_running_publish: bool
    publish_ends_at_sign_off: bool
    go_live_can_be_repeated: bool

    def publish_id(self, ticks: int) -> str:
        """The id of a new publish."""
        ...

    def go_live_id(self, publish_id: str) -> str:
        """The id of a new go-live of that publish."""
        ...

    def fingerprint(self, text: str, switches: Switches) -> str:
        """The same for two documents when a publisher would call them the same draft."""
        ...

    def check_draft(self, publisher_id: str, offer: Offer, text: str, switches: Switches) -> None:
        """Refuse a document that the service does not store."""
        ...

    def check_publish(self, offer: Offer, text: str, switches: Switches) -> None:
        """Refuse a document that is not ready."""
        ...

    def has_test_drive(self, text: str) -> bool:
        """Whether a test drive is to be validated."""
        ...

    def disks(self, offer: Offer, text: str) -> list[Disk]:
        """The disks that certification copies."""
        ...

    def images(self, text: str) -> dict[str, list[str]]:
        """The image versions of each plan, newest first."""
        ...

    def with_strange_version(self, text: str, plan_id: str | None, version: str | None) -> str:
        """The document after somebody else added an image version like the newest one to a plan."""
        ...

    def with_strange_change(self, text: str, resource_type: str, plan_id: str | None, words: str) -> str:
        """The document after somebody else wrote something into it that is no image version."""
        ...


KINDS: Mapping[Api, OfferKind] = {
    "cloud_partner": CloudPartnerKind(),
    "product_ingestion": ProductIngestionKind(),
}


def kind_of(offer: Offer) -> OfferKind:
    """The kind of an offer."""
    return KINDS[offer.api]
