"""How offers behave that are created through the Product Ingestion API."""

import hashlib
import json

from sandbox.product_ingestion.draft_rules import check_resources
from sandbox.product_ingestion.publish_rules import problems_with_publishing
from sandbox.product_ingestion.resources import (
    Resource,
    configurations_in,
    images_of,
    number_of,
    plan_ids_in,
    resources_in,
    text_of,
    versions_of,
)
from sandbox.product_ingestion.sources import addresses_of
from sandbox.refusals import RefusedError
from sandbox.spelled_json import members_of
from sandbox.state import Disk, Offer
from sandbox.switches import Switches
from sandbox.versions import next_patch, version_order

# Above 2**53, as the service's own numbers are. A client that reads one as a double gets another number.
_BASE_NUMBER = 10**18


class ProductIngestionBehaviour:
    """Offers whose document is a list of resources."""

    joins_running_publish = False
    publish_ends_at_sign_off = True
    go_live_can_be_repeated = True

    def publish_id(self, ticks: int) -> str:
        """Return the number of a new submission."""
        return str(_BASE_NUMBER + ticks)

    def go_live_id(self, publish_id: str) -> str:
        """Return the ID of a go-live, which has the number of its submission."""
        return f"{publish_id}:live"

    def fingerprint(self, text: str, _switches: Switches) -> str:
        """Return a digest that two documents share if a publisher would call them the same draft."""
        resources = {resource.id: resource.plain for resource in resources_in(text)}
        return hashlib.sha256(json.dumps(resources, sort_keys=True).encode()).hexdigest()

    def check_draft(self, _publisher_id: str, offer: Offer, text: str, switches: Switches) -> None:
        """Refuse a change that breaks a rule."""
        problems = check_resources(offer, resources_in(offer.draft.text), resources_in(text), switches)
        if problems:
            raise RefusedError(400, "badRequest", problems[0].message, problems)

    def check_publish(self, _offer: Offer, text: str, _switches: Switches) -> None:
        """Refuse a draft that is not ready to be published."""
        problems = problems_with_publishing(resources_in(text))
        if problems:
            raise RefusedError(400, "badRequest", problems[0].message, problems)

    def has_test_drive(self, text: str) -> bool:
        """Return whether the offer has a test drive."""
        return any(
            resource.type == "test-drive" and resource.plain.get("enabled") is True for resource in resources_in(text)
        )

    def disks(self, _offer: Offer, text: str) -> list[Disk]:
        """Return the disks with a SAS."""
        resources = resources_in(text)
        plans = plan_ids_in(resources)
        return [
            Disk(plans.get(str(configuration.plain.get("plan")), "?"), number_of(entry), address)
            for configuration in configurations_in(resources)
            for entry in versions_of(configuration.plain)
            for image in images_of(entry)
            for address in addresses_of(members_of(image.get("source")))
        ]

    def images(self, text: str) -> dict[str, list[str]]:
        """Return the image versions of each plan, newest first."""
        resources = resources_in(text)
        plans = plan_ids_in(resources)
        found: dict[str, list[str]] = {external_id: [] for external_id in plans.values()}
        for configuration in configurations_in(resources):
            plan = plans.get(str(configuration.plain.get("plan")), "?")
            numbers = dict.fromkeys(number_of(entry) for entry in versions_of(configuration.plain))
            found[plan] = sorted(numbers, key=version_order, reverse=True)
        return found

    def with_added_version(self, text: str, plan_id: str | None, version: str | None) -> str:
        """Return the document with one more image version: a copy of a plan's newest one."""
        resources = [resource.copy() for resource in resources_in(text)]
        plans = plan_ids_in(resources)
        for configuration in configurations_in(resources):
            plan = plans.get(str(configuration.plain.get("plan")))
            if plan_id not in (None, plan) or not versions_of(configuration.plain):
                continue
            entries = configuration.spelled["vmImageVersions"]
            numbers = [number_of(entry) for entry in versions_of(configuration.plain)]
            newest = max(range(len(numbers)), key=lambda index: version_order(numbers[index]))
            added = {
                name: value
                for name, value in entries[newest].items()
                if name not in ("lifecycleState", "deprecationSchedule")
            }
            entries.append(added | {"versionNumber": version or next_patch(numbers[newest])})
            break
        return text_of(resources)

    def with_changed_text(self, text: str, resource_type: str, plan_id: str | None, words: str) -> str:
        """Return the document with `words` as a text of a resource, of the offer or of a plan."""
        resources = [resource.copy() for resource in resources_in(text)]
        plans = {external_id: durable for durable, external_id in plan_ids_in(resources).items()}
        for resource in resources:
            if resource.type == resource_type and plan_id in (None, *_plans_of(resource, plans)):
                resource.spelled[_TEXT_OF.get(resource_type, "description")] = words
                break
        return text_of(resources)


_TEXT_OF = {"product": "alias", "plan": "alias", "property": "termsOfUse", "listing-asset": "friendlyName"}


def _plans_of(resource: Resource, plans: dict[str, str]) -> list[str]:
    own = (resource.id, resource.plain.get("plan"))
    return [external_id for external_id, durable in plans.items() if durable in own]
