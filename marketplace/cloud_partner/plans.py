"""What an offer document says of its plans and their image versions, read in place.

A plan keeps its image versions in a map from version to disks, here called a shelf. In a virtual machine offer
that is the member ``microsoft-azure-virtualmachines.vmImages``; in a core VM offer it is
``microsoft-azure-corevm.vmImagesPublicAzure``, and for a second generation another such map in an object of
the array ``diskGenerations``. Maps are found by the last part of the member's name, so offers of other types
that keep their images alike work as well.

Plans and maps of another shape than documented are passed over.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from marketplace import sas
from marketplace.disks import OS, Disk, given_disks
from marketplace.json_text import Member, Node, parse
from marketplace.model import Fact, Image
from marketplace.versions import SortKey, sort_key
from marketplace.wording import encodable

VIRTUAL_MACHINE = "microsoft-azure-virtualmachines"
CORE_VM = "microsoft-azure-corevm"

MAX_IMAGES = 100_000
"""Image versions of an offer: they take a tenth of a millisecond and a kilobyte each."""

_CORE_VM_MAP = "vmImagesPublicAzure"
_MAPS = frozenset({"vmImages", _CORE_VM_MAP})
_GENERATIONS = "diskGenerations"
_MAP_OF_TYPE = {VIRTUAL_MACHINE: f"{VIRTUAL_MACHINE}.vmImages", CORE_VM: f"{CORE_VM}.{_CORE_VM_MAP}"}


class HeldImage(Fact):
    """An image version as a slot holds it.

    Attributes:
        disks: One entry a disk: ``"os <address>"`` or ``"<lun> <address>"``, the address without its SAS,
            so that equal disks compare equal.
    """

    plan_id: str
    version: str
    generation: str | None = None
    disks: list[str] = []


@dataclass(frozen=True)
class HeldDisk(Disk):
    """A disk as a document has it.

    Attributes:
        spelling: A data disk's number and URL as members of an object; their names are not documented.
    """

    spelling: tuple[Member, Member] | None = None


@dataclass(frozen=True)
class Entry:
    """An image version in a document; the first of its disks is that of the operating system."""

    held: HeldImage
    node: Node
    disks: list[HeldDisk]


@dataclass(frozen=True)
class Shelf:
    """An image map of a plan.

    Attributes:
        generation: ``None`` for the plan's own map.
        holder: The object that the map is, or will be, a member of.
        key: The map's name, ``None`` where the offer's type tells none.
        node: The map, or what stands in its place; ``None`` where there is none yet.
        entries: What it holds, by version.
    """

    generation: str | None
    holder: Node
    key: str | None
    node: Node | None
    entries: Mapping[str, Entry]

    @property
    def of_core_vm(self) -> bool:
        """Whether its image versions have the members that only those of core VM offers have."""
        return _last_part(self.key or "") == _CORE_VM_MAP

    @cached_property
    def newest(self) -> Entry | None:
        """The newest of its image versions."""
        return max(self.entries.values(), key=lambda entry: order(entry.held.version), default=None)


@dataclass(frozen=True)
class Plan:
    """A plan that has an id."""

    plan_id: str
    node: Node
    offer_type: str | None

    @cached_property
    def shelves(self) -> list[Shelf]:
        """The plan's image maps: its own first, there or not, then those of its generations."""
        own = _map_member(self.node, self.offer_type)
        key = own.key if own else _MAP_OF_TYPE.get(self.offer_type or "")
        shelves = [self._shelf(None, self.node, key, own)]
        for holder in _generations(self.node):
            found = _map_member(holder, self.offer_type)
            shelves.append(self._shelf(_generation(holder), holder, found.key if found else key, found))
        return shelves

    def versions(self) -> set[str]:
        """Return the versions of all shelves."""
        return {version for shelf in self.shelves for version in shelf.entries}

    def entries(self) -> Iterator[Entry]:
        """Yield the image versions of all shelves."""
        for shelf in self.shelves:
            yield from shelf.entries.values()

    @cached_property
    def newest_first(self) -> list[Entry]:
        """The image versions of all shelves."""
        return sorted(self.entries(), key=lambda entry: order(entry.held.version), reverse=True)

    @cached_property
    def spelling(self) -> tuple[Member, Member] | None:
        """The names that data disks have in the newest version with some; none are documented."""
        disks = (disk for entry in self.newest_first for disk in entry.disks)
        return next((disk.spelling for disk in disks if disk.spelling), None)

    def _shelf(self, generation: str | None, holder: Node, key: str | None, found: Member | None) -> Shelf:
        entries: dict[str, Entry] = {}
        for member in found.value.members() if found else ():
            disks = _disks(member.value)
            held = HeldImage(
                plan_id=self.plan_id, version=encodable(member.key), generation=generation, disks=identities(disks)
            )
            entries[member.key] = Entry(held, member.value, disks)
        return Shelf(generation, holder, key, found.value if found else None, entries)


