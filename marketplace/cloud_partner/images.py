"""The image versions of an offer: which a slot holds, which it lacks, and how new ones get into a draft.

Documents are read by the module `plans`; where an image belongs is in `placements`, the rules in `image_rules`.
Everything works on text (see `marketplace.json_text`): the document that comes out differs from the one that went in
by the image versions added, dropped and renewed, and by nothing else.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

from marketplace import sas
from marketplace.cloud_partner import image_rules
from marketplace.cloud_partner.placements import Placement, by_plan, place, places_in_slot, same_version
from marketplace.cloud_partner.plans import VIRTUAL_MACHINE, HeldImage, Plan, order, read
from marketplace.disks import given_disks, no_better
from marketplace.json_text import Splice, apply, array_text, change_members, object_text, set_value, written
from marketplace.model import EditOutcome, Image, ImageVersion, WhenFull
from marketplace.wording import MAX_NAME, bounded, one_line
from marketplace.writing import first

VERSIONS_PER_PLAN = 8
"""What the API's documentation allows a plan of a virtual machine offer; core VM plans hold many more."""


def held_images(document: str) -> list[HeldImage]:
    """Return all image versions of all plans of an offer document, in the document's order.

    What is in a plan's own map has no generation; what is in a map of ``diskGenerations`` has that of its
    object. Plans and maps of another shape than documented are passed over.

    Raises:
        ValueError: The text is not JSON, or not an object, or has more than `plans.MAX_IMAGES`.
    """
    return [entry.held for entry in read(document).entries()]


def version_of(held: HeldImage) -> ImageVersion:
    """Return an image version of a document without its disks, for a person: each word one bounded line."""
    generation = None if held.generation is None else one_line(held.generation, MAX_NAME)
    return ImageVersion(
        plan_id=one_line(held.plan_id, MAX_NAME), version=one_line(held.version, MAX_NAME), generation=generation
    )


def missing(images: Sequence[Image], held: Iterable[HeldImage]) -> list[ImageVersion]:
    """Return which of the images a slot does not hold in every map they belong in, whatever their disks.

    A version that is there in another spelling only is missing; `conflicts` says why it cannot be added.
    """
    slot = by_plan(held, images)
    lacking: list[ImageVersion] = []
    for image in images:
        places = places_in_slot(image, slot)
        found = {one.generation for one in same_version(image, slot)}
        if not places or not places <= found:
            lacking.append(image.image_version)
    return lacking


def conflicts(images: Sequence[Image], held: Iterable[HeldImage]) -> list[str]:
    """Return a sentence for each of the images whose version a slot holds with other disks or spelled otherwise."""
    slot = by_plan(held, images)
    return [
        sentence
        for image in images
        for sentence in image_rules.objections(image, slot, places_in_slot(image, slot))[:1]
    ]


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
    """Put images into a draft; a version that is there with the same disks is left alone.

    All rules are checked for all images before anything changes. They follow the API's documentation of plans
    and images: a version of a plan never changes its disks, a new one is greater than all before, every
    version of a plan has as many data disks, a plan of a virtual machine offer holds eight versions. Versions
    are compared as numbers, so one that is there in another spelling is refused, whatever its disks.

    An image that is in the draft only, not in preview or production, gets the given SAS where its own does
    not work for three weeks more: the service could not copy its disks, however often it was asked.

    Args:
        document: The draft.
        images: The images wanted, signed where the caller could.
        preview: What the preview slot holds.
        production: What the production slot holds.
        when_full: What to do with a full plan. Dropped are the numerically smallest versions; never one
            wanted here, never the newest of the preview or the production, never the last of a map.
        limit: Versions a plan may hold, 0 for any number, ``None`` for what the offer's type allows.
        now: The present time, with a time zone.

    Returns:
        The new draft (the same text when nothing is to be done) and what changed; ``operations`` is empty.

    Raises:
        PlanMissing: There is no such plan, or none of that generation.
        VersionTaken: A version is there, in the draft, the preview or the production, with other disks or in
            another spelling, or is wanted in two spellings.
        PlanFull: There is no room, or none may be made.
        RuleBroken: Any other rule, or a document of another shape than documented.
        ValueError: The text is not JSON, or not an object.
    """
    offer = read(document)
    placements = place(offer, images)
    slots = {"preview": by_plan(preview, images), "production": by_plan(production, images)}
    plans = {one.plan.plan_id: one.plan for one in placements}.values()
    draft = by_plan((entry.held for plan in plans for entry in plan.entries()), images)
    image_rules.refuse_contradictions(placements)
    image_rules.refuse_taken(placements, {"draft": draft, **slots})
    added = _first_of_each(one for one in placements if one.present is None)
    renewed, warnings = _renewals(placements, slots, now)
    image_rules.refuse_old(added, slots)
    image_rules.refuse_disk_counts(added, slots)
    warnings += image_rules.refuse_unreadable_disks([one.image for one in [*added, *renewed]], now)
    most = limit if limit is not None else VERSIONS_PER_PLAN * (offer.type == VIRTUAL_MACHINE)
    dropped = image_rules.make_room(added, images, slots, when_full, most)
    splices = [splice for one in _first_of_each(renewed) for splice in _new_urls(one)]
    for plan in {id(one.plan): one.plan for one in added}.values():
        splices += _changes_of(plan, added, dropped.get(plan.plan_id, []), now)
    gone = [(plan_id, version) for plan_id, versions in dropped.items() for version in versions]
    outcome = EditOutcome(
        added=list(dict.fromkeys(one.image.image_version for one in added)),
        removed=[
            ImageVersion(plan_id=plan_id, version=one_line(version, MAX_NAME))
            for plan_id, version in first(gone, "removed", warnings)
        ],
        renewed=list(dict.fromkeys(one.image.image_version for one in renewed)),
        warnings=bounded(warnings),
    )
    return apply(document, splices), outcome


