"""The image maps that wanted images belong in.

An image without a generation belongs in the plan's own map and in the map of every generation. An image with a
generation belongs in the maps of the objects of ``diskGenerations`` that name it.

The plan's own map stands for the generation that no such object names:

* any generation, where none is named
* ``1``, where ``1`` is not named, or where both ``1`` and ``2`` are
* ``2``, where only ``1`` is named
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from marketplace.cloud_partner.plans import HeldImage, ImageEntry, ImageMap, Offer, Plan
from marketplace.disks import addresses, given_disks
from marketplace.errors import PlanMissing, RuleBroken
from marketplace.model import Image
from marketplace.versions import SortKey, sort_key
from marketplace.wording import MAX_NAME, listed, one_line


@dataclass(frozen=True)
class SlotImages:
    """The images that a slot holds in certain plans.

    Attributes:
        by_plan: The images by plan.
        by_version: The images by plan and version. Spellings of one version share a key.
        generations: The generations that the images name, by plan.
    """

    by_plan: Mapping[str, list[HeldImage]] = field(default_factory=lambda: defaultdict(list))
    by_version: Mapping[tuple[str, SortKey], list[HeldImage]] = field(default_factory=lambda: defaultdict(list))
    generations: Mapping[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def same_version(self, image: Image) -> list[HeldImage]:
        """Return the images of the same version and spelling, in any generation."""
        return [held for held in self._equal_versions(image) if held.version == image.version]

    def other_spellings(self, image: Image) -> list[HeldImage]:
        """Return the images of the same version in another spelling, in any generation."""
        return [held for held in self._equal_versions(image) if held.version != image.version]

    def generations_for(self, image: Image) -> set[str | None]:
        """Return the generations of the maps that an image belongs in. ``None`` is the plan's own map.

        The result is empty when the slot has no map for the image's generation.
        """
        named = self.generations.get(image.plan_id, set())
        if not named and image.generation not in {None, "1"}:
            # The slot may be older than the plan's second generation. Its own map then holds the first generation,
            # and another disk there is no conflict.
            disks = addresses(given_disks(image))
            return {None} if any(held.disks == disks for held in self.same_version(image)) else set()
        return _generations(image.generation, named)

    def _equal_versions(self, image: Image) -> list[HeldImage]:
        return self.by_version.get((image.plan_id, sort_key(image.version)), [])


@dataclass(frozen=True)
class WantedImage:
    """An image and one of the image maps that it belongs in."""

    image: Image
    plan: Plan
    image_map: ImageMap

    @property
    def entry(self) -> ImageEntry | None:
        """The map's entry for the image's version."""
        return self.image_map.entries.get(self.image.version)


def slot_images(held: Iterable[HeldImage], images: Iterable[Image]) -> SlotImages:
    """Return the images that a slot holds in the plans of the images wanted."""
    slot = SlotImages()
    plans = {image.plan_id for image in images}
    for one in held:
        if one.plan_id not in plans:
            continue
        slot.by_plan[one.plan_id].append(one)
        slot.by_version[one.plan_id, sort_key(one.version)].append(one)
        if one.generation is not None:
            slot.generations[one.plan_id].add(one.generation)
    return slot


def wanted_images(offer: Offer, images: Sequence[Image]) -> list[WantedImage]:
    """Find the image maps that images belong in.

    Raises:
        PlanMissing: There is no such plan, or it does not have the generation.
        RuleBroken: Two plans have the same ID, or the plan has no image map.
    """
    plans = _find_plans(offer, images)
    generations = {
        plan_id: {one.generation for one in plan.image_maps if one.generation is not None}
        for plan_id, plan in plans.items()
    }
    wanted: list[WantedImage] = []
    unknown: list[str] = []
    for image in images:
        plan, named = plans[image.plan_id], generations[image.plan_id]
        chosen = _generations(image.generation, named)
        if not chosen:
            unknown.append(
                f"Plan {plan.plan_id} has no generation {image.generation} for version {image.version}. "
                f"Besides its own images it has those of generation {listed(sorted(named))}. Correct generation."
            )
        wanted += [WantedImage(image, plan, one) for one in plan.image_maps if one.generation in chosen]
    PlanMissing.raise_for(unknown)
    for image_map in [one.image_map for one in wanted]:
        _refuse_no_map(offer, image_map)
    return wanted


def _refuse_no_map(offer: Offer, image_map: ImageMap) -> None:
    if image_map.key is None:
        raise RuleBroken(
            f"Offers of type {one_line(offer.type or '(none)', MAX_NAME)} hold no images that we know of: "
            "their plans have neither …vmImages nor …vmImagesPublicAzure. Check the offer id."
        )
    if image_map.node and image_map.node.kind not in {"object", "null"}:
        raise RuleBroken(
            f"The draft's {one_line(image_map.key, MAX_NAME)} is of kind {image_map.node.kind}, not a map of image "
            "versions. Correct the draft in the portal."
        )


def _find_plans(offer: Offer, images: Iterable[Image]) -> dict[str, Plan]:
    wanted = dict.fromkeys(image.plan_id for image in images)
    found: dict[str, Plan] = {}
    for plan in offer.plans:
        if plan.plan_id in wanted and found.setdefault(plan.plan_id, plan) is not plan:
            raise RuleBroken(f"The draft has two plans {plan.plan_id}; remove one of them in the portal.")
    missing = [plan_id for plan_id in wanted if plan_id not in found]
    if missing:
        ids = [plan.plan_id for plan in offer.plans]
        there = f"it has {listed(ids)}" if ids else "it has no plans at all"
        raise PlanMissing(
            f"The draft has no plan {listed(missing)}; {there}. Correct plan_id, or add the plan to the offer first."
        )
    return found


def _generations(generation: str | None, named: set[str]) -> set[str | None]:
    """Return the generations of the maps that an image belongs in. ``None`` is the plan's own map.

    Args:
        generation: The image's generation.
        named: The generations that the plan's ``diskGenerations`` name.
    """
    if generation is None:
        return {None, *named}
    chosen: set[str | None] = {one for one in named if one == generation} if named else {None}
    if generation == next((one for one in ("1", "2") if one not in named), "1"):
        chosen.add(None)
    return chosen
