"""The image versions of an offer document: which there are, and how new ones get in.

A plan keeps its image versions in a map from version to disks. In a virtual machine offer that is the
member ``microsoft-azure-virtualmachines.vmImages``; in a core VM offer it is
``microsoft-azure-corevm.vmImagesPublicAzure``, and for a second generation another such map in an object of
the array ``diskGenerations``. Maps are found by the last part of the member's name, so offers of other types
that keep their images alike work as well.

Generations, as this module reads them: an image without one belongs in the plan's own map and in the map of
every generation. An image with one belongs in the maps of the objects of ``diskGenerations`` that name it.
The plan's own map stands for the generation that no such object names: for any where none is named, for
``1`` where ``1`` is not named, for ``2`` where only ``1`` is; where both are named it goes along with ``1``.

Everything here works on text (see `marketplace.json_text`): the document that comes out differs from the one
that went in by the image versions added, dropped and renewed, and by nothing else.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

from marketplace import sas
from marketplace.errors import PlanFull, PlanMissing, RuleBroken, VersionTaken
from marketplace.json_text import Member, Node, Splice, apply, change_members, parse, set_value, written
from marketplace.model import EditOutcome, HeldImage, Image, ImageVersion, WhenFull
from marketplace.versions import SortKey, sort_key

VIRTUAL_MACHINE = "microsoft-azure-virtualmachines"
CORE_VM = "microsoft-azure-corevm"

VERSIONS_PER_PLAN = 8
"""What the API's documentation allows a plan of a virtual machine offer; core VM plans hold many more."""

_CORE_VM_MAP = "vmImagesPublicAzure"
_MAPS = frozenset({"vmImages", _CORE_VM_MAP})
_GENERATIONS = "diskGenerations"
_MAP_OF_TYPE = {VIRTUAL_MACHINE: f"{VIRTUAL_MACHINE}.vmImages", CORE_VM: f"{CORE_VM}.{_CORE_VM_MAP}"}

_DATA_DISKS_OF_OLD = 15
"""One page of the documentation allows a plan this many data disks, another one more."""

_MOST_LISTED = 20

_Held = Mapping[str, Sequence[HeldImage]]


@dataclass(frozen=True)
class _Entry:
    """An image version in a document."""

    held: HeldImage
    node: Node


@dataclass(frozen=True)
class _Shelf:
    """An image map of a plan.

    Attributes:
        generation: ``None`` for the plan's own map.
        holder: The object that the map is, or will be, a member of.
        key: The map's name, ``None`` where the offer's type tells none.
        node: The map, or a ``null`` in its place; ``None`` where there is none yet.
        entries: What it holds, by version.
    """

    generation: str | None
    holder: Node
    key: str | None
    node: Node | None
    entries: Mapping[str, _Entry]


@dataclass(frozen=True)
class _Plan:
    """A plan of a document; the first shelf is its own map."""

    plan_id: str
    shelves: list[_Shelf]

    def versions(self) -> set[str]:
        return {version for shelf in self.shelves for version in shelf.entries}

    def newest_first(self) -> list[_Entry]:
        entries = [entry for shelf in self.shelves for entry in shelf.entries.values()]
        return sorted(entries, key=lambda entry: _order(entry.held.version), reverse=True)


@dataclass(frozen=True)
class _Placement:
    """An image wanted in a map."""

    image: Image
    plan: _Plan
    shelf: _Shelf

    @property
    def present(self) -> _Entry | None:
        return self.shelf.entries.get(self.image.version)


def held_images(document: str) -> list[HeldImage]:
    """Return all image versions of all plans of an offer document, in the document's order.

    What is in a plan's own map has no generation; what is in a map of ``diskGenerations`` has that of its
    object. Plans and maps of another shape than documented are passed over.

    Raises:
        ValueError: The text is not JSON, or not an object.
    """
    root = _offer(document)
    return [
        entry.held
        for plan_id, node in _plans(root)
        for shelf in _shelves(plan_id, node, _offer_type(root))
        for entry in shelf.entries.values()
    ]


def is_image_map(key: str) -> bool:
    """Tell whether a member of that name is a map of image versions."""
    return _last_part(key) in _MAPS


