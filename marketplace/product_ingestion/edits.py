"""Edits that put image versions into technical configurations.

Edits work on text. A write replaces the whole configuration. Therefore an edit starts from the draft's configuration,
or from the published one if there is no draft, and keeps every version that was published. The new text differs from
the old one by the versions that were added, deprecated, deleted and renewed, by the SKUs that were asked for, and by
members that a write must not repeat.
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
    string_of,
    value_text,
)
from marketplace.model import Change, Deprecation, EditOutcome, ImageVersion, Sku, Slot
from marketplace.product_ingestion import image_rules, retention, sources
from marketplace.product_ingestion.configurations import (
    DELETED,
    DEPRECATED,
    Configuration,
    VersionEntry,
    configuration,
    configurations,
    dependants,
    named,
)
from marketplace.product_ingestion.plan_configurations import PlanConfigurations, Trees, plan_configurations
from marketplace.product_ingestion.references import PLAN, PRODUCT, PROPERTY, hosted_today
from marketplace.product_ingestion.resources import AVAILABLE, VERSIONS, Resource
from marketplace.product_ingestion.wanted_images import WantedImage, by_version, wanted_images
from marketplace.versions import SortKey, sort_key
from marketplace.wording import bounded, listed

PERMANENT_CAPABILITIES = ("supportsNVMe", "supportsCloudInit", "supportsSriov", "supportsBackup")
"""Capabilities that cannot be turned off once published. A draft may wrongly show them as off."""

READ_ONLY = frozenset({"validations"})


@dataclass
class _Changes:
    """The changes to a plan's technical configuration.

    Attributes:
        restored: Published versions that are missing, and come back.
        added: The JSON texts of new entries.
        images: The JSON texts of new images, by the entries that get them.
        replaced: The JSON texts that replace entries which were marked as deleted.
        lifecycles: The new lifecycle state and deprecation schedule, by version.
        skus: The JSON texts of new SKUs.
        splices: Other edits.
    """

    restored: list[VersionEntry] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    images: list[tuple[VersionEntry, list[str]]] = field(default_factory=list)
    replaced: list[tuple[VersionEntry, str]] = field(default_factory=list)
    lifecycles: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    skus: list[str] = field(default_factory=list)
    splices: list[Splice] = field(default_factory=list)


@dataclass(frozen=True)
class _PlanEdit:
    """The edit of one plan."""

    plan: PlanConfigurations
    changes: _Changes
    room: retention.Room
    warnings: list[str]


def edit(
    slots: Trees, change: Change, *, product: str, tenant_id: str | None, now: datetime
) -> tuple[list[str], EditOutcome]:
    """Put images into technical configurations. A version that is there with the same source is left alone.

    All rules are checked for all images before anything changes.

    Args:
        slots: The resource trees.
        change: The images wanted, signed where the caller can sign, and what to do with a full plan.
        product: The last part of the product's durable ID.
        tenant_id: The tenant of galleries, for images that name none.
        now: The present time, with a time zone.

    Returns:
        The JSON texts of the resources to write, and what changed. There are no texts if there is nothing to do.
        ``operations`` is empty.

    Raises:
        PlanMissing: There is no such plan, or it has no SKU of the image type.
        VersionTaken: A slot holds a version with another source or in another spelling, or it is wanted in two
            spellings.
        PlanFull: A plan has no room, and not enough versions may go.
        RuleBroken: Another rule is broken.
        VersionsHidden: A list of image versions is empty although the plan was published.
        ValueError: A JSON text has an undocumented shape.
    """
    wanted = wanted_images(slots, change.images, tenant_id)
    image_rules.refuse_taken(wanted)
    added = [one for one in wanted if one.held is None]
    renewed, warnings = image_rules.renewals(wanted, now)
    warnings += image_rules.deprecated(wanted)
    new = [one for one in added if one.published is None]
    warnings += image_rules.refuse_unreadable_disks([*new, *renewed], now)
    plans = {one.plan.plan_id: one.plan for one in wanted}.values()
    maybe = [_plan_edit(slots, plan, added, renewed, change, tenant_id) for plan in plans]
    plan_edits = [one for one in maybe if one is not None]
    warnings += [warning for one in plan_edits for warning in one.warnings]
    texts = [_configuration_text(one.plan, product, one.changes) for one in plan_edits]
    return texts, _outcome(added, renewed, plan_edits, warnings)


def _plan_edit(
    slots: Trees,
    plan: PlanConfigurations,
    added: Iterable[WantedImage],
    renewed: Iterable[WantedImage],
    change: Change,
    tenant_id: str | None,
) -> _PlanEdit | None:
    """Return the edit of a plan, ``None`` if there is nothing to do."""
    added = [one for one in added if one.plan.plan_id == plan.plan_id]
    renewed = [one for one in renewed if one.plan.plan_id == plan.plan_id]
    changes = _additions(plan, added, tenant_id, plan.published.values() if added else plan.live)
    if added and retention.exceeds_limit(_active(plan, changes.restored, added), change.limit):
        # A version that only the preview holds may be missing because it made room.
        changes = _additions(plan, added, tenant_id, plan.live)
    if not (added or renewed or changes.restored):
        return None
    room = _room(plan, changes.restored, added, change)
    schedule = _schedule(slots, change.deprecation) if room.deprecated else None
    changes.lifecycles |= dict.fromkeys(room.deprecated, (DEPRECATED, schedule))
    changes.lifecycles |= dict.fromkeys(room.deleted, (DELETED, None))
    changes.splices += [splice for one in renewed for splice in _new_urls(one)]
    warnings = [*_restored_warning(plan, changes.restored, added), *_dependants_warning(slots, plan.plan_id)]
    return _PlanEdit(plan, changes, room, warnings)


def _outcome(
    added: Iterable[WantedImage], renewed: Iterable[WantedImage], edits: Sequence[_PlanEdit], warnings: list[str]
) -> EditOutcome:
    restored = [named(one.plan.plan_id, version.number) for one in edits for version in one.changes.restored]
    removed = [named(one.plan.plan_id, number) for one in edits for number in one.room.deleted]
    deprecated = [named(one.plan.plan_id, number) for one in edits for number in one.room.deprecated]
    return EditOutcome(
        added=list(dict.fromkeys([*(one.image.image_version for one in added), *restored])),
        removed=capped(removed, "removed", warnings),
        deprecated=capped(deprecated, "deprecated", warnings),
        renewed=list(dict.fromkeys(one.image.image_version for one in renewed)),
        warnings=bounded(warnings),
    )


def as_read(slots: Trees, plan_ids: Sequence[str], *, product: str) -> list[str]:
    """Return the JSON texts that a modular publish has to send: product, property, plans and their configurations.

    Raises:
        PlanMissing: There is no such plan.
        RuleBroken: A plan has no technical configuration.
        VersionsHidden: A list of image versions is empty although the plan was published.
    """
    tree = next(iter(slots.values()))
    texts = [
        _resource_text(one)
        for one in tree.resources
        if one.kind in {PRODUCT, PROPERTY} or (one.kind == PLAN and tree.plan_of(one) in plan_ids)
    ]
    plans = plan_configurations(slots, plan_ids).values()
    return texts + [_configuration_text(plan, product, _additions(plan, [], None, plan.live)) for plan in plans]


def gone(slots: Trees) -> list[ImageVersion]:
    """Return the live versions that the draft lacks. Publishing the draft would take them from customers."""
    found: list[ImageVersion] = []
    if Slot.DRAFT not in slots or Slot.PRODUCTION not in slots:
        return found
    for live in configurations(slots[Slot.PRODUCTION]):
        held = configuration(slots[Slot.DRAFT], live.plan_id)
        if held is not None and held.shared_from is None and live.shared_from is None:
            plan = PlanConfigurations(live.plan_id, {Slot.DRAFT: held, Slot.PRODUCTION: live})
            found += [named(live.plan_id, version.number) for version in _missing(plan, plan.live)[0]]
    return list(dict.fromkeys(found))


def _missing(
    plan: PlanConfigurations, slots: Iterable[Configuration]
) -> tuple[list[VersionEntry], dict[int, dict[str, str]]]:
    """Return the versions in certain slots that the base lacks, and the images that its own versions lack.

    The images are JSON texts by image type, by the ``id`` of the base's entry.
    """
    versions: dict[SortKey, list[VersionEntry]] = {}
    images: dict[int, dict[str, str]] = defaultdict(dict)
    for published in slots:
        for version in published.versions:
            entries = plan.base.entries(version.number)
            if not entries and version.is_there:
                versions.setdefault(sort_key(version.number), published.by_number[sort_key(version.number)])
            elif entries and entries[0].is_there:
                there = {image.image_type for entry in entries for image in entry.images}
                for image in version.images:
                    if image.image_type not in there:
                        images[id(entries[0])].setdefault(image.image_type, image.node.text)
    return [one for entries in versions.values() for one in entries], images


def _additions(
    plan: PlanConfigurations, added: Sequence[WantedImage], tenant_id: str | None, slots: Iterable[Configuration]
) -> _Changes:
    """Return the changes that add what the base lacks: versions of certain slots, and wanted images."""
    restored, more = _missing(plan, slots)
    changes = _Changes(restored)
    for number, wanted in sorted(by_version(added).items(), key=lambda each: sort_key(each[0])):
        images = {one.image_type: _image_text(one, tenant_id) for one in wanted}
        entries = plan.base.entries(number)
        if entries and entries[0].is_there:
            more[id(entries[0])] = {**images, **more[id(entries[0])]}
        elif entries:
            changes.replaced.append((entries[0], _version_text(number, images)))
        elif all(one.number != number for one in restored):
            changes.added.append(_version_text(number, images))
    changes.images = [(one, list(more[id(one)].values())) for one in plan.base.versions if id(one) in more]
    skus = {one.image_type: one.new_sku for one in added if one.new_sku is not None}
    changes.skus = [_sku_text(image_type, sku) for image_type, sku in skus.items()]
    return changes


def _active(
    plan: PlanConfigurations, restored: Sequence[VersionEntry], added: Sequence[WantedImage] = ()
) -> dict[str, set[str]]:
    """Return the image types of the active versions: those of the base, restored ones, and added ones."""
    found = retention.active(plan.base)
    for version in restored:
        if version.is_active:
            found.setdefault(version.number, set()).update(image.image_type for image in version.images)
    for one in added:
        found.setdefault(one.image.version, set()).add(one.image_type)
    return found


def _room(
    plan: PlanConfigurations, restored: Sequence[VersionEntry], added: Sequence[WantedImage], change: Change
) -> retention.Room:
    before, after = _active(plan, restored), _active(plan, restored, added)
    asked = [image.version for image in change.images if image.plan_id == plan.plan_id]
    return retention.make_room(plan, before, after, asked, change.when_full, change.limit)


def _configuration_text(plan: PlanConfigurations, product: str, changes: _Changes) -> str:
    """Return the JSON text of a changed configuration. It has no ID, since its product and plan identify it."""
    base = plan.base
    root = base.resource.node
    entries = [edited(one.node, _new_lifecycle(one, changes.lifecycles)) for one in changes.restored] + changes.added
    splices = [*changes.splices, *_schema_today(root), *_kept_capabilities(plan)]
    for version in base.versions:
        splices += _new_lifecycle(version, changes.lifecycles)
    for version, texts in changes.images:
        more, absent = _append(version.node, "vmImages", texts)
        splices += [*more, *change_members(version.node, add=absent)]
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
    """Return the edits that add items to an array in an object, and the members that the object lacks."""
    array = node.get(member)
    if not texts:
        return [], []
    if array is None:
        return [], [(member, array_text(texts))]
    if array.kind != "array":
        return [set_value(array, array_text(texts))], []
    return append_items(array, texts), []


def _resource_text(resource: Resource) -> str:
    """Return the JSON text of an unchanged resource."""
    node = resource.node
    return edited(node, [*_schema_today(node), *change_members(node, remove=READ_ONLY)])


def _schema_today(node: Node) -> list[Splice]:
    schema = node.get("$schema")
    address = string_of(schema)
    if schema is None or address is None or hosted_today(address) == address:
        return []
    return [set_value(schema, value_text(hosted_today(address)))]


def _identity(configuration: Resource, product: str) -> list[tuple[str, str]]:
    """Return the members that identify a configuration and that it lacks."""
    parts = configuration.id.split("/")
    found: list[tuple[str, str]] = []
    if configuration.node.get("product") is None:
        found.append(("product", value_text(f"{PRODUCT}/{product}")))
    if configuration.node.get("plan") is None:
        found.append(("plan", value_text(f"{PLAN}/{product}/{parts[-1]}")))
    return found


def _kept_capabilities(plan: PlanConfigurations) -> list[Splice]:
    """Return the edits that turn on the capabilities that are on in another slot."""
    properties = plan.base.resource.node.get("vmProperties")
    elsewhere = [one.resource.node.get("vmProperties") for one in plan.slots.values()]
    splices: list[Splice] = []
    for name in PERMANENT_CAPABILITIES:
        here = properties.get(name) if properties is not None else None
        others = [node.get(name) for node in elsewhere if node is not None]
        if (
            here is not None
            and here.text == "false"
            and any(each is not None and each.text == "true" for each in others)
        ):
            splices.append(set_value(here, "true"))
    return splices


def _new_lifecycle(version: VersionEntry, lifecycles: Mapping[str, tuple[str, str | None]]) -> list[Splice]:
    if version.number not in lifecycles:
        return []
    state, schedule = lifecycles[version.number]
    members = {"lifecycleState": value_text(state)}
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
    """Return the JSON text of a deprecation schedule.

    Raises:
        PlanMissing: There is no plan with the ID of the alternative.
    """
    members: dict[str, object] = {
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
        members["alternative"] = {"plan": found.id or {"externalId": alternative}}
    return value_text(members)


def _version_text(number: str, images: Mapping[str, str]) -> str:
    return object_text(
        {
            "versionNumber": value_text(number),
            "vmImages": array_text(images.values()),
            "lifecycleState": value_text(AVAILABLE),
        }
    )


def _image_text(one: WantedImage, tenant_id: str | None) -> str:
    if one.published is not None:
        return one.published.image.node.text
    return object_text({"imageType": value_text(one.image_type), "source": sources.text(one.image, tenant_id)})


def _sku_text(image_type: str, sku: Sku) -> str:
    members = {"imageType": value_text(image_type), "skuId": value_text(sku.id)}
    if sku.security_types:
        members["securityType"] = value_text(list(sku.security_types))
    return object_text(members)


def _new_urls(one: WantedImage) -> list[Splice]:
    """Return the edits that replace the URLs of an image with the given URLs of the same disks."""
    urls = {disk.place: disk.url for disk in one.source.disks}
    held = one.held.image.source.disks if one.held is not None else ()
    return [set_value(disk.node, value_text(urls[disk.place])) for disk in held if disk.node is not None]


def _restored_warning(
    plan: PlanConfigurations, restored: Sequence[VersionEntry], added: Sequence[WantedImage]
) -> list[str]:
    asked = {one.image.version for one in added}
    numbers = list(dict.fromkeys(one.number for one in restored if one.number not in asked))
    if not numbers or Slot.DRAFT not in plan.slots:
        return []
    sentence = (
        f"Plan {plan.plan_id}: the draft lacked {listed(numbers)}, which was published, and holds it again. The "
        "marketplace deletes versions that a draft leaves out."
    )
    return [sentence]


def _dependants_warning(slots: Trees, plan_id: str) -> list[str]:
    tree = next(iter(slots.values()))
    found = dependants(tree, plan_id)
    if not found:
        return []
    return [f"Plan {plan_id}: {listed(found)} shares its technical configuration, and gets its images too."]
