"""The technical configuration of a plan: its SKUs and its image versions, each with an image per image type.

What is of another shape than documented is passed over here and kept in the text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from marketplace.json_text import Node
from marketplace.model import ImageVersion
from marketplace.product_ingestion import sources
from marketplace.product_ingestion.resources import AVAILABLE, VERSIONS, Resource, Tree
from marketplace.product_ingestion.sources import Source
from marketplace.versions import SortKey, sort_key
from marketplace.wording import MAX_NAME, encodable, one_line

DEPRECATED = "deprecated"
DELETED = "deleted"


@dataclass(frozen=True)
class HeldImage:
    """The image of one image type in an image version."""

    image_type: str
    node: Node
    source: Source


@dataclass(frozen=True)
class HeldVersion:
    """An entry of a list of image versions. There may be two of one number: some clients write one an image type."""

    number: str
    node: Node
    lifecycle: str
    images: list[HeldImage]

    @property
    def is_active(self) -> bool:
        """Whether it is neither deprecated nor to be deleted."""
        return self.lifecycle not in {DEPRECATED.casefold(), DELETED}

    @property
    def is_there(self) -> bool:
        """Whether it is not to be deleted."""
        return self.lifecycle != DELETED


@dataclass(frozen=True)
class Sku:
    """A SKU of a plan."""

    image_type: str
    id: str


@dataclass(frozen=True)
class Configuration:
    """A plan's technical configuration in a tree.

    Attributes:
        plan_id: The plan's external id.
        base: The external id, or what else names the plan, whose configuration this plan shares; ``None`` where it
            has its own.
    """

    plan_id: str
    resource: Resource
    base: str | None

    @cached_property
    def versions(self) -> list[HeldVersion]:
        """The image versions, in their order."""
        array = self.resource.node.get(VERSIONS)
        items = array.items() if array is not None else ()
        return [found for item in items if (found := _version(item)) is not None]

    @cached_property
    def skus(self) -> list[Sku]:
        """The SKUs, in their order."""
        array = self.resource.node.get("skus")
        found: list[Sku] = []
        for item in array.items() if array is not None else ():
            image_type, sku_id = _string(item.get("imageType")), _string(item.get("skuId"))
            if image_type:
                found.append(Sku(image_type, sku_id or ""))
        return found

    @property
    def image_types(self) -> list[str]:
        """The image types of the SKUs, each once."""
        return list(dict.fromkeys(sku.image_type for sku in self.skus))

    @cached_property
    def by_number(self) -> dict[SortKey, list[HeldVersion]]:
        """The image versions that are not to be deleted, by what they are as numbers."""
        found: dict[SortKey, list[HeldVersion]] = {}
        for one in self.versions:
            if one.is_there:
                found.setdefault(sort_key(one.number), []).append(one)
        return found

    def entries(self, number: str) -> list[HeldVersion]:
        """Return the entries of a version, in any spelling, those that are not to be deleted first."""
        return self._entries.get(sort_key(number), [])

    @cached_property
    def _entries(self) -> dict[SortKey, list[HeldVersion]]:
        found: dict[SortKey, list[HeldVersion]] = {}
        for one in sorted(self.versions, key=lambda each: not each.is_there):
            found.setdefault(sort_key(one.number), []).append(one)
        return found

    def held(self, number: str, image_type: str) -> tuple[HeldVersion, HeldImage] | None:
        """Return the image of a version, spelled so, of an image type."""
        for version in self.by_number.get(sort_key(number), ()):
            for image in version.images:
                if version.number == number and image.image_type == image_type:
                    return version, image
        return None

    @property
    def named(self) -> Iterator[ImageVersion]:
        """The images for a person: each word one bounded line."""
        for version in self.versions:
            for image in version.images if version.is_there else ():
                yield named(self.plan_id, version.number, image.image_type)


def named(plan_id: str, number: str, image_type: str | None = None) -> ImageVersion:
    """Return an image version of a document for a person: each word one bounded line."""
    return ImageVersion(
        plan_id=one_line(plan_id, MAX_NAME),
        version=one_line(number, MAX_NAME),
        generation=one_line(image_type, MAX_NAME) if image_type else None,
    )


def configuration(tree: Tree, plan_id: str) -> Configuration | None:
    """Return the technical configuration of a plan, by its external id."""
    resource = tree.configurations.get(plan_id)
    return Configuration(plan_id, resource, _base(tree, resource)) if resource is not None else None


def configurations(tree: Tree) -> list[Configuration]:
    """Return the technical configurations of all plans, in the document's order."""
    return [Configuration(plan, resource, _base(tree, resource)) for plan, resource in tree.configurations.items()]


def dependants(tree: Tree, plan_id: str) -> list[str]:
    """Return the plans that share the technical configuration of a plan."""
    return [one.plan_id for one in configurations(tree) if one.base == plan_id]


def architecture(image_type: str) -> str:
    """Return the processor that an image type is of, as far as its name says."""
    name = image_type.casefold().split("gen", 1)[0]
    return "arm" if name.startswith("arm") else name


def own_word(image_type: str, image_types: Sequence[str]) -> str | None:
    """Return the word that a plan uses for an image type; the 64-bit ARM one has two."""

    def letters(word: str) -> str:
        return word.casefold().replace("arm64", "arm")

    return next((one for one in image_types if letters(one) == letters(image_type)), None)


def _base(tree: Tree, resource: Resource) -> str | None:
    """Return which plan's configuration a plan shares; one that was detached has its own."""
    reference, state = resource.node.get("basePlan"), resource.node.get("reuseTechnicalConfigurationState")
    if reference is None or reference.kind == "null":
        return None
    if state is not None and (state.string or "").casefold() == "detach":
        return None
    value = reference.value
    return tree.plan_named(value) or (value if isinstance(value, str) else "another plan")


def _version(item: Node) -> HeldVersion | None:
    number = _string(item.get("versionNumber")) if item.kind == "object" else None
    if number is None:
        return None
    array = item.get("vmImages")
    images: list[HeldImage] = []
    for image in array.items() if array is not None else ():
        image_type = _string(image.get("imageType")) if image.kind == "object" else None
        if image_type is not None:
            images.append(HeldImage(image_type, image, sources.read(image.get("source"))))
    lifecycle = (_string(item.get("lifecycleState")) or AVAILABLE).casefold()
    return HeldVersion(number, item, lifecycle, images)


def _string(node: Node | None) -> str | None:
    found = node.string if node is not None else None
    return encodable(found) if found is not None else None
