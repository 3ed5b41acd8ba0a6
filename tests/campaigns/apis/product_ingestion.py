"""The Product Ingestion API."""

import copy
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from tests.campaigns.apis.api import Call, Images, plan_of, version_of
from tests.harness.processes import ROOT

_EXAMPLE = ROOT / "examples" / "product-ingestion" / "create.json"
_CONFIGURATION = "virtual-machine-plan-technical-configuration"
_PLAN_RESOURCES = ("plan", "plan-listing", "price-and-availability-plan", _CONFIGURATION)

_TWO_IMAGE_TYPES = ("lts", "edge")
"""Plans with disks of both generations. The other plans have the second generation only."""

_QUIRKS: Mapping[str, Sequence[Any]] = {
    "after_go_live": ("live_only", "second_live", "preview_and_live"),
    "contention": ("409", "423", "400", "job"),
    "draft_changes": ("accepted", "completed"),
    "draft_job_reads": (0, 1, 1, 4),
    "error_details": ("array", "object", "absent"),
    "job_id_spelling": ("jobId", "jobID"),
    "canceled_submission": ("gone", "failed", "cancelled"),
    "tree_absent_status": (400, 404),
    "no_pending_draft": ("shown", "resource_404", "absent"),
    "submissions_order": ("newest_first", "oldest_first", "shuffled"),
    "page_size": (100, 2),
    "timestamp_fraction": (7, 0),
    "retired_schema_host_on_read": (True, False),
    "configuration_id": ("accepted", "refused"),
}


class ProductIngestionCampaignApi:
    """An offer is a tree of resources. Every write is an unconditional job. No URL names a publisher."""

    name = "product-ingestion"
    path = "/rp/product-ingestion"
    calls: Mapping[Call, str] = {
        "edit": "configure_draft",
        "publish": "configure_preview",
        "go_live": "configure_live",
        "cancel": "cancel_job",
        "read_slot": "read_tree",
        "list_operations": "list_submissions",
        "read_operation": "read_job",
    }
    guards_drafts = False
    names_publishers = False
    cancels_all = False

    def offer_id(self, publisher: str) -> str:
        """Return an ID that no other publisher has."""
        return f"appliance-{publisher}"

    def definition(self, publisher: str, plans: Sequence[str], images: Images) -> dict[str, Any]:
        """Return the example's resources with other plans."""
        example = json.loads(_EXAMPLE.read_text())["configure"]
        resources = [each for each in example["resources"] if _type_of(each) not in _PLAN_RESOURCES]
        plan_resources = [each for each in example["resources"] if _type_of(each) in _PLAN_RESOURCES]
        next(each for each in resources if _type_of(each) == "product")["identity"] = {
            "externalId": self.offer_id(publisher)
        }
        for plan in plans:
            own = {version_of(image): disk for image, disk in images.items() if plan_of(image) == plan}
            resources += _of_plan(plan, own, plan_resources)
        return {"publisher_id": publisher, "configure": example | {"resources": resources}}

    def images_in(self, document: dict[str, Any]) -> dict[str, str]:
        """Return the image versions of all plans. A version with several disks has all their URLs."""
        return {image: _disks_of(version["vmImages"]) for image, version in _versions_in(document)}

    def deprecated_in(self, document: dict[str, Any]) -> frozenset[str]:
        """Return the deprecated image versions."""
        found = _versions_in(document)
        return frozenset(image for image, version in found if version.get("lifecycleState") == "deprecated")

    def listing_in(self, document: dict[str, Any]) -> str:
        """Return the description in the listing."""
        return next(str(each["description"]) for each in document["resources"] if _type_of(each) == "listing")

    def quirks(self, choose: Random) -> dict[str, Any]:
        """Choose one observed value for each switch."""
        return {name: choose.choice(values) for name, values in _QUIRKS.items()}

    def promoted_by(self, go_live: str, operations: Sequence[dict[str, Any]]) -> str | None:
        """Return the submission that the go-live named."""
        return next((each["submission"] for each in operations if each["id"] == go_live), None)


def _type_of(resource: dict[str, Any]) -> str:
    return str(resource["$schema"]).split("/")[-2]


def _versions_in(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    resources = document["resources"]
    plans = {each["id"]: each["identity"]["externalId"] for each in resources if _type_of(each) == "plan"}
    for resource in resources:
        if _type_of(resource) == _CONFIGURATION:
            for version in resource["vmImageVersions"]:
                yield f"{plans[resource['plan']]} {version['versionNumber']}", version


def _of_plan(plan: str, disks: Mapping[str, str], examples: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the resources of a plan, modelled on those of the example's plan."""
    types = ("x64Gen2", "x64Gen1") if plan in _TWO_IMAGE_TYPES else ("x64Gen2",)
    made = []
    for example in examples:
        resource = copy.deepcopy(example)
        if _type_of(resource) == "plan":
            resource |= {"resourceName": plan, "identity": {"externalId": plan}, "alias": plan}
        else:
            resource["plan"] = {"resourceName": plan}
        if _type_of(resource) == _CONFIGURATION:
            # One SKU of a plan must have the plan's name.
            resource["skus"] = [
                {"imageType": each, "skuId": plan if each == types[0] else f"{plan}-{each.lower()}"} for each in types
            ]
            resource["vmImageVersions"] = [
                {"versionNumber": version, "vmImages": [_image(each, disk) for each in types]}
                for version, disk in disks.items()
            ]
        made.append(resource)
    return made


def _image(image_type: str, disk: str) -> dict[str, Any]:
    return {"imageType": image_type, "source": {"sourceType": "sasUri", "osDisk": {"uri": disk}, "dataDisks": []}}


def _disks_of(images: Iterable[dict[str, Any]]) -> str:
    return " and ".join(sorted({str(image["source"]["osDisk"]["uri"]).partition("?")[0] for image in images}))
