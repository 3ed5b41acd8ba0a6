"""The Cloud Partner Portal API."""

import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from tests.campaigns.apis.api import Call, Images, plan_of, version_of
from tests.harness.processes import ROOT

IMAGES = "microsoft-azure-virtualmachines.vmImages"

_EXAMPLE = ROOT / "examples" / "create.json"


class CloudPartnerCampaignApi:
    """An offer is one document. Drafts may have ETags. Going live promotes the last publish."""

    name = "cloud-partner"
    path = ""
    calls: Mapping[Call, str] = {
        "edit": "put_offer",
        "publish": "publish",
        "go_live": "go_live",
        "cancel": "cancel",
        "read_slot": "read_offer",
        "list_operations": "list_operations",
        "read_operation": "read_operation",
    }
    guards_drafts = True
    names_publishers = True
    cancels_all = True

    def offer_id(self, _publisher: str) -> str:
        """Return the same ID for every publisher."""
        return "appliance"

    def definition(self, publisher: str, plans: Sequence[str], images: Images) -> dict[str, Any]:
        """Return the example's offer with other plans."""
        offer = json.loads(_EXAMPLE.read_text())["offer"]
        offer |= {"publisherId": publisher, "id": self.offer_id(publisher)}
        example = offer["definition"]["plans"][0]
        offer["definition"]["plans"] = [
            example
            | {
                "planId": plan,
                IMAGES: {
                    version_of(image): {"osVhdUrl": disk, "lunVhdDetails": []}
                    for image, disk in images.items()
                    if plan_of(image) == plan
                },
            }
            for plan in plans
        ]
        return {"offer": offer}

    def images_in(self, document: dict[str, Any]) -> dict[str, str]:
        """Return the images of all plans. Their disk URLs have no query."""
        return {
            f"{plan['planId']} {version}": image["osVhdUrl"].partition("?")[0]
            for plan in document["definition"]["plans"]
            for version, image in plan[IMAGES].items()
        }

    def deprecated_in(self, _document: dict[str, Any]) -> frozenset[str]:
        """Return nothing, because this API removes versions instead of deprecating them."""
        return frozenset()

    def listing_in(self, _document: dict[str, Any]) -> str:
        """Return nothing. This API publishes the whole draft, and the campaigns change no listing."""
        return ""

    def quirks(self, _choose: Random) -> dict[str, Any]:
        """Choose nothing. The scenario decides about ETags."""
        return {}

    def promoted_by(self, go_live: str, operations: Sequence[dict[str, Any]]) -> str | None:
        """Return the last publish before the go-live."""
        promoted = None
        for operation in operations:
            if operation["id"] == go_live:
                return promoted
            if operation["kind"] == "publish":
                promoted = operation["id"]
        return None
