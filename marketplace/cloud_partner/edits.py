"""Edits that put image versions into a draft.

Edits work on text; see `marketplace.json_text`. The new document differs from the old one by the image versions that
were added, removed and renewed, and by nothing else.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

from marketplace import sas
from marketplace.cloud_partner import image_rules
from marketplace.cloud_partner.plans import VIRTUAL_MACHINE, HeldImage, Offer, Plan, order, read
from marketplace.cloud_partner.wanted_images import WantedImage, slot_images, wanted_images
from marketplace.disks import given_disks, no_better_sas
from marketplace.draft_writes import capped
from marketplace.json_text import Splice, apply, array_text, change_members, object_text, set_value, value_text
from marketplace.model import EditOutcome, Image, ImageVersion, Slot, WhenFull
from marketplace.wording import MAX_NAME, bounded, one_line

VERSIONS_PER_PLAN = 8
"""The documented limit of a virtual machine offer's plan. Plans of core VM offers hold many more."""


def edit(
    document: str,
    images: Sequence[Image],
    *,
    preview: Sequence[HeldImage],
    production: Sequence[HeldImage],
    when_full: WhenFull,
    limit: int | None,
    now: datetime,
) -> tuple[str, EditOutcome]:
    """Put images into a draft. A version that is there with the same disks is left alone.

    All rules are checked for all images before anything changes. They follow the API's documentation: a version never
    changes its disks, a new version is greater than all earlier ones, all versions of a plan have the same number of
    data disks, and a plan of a virtual machine offer holds eight versions. Versions are compared as numbers, which
    makes another spelling of a version the same version.

    An unpublished image in the draft gets the given SAS when its own does not work for three more weeks. The
    service might fail to copy the disks with its own.

    Args:
        document: The draft.
        images: The images wanted, signed where the caller can sign.
        preview: What the preview slot holds.
        production: What the production slot holds.
        when_full: What to do with a full plan. The smallest versions are removed, but never a version wanted here,
            the newest of the preview or of Production, or the last of a map.
        limit: Versions a plan may hold, 0 for any number, ``None`` for the limit of the offer's type.
        now: The present time, with a time zone.

    Returns:
        The new draft, which is the same text when there is nothing to do, and what changed. ``operations`` is empty.

    Raises:
        PlanMissing: There is no such plan, or it does not have the generation.
        VersionTaken: A slot holds a version with other disks or in another spelling, or it is wanted in two
            spellings.
        PlanFull: A plan has no room, and not enough versions may be removed.
        RuleBroken: Another rule is broken, or the document has an undocumented shape.
        ValueError: The text is not JSON, or not an object.
    """
    offer = read(document)
    wanted = wanted_images(offer, images)
    plans = {one.plan.plan_id: one.plan for one in wanted}.values()
    draft = slot_images((entry.held for plan in plans for entry in plan.entries()), images)
    published = {
        Slot.PREVIEW: slot_images(preview, images),
        Slot.PRODUCTION: slot_images(production, images),
    }
    image_rules.refuse_contradictions(wanted)
    image_rules.refuse_taken(wanted, {Slot.DRAFT: draft, **published})
    added = _without_repeats(one for one in wanted if one.entry is None)
    renewed, warnings = _renewals(wanted, published, now)
    image_rules.refuse_old(added, published)
    image_rules.refuse_disk_counts(added, published)
    warnings += image_rules.refuse_unreadable_disks([one.image for one in [*added, *renewed]], now)
    removed = image_rules.make_room(added, images, published, when_full, _versions_per_plan(offer, limit))
    splices = [splice for one in _without_repeats(renewed) for splice in _new_urls(one)]
    for plan in {id(one.plan): one.plan for one in added}.values():
        splices += _map_changes(plan, added, removed.get(plan.plan_id, []), now)
    return apply(document, splices), _outcome(added, renewed, removed, warnings)


def _versions_per_plan(offer: Offer, limit: int | None) -> int:
    if limit is not None:
        return limit
    return VERSIONS_PER_PLAN if offer.type == VIRTUAL_MACHINE else 0


def _outcome(
    added: Iterable[WantedImage],
    renewed: Iterable[WantedImage],
    removed: dict[str, list[str]],
    warnings: list[str],
) -> EditOutcome:
    gone = [(plan_id, version) for plan_id, versions in removed.items() for version in versions]
    return EditOutcome(
        added=list(dict.fromkeys(one.image.image_version for one in added)),
        removed=[
            ImageVersion(plan_id=plan_id, version=one_line(version, MAX_NAME))
            for plan_id, version in capped(gone, "removed", warnings)
        ],
        renewed=list(dict.fromkeys(one.image.image_version for one in renewed)),
        warnings=bounded(warnings),
    )