def disks_of(image: Image) -> list[str]:
    """Return the image's disks as `HeldImage.disks` has them."""
    disks = sorted(image.data_disks, key=lambda disk: disk.lun)
    return [
        f"os {sas.address(image.os_vhd_url)}",
        *(f"{disk.lun} {sas.address(disk.vhd_url)}" for disk in disks),
    ]


def missing(images: Iterable[Image], held: Iterable[HeldImage]) -> list[ImageVersion]:
    """Return which of the images a slot does not hold in every map they belong in, whatever their disks."""
    by_plan = _by_plan(held)
    lacking: list[ImageVersion] = []
    for image in images:
        places = _places_in_slot(image, by_plan.get(image.plan_id, ()))
        found = {one.generation for one in _same_version(image, by_plan)}
        if not places or not places <= found:
            lacking.append(image.image_version)
    return lacking


def conflicts(images: Iterable[Image], held: Iterable[HeldImage]) -> list[str]:
    """Return a sentence for each of the images whose version a slot holds with other disks."""
    by_plan = _by_plan(held)
    sentences: list[str] = []
    for image in images:
        places = _places_in_slot(image, by_plan.get(image.plan_id, ()))
        other = [one for one in _same_version(image, by_plan) if one.generation in places]
        sentences += [_taken(image, one) for one in other if one.disks != disks_of(image)][:1]
    return sentences


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
    version of a plan has as many data disks, a plan of a virtual machine offer holds eight versions.

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
        VersionTaken: A version is there, in the draft, the preview or the production, with other disks.
        PlanFull: There is no room, or none may be made.
        RuleBroken: Any other rule, or a document of another shape than documented.
        ValueError: The text is not JSON, or not an object.
    """
    root = _offer(document)
    plans = _find_plans(root, images)
    placements = _place(root, images, plans)
    slots = {"preview": _by_plan(preview), "production": _by_plan(production)}
    _refuse_contradictions(placements)
    _refuse_taken(placements, slots)
    added = _first_of_each([one for one in placements if one.present is None])
    renewed, warnings = _renewals(placements, slots, now)
    _refuse_old(added, slots)
    _refuse_disk_counts(added, slots)
    warnings += _check_signatures([*added, *renewed], now)
    most = limit if limit is not None else VERSIONS_PER_PLAN * (_offer_type(root) == VIRTUAL_MACHINE)
    dropped = _make_room(added, images, slots, when_full, most)
    splices = _splices(plans.values(), added, dropped, now)
    splices += [splice for one in _first_of_each(renewed) for splice in _new_urls(one)]
    outcome = EditOutcome(
        added=_unique(one.image.image_version for one in added),
        removed=[
            ImageVersion(plan_id=plan_id, version=_printable(version))
            for plan_id, versions in dropped.items()
            for version in versions
        ],
        renewed=_unique(one.image.image_version for one in renewed),
        warnings=list(dict.fromkeys(warnings)),
    )
    return apply(document, splices), outcome


# Reading a document


def _offer(document: str) -> Node:
    root = parse(document)
    if root.kind != "object":
        raise ValueError(f"not an offer document, but a JSON value of kind {root.kind}")
    return root


def _offer_type(root: Node) -> str | None:
    node = root.get("offerTypeId")
    return node.string if node else None


def _plans(root: Node) -> list[tuple[str, Node]]:
    """Return id and object of every plan that has an id."""
    definition = root.get("definition")
    array = definition.get("plans") if definition else None
    found: list[tuple[str, Node]] = []
    for node in array.items() if array else ():
        plan_id = node.get("planId")
        if plan_id and plan_id.string is not None:
            found.append((_printable(plan_id.string), node))
    return found


def _shelves(plan_id: str, node: Node, offer_type: str | None) -> list[_Shelf]:
    """Return the image maps of a plan: its own first, there or not, then those of its generations."""
    own = _map_member(node, offer_type)
    key = own.key if own else _MAP_OF_TYPE.get(offer_type or "")
    shelves = [_shelf(plan_id, None, node, key, own)]
    for member in node.members():
        if _last_part(member.key) != _GENERATIONS:
            continue
        for holder in member.value.items():
            if holder.kind == "object":
                generation = _generation(holder)
                found = _map_member(holder, offer_type)
                shelves.append(_shelf(plan_id, generation, holder, found.key if found else key, found))
    return shelves


def _shelf(plan_id: str, generation: str | None, holder: Node, key: str | None, found: Member | None) -> _Shelf:
    entries: dict[str, _Entry] = {}
    for member in found.value.members() if found else ():
        version = _printable(member.key)
        held = HeldImage(plan_id=plan_id, version=version, generation=generation, disks=_disks(member.value))
        entries[member.key] = _Entry(held, member.value)
    return _Shelf(generation, holder, key, found.value if found else None, entries)


def _map_member(holder: Node, offer_type: str | None) -> Member | None:
    """Return the image map of a plan or generation: an object rather than ``null``, that rather than else.

    Of several the one that the offer's type is documented to use.
    """
    usual = _MAP_OF_TYPE.get(offer_type or "")
    ranks = {"object": 0, "null": 1}
    # Of duplicate members the last one counts, for JSON readers and for us.
    members = {one.key: one for one in holder.members() if is_image_map(one.key)}
    return min(
        members.values(),
        key=lambda one: (ranks.get(one.value.kind, 2), one.key != usual),
        default=None,
    )


def _generation(holder: Node) -> str:
    node = holder.get("generation")
    return _printable(str(node.value)) if node and node.kind in {"string", "number"} else "unnamed"


def _disks(entry: Node) -> list[str]:
    """Return an entry's disks as `HeldImage.disks` has them; a disk without an address still counts."""
    node = entry.get("osVhdUrl")
    details = entry.get("lunVhdDetails")
    data: list[tuple[int, str, str]] = []
    for index, item in enumerate(details.items() if details else ()):
        lun, url = _disk_members(item)
        number = (str(lun.value.value).lstrip("0") or "0") if lun else str(index)
        address = (url.value.string if url else item.string) or ""
        data.append((len(number), number, sas.address(_printable(address))))
    os = sas.address(_printable((node.string if node else None) or ""))
    return [f"os {os}", *(f"{number} {address}" for _, number, address in sorted(data))]


