"""The plans of an offer document and their image versions, read in place.

A plan keeps its image versions in a map from version to disks. In a virtual machine offer the map is the member
``microsoft-azure-virtualmachines.vmImages``. In a core VM offer it is ``microsoft-azure-corevm.vmImagesPublicAzure``.
A second generation has a map of its own, in an object of the array ``diskGenerations``. Maps are found by the last
part of the member's name, which covers offers of other types with the same layout.

Plans and maps of an undocumented shape are skipped.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from marketplace.disks import OS, Disk, DiskAddress, addresses
from marketplace.json_text import Member, Node, parse, string_of
from marketplace.versions import SortKey, sort_key
from marketplace.wording import encodable

VIRTUAL_MACHINE = "microsoft-azure-virtualmachines"
CORE_VM = "microsoft-azure-corevm"

MAX_IMAGES = 100_000
"""Image versions of an offer. Reading one takes a tenth of a millisecond and a kilobyte."""

_CORE_VM_MAP = "vmImagesPublicAzure"
_MAPS = frozenset({"vmImages", _CORE_VM_MAP})
_GENERATIONS = "diskGenerations"
_MAP_OF_TYPE = {VIRTUAL_MACHINE: f"{VIRTUAL_MACHINE}.vmImages", CORE_VM: f"{CORE_VM}.{_CORE_VM_MAP}"}


@dataclass(frozen=True)
class HeldImage:
    """An image version that a slot holds.

    Attributes:
        generation: The generation whose map holds it, ``None`` for the plan's own map.
        disks: The OS disk first, data disks by number.
    """

    plan_id: str
    version: str
    generation: str | None = None
    disks: list[DiskAddress] = field(default_factory=list)


@dataclass(frozen=True)
class DocumentDisk(Disk):
    """A disk in a document.

    Attributes:
        lun_and_url: The members that hold a data disk's number and URL. Their names are not documented.
    """

    lun_and_url: tuple[Member, Member] | None = None


@dataclass(frozen=True)
class ImageEntry:
    """An image version at its place in a document. The first of its disks is the OS disk."""

    held: HeldImage
    node: Node
    disks: list[DocumentDisk]


@dataclass(frozen=True)
class ImageMap:
    """A map of image versions in a plan.

    Attributes:
        generation: ``None`` for the plan's own map.
        holder: The object that has, or will have, the map as a member.
        key: The member's name, ``None`` where the offer's type is unknown.
        node: The member's value, ``None`` where there is no such member yet.
        entries: The image versions, by version.
    """

    generation: str | None
    holder: Node
    key: str | None
    node: Node | None
    entries: Mapping[str, ImageEntry]

    @property
    def is_core_vm(self) -> bool:
        """Whether its image versions have the members that only core VM offers use."""
        return _last_part(self.key or "") == _CORE_VM_MAP

    @cached_property
    def newest(self) -> ImageEntry | None:
        """The newest image version."""
        return max(self.entries.values(), key=lambda entry: order(entry.held.version), default=None)


@dataclass(frozen=True)
class Plan:
    """A plan with an ID."""

    plan_id: str
    node: Node
    offer_type: str | None

    @cached_property
    def image_maps(self) -> list[ImageMap]:
        """The plan's own image map, even where it is missing, followed by the maps of its generations."""
        own = _map_member(self.node, self.offer_type)
        key = own.key if own else _MAP_OF_TYPE.get(self.offer_type or "")
        maps = [self._image_map(None, self.node, key, own)]
        for holder in _generations(self.node):
            found = _map_member(holder, self.offer_type)
            maps.append(self._image_map(_generation(holder), holder, found.key if found else key, found))
        return maps

    def versions(self) -> set[str]:
        """Return the versions in all image maps."""
        return {version for image_map in self.image_maps for version in image_map.entries}

    def entries(self) -> Iterator[ImageEntry]:
        """Yield the image versions of all image maps."""
        for image_map in self.image_maps:
            yield from image_map.entries.values()

    @cached_property
    def newest_first(self) -> list[ImageEntry]:
        """The image versions of all image maps."""
        return sorted(self.entries(), key=lambda entry: order(entry.held.version), reverse=True)

    @cached_property
    def lun_and_url(self) -> tuple[Member, Member] | None:
        """The number and URL of a data disk in the newest version that has one. New data disks copy their names."""
        disks = (disk for entry in self.newest_first for disk in entry.disks)
        return next((disk.lun_and_url for disk in disks if disk.lun_and_url), None)

    def _image_map(self, generation: str | None, holder: Node, key: str | None, found: Member | None) -> ImageMap:
        entries: dict[str, ImageEntry] = {}
        for member in found.value.members() if found else ():
            disks = _disks(member.value)
            held = HeldImage(self.plan_id, encodable(member.key), generation, addresses(disks))
            entries[member.key] = ImageEntry(held, member.value, disks)
        return ImageMap(generation, holder, key, found.value if found else None, entries)


