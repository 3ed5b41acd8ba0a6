"""How resources are answered: under a schema ceiling, with fresh signatures, and with the service's oddities."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from sandbox.product_ingestion.resources import STICKY_PROPERTIES, Resource, images_of, resources_in, schema_of
from sandbox.product_ingestion.schemas import (
    RETIRED_HOST,
    TECHNICAL_CONFIGURATIONS,
    address_of,
    is_newer,
    newest_below,
)
from sandbox.product_ingestion.submissions import Target
from sandbox.spelled_json import members_of
from sandbox.state import Offer, Snapshot
from sandbox.switches import Switches

_SHOWS_GALLERIES = "2026-04-01-preview1"


def snapshot_of(offer: Offer, target: Target) -> Snapshot | None:
    """Return the snapshot at a target."""
    return {"draft": offer.draft, "preview": offer.preview, "live": offer.production}[target]


def has_no_changes(offer: Offer) -> bool:
    """Return whether the draft has no change to publish."""
    return offer.production is not None and offer.draft.fingerprint == offer.production.fingerprint


def rendered(
    resources: Sequence[Resource],
    offer: Offer,
    target: Target,
    ceiling: str | None,
    now: datetime,
    switches: Switches,
) -> list[dict[str, Any]]:
    """Return the JSON of the resources of a target."""
    return [_rendered(resource, offer, target, ceiling, now, switches) for resource in resources]


def _rendered(
    resource: Resource, offer: Offer, target: Target, ceiling: str | None, now: datetime, switches: Switches
) -> dict[str, Any]:
    copy = resource.copy()
    plain, spelled = copy.plain, copy.spelled
    schema = schema_of(plain)
    if schema:
        version = newest_below(schema.type, schema.version, ceiling)
        retired = schema.type == "property" and switches.retired_schema_host_on_read
        if version != schema.version or retired:
            spelled["$schema"] = address_of(schema.type, version, *([RETIRED_HOST] if retired else []))
    if resource.type == "listing-asset" and "url" in plain:
        base = str(plain["url"]).split("?", 1)[0]
        expires = quote(f"{now + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}", safe="")
        spelled["url"] = f"{base}?sv=2022-11-02&sr=b&sp=r&se={expires}&sig={secrets.token_hex(8)}"
    if resource.type == "listing-asset" and switches.asset_type_case == "pascal" and plain.get("type"):
        spelled["type"] = plain["type"][:1].upper() + plain["type"][1:]
    if resource.type in TECHNICAL_CONFIGURATIONS:
        _show_configuration(copy, offer, target, ceiling, switches)
    return spelled


def _show_configuration(
    resource: Resource, offer: Offer, target: Target, ceiling: str | None, switches: Switches
) -> None:
    plain, spelled = resource.plain, resource.spelled
    schema, versions = schema_of(plain), spelled.get("vmImageVersions")
    if isinstance(versions, list):
        if (
            switches.ceiling_hides == "newer_configurations"
            and schema
            and ceiling
            and is_newer(schema.version, ceiling)
        ):
            spelled["vmImageVersions"] = []
        elif switches.ceiling_hides == "gallery_versions" and is_newer(_SHOWS_GALLERIES, ceiling or "2022-03-01"):
            spelled["vmImageVersions"] = [
                spelled_entry
                for entry, spelled_entry in zip(plain["vmImageVersions"], versions, strict=True)
                if not _has_gallery(entry)
            ]
    if switches.stale_draft_booleans and target == "draft" and offer.production is not None:
        live = next((each for each in resources_in(offer.production.text) if each.id == resource.id), None)
        known = members_of(live.plain.get("vmProperties")) if live else {}
        for name in STICKY_PROPERTIES:
            if known.get(name) is True and name in members_of(spelled.get("vmProperties")):
                spelled["vmProperties"][name] = False


def _has_gallery(entry: dict[str, Any]) -> bool:
    return any(
        members_of(image.get("source")).get("sourceType") == "sharedImageGallery" for image in images_of(entry)
    )
