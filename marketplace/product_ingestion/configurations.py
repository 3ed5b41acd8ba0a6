"""The technical configuration of a plan: its SKUs, and its image versions with one image for each image type.

Parts of an undocumented shape are skipped here, and kept in the text.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from marketplace.json_text import Node, string_of
from marketplace.model import ImageVersion
from marketplace.product_ingestion import sources
from marketplace.product_ingestion.resources import AVAILABLE, VERSIONS, Resource, Tree
from marketplace.product_ingestion.sources import Source
from marketplace.versions import SortKey, sort_key
from marketplace.wording import MAX_NAME, encodable, one_line

DEPRECATED = "deprecated"
DELETED = "deleted"


@dataclass(frozen=True)
class VersionImage:
    """The image of one image type in an image version."""

    image_type: str
    node: Node
    source: Source


@dataclass(frozen=True)
class VersionEntry:
    """An entry in a list of image versions.

    One version may have several entries. Some clients write one entry for each image type.
    """

    number: str
    node: Node
    lifecycle: str
    images: list[VersionImage]

    @property
    def is_active(self) -> bool:
        """Whether it is neither deprecated nor marked as deleted."""
        return self.lifecycle not in {DEPRECATED.casefold(), DELETED}

    @property
    def is_there(self) -> bool:
        """Whether it is not marked as deleted."""
        return self.lifecycle != DELETED


class HeldImage(NamedTuple):
    """An image in a configuration, and the entry that it is in."""

    entry: VersionEntry
    image: VersionImage


@dataclass(frozen=True)
class PlanSku:
    """A SKU of a plan."""

    image_type: str
    id: str


@dataclass(frozen=True)
class Configuration:
    """A plan's technical configuration in a resource tree.

    Attributes:
        plan_id: The plan's external ID.
        shared_from: The plan whose configuration this plan shares, ``None`` if it has its own.
    """

    plan_id: str
    resource: Resource
    shared_from: str | None

    @cached_property
    def versions(self) -> list[VersionEntry]:
        """The image versions, in the document's order."""
        array = self.resource.node.get(VERSIONS)
        items = array.items() if array is not None else ()
        return [found for item in items if (found := _version(item)) is not None]

    @cached_property
    def skus(self) -> list[PlanSku]:
        """The SKUs, in the document's order."""
        array = self.resource.node.get("skus")
        found: list[PlanSku] = []
        for item in array.items() if array is not None else ():
            image_type, sku_id = _string(item.get("imageType")), _string(item.get("skuId"))
            if image_type:
                found.append(PlanSku(image_type, sku_id or ""))
        return found

    @property
    def image_types(self) -> list[str]:
        """The image types of the SKUs, without repeats."""
        return list(dict.fromkeys(sku.image_type for sku in self.skus))

    @cached_property
    def by_number(self) -> dict[SortKey, list[VersionEntry]]:
        """The image versions that are not marked as deleted. Spellings of one version share a key."""
        return _by_sort_key(one for one in self.versions if one.is_there)

    def entries(self, number: str) -> list[VersionEntry]:
        """Return the entries of a version in any spelling. Those that are marked as deleted come last."""
        return self._entries.get(sort_key(number), [])

    @cached_property
    def _entries(self) -> dict[SortKey, list[VersionEntry]]:
        return _by_sort_key(sorted(self.versions, key=lambda one: not one.is_there))

    def image(self, number: str, image_type: str) -> HeldImage | None:
        """Return the image of a version and image type. The version's spelling must be the same."""
        for version in self.by_number.get(sort_key(number), ()):
            for image in version.images:
                if version.number == number and image.image_type == image_type:
                    return HeldImage(version, image)
        return None

    @property
    def named(self) -> Iterator[ImageVersion]:
        """The images for a person. Each word is one bounded line."""
        for version in self.versions:
            for image in version.images if version.is_there else ():
                yield named(self.plan_id, version.number, image.image_type)


def named(plan_id: str, number: str, image_type: str | None = None) -> ImageVersion:
    """Return an image version for a person. Each word is one bounded line."""
    return ImageVersion(
        plan_id=one_line(plan_id, MAX_NAME),
        version=one_line(number, MAX_NAME),
        generation=one_line(image_type, MAX_NAME) if image_type else None,
    )


def configuration(tree: Tree, plan_id: str) -> Configuration | None:
    """Return the technical configuration of the plan with an external ID."""
    resource = tree.configurations.get(plan_id)
    return Configuration(plan_id, resource, _shared_from(tree, resource)) if resource is not None else None


def configurations(tree: Tree) -> list[Configuration]:
    """Return the technical configurations of all plans, in the document's order."""
    return [
        Configuration(plan, resource, _shared_from(tree, resource)) for plan, resource in tree.configurations.items()
    ]


def dependants(tree: Tree, plan_id: str) -> list[str]:
    """Return the plans that share the technical configuration of a plan."""
    return [one.plan_id for one in configurations(tree) if one.shared_from == plan_id]


def architecture(image_type: str) -> str:
    """Return the processor architecture in the name of an image type."""
    name = image_type.casefold().split("gen", 1)[0]
    return "arm" if name.startswith("arm") else name


def matching_image_type(image_type: str, image_types: Sequence[str]) -> str | None:
    """Return an image type in the plan's spelling. 64-bit ARM has two names."""

    def letters(word: str) -> str:
        return word.casefold().replace("arm64", "arm")

    return next((one for one in image_types if letters(one) == letters(image_type)), None)


def _shared_from(tree: Tree, resource: Resource) -> str | None:
    """Return the plan whose configuration a plan shares. A detached plan has its own."""
    reference, state = resource.node.get("basePlan"), resource.node.get("reuseTechnicalConfigurationState")
    if reference is None or reference.kind == "null":
        return None
    if state is not None and (state.string or "").casefold() == "detach":
        return None
    value = reference.value
    return tree.plan_named(value) or (value if isinstance(value, str) else "another plan")


def _by_sort_key(versions: Iterable[VersionEntry]) -> dict[SortKey, list[VersionEntry]]:
    found: dict[SortKey, list[VersionEntry]] = {}
    for one in versions:
        found.setdefault(sort_key(one.number), []).append(one)
    return found


def _version(item: Node) -> VersionEntry | None:
    number = _string(item.get("versionNumber")) if item.kind == "object" else None
    if number is None:
        return None
    array = item.get("vmImages")
    images: list[VersionImage] = []
    for image in array.items() if array is not None else ():
        image_type = _string(image.get("imageType")) if image.kind == "object" else None
        if image_type is not None:
            images.append(VersionImage(image_type, image, sources.read(image.get("source"))))
    lifecycle = (_string(item.get("lifecycleState")) or AVAILABLE).casefold()
    return VersionEntry(number, item, lifecycle, images)


def _string(node: Node | None) -> str | None:
    found = string_of(node)
    return encodable(found) if found is not None else None
