"""How offers behave that are created through the Cloud Partner Portal API."""

import uuid

from sandbox.cloud_partner.documents import (
    CORE_VM,
    VIRTUAL_MACHINE,
    fingerprint_of,
    image_maps_of,
    plans_of,
    with_added_version,
    with_changed_text,
)
from sandbox.cloud_partner.validation import check_publish, check_put
from sandbox.spelled_json import members_of, parse_plain
from sandbox.state import Disk, Offer
from sandbox.switches import Switches
from sandbox.versions import version_order


class CloudPartnerBehaviour:
    """Offers whose document is one object, with a `definition` that has the plans."""

    joins_running_publish = True
    publish_ends_at_sign_off = False
    go_live_can_be_repeated = False

    def publish_id(self, _ticks: int) -> str:
        """Return the ID of a new publish."""
        return str(uuid.uuid4())

    def go_live_id(self, _publish_id: str) -> str:
        """Return the ID of a new go-live."""
        return str(uuid.uuid4())

    def fingerprint(self, text: str, switches: Switches) -> str:
        """Return a digest that two documents share if a publisher would call them the same draft."""
        return fingerprint_of(text, normalized=switches.normalize_documents)

    def check_draft(self, publisher_id: str, offer: Offer, text: str, switches: Switches) -> None:
        """Refuse a document that the service does not store."""
        check_put(text, publisher_id, offer.id, offer.offer_type, switches)

    def check_publish(self, offer: Offer, text: str, switches: Switches) -> None:
        """Refuse a document that is not ready to be published."""
        preview = offer.preview.text if offer.preview else None
        production = offer.production.text if offer.production else None
        check_publish(text, preview, production, switches)

    def has_test_drive(self, text: str) -> bool:
        """Return whether the offer has a test drive."""
        document = members_of(parse_plain(text))
        listing = members_of(members_of(document.get("definition")).get("offer"))
        return listing.get("microsoft-azure-marketplace-testdrive.enabled") is True

    def disks(self, offer: Offer, text: str) -> list[Disk]:
        """Return the operating system disks. The marketplace copies none for other types of offers."""
        if offer.offer_type not in (VIRTUAL_MACHINE, CORE_VM):
            return []
        return [
            Disk(str(plan.get("planId")), version, str(members_of(image).get("osVhdUrl", "")))
            for plan in plans_of(parse_plain(text))
            for _, images in image_maps_of(plan)
            for version, image in images.items()
        ]

    def images(self, text: str) -> dict[str, list[str]]:
        """Return the image versions of each plan, newest first."""
        return {
            str(plan.get("planId")): sorted(
                {version for _, images in image_maps_of(plan) for version in images},
                key=version_order,
                reverse=True,
            )
            for plan in plans_of(parse_plain(text))
        }

    def with_added_version(self, text: str, plan_id: str | None, version: str | None) -> str:
        """Return the document with one more image version: a copy of a plan's newest one."""
        return with_added_version(text, plan_id, version)

    def with_changed_text(self, text: str, resource_type: str, plan_id: str | None, words: str) -> str:
        """Return the document with `words` as a description, of the offer or of a plan."""
        return with_changed_text(text, plan_id if resource_type.startswith("plan") else None, words)