def _renewals(
    wanted: Iterable[WantedImage], published: image_rules.Slots, now: datetime
) -> tuple[list[WantedImage], list[str]]:
    """Return the unpublished images that need a new SAS, and warnings where the given SAS is no better."""
    renewed: list[WantedImage] = []
    warnings: list[str] = []
    for one in wanted:
        if one.entry is None or any(slot.same_version(one.image) for slot in published.values()):
            continue
        if all(sas.usable(disk.url, now) for disk in one.entry.disks if disk.node):
            continue
        if all(sas.usable(disk.url, now) for disk in given_disks(one.image)):
            renewed.append(one)
        else:
            warnings.append(no_better_sas(one.image.image_version))
    return renewed, warnings


def _map_changes(plan: Plan, added: Iterable[WantedImage], removed: Sequence[str], now: datetime) -> list[Splice]:
    """Return the edits that remove versions from a plan's image maps and add new ones."""
    splices: list[Splice] = []
    for image_map in plan.image_maps:
        here = sorted((one for one in added if one.image_map is image_map), key=lambda one: order(one.image.version))
        new = [(one.image.version, _entry_text(one, now)) for one in here]
        if image_map.node and image_map.node.kind == "object":
            splices += change_members(image_map.node, remove=removed, add=new)
        elif new and image_map.key:
            text = object_text(dict(new))
            if image_map.node:
                splices.append(set_value(image_map.node, text))
            else:
                splices += change_members(image_map.holder, add=[(image_map.key, text)])
    return splices


def _entry_text(one: WantedImage, now: datetime) -> str:
    """Return the JSON text of a new image version."""
    members = {
        "osVhdUrl": value_text(one.image.os_vhd_url or ""),
        "lunVhdDetails": _data_disks_text(one.image, one.plan),
    }
    if one.image_map.is_core_vm:
        members |= _core_vm_members(one, now)
    return object_text(members)


def _core_vm_members(one: WantedImage, now: datetime) -> dict[str, str]:
    """Return the members that only core VM offers have, some with the values of the plan's newest version."""
    name = unquote(urlsplit(one.image.os_vhd_url or "").path).rsplit("/", 1)[-1]
    members = {
        "mediaName": value_text(re.sub(r"\.vhd$", "", name, flags=re.IGNORECASE)),
        "showInGui": "true",
        "publishedDate": value_text(now.astimezone(UTC).strftime("%m/%d/%Y")),
        "label": '""',
        "description": '""',
    }
    newest = one.image_map.newest or next(iter(one.plan.newest_first), None)
    for key, kind in (("showInGui", "boolean"), ("label", "string"), ("description", "string")):
        node = newest.node.get(key) if newest else None
        if node and node.kind == kind:
            members[key] = node.text
    return members


def _data_disks_text(image: Image, plan: Plan) -> str:
    """Return the JSON text of data disks, with the undocumented member names that the plan's versions use."""
    lun_key, url_key, lun_kind = '"lun"', '"vhdUrl"', "number"
    if plan.lun_and_url:
        lun_key, url_key = (one.value.source[one.key_start : one.key_end] for one in plan.lun_and_url)
        lun_kind = plan.lun_and_url[0].value.kind
    items = [
        f"{{{lun_key}: {value_text(disk.lun if lun_kind == 'number' else str(disk.lun))}, "
        f"{url_key}: {value_text(disk.vhd_url)}}}"
        for disk in sorted(image.data_disks, key=lambda disk: disk.lun)
    ]
    return array_text(items)


def _new_urls(one: WantedImage) -> list[Splice]:
    """Return the edits that replace the URLs of an entry with the given URLs of the same disks."""
    urls = {sas.address(disk.url): disk.url for disk in given_disks(one.image)}
    disks = one.entry.disks if one.entry else []
    return [set_value(disk.node, value_text(urls[sas.address(disk.url)])) for disk in disks if disk.node]


def _without_repeats(wanted: Iterable[WantedImage]) -> list[WantedImage]:
    """Return each image once, however often it is asked for."""
    found: dict[tuple[int, str], WantedImage] = {}
    for one in wanted:
        found.setdefault((id(one.image_map), one.image.version), one)
    return list(found.values())
