"""The checks of a document: few at a PUT, nearly all at a publish."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sandbox.cloud_partner.documents import CORE_VM, LISTING, VIRTUAL_MACHINE, image_maps_of, plans_of
from sandbox.refusals import Detail, RefusedError
from sandbox.sas import blob_of
from sandbox.spelled_json import members_of, objects_in, parse_plain
from sandbox.switches import Switches

_ID = re.compile(r"[a-z0-9]([a-z0-9_-]{0,48}[a-z0-9_])?")
_IMAGE_VERSION = re.compile(r"[0-9]+(\.[0-9]+){2}")
_BAD_REQUEST = 400
_INVALID_ENTITY = 422

_REQUIRED_OF_OFFER = (
    "title",
    "summary",
    "longSummary",
    "description",
    "offerMarketingUrlIdentifier",
    "allowedSubscriptions",
    "categoryMap",
    "smallLogo",
    "mediumLogo",
    "largeLogo",
    "wideLogo",
    "privacyURL",
    "termsOfUse",
    "engineeringContactName",
    "engineeringContactEmail",
    "engineeringContactPhone",
    "supportContactName",
    "supportContactEmail",
    "supportContactPhone",
)
_LONGEST_OF_OFFER = {
    "title": 50,
    "summary": 100,
    "longSummary": 256,
    "description": 3000,
    "offerMarketingUrlIdentifier": 50,
}
_REQUIRED_OF_PLAN = (
    "skuTitle",
    "skuSummary",
    "skuDescription",
    "hideSKUForSolutionTemplate",
    "cloudAvailability",
    "operatingSystemFamily",
    "operationSystem",
    "recommendedVMSizes",
)
_LONGEST_OF_PLAN = {"skuTitle": 50, "skuSummary": 100}
_MOST_SIZES = 6
_MOST_SUBSCRIPTIONS = 100


def check_put(text: str, publisher_id: str, offer_id: str, offer_type: str | None, switches: Switches) -> str:
    """Refuse a document that the service does not store. Return its offer type."""
    try:
        document = parse_plain(text)
    except (ValueError, RecursionError):
        raise RefusedError(_BAD_REQUEST, "InvalidRequest", "The body is not JSON.") from None
    if not isinstance(document, dict) or not isinstance(document.get("definition"), dict):
        raise RefusedError(_BAD_REQUEST, "InvalidRequest", "The body must be an object with the member 'definition'.")
    if not _ID.fullmatch(offer_id):
        message = f"The offer id '{offer_id}' must be 1 to 50 lowercase letters, digits, dashes or underscores."
        raise RefusedError(_BAD_REQUEST, "InvalidOfferId", message)
    for member, expected in (("id", offer_id), ("publisherId", publisher_id), ("offerTypeId", offer_type)):
        given = document.get(member)
        if not isinstance(given, str) or (expected is not None and given != expected):
            message = (
                f"The member '{member}' must be '{expected}', not {given!r}."
                if expected
                else f"The member '{member}' is required."
            )
            raise RefusedError(_BAD_REQUEST, "InvalidRequest", message)
    plan_ids = [plan.get("planId") for plan in plans_of(document)]
    for plan_id in plan_ids:
        if not isinstance(plan_id, str) or not _ID.fullmatch(plan_id) or plan_ids.count(plan_id) > 1:
            message = f"Every plan needs a valid, unique 'planId'; found {plan_id!r}."
            raise RefusedError(_BAD_REQUEST, "InvalidPlanId", message)
    _check_version_limit(document, switches.version_limit)
    return str(document["offerTypeId"])


def _check_version_limit(document: dict[str, Any], limit: int) -> None:
    if document["offerTypeId"] == CORE_VM or not limit:
        return
    for plan in plans_of(document):
        for _, images in image_maps_of(plan):
            if len(images) > limit:
                message = (
                    f"Plan '{plan.get('planId')}' has {len(images)} image versions; at most {limit} are allowed."
                )
                raise RefusedError(_BAD_REQUEST, "TooManyImageVersions", message)


def check_publish(text: str, preview: str | None, production: str | None, switches: Switches) -> None:
    """Refuse a draft that is not ready to be published. The error names every member at fault."""
    document = members_of(parse_plain(text))
    details = list(_problems(document, switches))
    plans = plans_of(document)
    if preview:
        details += _problems_with_changed_plans(plans, plans_of(parse_plain(preview)), live=False)
    if production:
        details += _problems_with_changed_plans(plans, plans_of(parse_plain(production)), live=True)
    details = list(dict.fromkeys(details))
    if details:
        message = "The offer failed validation. " + " ".join(detail.message for detail in details)
        raise RefusedError(_INVALID_ENTITY, "ValidationFailed", message, details)


def _problems(document: dict[str, Any], switches: Switches) -> Iterator[Detail]:
    plans = plans_of(document)
    if not plans:
        yield _missing("definition.plans")
    if document.get("offerTypeId") == VIRTUAL_MACHINE:
        offer = members_of(members_of(document.get("definition")).get("offer"))
        yield from _problems_with_listing(offer)
        for number, plan in enumerate(plans):
            yield from _problems_with_plan(plan, f"definition.plans[{number}]")
    if document.get("offerTypeId") in (VIRTUAL_MACHINE, CORE_VM):
        for number, plan in enumerate(plans):
            yield from _problems_with_images(plan, f"definition.plans[{number}]", document, switches)


def _absent(value: object) -> bool:
    return value is None or value in ("", [], {})


def _missing(target: str) -> Detail:
    return Detail("MissingMember", f"{target} is required.", target)


def _problems_with_members(
    members: dict[str, Any], place: str, prefix: str, required: Sequence[str], longest: dict[str, int]
) -> Iterator[Detail]:
    for name in required:
        if _absent(members.get(prefix + name)):
            yield _missing(f"{place}['{prefix}{name}']")
    for name, limit in longest.items():
        value = members.get(prefix + name)
        if isinstance(value, str) and len(value) > limit:
            target = f"{place}['{prefix}{name}']"
            yield Detail("TooLong", f"{target} has {len(value)} characters; at most {limit} are allowed.", target)


def _problems_with_listing(offer: dict[str, Any]) -> Iterator[Detail]:
    place = "definition.offer"
    yield from _problems_with_members(offer, place, LISTING, _REQUIRED_OF_OFFER, _LONGEST_OF_OFFER)
    subscriptions = offer.get(LISTING + "allowedSubscriptions")
    if isinstance(subscriptions, list) and len(subscriptions) > _MOST_SUBSCRIPTIONS:
        target = f"{place}['{LISTING}allowedSubscriptions']"
        yield Detail("TooMany", f"{target} allows at most {_MOST_SUBSCRIPTIONS} subscriptions.", target)


def _problems_with_plan(plan: dict[str, Any], place: str) -> Iterator[Detail]:
    prefix = f"{VIRTUAL_MACHINE}."
    yield from (
        _missing(f"{place}.{name}") for name in ("regions", "virtualMachinePricing") if _absent(plan.get(name))
    )
    required = [*_REQUIRED_OF_PLAN]
    if plan.get(prefix + "operatingSystemFamily") == "Windows":
        required.append("windowsOSType")
    yield from _problems_with_members(plan, place, prefix, required, _LONGEST_OF_PLAN)
    sizes = plan.get(prefix + "recommendedVMSizes")
    if isinstance(sizes, list) and len(sizes) > _MOST_SIZES:
        target = f"{place}['{prefix}recommendedVMSizes']"
        yield Detail("TooMany", f"{target} allows at most {_MOST_SIZES} sizes.", target)


def _problems_with_images(
    plan: dict[str, Any], place: str, document: dict[str, Any], switches: Switches
) -> Iterator[Detail]:
    core = document.get("offerTypeId") == CORE_VM
    maps = list(image_maps_of(plan))
    if not any(images for _, images in maps):
        name = f"{CORE_VM}.vmImagesPublicAzure" if core else f"{VIRTUAL_MACHINE}.vmImages"
        target = f"{place}['{name}']"
        yield Detail("NoImage", f"{target}: plan '{plan.get('planId')}' has no image.", target)
    for where, images in maps:
        counts = set()
        for version, image in images.items():
            target = f"{place}{where}['{version}']"
            if not core and not _IMAGE_VERSION.fullmatch(version):
                yield Detail("InvalidVersion", f"{target}: a version is three numbers such as 1.2.3.", target)
            if _absent(members_of(image).get("osVhdUrl")):
                yield _missing(f"{target}.osVhdUrl")
            disks = members_of(image).get("lunVhdDetails") or []
            counts.add(len(disks) if isinstance(disks, list) else 0)
        if len(counts) > 1 or max(counts, default=0) > switches.max_data_disks:
            target = place + where
            message = f"{target}: every version of a plan needs the same number of data disks, at most "
            yield Detail("DataDisks", f"{message}{switches.max_data_disks}; found {sorted(counts)}.", target)


def _problems_with_changed_plans(
    plans: list[dict[str, Any]], before: list[dict[str, Any]], *, live: bool
) -> Iterator[Detail]:
    by_id = {plan.get("planId"): (number, plan) for number, plan in enumerate(plans)}
    for old in before:
        plan_id = old.get("planId")
        if plan_id in by_id:
            number, plan = by_id[plan_id]
            place = f"definition.plans[{number}]"
            yield from _problems_with_changed_images(old, plan, place)
            if live:
                yield from _problems_with_changed_terms(old, plan, place)
        elif live:
            target = "definition.plans"
            yield Detail("PlanRemoved", f"{target}: the published plan '{plan_id}' cannot be removed.", target)


def _problems_with_changed_terms(old: dict[str, Any], plan: dict[str, Any], place: str) -> Iterator[Detail]:
    plan_id = plan.get("planId")
    for name in ("regions", f"{VIRTUAL_MACHINE}.cloudAvailability"):
        gone = [item for item in old.get(name) or [] if item not in (plan.get(name) or [])]
        if gone:
            target = f"{place}['{name}']"
            yield Detail("Withdrawn", f"{target}: {gone} of plan '{plan_id}' cannot be withdrawn.", target)
    was, is_now = members_of(old.get("virtualMachinePricing")), members_of(plan.get("virtualMachinePricing"))
    if was.get("isByol") != is_now.get("isByol"):
        target = f"{place}.virtualMachinePricing.isByol"
        yield Detail("LicenceModel", f"{target}: the licence model of plan '{plan_id}' is fixed.", target)
    if "restrictedAudience" in plan and "restrictedAudience" not in old:
        target = f"{place}.restrictedAudience"
        yield Detail("MadePrivate", f"{target}: the public plan '{plan_id}' cannot be made private.", target)


def _problems_with_changed_images(old: dict[str, Any], plan: dict[str, Any], place: str) -> Iterator[Detail]:
    maps = dict(image_maps_of(plan))
    for where, images in image_maps_of(old):
        present = maps.get(where, {})
        for version, image in images.items():
            if version in present and _disks(present[version]) != _disks(image):
                target = f"{place}{where}['{version}']"
                message = (
                    f"{target}: version {version} of plan '{plan.get('planId')}' is published and cannot change."
                )
                yield Detail("PublishedVersionChanged", message, target)
        counts = {
            len(members_of(image).get("lunVhdDetails") or []) for image in [*images.values(), *present.values()]
        }
        if present and images and len(counts) > 1:
            target = place + where
            message = f"{target}: the number of data disks of plan '{plan.get('planId')}' is fixed."
            yield Detail("DataDisks", message, target)


def _disks(image: object) -> tuple[str, object]:
    """Return the blobs of an image, which must not change once it is published. A renewed SAS is no change."""
    members = members_of(image)
    disks = [
        {name: blob_of(str(value)) for name, value in disk.items()}
        for disk in objects_in(members.get("lunVhdDetails"))
    ]
    return blob_of(str(members.get("osVhdUrl", ""))), disks