def _disk_members(item: Node) -> tuple[Member | None, Member | None]:
    """Find a data disk's lun and address among the members of an object whose shape is not documented."""
    lun = [one for one in item.members() if re.fullmatch("[0-9]+", _scalar(one.value))]
    url = [one for one in item.members() if re.match("https?://", one.value.string or "", re.IGNORECASE)]
    lun.sort(key=lambda one: "lun" not in one.key.lower())
    url.sort(key=lambda one: not re.search("ur[il]", one.key.lower()))
    return (lun[0] if lun else None), (url[0] if url else None)


def _scalar(node: Node) -> str:
    return str(node.value) if node.kind in {"string", "number"} else ""


# Where an image belongs


def _places(generation: str | None, named: set[str]) -> set[str | None]:
    """Return which maps an image belongs in, by generation; ``None`` is the plan's own map.

    Args:
        generation: That of the image.
        named: Those that the plan's ``diskGenerations`` name.
    """
    if generation is None:
        return {None, *named}
    places: set[str | None] = {one for one in named if one == generation} if named else {None}
    if generation == next((one for one in ("1", "2") if one not in named), "1"):
        places.add(None)
    return places


def _places_in_slot(image: Image, held: Iterable[HeldImage]) -> set[str | None]:
    """Return which maps of a slot an image belongs in; none when the slot has nothing of its generation."""
    named = {one.generation for one in held if one.generation is not None}
    if not named and image.generation not in {None, "1"}:
        # The slot may be older than the plan's second generation: then its own map is that of the first, and
        # another disk there is no contradiction.
        same = [one for one in held if one.version == image.version and one.disks == disks_of(image)]
        return {None} if same else set()
    return _places(image.generation, named)


