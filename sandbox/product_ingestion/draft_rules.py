"""The rules on a change of a draft: what can be changed, left out and deleted."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.product_ingestion.errors import BUSINESS_ERROR
from sandbox.product_ingestion.ids import external_id_of
from sandbox.product_ingestion.resources import (
    STICKY_PROPERTIES,
    Resource,
    configurations_in,
    images_of,
    is_active,
    number_of,
    plan_ids_in,
    resources_in,
    skus_of,
    state_of,
    versions_of,
)
from sandbox.product_ingestion.schemas import CORE_VM_CONFIGURATION
from sandbox.product_ingestion.sources import identity_of
from sandbox.refusals import Detail
from sandbox.spelled_json import members_of
from sandbox.state import Offer
from sandbox.switches import Switches

_DURATION = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T.*)?")
_DAYS = (365, 30, 7, 1)
_LEAST_NOTICE = 90


@dataclass(frozen=True)
class _Plan:
    """The technical configuration of a plan, in the new draft and in each slot.

    Attributes:
        name: The external ID of the plan.
        target: The durable ID of the technical configuration.
        once_active: The versions that were active in Production at any time.
    """

    name: str
    target: str
    new: dict[str, Any]
    draft: dict[str, Any] | None
    preview: dict[str, Any] | None
    live: dict[str, Any] | None
    once_active: frozenset[str]

    def problem(self, message: str, code: str = BUSINESS_ERROR) -> Detail:
        return Detail(code, message, self.target)


def check_resources(
    offer: Offer | None,
    before: Sequence[Resource],
    after: Sequence[Resource],
    switches: Switches,
) -> list[Detail]:
    """Return what forbids replacing the draft `before` with `after`.

    `after` still has the image versions that are to be deleted.
    """
    preview = resources_in(offer.preview.text) if offer and offer.preview else ()
    live = resources_in(offer.production.text) if offer and offer.production else ()
    problems = [*_problems_with_products(after, live)]
    old = {resource.id: resource.plain for resource in before}
    plans = plan_ids_in(after)
    once_active = _once_active(offer) if offer else {}
    for configuration in configurations_in(after):
        if old.get(configuration.id) == configuration.plain:
            continue
        plan = _Plan(
            name=plans.get(str(configuration.plain.get("plan")), "?"),
            target=configuration.id,
            new=configuration.plain,
            draft=old.get(configuration.id),
            preview=_same(configuration, preview),
            live=_same(configuration, live),
            once_active=once_active.get(configuration.id, frozenset()),
        )
        problems += _problems_with_skus(plan, after)
        problems += _problems_with_versions(plan, switches)
        problems += _problems_with_sticky_properties(plan)
    return problems


def _same(resource: Resource, among: Sequence[Resource]) -> dict[str, Any] | None:
    return next((known.plain for known in among if known.id == resource.id), None)


def _once_active(offer: Offer) -> dict[str, frozenset[str]]:
    """Return the versions that were active in Production at any time, by technical configuration."""
    snapshots = [*offer.versions.values(), *([offer.production] if offer.production else [])]
    found: dict[str, set[str]] = {}
    for snapshot in snapshots:
        for configuration in configurations_in(resources_in(snapshot.text)):
            active = {number_of(entry) for entry in versions_of(configuration.plain) if is_active(entry)}
            found.setdefault(configuration.id, set()).update(active)
    return {durable: frozenset(numbers) for durable, numbers in found.items()}


def _problems_with_products(after: Sequence[Resource], live: Sequence[Resource]) -> Iterator[Detail]:
    remaining = {resource.id: resource for resource in after}
    product = next((resource for resource in after if resource.type == "product"), None)
    for resource in live:
        if resource.type == "plan" and resource.id not in remaining:
            name = external_id_of(resource.plain)
            yield Detail(BUSINESS_ERROR, f"The published plan '{name}' cannot be deleted.", resource.id)
    core = product is not None and product.plain.get("type") == "coreVirtualMachine"
    for configuration in configurations_in(after):
        if core != (configuration.type == CORE_VM_CONFIGURATION):
            message = f"A {configuration.type} does not belong to a product of this type."
            yield Detail("invalidResource", message, configuration.id)


def _problems_with_skus(plan: _Plan, after: Sequence[Resource]) -> Iterator[Detail]:
    skus = [(str(sku.get("imageType")), str(sku.get("skuId"))) for sku in skus_of(plan.new)]
    for image_type, times in Counter(image_type for image_type, _ in skus).items():
        if times > 1:
            yield plan.problem(f"The image type {image_type} of plan '{plan.name}' has {times} SKUs.")
    elsewhere = Counter(
        str(sku.get("skuId")) for configuration in configurations_in(after) for sku in skus_of(configuration.plain)
    )
    for _, sku_id in skus:
        if elsewhere[sku_id] > 1:
            yield plan.problem(f"The SkuId '{sku_id}' must be unique in the offer.")
    if skus and plan.name not in [sku_id for _, sku_id in skus]:
        yield plan.problem(f"One of the SkuIds should match plan Id '{plan.name}'.")
    now = dict(skus)
    published = {
        str(sku.get("imageType")): str(sku.get("skuId"))
        for place in (plan.preview, plan.live)
        for sku in skus_of(place)
    }
    for image_type, sku_id in published.items():
        if image_type in now and now[image_type] != sku_id:
            yield plan.problem(f"The SkuId '{sku_id}' of {image_type} is locked by a previous submission.")
    for sku in skus_of(plan.live):
        if sku.get("imageType") not in now:
            message = f"The image type {sku.get('imageType')} cannot be removed from the live plan '{plan.name}'."
            yield plan.problem(message)


def _problems_with_versions(plan: _Plan, switches: Switches) -> Iterator[Detail]:
    entries = versions_of(plan.new)
    kept = [entry for entry in entries if state_of(entry) != "deleted"]
    active = [entry for entry in kept if is_active(entry)]
    types = {sku.get("imageType") for sku in skus_of(plan.new)}
    for entry in kept:
        for image in images_of(entry):
            if image.get("imageType") not in types:
                message = f"Version {number_of(entry)} has an image of {image.get('imageType')}, which has no SKU."
                yield plan.problem(message)
    seen = Counter((number_of(entry), str(image.get("imageType"))) for entry in kept for image in images_of(entry))
    for (number, image_type), times in seen.items():
        if times > 1:
            yield plan.problem(f"Version {number} has {times} images of {image_type}.")
    for image_type in sorted(map(str, types)):
        if not any(image.get("imageType") == image_type for entry in active for image in images_of(entry)):
            yield plan.problem(f"The SKU of {image_type} of plan '{plan.name}' requires at least one active image.")
    if plan.live and not active:
        yield plan.problem(f"The plan '{plan.name}' requires at least one active image.")
    if switches.active_version_limit and len(active) > switches.active_version_limit:
        message = (
            f"The plan '{plan.name}' has {len(active)} active image versions; "
            f"at most {switches.active_version_limit} are allowed."
        )
        yield plan.problem(message, "collectionLimitExceeded")
    yield from _problems_with_published(plan, entries)
    yield from _problems_with_schedules(plan, kept)


def _problems_with_published(plan: _Plan, entries: Sequence[dict[str, Any]]) -> Iterator[Detail]:
    named = {number_of(entry) for entry in entries}
    deleted = {number_of(entry) for entry in entries if state_of(entry) == "deleted"}
    live = {number_of(entry): entry for entry in versions_of(plan.live)}
    preview = {number_of(entry): entry for entry in versions_of(plan.preview)}
    drafted = {number_of(entry) for entry in versions_of(plan.draft)}
    for number, entry in live.items():
        if number not in named or number in deleted:
            yield plan.problem(_cannot_delete(plan, number))
        elif not is_active(entry) and number not in plan.once_active and _is_restored(number, entries):
            yield plan.problem(_cannot_restore(plan, number))
    for number, entry in preview.items():
        if number in live:
            continue
        if number not in named and number in drafted:
            yield plan.problem(_cannot_delete(plan, number) if is_active(entry) else _cannot_restore(plan, number))
        elif not is_active(entry) and _is_restored(number, entries):
            yield plan.problem(_cannot_restore(plan, number))
    now = _images(entry for entry in entries if state_of(entry) != "deleted")
    for number, images in (_images(versions_of(plan.preview)) | _images(versions_of(plan.live))).items():
        if number in now and now[number] != images:
            yield plan.problem(f"Version {number} of plan '{plan.name}' is published: its images cannot be changed.")


def _is_restored(number: str, entries: Sequence[dict[str, Any]]) -> bool:
    return any(number_of(entry) == number and is_active(entry) for entry in entries)


def _cannot_delete(plan: _Plan, number: str) -> str:
    return f"Cannot delete published image: version {number} of plan '{plan.name}' has already been published."


def _cannot_restore(plan: _Plan, number: str) -> str:
    return (
        f"Cannot restore image: version {number} of plan '{plan.name}' was deprecated before it was first "
        "published to live."
    )


def _images(entries: Iterator[dict[str, Any]] | Sequence[dict[str, Any]]) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for entry in entries:
        for image in images_of(entry):
            source = identity_of(members_of(image.get("source")))
            found.setdefault(number_of(entry), {})[str(image.get("imageType"))] = source
    return found


def _problems_with_schedules(plan: _Plan, kept: Sequence[dict[str, Any]]) -> Iterator[Detail]:
    before = {number_of(entry) for entry in versions_of(plan.draft) if not is_active(entry)}
    for entry in kept:
        schedule = members_of(entry.get("deprecationSchedule"))
        if not schedule or is_active(entry) or number_of(entry) in before:
            continue
        reason, offset = schedule.get("reason"), schedule.get("dateOffset")
        if reason not in ("criticalSecurityIssue", "endOfSupport", "other"):
            yield plan.problem(f"The deprecation of version {number_of(entry)} has an unknown reason: {reason!r}.")
        if offset is None:
            continue
        days = days_of(str(offset))
        if days is None:
            yield plan.problem(
                f"The dateOffset of version {number_of(entry)} is not an ISO 8601 duration: {offset!r}."
            )
        elif days < _LEAST_NOTICE and reason != "criticalSecurityIssue":
            number = number_of(entry)
            yield plan.problem(f"The deprecation of version {number} must be at least {_LEAST_NOTICE} days ahead.")


def days_of(duration: str) -> int | None:
    """Return the days of an ISO 8601 duration, with 30 days a month and 365 a year; None if it is none."""
    match = _DURATION.fullmatch(duration)
    if match is None or duration in ("P", "PT"):
        return None
    return sum(int(count or 0) * days for count, days in zip(match.groups(), _DAYS, strict=True))


def _problems_with_sticky_properties(plan: _Plan) -> Iterator[Detail]:
    was, now = members_of(members_of(plan.live).get("vmProperties")), members_of(plan.new.get("vmProperties"))
    for name in STICKY_PROPERTIES:
        if was.get(name) is True and now.get(name) is False:
            yield plan.problem(
                f"The property {name} is already enabled for plan '{plan.name}' and cannot be disabled."
            )
