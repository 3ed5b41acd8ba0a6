"""What the workflows are given, as a person would write it."""

from typing import Any

from tests.campaigns.chaos.scenarios import SAS
from tests.campaigns.model.nouns import Intent, plan_of
from tests.campaigns.model.rig import ACCOUNT
from tests.harness.apis import Api

PLANS = ("lts", "edge")
MAIL = "@model.example"
"""Every publish of an intent is announced to an address of its own, by which the marketplace's operation is known."""

_POLLING = {"min_interval": 0.1, "max_interval": 0.1}


def disk_of(plan: str, version: str, *, other: bool = False) -> str:
    """Return the address of a disk; the worker holds the key of its account."""
    return f"https://{ACCOUNT}.blob.core.windows.net/vhds/{plan}-{version}{'-other' * other}.vhd"


def base() -> dict[str, str]:
    """Return the images that every offer begins with."""
    return {f"{plan} 1.0.0": disk_of(plan, "1.0.0") for plan in PLANS}


def published_by_hand(publisher: str, api: Api) -> dict[str, Any]:
    """Return the document of somebody without a worker to sign disks."""
    signed = {image: f"{disk}?{SAS}" for image, disk in base().items()}
    document: dict[str, Any]
    *_, document = api.definition(publisher, PLANS, signed).values()
    return document


def input_of(intent: Intent, publisher: str, api: Api) -> dict[str, Any]:
    """Return the input of a workflow."""
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
    if intent.alone:
        start["publish"] = "modular"
    if intent.workflow == "promote":
        start["approval"] = {"required": intent.approval, "approvers": list(intent.approvers)}
    return start


def wants(intent: Intent) -> str:
    """Say what an intent wants."""
    images = [f"{image}{' (other disk)' * ('-other' in disk)}" for image, disk in intent.images.items()]
    said = [", ".join(images) or "whatever is there"]
    if intent.edits:
        said.append(f"if_publishing {intent.if_publishing}")
    if intent.limit != Intent.limit:
        said.append(f"limit {intent.limit}{', remove oldest' * intent.remove_oldest}")
    if intent.workflow == "promote":
        said.append(f"approvers {', '.join(intent.approvers) or 'anyone'}" if intent.approval else "no approval")
    said += ["include changes by others"] * intent.includes + ["its plans alone"] * intent.alone
    if intent.workflow == "create":
        said.append("replace" if intent.replace else "new")
    return "; ".join(said)


def _version(image: str) -> str:
    return image.partition(" ")[2]
