"""The documents of offers, and what the service changes in them between a PUT and the next GET."""

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from sandbox.artifacts import stored_address
from sandbox.spelled_json import Spelled, Tree, members_of, objects_in, parse, parse_plain, render
from sandbox.versions import next_patch, version_order

VIRTUAL_MACHINE = "microsoft-azure-virtualmachines"
CORE_VM = "microsoft-azure-corevm"

LISTING = "microsoft-azure-marketplace."
_LEADS = ("table", "blob", "salesForce", "crm", "httpsEndpoint", "marketo")
_SECRET = re.compile(r"secret|password|key$|token|connectionstring", re.IGNORECASE)
_SERVER_OWNED = ("status", "version", "changedTime", "eTag", "offerTypeVersions")
_WINDOWS_OS_TYPE = f"{VIRTUAL_MACHINE}.windowsOSType"

Members: TypeAlias = dict[str, Tree]


def plans_of(document: object) -> list[dict[str, Any]]:
    """Return the plans of a document, which may be plain values or a tree."""
    return objects_in(members_of(members_of(document).get("definition")).get("plans"))


def image_maps_of(plan: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the image maps of a plan and of its disk generations, each after its place in the plan.

    An image map has versions as keys and images as values.
    """
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
    """Return a digest that two documents share if a publisher would call them the same draft."""
    document = members_of(parse_plain(text))
    if normalized:
        normalize(document)
    for name in _SERVER_OWNED:
        document.pop(name, None)
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def normalize(document: Members) -> None:
    """Add, drop and rewrite the members that the service adds, drops and rewrites. All others stay."""
    for name in ("eTag", "offerTypeVersions"):
        document.pop(name, None)
    offer = members_of(members_of(document.get("definition")).get("offer"))
    for name, value in offer.items():
        if name.endswith("Logo"):
            offer[name] = _stored_artifact(value)
    if _value_of(document.get("offerTypeId")) != VIRTUAL_MACHINE:
        return
    offer.setdefault("microsoft-azure-marketplace-testdrive.videos", [])
    for lead in _LEADS:
        offer.setdefault(f"{LISTING}{lead}LeadConfiguration", {})
    for plan in plans_of(document):
        plan.setdefault(f"{VIRTUAL_MACHINE}.certificationsFairfax", [])


def _value_of(value: Tree) -> object:
    return value.value if isinstance(value, Spelled) else value


def _stored_artifact(value: Tree) -> Tree:
    """Return the signed address of the service's copy of a file. A value that is no address stays as it is."""
    address = _value_of(value)
    if not isinstance(address, str) or not address.startswith(("http://", "https://")):
        return value
    stored = stored_address(address, "artifacts")
    return value if stored == address else f"{stored}?sv=2022-11-02&sr=b&sp=r&sig=sandbox"


def drop_windows_os_type(document: Members) -> None:
    """Drop the plans' windowsOSType, which one answer of the service lacks."""
    for plan in plans_of(document):
        plan.pop(_WINDOWS_OS_TYPE, None)


def drop_secrets(document: Members) -> None:
    """Drop the secrets of lead systems, which no answer of the service has."""
    offer = members_of(members_of(document.get("definition")).get("offer"))
    for name, configuration in offer.items():
        if name.endswith("LeadConfiguration") and isinstance(configuration, dict):
            for secret in [member for member in configuration if _SECRET.search(member)]:
                del configuration[secret]


def set_server_members(document: Members, members: Members, *, changed_time_in_definition: bool) -> None:
    """Set the members that the service owns, whatever the client sent."""
    for name, value in members.items():
        document.pop(name, None)
        definition = document.get("definition")
        if name == "changedTime" and changed_time_in_definition and isinstance(definition, dict):
            definition[name] = value
        else:
            document[name] = value


def with_added_version(text: str, plan_id: str | None, version: str | None) -> str:
    """Return the document with one more image version: a copy of a plan's newest one."""
    document = parse(text)
    plans = plans_of(document)
    chosen = [plan for plan in plans if plan_id is None or _value_of(plan.get("planId")) == plan_id][:1]
    for _, images in (found for plan in chosen for found in image_maps_of(plan)):
        newest = max(images, key=version_order, default=None)
        added = version or next_patch(newest or "0.0.0")
        images[added] = images[newest] if newest else {"osVhdUrl": "", "lunVhdDetails": []}
    return render(document)


def with_changed_text(text: str, plan_id: str | None, words: str) -> str:
    """Return the document with `words` as the description of a plan or, without `plan_id`, of the offer."""
    document = parse(text)
    holders = [plan for plan in plans_of(document) if plan_id and _value_of(plan.get("planId")) == plan_id]
    if holders:
        holders[0][f"{VIRTUAL_MACHINE}.skuDescription"] = words
    else:
        members_of(members_of(members_of(document).get("definition")).get("offer"))[f"{LISTING}description"] = words
    return render(document)
