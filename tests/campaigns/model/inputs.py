"""The inputs of the workflows, as a person would write them."""

from typing import Any

from tests.campaigns.apis import CampaignApi
from tests.campaigns.model.entities import Intent, plan_of
from tests.campaigns.model.rig import ACCOUNT
from tests.campaigns.secrets import SAS

PLANS = ("lts", "edge")
MAIL = "@model.example"
"""Each intent has its own notification address, which shows whose publish an operation is."""

_POLLING = {"min_interval": 0.1, "max_interval": 0.1}


def disk_of(plan: str, version: str, *, other: bool = False) -> str:
    """Return the URL of a disk, which the worker signs."""
    return f"https://{ACCOUNT}.blob.core.windows.net/vhds/{plan}-{version}{'-other' * other}.vhd"


def base() -> dict[str, str]:
    """Return the images of a new offer."""
    return {f"{plan} 1.0.0": disk_of(plan, "1.0.0") for plan in PLANS}


def published_by_hand(publisher: str, api: CampaignApi) -> dict[str, Any]:
    """Return the document of a new offer, with signed disks."""
    signed = {image: f"{disk}?{SAS}" for image, disk in base().items()}
    document: dict[str, Any]
    *_, document = api.definition(publisher, PLANS, signed).values()
    return document


def input_of(intent: Intent, publisher: str, api: CampaignApi) -> dict[str, Any]:
    """Return the input of an intent's workflow."""
    mail = {"notification_emails": [f"{intent}{MAIL}"], "polling": _POLLING}
    if intent.workflow == "create":
        offer = api.definition(publisher, PLANS, intent.images)
        return mail | offer | {"if_exists": "replace" if intent.replace else "fail"}
    address: dict[str, Any] = {"publisher_id": publisher, "offer_id": api.offer_id(publisher)}
    if intent.workflow == "check":
        return address | {"polling": _POLLING}
    start = address | mail | {"if_publishing": intent.if_publishing, "max_versions_per_plan": intent.limit}
    start["when_full"] = "remove_oldest" if intent.remove_oldest else "fail"
    start["images"] = [
        {"plan_id": plan_of(image), "version": _version(image), "os_vhd_url": disk}
        for image, disk in intent.images.items()
    ]
    if intent.includes and not api.guards_drafts:
        start["foreign_edits"] = "include"
    if intent.modular:
        start["publish"] = "modular"
    if intent.workflow == "promote":
        start["approval"] = {"required": intent.approval, "approvers": list(intent.approvers)}
    return start


def wants(intent: Intent) -> str:
    """Describe an intent for the list of steps."""
    images = [f"{image}{' (other disk)' * ('-other' in disk)}" for image, disk in intent.images.items()]
    parts = [", ".join(images) or "whatever is there"]
    if intent.edits:
        parts.append(f"if_publishing {intent.if_publishing}")
    if intent.limit != Intent.limit:
        parts.append(f"limit {intent.limit}{', remove oldest' * intent.remove_oldest}")
    if intent.workflow == "promote":
        parts.append(f"approvers {', '.join(intent.approvers) or 'anyone'}" if intent.approval else "no approval")
    parts += ["include changes by others"] * intent.includes + ["only its plans"] * intent.modular
    if intent.workflow == "create":
        parts.append("replace" if intent.replace else "new")
    return "; ".join(parts)


def _version(image: str) -> str:
    return image.partition(" ")[2]
