"""What the service does to a document between the PUT and the next GET."""

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from sandbox.json_text import Spelled, Tree, members_of, objects_in, parse, parse_plain, render
from sandbox.versions import next_patch, version_order

VIRTUAL_MACHINE = "microsoft-azure-virtualmachines"
CORE_VM = "microsoft-azure-corevm"
STORAGE = "https://sandboxartifacts.blob.core.windows.net"

_LISTING = "microsoft-azure-marketplace."
_LEADS = ("table", "blob", "salesForce", "crm", "httpsEndpoint", "marketo")
_SECRET = re.compile(r"secret|password|key$|token|connectionstring", re.IGNORECASE)
_SERVER_OWNED = ("status", "version", "changedTime", "eTag", "offerTypeVersions")
_WINDOWS_OS_TYPE = f"{VIRTUAL_MACHINE}.windowsOSType"

Members: TypeAlias = dict[str, Tree]


def plans_of(document: object) -> list[dict[str, Any]]:
    """The plans of a document, as plain values or as a tree."""
    return objects_in(members_of(members_of(document).get("definition")).get("plans"))


def image_maps_of(plan: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The maps from version to image of a plan and of its generations, each with where it is."""
    places = [("", plan)]
    places += [
        (f".diskGenerations[{number}]", generation)
        for number, generation in enumerate(objects_in(plan.get("diskGenerations")))
    ]
    for place, holder in places:
        for name, value in holder.items():
            if name.endswith((".vmImages", ".vmImagesPublicAzure")) and isinstance(value, dict):
                yield f"{place}['{name}']", value


def fingerprint_of(text: str, *, normalized: bool) -> str:
    """The same for two documents when a publisher would call them the same draft."""
    document = members_of(parse_plain(text))
    if normalized:
        normalize(document)
    for name in _SERVER_OWNED:
        document.pop(name, None)
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def normalize(document: Members) -> None:
    """Add the empty members, drop and rewrite what the service does; all else stays."""
    for name in ("eTag", "offerTypeVersions"):
        document.pop(name, None)
    offer = members_of(members_of(document.get("definition")).get("offer"))
    for name, value in offer.items():
        if name.endswith("Logo"):
            offer[name] = _stored_artifact(value)
    if _meaning(document.get("offerTypeId")) != VIRTUAL_MACHINE:
        return
    offer.setdefault("microsoft-azure-marketplace-testdrive.videos", [])
    for lead in _LEADS:
        offer.setdefault(f"{_LISTING}{lead}LeadConfiguration", {})
    for plan in plans_of(document):
        plan.setdefault(f"{VIRTUAL_MACHINE}.certificationsFairfax", [])


def _meaning(value: Tree) -> object:
    return value.value if isinstance(value, Spelled) else value


def _stored_artifact(value: Tree) -> Tree:
    """The service downloads a file that is not in its own storage, and answers with its own address."""
    address = _meaning(value)
    if not isinstance(address, str) or not address.startswith(("http://", "https://")):
        return value
    if address.startswith(STORAGE):
        return value
    name = urlsplit(address).path.rsplit("/", 1)[-1] or "file"
    digest = hashlib.sha256(address.encode()).hexdigest()[:16]
    return f"{STORAGE}/artifacts/{digest}/{name}?sv=2022-11-02&sr=b&sp=r&sig=sandbox-{digest}"


def drop_windows_os_type(document: Members) -> None:
    """Leave out that plan member, which one answer of the service lacks."""
    for plan in plans_of(document):
        plan.pop(_WINDOWS_OS_TYPE, None)


def drop_secrets(document: Members) -> None:
    """Leave out the secrets of lead systems: they are never given back."""
    offer = members_of(members_of(document.get("definition")).get("offer"))
    for name, configuration in offer.items():
        if name.endswith("LeadConfiguration") and isinstance(configuration, dict):
            for secret in [member for member in configuration if _SECRET.search(member)]:
                del configuration[secret]


def set_server_members(document: Members, members: Members, *, changed_time_in_definition: bool) -> None:
    """Set the members which the server owns, whatever the client sent in their place."""
    for name, value in members.items():
        document.pop(name, None)
        definition = document.get("definition")
        if name == "changedTime" and changed_time_in_definition and isinstance(definition, dict):
            definition[name] = value
        else:
            document[name] = value


def with_added_version(text: str, plan_id: str | None, version: str | None) -> str:
    """The document after somebody else added an image version like the newest one to a plan."""
    document = parse(text)
    plans = plans_of(document)
    chosen = [plan for plan in plans if plan_id is None or _meaning(plan.get("planId")) == plan_id][:1]
    for _, images in (found for plan in chosen for found in image_maps_of(plan)):
        newest = max(images, key=version_order, default=None)
        added = version or next_patch(newest or "0.0.0")
        images[added] = images[newest] if newest else {"osVhdUrl": "", "lunVhdDetails": []}
    return render(document)


def with_changed_text(text: str, plan_id: str | None, words: str) -> str:
    """The document after somebody else wrote another description, of a plan or of the offer."""
    document = parse(text)
    holders = [plan for plan in plans_of(document) if plan_id and _meaning(plan.get("planId")) == plan_id]
    if holders:
        holders[0][f"{VIRTUAL_MACHINE}.skuDescription"] = words
    else:
        members_of(members_of(members_of(document).get("definition")).get("offer"))[f"{_LISTING}description"] = words
    return render(document)