def _renewals(
    placements: Iterable[Placement], slots: image_rules.Slots, now: datetime
) -> tuple[list[Placement], list[str]]:
    """Find unpublished versions whose SAS is of no use any more; warn where the given one is no better."""
    renewed: list[Placement] = []
    warnings: list[str] = []
    for one in placements:
        if one.present is None or any(same_version(one.image, slot) for slot in slots.values()):
            continue
        if all(sas.usable(disk.url, now) for disk in one.present.disks if disk.node):
            continue
        if all(sas.usable(disk.url, now) for disk in given_disks(one.image)):
            renewed.append(one)
        else:
            warnings.append(no_better(one.image.image_version))
    return renewed, warnings


def _changes_of(plan: Plan, added: Iterable[Placement], gone: Sequence[str], now: datetime) -> list[Splice]:
    """Return the edits that take versions out of a plan's maps and put new ones in."""
    splices: list[Splice] = []
    for shelf in plan.shelves:
        here = sorted((one for one in added if one.shelf is shelf), key=lambda one: order(one.image.version))
        new = [(one.image.version, _entry_text(one, now)) for one in here]
        if shelf.node and shelf.node.kind == "object":
            splices += change_members(shelf.node, remove=gone, add=new)
        elif new and shelf.key:
            text = object_text(dict(new))
            if shelf.node:
                splices.append(set_value(shelf.node, text))
            else:
                splices += change_members(shelf.holder, add=[(shelf.key, text)])
    return splices


def _entry_text(one: Placement, now: datetime) -> str:
    """Write an image version: of a core VM plan with the members that only those have."""
    image = one.image
    members = {
        "osVhdUrl": written(image.os_vhd_url or ""),
        "lunVhdDetails": _data_disks_text(image, one.plan),
    }
    if one.shelf.of_core_vm:
        name = unquote(urlsplit(image.os_vhd_url or "").path).rsplit("/", 1)[-1]
        members |= {
            "mediaName": written(re.sub(r"\.vhd$", "", name, flags=re.IGNORECASE)),
            "showInGui": "true",
            "publishedDate": written(now.astimezone(UTC).strftime("%m/%d/%Y")),
            "label": '""',
            "description": '""',
        }
        newest = one.shelf.newest or next(iter(one.plan.newest_first), None)
        for key, kind in (("showInGui", "boolean"), ("label", "string"), ("description", "string")):
            node = newest.node.get(key) if newest else None
            if node and node.kind == kind:
                members[key] = node.text
    return object_text(members)


def _data_disks_text(image: Image, plan: Plan) -> str:
    """Write data disks with the names that the plan's newest version with some uses; none are documented."""
    lun_key, url_key, lun_kind = '"lun"', '"vhdUrl"', "number"
    if plan.spelling:
        lun_key, url_key = (one.value.source[one.key_start : one.key_end] for one in plan.spelling)
        lun_kind = plan.spelling[0].value.kind
    items = [
        f"{{{lun_key}: {written(disk.lun if lun_kind == 'number' else str(disk.lun))}, "
        f"{url_key}: {written(disk.vhd_url)}}}"
        for disk in sorted(image.data_disks, key=lambda disk: disk.lun)
    ]
    return array_text(items)


def _new_urls(one: Placement) -> list[Splice]:
    """Write the given URLs in the place of those of an entry with the same disks."""
    urls = {sas.address(disk.url): disk.url for disk in given_disks(one.image)}
    disks = one.present.disks if one.present else []
    return [set_value(disk.node, written(urls[sas.address(disk.url)])) for disk in disks if disk.node]


def _first_of_each(placements: Iterable[Placement]) -> list[Placement]:
    """Keep one placement where the same image is asked for twice."""
    found: dict[tuple[int, str], Placement] = {}
    for one in placements:
        found.setdefault((id(one.shelf), one.image.version), one)
    return list(found.values())