@dataclass(frozen=True)
class Offer:
    """An offer document: its type, and its plans in their order."""

    type: str | None
    plans: list[Plan]

    def entries(self) -> Iterator[ImageEntry]:
        """Yield the image versions of all plans.

        Raises:
            ValueError: There are more than `MAX_IMAGES`.
        """
        count = 0
        for plan in self.plans:
            for image_map in plan.image_maps:
                count += len(image_map.entries)
                if count > MAX_IMAGES:
                    raise ValueError(f"more than {MAX_IMAGES:,} image versions")
                yield from image_map.entries.values()


def read(document: str) -> Offer:
    """Return the offer that a document describes. Image maps are read on first use.

    Raises:
        ValueError: The text is not JSON, or not an object.
    """
    root = parse(document)
    if root.kind != "object":
        raise ValueError(f"not an offer document, but a JSON value of kind {root.kind}")
    offer_type = string_of(root.get("offerTypeId"))
    definition = root.get("definition")
    array = definition.get("plans") if definition else None
    ids = [(node, string_of(node.get("planId"))) for node in (array.items() if array else ())]
    plans = [Plan(encodable(plan_id), node, offer_type) for node, plan_id in ids if plan_id is not None]
    return Offer(offer_type, plans)


def is_image_map(key: str) -> bool:
    """Return whether a member of that name is an image map."""
    return _last_part(key) in _MAPS


def order(version: str) -> tuple[SortKey, str]:
    """Return the sort key of a version. Equal versions are sorted by spelling."""
    return sort_key(version), version


def _generations(plan: Node) -> Iterator[Node]:
    for member in plan.members():
        if _last_part(member.key) == _GENERATIONS:
            yield from (holder for holder in member.value.items() if holder.kind == "object")


def _generation(holder: Node) -> str:
    node = holder.get("generation")
    return encodable(_scalar(node)) if node and node.kind in {"string", "number"} else "unnamed"


def _map_member(holder: Node, offer_type: str | None) -> Member | None:
    """Return the image map of a plan or generation.

    Objects are preferred to ``null``, and ``null`` to other values. Among equals, the name that is documented for the
    offer's type is preferred.
    """
    usual = _MAP_OF_TYPE.get(offer_type or "")
    ranks = {"object": 0, "null": 1}
    # The last of duplicate members counts, as for any JSON reader.
    members = {one.key: one for one in holder.members() if is_image_map(one.key)}
    return min(
        members.values(),
        key=lambda one: (ranks.get(one.value.kind, 2), one.key != usual),
        default=None,
    )


def _disks(entry: Node) -> list[DocumentDisk]:
    """Return the disks of an entry. A disk without a URL still counts."""
    details = entry.get("lunVhdDetails")
    items = details.items() if details else []
    return [_disk(OS, entry.get("osVhdUrl")), *(_data_disk(index, item) for index, item in enumerate(items))]


def _data_disk(index: int, item: Node) -> DocumentDisk:
    """Return a data disk. Its members are recognised by their values, since their names are not documented."""
    luns = [one for one in item.members() if re.fullmatch("[0-9]+", _scalar(one.value))]
    urls = [one for one in item.members() if re.match("https?://", string_of(one.value) or "", re.IGNORECASE)]
    lun = min(luns, key=lambda one: "lun" not in one.key.lower(), default=None)
    url = min(urls, key=lambda one: not re.search("ur[il]", one.key.lower()), default=None)
    place = (_scalar(lun.value).lstrip("0") or "0") if lun else str(index)
    return _disk(place, url.value if url else item, (lun, url) if lun and url else None)


def _disk(place: str, node: Node | None, lun_and_url: tuple[Member, Member] | None = None) -> DocumentDisk:
    url = string_of(node)
    return DocumentDisk(place, encodable(url or ""), node if url is not None else None, lun_and_url)


def _scalar(node: Node | None) -> str:
    return str(node.value) if node and node.kind in {"string", "number"} else ""


def _last_part(key: str) -> str:
    return key.rsplit(".", 1)[-1]
