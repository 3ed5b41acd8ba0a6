"""Image versions into technical configurations, on their text.

Whatever is sent replaces what is there, so an edit starts from the draft, or from what was published where there is
no draft, and holds every version that any slot has. What comes out differs from what went in by the versions added,
deprecated, deleted and renewed, by SKUs that were asked for, and by what a write may not repeat; by nothing else.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from marketplace.draft_writes import capped
from marketplace.errors import PlanMissing
from marketplace.json_text import (
    Node,
    Splice,
    append_items,
    array_text,
    change_members,
    edited,
    object_text,
    set_value,
    written,
)
from marketplace.model import Change, Deprecation, EditOutcome, ImageVersion, Sku
from marketplace.product_ingestion import image_rules, retention, sources
from marketplace.product_ingestion.configurations import (
    DELETED,
    DEPRECATED,
    Configuration,
    HeldVersion,
    configuration,
    configurations,
    dependants,
    named,
)
from marketplace.product_ingestion.placements import (
    DRAFT,
    PRODUCTION,
    Placement,
    Shelf,
    Trees,
    by_version,
    place,
    shelves,
)
from marketplace.product_ingestion.references import PLAN, PRODUCT, hosted_today
from marketplace.product_ingestion.resources import AVAILABLE, VERSIONS, Resource
from marketplace.versions import SortKey, sort_key
from marketplace.wording import bounded, listed

STICKY = ("supportsNVMe", "supportsCloudInit", "supportsSriov", "supportsBackup")
"""Capabilities that cannot be taken back once published; a draft may show them as off all the same."""

READ_ONLY = frozenset({"validations"})


@dataclass
class _Changes:
    """What is to be changed of a plan's technical configuration.

    Attributes:
        images: JSON texts of images for versions that the base has, by their entries.
        replaced: JSON texts in the place of entries that were to be deleted.
        added: JSON texts of new entries.
        lifecycles: The new lifecycle state by version, and the deprecation schedule that goes with it.
        skus: JSON texts of new SKUs.
        splices: Other edits.
    """

    images: list[tuple[HeldVersion, list[str]]] = field(default_factory=list)
    replaced: list[tuple[HeldVersion, str]] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    lifecycles: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    skus: list[str] = field(default_factory=list)
    splices: list[Splice] = field(default_factory=list)


def edit(
    slots: Trees, change: Change, *, product: str, tenant_id: str | None, now: datetime
) -> tuple[list[str], EditOutcome]:
    """Put images into technical configurations; a version that is there with the same source is left alone.

    All rules are checked for all images before anything changes.

    Args:
        slots: The trees that there are.
        change: The images wanted, signed where the caller could, and what to do with a full plan.
        product: The product's own part of its durable id.
        tenant_id: The tenant of galleries where an image names none.
        now: The present time, with a time zone.

    Returns:
        The resources to be written as JSON texts, none when nothing is to be done, and what changed; ``operations``
        is empty.

    Raises:
        PlanMissing: There is no such plan, or no SKU of that image type.
        VersionTaken: A version is there with another source or in another spelling, or is wanted in two.
        PlanFull: There is no room, or none may be made.
        RuleBroken: Any other rule.
        VersionsHidden: A list of image versions is empty that cannot be.
        ValueError: A text is of another shape than JSON documents are.
    """
    placements = place(slots, change.images, tenant_id)
    image_rules.refuse_taken(placements)
    added = [one for one in placements if one.present is None]
    renewed, warnings = image_rules.renewals(placements, now)
    warnings += image_rules.deprecated(placements)
    new = [one for one in added if one.published is None]
    warnings += image_rules.refuse_unreadable_disks([*new, *renewed], now)
    texts: list[str] = []
    removed: list[tuple[str, str]] = []
    deprecated: list[tuple[str, str]] = []
    brought: list[tuple[str, str]] = []
    for plan_id, shelf in {one.shelf.plan_id: one.shelf for one in placements}.items():
        here = [one for one in added if one.shelf.plan_id == plan_id]
        again = [one for one in renewed if one.shelf.plan_id == plan_id]
        changes, brought_back = _union(shelf, here, tenant_id, shelf.published.values() if here else shelf.kept)
        if here and retention.is_over(_active(shelf, brought_back, here), change.limit):
            # What only the preview holds may be missing for having made room.
            changes, brought_back = _union(shelf, here, tenant_id, shelf.kept)
        if not (here or again or brought_back):
            continue
        brought += [(plan_id, version.number) for version in brought_back]
        warnings += _told_back(shelf, brought_back, here)
        room = _room(shelf, brought_back, here, change)
        schedule = _schedule(slots, change.deprecation) if room.deprecated else None
        changes.lifecycles |= dict.fromkeys(room.deprecated, (DEPRECATED, schedule))
        changes.lifecycles |= dict.fromkeys(room.deleted, (DELETED, None))
        changes.splices += [splice for one in again for splice in _new_urls(one)]
        warnings += _told_dependants(slots, plan_id)
        texts.append(_configuration_text(shelf, product, changes, brought_back))
        removed += [(plan_id, version) for version in room.deleted]
        deprecated += [(plan_id, version) for version in room.deprecated]
    outcome = EditOutcome(
        added=list(dict.fromkeys([*(one.image.image_version for one in added), *(named(*each) for each in brought)])),
        removed=[named(*each) for each in capped(removed, "removed", warnings)],
        deprecated=[named(*each) for each in capped(deprecated, "deprecated", warnings)],
        renewed=list(dict.fromkeys(one.image.image_version for one in renewed)),
        warnings=bounded(warnings),
    )
    return texts, outcome


def as_read(slots: Trees, plan_ids: Sequence[str], *, product: str) -> list[str]:
    """Return what a publish of some plans only has to send, as it was read: product, property, plans, configurations.

    Raises:
        PlanMissing: There is no such plan.
        RuleBroken: A plan has no technical configuration.
        VersionsHidden: A list of image versions is empty that cannot be.
    """
    tree = next(iter(slots.values()))
    texts = [
        _resource_text(one)
        for one in tree.resources
        if one.kind in {"product", "property"} or (one.kind == PLAN and tree.plan_of(one) in plan_ids)
    ]
    for shelf in shelves(slots, plan_ids).values():
        changes, brought_back = _union(shelf, [], None, shelf.kept)
        texts.append(_configuration_text(shelf, product, changes, brought_back))
    return texts


def gone(slots: Trees) -> list[ImageVersion]:
    """Return the versions that are live and that the draft lacks: to publish it takes them from customers."""
    found: list[ImageVersion] = []
    if DRAFT not in slots or PRODUCTION not in slots:
        return found
    for live in configurations(slots[PRODUCTION]):
        held = configuration(slots[DRAFT], live.plan_id)
        if held is not None and held.base is None and live.base is None:
            shelf = Shelf(live.plan_id, {DRAFT: held, PRODUCTION: live})
            found += [named(live.plan_id, version.number) for version in _lacking(shelf, shelf.kept)[0]]
    return list(dict.fromkeys(found))


def _lacking(shelf: Shelf, slots: Iterable[Configuration]) -> tuple[list[HeldVersion], dict[int, dict[str, str]]]:
    """Find what slots hold and the base lacks: versions, and images of versions that it has, by their entries."""
    lacking: dict[SortKey, list[HeldVersion]] = {}
    more: dict[int, dict[str, str]] = defaultdict(dict)
    for published in slots:
        for version in published.versions:
            entries = shelf.base.entries(version.number)
            if not entries and version.is_there:
                lacking.setdefault(sort_key(version.number), published.by_number[sort_key(version.number)])
            elif entries and entries[0].is_there:
                there = {image.image_type for entry in entries for image in entry.images}
                for image in version.images:
                    if image.image_type not in there:
                        more[id(entries[0])].setdefault(image.image_type, image.node.text)
    return [one for entries in lacking.values() for one in entries], more


def _union(
    shelf: Shelf, added: Sequence[Placement], tenant_id: str | None, slots: Iterable[Configuration]
) -> tuple[_Changes, list[HeldVersion]]:
    """Gather what the base lacks: of what slots hold, and of what is asked for.

    Returns:
        The changes, and the versions of the slots that the base lacks as a whole.
    """
    lacking, more = _lacking(shelf, slots)
    changes = _Changes()
    for number, placements in sorted(by_version(added).items(), key=lambda each: sort_key(each[0])):
        images = {one.image_type: _image_text(one, tenant_id) for one in placements}
        entries = shelf.base.entries(number)
        if entries and entries[0].is_there:
            more[id(entries[0])] = {**images, **more[id(entries[0])]}
        elif entries:
            changes.replaced.append((entries[0], _version_text(number, images)))
        elif all(one.number != number for one in lacking):
            changes.added.append(_version_text(number, images))
    changes.images = [(one, list(more[id(one)].values())) for one in shelf.base.versions if id(one) in more]
    skus = {one.image_type: one.new_sku for one in added if one.new_sku is not None}
    changes.skus = [_sku_text(image_type, sku) for image_type, sku in skus.items()]
    return changes, lacking


def _active(
    shelf: Shelf, brought_back: Sequence[HeldVersion], added: Sequence[Placement] = ()
) -> dict[str, set[str]]:
    """Return the active versions of the base, with those brought back and added, and their image types."""
    found = retention.active(shelf.base)
    for version in brought_back:
        if version.is_active:
            found.setdefault(version.number, set()).update(image.image_type for image in version.images)
    for one in added:
        found.setdefault(one.image.version, set()).add(one.image_type)
    return found


def _room(
    shelf: Shelf, brought_back: Sequence[HeldVersion], added: Sequence[Placement], change: Change
) -> retention.Room:
    before, after = _active(shelf, brought_back), _active(shelf, brought_back, added)
    asked = [image.version for image in change.images if image.plan_id == shelf.plan_id]
    return retention.make_room(shelf, before, after, asked, change.when_full, change.limit)


def _configuration_text(shelf: Shelf, product: str, changes: _Changes, brought_back: Sequence[HeldVersion]) -> str:
    """Write a technical configuration: without its id, since its product and its plan say which it is."""
    base = shelf.base
    root = base.resource.node
    entries = [edited(one.node, _new_lifecycle(one, changes.lifecycles)) for one in brought_back] + changes.added
    splices = [*changes.splices, *_schema_today(root), *_kept_on(shelf)]
    for version in base.versions:
        splices += _new_lifecycle(version, changes.lifecycles)
    for version, texts in changes.images:
        more, missing = _append(version.node, "vmImages", texts)
        splices += [*more, *change_members(version.node, add=missing)]
    for version, text in changes.replaced:
        splices.append(set_value(version.node, text))
    new_members = _identity(base.resource, product)
    for member, texts in ((VERSIONS, entries), ("skus", changes.skus)):
        more, absent = _append(root, member, texts)
        splices += more
        new_members += absent
    splices += change_members(root, remove={"id", *READ_ONLY}, add=new_members)
    return edited(root, splices)


def _append(node: Node, member: str, texts: Sequence[str]) -> tuple[list[Splice], list[tuple[str, str]]]:
    """Return the edit that adds items to an array of an object, or the member that the object lacks."""
    array = node.get(member)
    if not texts:
        return [], []
    if array is None:
        return [], [(member, array_text(texts))]
    if array.kind != "array":
        return [set_value(array, array_text(texts))], []
    return append_items(array, texts), []


def _resource_text(resource: Resource) -> str:
    """Write a resource as it was read."""
    node = resource.node
    return edited(node, [*_schema_today(node), *change_members(node, remove=READ_ONLY)])


def _schema_today(node: Node) -> list[Splice]:
    schema = node.get("$schema")
    address = schema.string if schema is not None else None
    if schema is None or address is None or hosted_today(address) == address:
        return []
    return [set_value(schema, written(hosted_today(address)))]


def _identity(configuration: Resource, product: str) -> list[tuple[str, str]]:
    """Return the members that say which configuration it is, as far as it lacks them."""
    parts = configuration.id.split("/")
    found: list[tuple[str, str]] = []
    if configuration.node.get("product") is None:
        found.append(("product", written(f"{PRODUCT}/{product}")))
    if configuration.node.get("plan") is None:
        found.append(("plan", written(f"{PLAN}/{product}/{parts[-1]}")))
    return found


def _kept_on(shelf: Shelf) -> list[Splice]:
    """Return the edits that keep capabilities on which another slot has on."""
    properties = shelf.base.resource.node.get("vmProperties")
    elsewhere = [one.resource.node.get("vmProperties") for one in shelf.slots.values()]
    splices: list[Splice] = []
    for name in STICKY:
        here = properties.get(name) if properties is not None else None
        others = [node.get(name) for node in elsewhere if node is not None]
        if (
            here is not None
            and here.text == "false"
            and any(each is not None and each.text == "true" for each in others)
        ):
            splices.append(set_value(here, "true"))
    return splices


def _new_lifecycle(version: HeldVersion, lifecycles: Mapping[str, tuple[str, str | None]]) -> list[Splice]:
    if version.number not in lifecycles:
        return []
    state, schedule = lifecycles[version.number]
    members = {"lifecycleState": written(state)}
    if schedule is not None:
        members["deprecationSchedule"] = schedule
    splices: list[Splice] = []
    add: list[tuple[str, str]] = []
    for member, text in members.items():
        node = version.node.get(member)
        if node is None:
            add.append((member, text))
        else:
            splices.append(set_value(node, text))
    return [*splices, *change_members(version.node, add=add)]


def _schedule(slots: Trees, deprecation: Deprecation) -> str:
    """Write how a version is deprecated.

    Raises:
        PlanMissing: There is no plan of the alternative's id.
    """
    said: dict[str, object] = {
        "dateOffset": retention.duration(deprecation.notice),
        "reason": deprecation.reason,
    }
    alternative = deprecation.alternative_plan_id
    if alternative is not None:
        found = next((tree.plans[alternative] for tree in slots.values() if alternative in tree.plans), None)
        if found is None:
            raise PlanMissing(
                f"The offer has no plan {alternative}, which deprecation.alternative_plan_id names. Correct it, or "
                "leave it out."
            )
        said["alternative"] = {"plan": found.id or {"externalId": alternative}}
    return written(said)


def _version_text(number: str, images: Mapping[str, str]) -> str:
    return object_text(
        {
            "versionNumber": written(number),
            "vmImages": array_text(images.values()),
            "lifecycleState": written(AVAILABLE),
        }
    )


def _image_text(one: Placement, tenant_id: str | None) -> str:
    if one.published is not None:
        return one.published[1].node.text
    return object_text({"imageType": written(one.image_type), "source": sources.text(one.image, tenant_id)})


def _sku_text(image_type: str, sku: Sku) -> str:
    members = {"imageType": written(image_type), "skuId": written(sku.id)}
    if sku.security_types:
        members["securityType"] = written(list(sku.security_types))
    return object_text(members)


def _new_urls(one: Placement) -> list[Splice]:
    """Write the given URLs in the place of those of an image with the same disks."""
    urls = {disk.place: disk.url for disk in one.source.disks}
    held = one.present[1].source.disks if one.present is not None else ()
    return [set_value(disk.node, written(urls[disk.place])) for disk in held if disk.node is not None]


def _told_back(shelf: Shelf, brought_back: Sequence[HeldVersion], added: Sequence[Placement]) -> list[str]:
    asked = {one.image.version for one in added}
    numbers = list(dict.fromkeys(one.number for one in brought_back if one.number not in asked))
    if not numbers or DRAFT not in shelf.slots:
        return []
    sentence = (
        f"Plan {shelf.plan_id}: the draft lacked {listed(numbers)}, which was published, and holds it again: what a "
        "draft leaves out the marketplace takes for deleted."
    )
    return [sentence]


def _told_dependants(slots: Trees, plan_id: str) -> list[str]:
    tree = next(iter(slots.values()))
    found = dependants(tree, plan_id)
    if not found:
        return []
    return [f"Plan {plan_id}: {listed(found)} shares its technical configuration, and gets its images too."]
