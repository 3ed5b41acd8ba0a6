"""Changes of a draft, and the part of a draft that a modular publish takes."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sandbox.product_ingestion.draft_rules import days_of
from sandbox.product_ingestion.resources import Resource, is_active, resources_in, state_of, text_of, versions_of
from sandbox.product_ingestion.schemas import TECHNICAL_CONFIGURATIONS
from sandbox.spelled_json import members_of
from sandbox.state import Offer


def merge(before: Iterable[Resource], changes: Sequence[Resource]) -> list[Resource]:
    """Return the draft after the changes. Each change is a whole resource, which replaces or deletes one."""
    merged = {resource.id: resource for resource in before}
    for resource in changes:
        merged[resource.id] = resource
    gone = {resource.id for resource in changes if state_of(resource.plain) == "deleted"}
    return [
        resource
        for resource in merged.values()
        if resource.id not in gone and not gone & {resource.plain.get("plan"), resource.plain.get("product")}
    ]


def clean(resources: Iterable[Resource], now: datetime) -> list[Resource]:
    """Return the draft as it is stored: without deleted image versions, and with the dates of deprecations."""
    return [
        _clean(resource.copy(), now) if resource.type in TECHNICAL_CONFIGURATIONS else resource
        for resource in resources
    ]


def _clean(configuration: Resource, now: datetime) -> Resource:
    plain, spelled = versions_of(configuration.plain), configuration.spelled.get("vmImageVersions")
    if not isinstance(spelled, list):
        return configuration
    kept = [
        (entry, spelled_entry)
        for entry, spelled_entry in zip(plain, spelled, strict=True)
        if state_of(entry) != "deleted"
    ]
    for entry, spelled_entry in kept:
        if not is_active(entry):
            _set_date(entry, spelled_entry, now)
    configuration.plain["vmImageVersions"] = [entry for entry, _ in kept]
    configuration.spelled["vmImageVersions"] = [spelled_entry for _, spelled_entry in kept]
    return configuration


def _set_date(entry: dict[str, Any], spelled_entry: dict[str, Any], now: datetime) -> None:
    schedule = members_of(entry.get("deprecationSchedule"))
    days = days_of(str(schedule.get("dateOffset", "")))
    if days is not None and "date" not in schedule:
        date = f"{now + timedelta(days=days):%Y-%m-%d}"
        entry["deprecationSchedule"]["date"] = spelled_entry["deprecationSchedule"]["date"] = date


def published_alone(offer: Offer, after: Sequence[Resource], named: Sequence[Resource]) -> str:
    """Return what a modular publish makes the preview: the last preview with the named resources.

    A plan that the last preview does not have is taken from the draft with all its resources. The first publish takes
    the whole draft.
    """
    last = offer.preview or offer.production
    if last is None:
        return text_of(after)
    base = {resource.id: resource for resource in resources_in(last.text)}
    old_plans = {durable for durable, resource in base.items() if resource.type == "plan"}
    names = {resource.id for resource in named}
    new_plans = {resource.id for resource in named if resource.type == "plan"} - old_plans
    for resource in after:
        if resource.id in names or {resource.id, resource.plain.get("plan")} & new_plans:
            base[resource.id] = resource
    return text_of(base.values())