def _find_plans(root: Node, images: Iterable[Image]) -> dict[str, _Plan]:
    wanted = dict.fromkeys(image.plan_id for image in images)
    found: dict[str, _Plan] = {}
    ids: list[str] = []
    for plan_id, node in _plans(root):
        ids.append(plan_id)
        if plan_id not in wanted:
            continue
        if plan_id in found:
            raise RuleBroken(f"The draft has two plans {plan_id}; remove one of them in the portal.")
        found[plan_id] = _Plan(plan_id, _shelves(plan_id, node, _offer_type(root)))
    lacking = [plan_id for plan_id in wanted if plan_id not in found]
    if lacking:
        there = f"it has {_listed(ids)}" if ids else "it has no plans at all"
        raise PlanMissing(
            f"The draft has no plan {_listed(lacking)}; {there}. Correct plan_id, or add the plan to the offer first."
        )
    return found


def _place(root: Node, images: Iterable[Image], plans: Mapping[str, _Plan]) -> list[_Placement]:
    placements: list[_Placement] = []
    unknown: list[str] = []
    for image in images:
        plan = plans[image.plan_id]
        named = {shelf.generation for shelf in plan.shelves if shelf.generation is not None}
        places = _places(image.generation, named)
        if not places:
            unknown.append(
                f"Plan {plan.plan_id} has no generation {image.generation} for version {image.version}; "
                f"besides its own images it has those of generation {_listed(sorted(named))}."
            )
        placements += [_Placement(image, plan, shelf) for shelf in plan.shelves if shelf.generation in places]
    _raise(PlanMissing, unknown)
    for shelf in [one.shelf for one in placements]:
        if shelf.key is None:
            raise RuleBroken(
                f"Offers of type {_shown(_offer_type(root) or '(none)')} hold no images that we know of: "
                "their plans have neither …vmImages nor …vmImagesPublicAzure."
            )
        if shelf.node and shelf.node.kind not in {"object", "null"}:
            raise RuleBroken(
                f"The draft's {_shown(shelf.key)} is of kind {shelf.node.kind}, not a map of image versions."
            )
    return placements


# The rules


def _refuse_contradictions(placements: Iterable[_Placement]) -> None:
    first: dict[tuple[int, str], Image] = {}
    broken: list[str] = []
    for one in placements:
        image = first.setdefault((id(one.shelf), one.image.version), one.image)
        if disks_of(image) != disks_of(one.image):
            broken.append(
                f"Plan {one.plan.plan_id}: version {image.version} is asked for twice, with different disks; "
                "keep one of them, or say which generation each belongs to."
            )
    _raise(RuleBroken, broken)


def _refuse_taken(placements: Iterable[_Placement], slots: Mapping[str, _Held]) -> None:
    broken: list[str] = []
    for one in placements:
        standing = [("draft", one.present.held)] if one.present else []
        for slot, by_plan in slots.items():
            standing += [
                (slot, held) for held in _same_version(one.image, by_plan) if held.generation == one.shelf.generation
            ]
        broken += [_taken(one.image, held, slot) for slot, held in standing if held.disks != disks_of(one.image)][:1]
    _raise(VersionTaken, broken)


def _refuse_old(added: Iterable[_Placement], slots: Mapping[str, _Held]) -> None:
    broken: list[str] = []
    for one in added:
        version, plan_id = one.image.version, one.plan.plan_id
        published = [held for by_plan in slots.values() for held in by_plan.get(plan_id, ())]
        standing = [entry.held for entry in one.plan.newest_first()] + published
        if any(held.version == version for held in standing):
            # The plan has the version in another map: only what is in this map was there before it.
            standing = [held for held in standing if held.generation == one.shelf.generation]
        if any(held.version == version for held in standing):
            continue  # published, but no longer in the draft: it comes back
        newest = max((held.version for held in standing), key=_order, default=None)
        if newest is not None and sort_key(version) <= sort_key(newest):
            broken.append(
                f"Plan {plan_id}: version {version} is not greater than {_shown(newest)}, which the plan "
                f"already has; the marketplace would never show it. Give the image a version above "
                f"{_shown(newest)}."
            )
    _raise(RuleBroken, broken)


