"""What a slot of an offer holds, and what going live would change."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

from marketplace.model import SHOWN_IMAGES, Image, ImageVersion, Promotion, only_in_first
from marketplace.product_ingestion import sources
from marketplace.product_ingestion.configurations import (
    DEPRECATED,
    Configuration,
    VersionEntry,
    configurations,
    named,
)
from marketplace.product_ingestion.image_rules import objections
from marketplace.product_ingestion.resources import VERSIONS, Tree, differing, with_members
from marketplace.product_ingestion.wanted_images import image_types
from marketplace.versions import SortKey, sort_key


@dataclass(frozen=True)
class OfferContents:
    """Implements `marketplace.protocol.Contents`."""

    tree: Tree

    @cached_property
    def versions(self) -> list[ImageVersion]:
        """All image versions of every image type, in the document's order."""
        found = (each for one in self._configurations.values() for each in one.named)
        return list(dict.fromkeys(found))

    @property
    def publish_id(self) -> str | None:
        """The ID of the publish that made these contents, if the tree names it."""
        return self.tree.submission

    def missing(self, images: Sequence[Image]) -> list[ImageVersion]:
        """Return the images that are not there with all of their image types, whatever their sources.

        A version that is there only in another spelling is missing. `conflicts` says why it cannot be added.
        """
        return [image.image_version for image in images if not self._has(image, images)]

    def conflicts(self, images: Sequence[Image]) -> list[str]:
        """Return a sentence for each image whose version is there with another source or in another spelling."""
        found: list[str] = []
        for image in images:
            held = self._configurations.get(image.plan_id)
            if held is not None:
                found += objections(held, image.version, _types(image, images, held), sources.wanted(image, None))[:1]
        return found

    @cached_property
    def evidence(self) -> str:
        """A digest of everything in the slot that describes the offer."""
        everything = {key: one.members for key, one in self.tree.by_id.items()}
        return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()

    def prepare(self) -> "OfferContents":
        """Compute the properties that take long. Call this in a thread."""
        _ = self.versions, self.by_version, self.evidence
        return self

    @cached_property
    def _configurations(self) -> dict[str, Configuration]:
        return {one.plan_id: one for one in configurations(self.tree)}

    @cached_property
    def by_version(self) -> dict[tuple[str, str], VersionEntry]:
        """The image versions that are not marked as deleted, by plan and number."""
        return {
            (one.plan_id, version.number): version
            for one in self._configurations.values()
            for version in one.versions
            if version.is_there
        }

    def _has(self, image: Image, images: Sequence[Image]) -> bool:
        held = self._configurations.get(image.plan_id)
        if held is None:
            return False
        there = {
            each.image_type
            for version in held.by_number.get(sort_key(image.version), ())
            if version.number == image.version
            for each in version.images
        }
        return bool(there) and _types(image, images, held) <= there


def promotion(preview: OfferContents | None, production: OfferContents | None) -> Promotion:
    """Return what going live would change. The result does not depend on the order of resources."""
    if preview is None:
        return Promotion()
    live = production.versions if production is not None else []
    return Promotion(
        adds=_ordered(only_in_first(preview.versions, live)),
        removes=_ordered(only_in_first(live, preview.versions)),
        deprecates=_ordered(_deprecated(preview, production)),
        changes=_changes(preview, production)[:SHOWN_IMAGES],
        evidence=preview.evidence,
    )


def _ordered(versions: Iterable[ImageVersion]) -> list[ImageVersion]:
    def rank(one: ImageVersion) -> tuple[str, SortKey, str]:
        return one.plan_id, sort_key(one.version), one.generation or ""

    return sorted(versions, key=rank)[:SHOWN_IMAGES]


def _deprecated(preview: OfferContents, production: OfferContents | None) -> list[ImageVersion]:
    held = production.by_version if production is not None else {}
    return [
        named(*key)
        for key, version in preview.by_version.items()
        if version.lifecycle == DEPRECATED and key in held and held[key].is_active
    ]


def _changes(preview: OfferContents, production: OfferContents | None) -> list[str]:
    """Return a sentence for each resource that going live changes, apart from added and removed image versions."""
    if production is None:
        return ["the whole offer: it goes live for the first time"]
    ours, theirs = preview.tree, production.tree
    sentences: list[str] = []
    for resource_id in sorted({*ours.by_id, *theirs.by_id}):
        after, before = ours.by_id.get(resource_id), theirs.by_id.get(resource_id)
        if before is None and after is not None:
            sentences.append(f"{ours.title(after)}: new")
        elif after is None and before is not None:
            sentences.append(f"{theirs.title(before)}: removed")
        elif before is not None and after is not None:
            members = [each for each in differing(before.members, after.members) if each != VERSIONS]
            if members:
                sentences.append(with_members(ours.title(after), members))
    return sentences + _version_changes(preview, production)


def _version_changes(preview: OfferContents, production: OfferContents) -> list[str]:
    """Return a sentence for each image version that changes, apart from new deprecations."""
    sentences: list[str] = []
    for key, version in sorted(preview.by_version.items(), key=itemgetter(0)):
        was = production.by_version.get(key)
        if was is None or version.node.text == was.node.text:
            continue
        name = str(named(*key))
        if version.is_active and not was.is_active:
            sentences.append(f"{name}: not deprecated any more")
        elif not version.is_active and not was.is_active and _schedule(version) != _schedule(was):
            sentences.append(f"{name}: another deprecation schedule")
        held = {image.image_type: image.source for image in was.images}
        sentences += [
            f"{name} ({image.image_type}): another source"
            for image in version.images
            if image.image_type in held and not image.source.same(held[image.image_type])
        ]
    return sentences


def _schedule(version: VersionEntry) -> object:
    node = version.node.get("deprecationSchedule")
    return node.value if node is not None else None


def _types(image: Image, images: Sequence[Image], held: Configuration) -> set[str]:
    return set(image_types(image, images, held.image_types))