@dataclass(frozen=True)
class Offer:
    """An offer document: its type, and its plans in their order."""

    type: str | None
    plans: list[Plan]

    def entries(self) -> Iterator[Entry]:
        """Yield every image version of every plan.

        Raises:
            ValueError: There are more than `MAX_IMAGES`.
        """
        count = 0
        for plan in self.plans:
            for shelf in plan.shelves:
                count += len(shelf.entries)
                if count > MAX_IMAGES:
                    raise ValueError(f"more than {MAX_IMAGES:,} image versions")
                yield from shelf.entries.values()


def read(document: str) -> Offer:
    """Return the offer that a document describes; its plans are read when they are asked for their shelves.

    Raises:
        ValueError: The text is not JSON, or not an object.
    """
    root = parse(document)
    if root.kind != "object":
        raise ValueError(f"not an offer document, but a JSON value of kind {root.kind}")
    offer_type = _string(root.get("offerTypeId"))
    definition = root.get("definition")
    array = definition.get("plans") if definition else None
    ids = [(node, _string(node.get("planId"))) for node in (array.items() if array else ())]
    plans = [Plan(encodable(plan_id), node, offer_type) for node, plan_id in ids if plan_id is not None]
    return Offer(offer_type, plans)


def is_image_map(key: str) -> bool:
    """Return whether a member of that name is a map of image versions."""
    return _last_part(key) in _MAPS


def disks_of(image: Image) -> list[str]:
    """Return the image's disks as `HeldImage.disks` has them."""
    return identities(given_disks(image))


def identities(disks: Iterable[Disk]) -> list[str]:
    """Return disks as `HeldImage.disks` has them: that of the system first, the others by number."""
    found = sorted((disk.rank, identity(disk)) for disk in disks)
    return [each for _, each in found]


def identity(disk: Disk) -> str:
    """Return a disk as an item of `HeldImage.disks`."""
    return f"{disk.place} {sas.address(disk.url)}"


def order(version: str) -> tuple[SortKey, str]:
    """Sort by version, equally new ones alphabetically."""
    return sort_key(version), version


def _generations(plan: Node) -> Iterator[Node]:
    for member in plan.members():
        if _last_part(member.key) == _GENERATIONS:
            yield from (holder for holder in member.value.items() if holder.kind == "object")


def _generation(holder: Node) -> str:
    node = holder.get("generation")
    return encodable(_scalar(node)) if node and node.kind in {"string", "number"} else "unnamed"


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


def _disks(entry: Node) -> list[HeldDisk]:
    """Return an entry's disks; one without an address still counts."""
    details = entry.get("lunVhdDetails")
    items = details.items() if details else []
    return [_disk(OS, entry.get("osVhdUrl")), *(_data_disk(index, item) for index, item in enumerate(items))]


def _data_disk(index: int, item: Node) -> HeldDisk:
    """Find a data disk's lun and address among the members of an object whose shape is not documented."""
    luns = [one for one in item.members() if re.fullmatch("[0-9]+", _scalar(one.value))]
    urls = [one for one in item.members() if re.match("https?://", _string(one.value) or "", re.IGNORECASE)]
    lun = min(luns, key=lambda one: "lun" not in one.key.lower(), default=None)
    url = min(urls, key=lambda one: not re.search("ur[il]", one.key.lower()), default=None)
    place = (_scalar(lun.value).lstrip("0") or "0") if lun else str(index)
    return _disk(place, url.value if url else item, (lun, url) if lun and url else None)


def _disk(place: str, node: Node | None, spelling: tuple[Member, Member] | None = None) -> HeldDisk:
    url = _string(node)
    return HeldDisk(place, encodable(url or ""), node if url is not None else None, spelling)


def _string(node: Node | None) -> str | None:
    return node.string if node else None


def _scalar(node: Node | None) -> str:
    return str(node.value) if node and node.kind in {"string", "number"} else ""


def _last_part(key: str) -> str:
    return key.rsplit(".", 1)[-1]