def _refuse_disk_counts(added: Iterable[_Placement], slots: Mapping[str, _Held]) -> None:
    broken: list[str] = []
    expected: dict[str, tuple[str, int]] = {}
    for one in added:
        plan_id = one.plan.plan_id
        count = len(one.image.data_disks)
        if plan_id not in expected:
            standing = [entry.held for entry in one.plan.newest_first()]
            standing = standing or [held for by_plan in slots.values() for held in by_plan.get(plan_id, ())]
            newest = max(standing, key=lambda held: _order(held.version), default=None)
            expected[plan_id] = (newest.version, len(newest.disks) - 1) if newest else (one.image.version, count)
        version, other = expected[plan_id]
        if count != other:
            broken.append(
                f"Plan {plan_id}: version {one.image.version} has {_counted(count)}, but version "
                f"{_shown(version)} has {_counted(other)}; every version of a plan must have the same "
                "number. Give as many data disks, or use another plan."
            )
    _raise(RuleBroken, broken)


def _check_signatures(placements: Iterable[_Placement], now: datetime) -> list[str]:
    """Refuse disks that the service could not read; return what it should be warned of."""
    errors: list[str] = []
    warnings: list[str] = []
    for image in {id(one.image): one.image for one in placements}.values():
        if len(image.data_disks) > _DATA_DISKS_OF_OLD:
            warnings.append(
                f"{image.image_version}: it has {_counted(len(image.data_disks))}; some pages of the "
                f"marketplace's documentation allow {_DATA_DISKS_OF_OLD} only."
            )
        for name, url in _urls(image):
            if sas.unsigned(url):
                account = sas.account(url)
                errors.append(
                    f"{image.image_version}: the URL of {name} has no SAS, and the worker has no key of the "
                    f"storage account {account} to make one. Add a SAS to the URL, or set "
                    f"AZURE_STORAGE_ACCOUNT_KEYS={account}=<key> for the worker."
                )
            found = sas.problems(url, now)
            errors += [f"{image.image_version}: the SAS of {name}: {problem}." for problem in found.errors]
            warnings += [f"{image.image_version}: the SAS of {name}: {problem}." for problem in found.warnings]
    _raise(RuleBroken, errors)
    return warnings


def _renewals(
    placements: Iterable[_Placement], slots: Mapping[str, _Held], now: datetime
) -> tuple[list[_Placement], list[str]]:
    """Find unpublished versions whose SAS is of no use any more; warn where the given one is no better."""
    renewed: list[_Placement] = []
    warnings: list[str] = []
    for one in placements:
        if one.present is None or any(_same_version(one.image, by_plan) for by_plan in slots.values()):
            continue
        if all(sas.usable(node.string or "", now) for node in _url_nodes(one.present.node).values()):
            continue
        if all(sas.usable(url, now) for _, url in _urls(one.image)):
            renewed.append(one)
        else:
            warnings.append(
                f"{one.image.image_version}: it is in the draft with a SAS that does not work, or not for three "
                "weeks more, and the one given is no better; the service may fail to copy the disks."
            )
    return renewed, warnings


def _make_room(
    added: Sequence[_Placement],
    images: Iterable[Image],
    slots: Mapping[str, _Held],
    when_full: WhenFull,
    limit: int,
) -> dict[str, list[str]]:
    """Return which versions to drop, by plan; raise `PlanFull` where they are not enough or none may be."""
    dropped: dict[str, list[str]] = {}
    broken: list[str] = []
    wanted: dict[str, set[str]] = defaultdict(set)
    for image in images:
        wanted[image.plan_id].add(image.version)
    for plan in {one.plan.plan_id: one.plan for one in added}.values() if limit > 0 else ():
        after = plan.versions() | {one.image.version for one in added if one.plan is plan}
        over = len(after) - limit
        if over <= 0 or after == plan.versions():
            continue
        kept = wanted[plan.plan_id] | _newest_published(plan.plan_id, slots)
        oldest = _droppable(plan, added, kept)
        if when_full == WhenFull.REMOVE_OLDEST and len(oldest) >= over:
            dropped[plan.plan_id] = oldest[:over]
            continue
        held = sorted(plan.versions(), key=_order)
        sentence = f"Plan {plan.plan_id} holds {len(held)} versions ({_listed(held)}), {limit} are allowed, and "
        sentence += f"{_listed(sorted(after - plan.versions(), key=_order))} would not fit. "
        if len(oldest) < over:
            sentence += (
                "Not enough of them can be dropped: the newest of preview and production, the versions asked "
                "for and the last of a map stay. Ask for fewer versions, or raise the limit."
            )
        else:
            sentence += (
                f"The oldest that could go: {_listed(oldest[:over])}. Remove it in the portal, or set "
                'when_full to "remove_oldest".'
            )
        broken.append(sentence)
    _raise(PlanFull, broken)
    return dropped


