"""What the workflows are given, as a person would write it."""

import json
from pathlib import Path
from typing import Any

from bench.chaos.scenarios import IMAGES, SAS
from bench.model.nouns import Images, Intent, plan_of
from bench.model.rig import ACCOUNT

OFFER = "appliance"
PLANS = ("lts", "edge")
MAIL = "@model.example"
"""Every publish of an intent is announced to an address of its own, by which the marketplace's operation is known."""

_EXAMPLE = json.loads((Path(__file__).parent.parent.parent / "examples" / "create.json").read_text())["offer"]
_POLLING = {"min_interval": 0.1, "max_interval": 0.1}


def disk_of(plan: str, version: str, *, other: bool = False) -> str:
    """Return the address of a disk; the worker holds the key of its account."""
    return f"https://{ACCOUNT}.blob.core.windows.net/vhds/{plan}-{version}{'-other' * other}.vhd"


def base() -> dict[str, str]:
    """Return the images that every offer begins with."""
    return {f"{plan} 1.0.0": disk_of(plan, "1.0.0") for plan in PLANS}


def published_by_hand(publisher: str) -> dict[str, Any]:
    """Return the document of somebody without a worker to sign disks."""
    return _document(publisher, {image: f"{disk}?{SAS}" for image, disk in base().items()})


def input_of(intent: Intent, publisher: str) -> dict[str, Any]:
    """Return the input of a workflow."""
    mail = {"notification_emails": [f"{intent}{MAIL}"], "polling": _POLLING}
    if intent.workflow == "create":
        offer = _document(publisher, intent.images)
        return mail | {"offer": offer, "if_exists": "replace" if intent.replace else "fail"}
    address: dict[str, Any] = {"publisher_id": publisher, "offer_id": OFFER}
    if intent.workflow == "check":
        return address | {"polling": _POLLING}
    start = address | mail | {"if_publishing": intent.if_publishing, "max_versions_per_plan": intent.limit}
    start["when_full"] = "remove_oldest" if intent.remove_oldest else "fail"
    start["images"] = [
        {"plan_id": plan_of(image), "version": _version(image), "os_vhd_url": disk}
        for image, disk in intent.images.items()
    ]
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
    if intent.workflow == "create":
        said.append("replace" if intent.replace else "new")
    return "; ".join(said)


def _document(publisher: str, images: Images) -> dict[str, Any]:
    offer: dict[str, Any] = json.loads(json.dumps(_EXAMPLE)) | {"publisherId": publisher, "id": OFFER}
    example = offer["definition"]["plans"][0]
    offer["definition"]["plans"] = [
        example
        | {
            "planId": plan,
            IMAGES: {
                _version(image): {"osVhdUrl": disk, "lunVhdDetails": []}
                for image, disk in images.items()
                if plan_of(image) == plan
            },
        }
        for plan in PLANS
    ]
    return offer


def _version(image: str) -> str:
    return image.partition(" ")[2]
