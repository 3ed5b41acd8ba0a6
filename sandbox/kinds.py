"""What depends on whose documents an offer holds: every API has a kind of its own."""

from collections.abc import Mapping
from typing import Protocol

from sandbox.cloud_partner.kind import CloudPartnerKind
from sandbox.state import Api, Disk, Offer
from sandbox.switches import Switches


class OfferKind(Protocol):
    """What the state machine needs to know of a document."""

    def fingerprint(self, text: str, switches: Switches) -> str:
        """The same for two documents when a publisher would call them the same draft."""
        ...

    def check_draft(self, publisher_id: str, offer: Offer, text: str, switches: Switches) -> None:
        """Refuse a document that the service does not store."""
        ...

    def check_publish(self, offer: Offer, switches: Switches) -> None:
        """Refuse a draft that is not ready."""
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


KINDS: Mapping[Api, OfferKind] = {"cloud_partner": CloudPartnerKind()}


def kind_of(offer: Offer) -> OfferKind:
    """The kind of an offer."""
    return KINDS[offer.api]