def _newest_published(plan_id: str, slots: Mapping[str, _Held]) -> set[str]:
    """Return the newest versions of preview and production, of each generation; all that are equally new."""
    newest: set[str] = set()
    for by_plan in slots.values():
        by_generation: dict[str | None, list[str]] = defaultdict(list)
        for held in by_plan.get(plan_id, ()):
            by_generation[held.generation].append(held.version)
        for versions in by_generation.values():
            top = max(sort_key(version) for version in versions)
            newest |= {version for version in versions if sort_key(version) == top}
    return newest


def _droppable(plan: _Plan, added: Iterable[_Placement], kept: set[str]) -> list[str]:
    """Return the versions that may be dropped, oldest first, so that no map of the plan becomes empty."""
    left = {id(shelf): len(shelf.entries) for shelf in plan.shelves}
    for one in added:
        if one.plan is plan:
            left[id(one.shelf)] += 1
    found: list[str] = []
    for version in sorted(plan.versions() - kept, key=_order):
        holders = [id(shelf) for shelf in plan.shelves if version in shelf.entries]
        if all(left[holder] > 1 for holder in holders):
            found.append(version)
            for holder in holders:
                left[holder] -= 1
    return found


# Writing


def _splices(
    plans: Iterable[_Plan], added: Sequence[_Placement], dropped: Mapping[str, list[str]], now: datetime
) -> list[Splice]:
    splices: list[Splice] = []
    for plan in plans:
        gone = dropped.get(plan.plan_id, [])
        for shelf in plan.shelves:
            new = [
                (one.image.version, _entry_text(one, now))
                for one in sorted(added, key=lambda one: _order(one.image.version))
                if one.shelf is shelf
            ]
            if shelf.node and shelf.node.kind == "object":
                splices += change_members(shelf.node, remove=gone, add=new)
            elif new and shelf.key:
                text = "{" + ", ".join(f"{written(version)}: {entry}" for version, entry in new) + "}"
                splices += (
                    [set_value(shelf.node, text)]
                    if shelf.node
                    else change_members(shelf.holder, add=[(shelf.key, text)])
                )
    return splices


def _entry_text(one: _Placement, now: datetime) -> str:
    """Write an image version: of a core VM plan with the members that only those have."""
    image = one.image
    members = {
        "osVhdUrl": written(image.os_vhd_url),
        "lunVhdDetails": _data_disks_text(image, one.plan),
    }
    if _last_part(one.shelf.key or "") == _CORE_VM_MAP:
        name = unquote(urlsplit(image.os_vhd_url).path).rsplit("/", 1)[-1]
        members |= {
            "mediaName": written(re.sub(r"\.vhd$", "", name, flags=re.IGNORECASE)),
            "showInGui": "true",
            "publishedDate": written(now.astimezone(UTC).strftime("%m/%d/%Y")),
            "label": '""',
            "description": '""',
        }
        same = sorted(one.shelf.entries.values(), key=lambda entry: _order(entry.held.version))
        newest = same[-1:] or one.plan.newest_first()[:1]
        for key, kind in (("showInGui", "boolean"), ("label", "string"), ("description", "string")):
            node = newest[0].node.get(key) if newest else None
            if node and node.kind == kind:
                members[key] = node.text
    return "{" + ", ".join(f"{written(key)}: {text}" for key, text in members.items()) + "}"


def _data_disks_text(image: Image, plan: _Plan) -> str:
    """Write data disks with the names that the plan's newest version with some uses; none are documented."""
    lun_key, url_key, lun_kind = '"lun"', '"vhdUrl"', "number"
    for item in (item for entry in plan.newest_first() for item in _data_disk_nodes(entry.node)):
        lun, url = _disk_members(item)
        if lun and url:
            lun_key = item.source[lun.key_start : lun.key_end]
            url_key = item.source[url.key_start : url.key_end]
            lun_kind = lun.value.kind
            break
    items = [
        f"{{{lun_key}: {written(disk.lun if lun_kind == 'number' else str(disk.lun))}, "
        f"{url_key}: {written(disk.vhd_url)}}}"
        for disk in sorted(image.data_disks, key=lambda disk: disk.lun)
    ]
    return f"[{', '.join(items)}]"


def _new_urls(one: _Placement) -> list[Splice]:
    """Write the given URLs in the place of those of an entry with the same disks."""
    nodes = _url_nodes(one.present.node) if one.present else {}
    urls = {sas.address(url): url for _, url in _urls(one.image)}
    return [set_value(node, written(urls[sas.address(_printable(node.string or ""))])) for node in nodes.values()]


def _url_nodes(entry: Node) -> dict[int, Node]:
    """Return the URLs of an entry, by where they stand."""
    found = [entry.get("osVhdUrl")]
    for item in _data_disk_nodes(entry):
        url = _disk_members(item)[1]
        found.append(url.value if url else item)
    return {node.start: node for node in found if node and node.kind == "string"}


def _data_disk_nodes(entry: Node) -> list[Node]:
    details = entry.get("lunVhdDetails")
    return details.items() if details else []


# Words


def _taken(image: Image, held: HeldImage, slot: str | None = None) -> str:
    ours, theirs = disks_of(image), held.disks
    other = next((disk for disk in theirs if disk not in ours), theirs[0] if theirs else "")
    where = f" in the {slot}" if slot else ""
    place = ImageVersion(plan_id=held.plan_id, version=held.version, generation=held.generation)
    return (
        f"{place} is there{where} with other disks: it has {_counted(len(theirs) - 1)} and "
        f"{_shown(other, 300)}. A version never changes its disks; give the new image a new version."
    )


def _urls(image: Image) -> list[tuple[str, str]]:
    """Return the image's URLs with what a person calls the disk."""
    disks = [(f"the data disk at lun {disk.lun}", disk.vhd_url) for disk in image.data_disks]
    return [("the OS disk", image.os_vhd_url), *disks]


def _counted(count: int) -> str:
    return f"{count} data disk{'' if count == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    more = [f"{len(names) - _MOST_LISTED} more"] if len(names) > _MOST_LISTED else []
    return ", ".join([*(_shown(name) for name in names[:_MOST_LISTED]), *more])


def _shown(text: str, most: int = 80) -> str:
    """Bound what a document says, for a message; it may hold anything."""
    return sas.redacted(_printable(text)[:most])


def _printable(text: str) -> str:
    """Replace halves of characters that JSON can escape and nothing else can write."""
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text


def _raise(error: type[RuleBroken], sentences: Sequence[str]) -> None:
    found = list(dict.fromkeys(sentences))
    if found:
        more = [f"… and {len(found) - _MOST_LISTED} more."] if len(found) > _MOST_LISTED else []
        raise error("\n".join([*found[:_MOST_LISTED], *more]))


# Small things


def _last_part(key: str) -> str:
    return key.rsplit(".", 1)[-1]


def _order(version: str) -> tuple[SortKey, str]:
    """Sort by version, equally new ones alphabetically."""
    return sort_key(version), version


def _by_plan(held: Iterable[HeldImage]) -> dict[str, list[HeldImage]]:
    by_plan: dict[str, list[HeldImage]] = defaultdict(list)
    for one in held:
        by_plan[one.plan_id].append(one)
    return dict(by_plan)


def _same_version(image: Image, by_plan: _Held) -> list[HeldImage]:
    return [one for one in by_plan.get(image.plan_id, ()) if one.version == image.version]


def _first_of_each(placements: Iterable[_Placement]) -> list[_Placement]:
    """Keep one placement where the same image is asked for twice."""
    found: dict[tuple[int, str], _Placement] = {}
    for one in placements:
        found.setdefault((id(one.shelf), one.image.version), one)
    return list(found.values())


def _unique(versions: Iterable[ImageVersion]) -> list[ImageVersion]:
    return list({str(version): version for version in versions}.values())
