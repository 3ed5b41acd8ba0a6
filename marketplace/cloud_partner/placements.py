"""Where an image belongs.

Generations, as this module reads them: an image without one belongs in the plan's own map and in the map of
every generation. An image with one belongs in the maps of the objects of ``diskGenerations`` that name it.
The plan's own map stands for the generation that no such object names: for any where none is named, for
``1`` where ``1`` is not named, for ``2`` where only ``1`` is; where both are named it goes along with ``1``.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from marketplace.cloud_partner.plans import Entry, HeldImage, Offer, Plan, Shelf, disks_of
from marketplace.errors import PlanMissing, RuleBroken
from marketplace.model import Image
from marketplace.versions import SortKey, sort_key
from marketplace.wording import MAX_NAME, listed, one_line


@dataclass(frozen=True)
class HeldByPlan:
    """What a slot holds in the plans that somebody asks about.

    Attributes:
        plans: The image versions, by plan.
        versions: The same, by plan and what the version is as a number.
        generations: Which generations are named, by plan.
    """

    plans: Mapping[str, list[HeldImage]] = field(default_factory=lambda: defaultdict(list))
    versions: Mapping[tuple[str, SortKey], list[HeldImage]] = field(default_factory=lambda: defaultdict(list))
    generations: Mapping[str, set[str]] = field(default_factory=lambda: defaultdict(set))


@dataclass(frozen=True)
class Placement:
    """An image wanted in a map."""

    image: Image
    plan: Plan
    shelf: Shelf

    @property
    def present(self) -> Entry | None:
        """What the map has under the image's version."""
        return self.shelf.entries.get(self.image.version)


def by_plan(held: Iterable[HeldImage], images: Iterable[Image]) -> HeldByPlan:
    """Sort what a slot holds in the plans of the images."""
    slot = HeldByPlan()
    plans = {image.plan_id for image in images}
    for one in held:
        if one.plan_id not in plans:
            continue
        slot.plans[one.plan_id].append(one)
        slot.versions[one.plan_id, sort_key(one.version)].append(one)
        if one.generation is not None:
            slot.generations[one.plan_id].add(one.generation)
    return slot


def same_version(image: Image, slot: HeldByPlan) -> list[HeldImage]:
    """Return what a slot holds under the image's version, spelled alike, in any generation."""
    return [one for one in _same_number(image, slot) if one.version == image.version]


def other_spellings(image: Image, slot: HeldByPlan) -> list[HeldImage]:
    """Return what a slot holds under another spelling of the image's version, in any generation."""
    return [one for one in _same_number(image, slot) if one.version != image.version]


def _same_number(image: Image, slot: HeldByPlan) -> list[HeldImage]:
    return slot.versions.get((image.plan_id, sort_key(image.version)), [])


def places_in_slot(image: Image, slot: HeldByPlan) -> set[str | None]:
    """Return which maps of a slot an image belongs in; none when the slot has nothing of its generation."""
    named = slot.generations.get(image.plan_id, set())
    if not named and image.generation not in {None, "1"}:
        # The slot may be older than the plan's second generation: then its own map is that of the first, and
        # another disk there is no contradiction.
        return {None} if any(one.disks == disks_of(image) for one in same_version(image, slot)) else set()
    return _places(image.generation, named)


def place(offer: Offer, images: Sequence[Image]) -> list[Placement]:
    """Find the maps that images belong in.

    Raises:
        PlanMissing: There is no such plan, or none of that generation.
        RuleBroken: Two plans have one id, or the plan has no map of images.
    """
    plans = _find_plans(offer, images)
    generations = {
        plan_id: {shelf.generation for shelf in plan.shelves if shelf.generation is not None}
        for plan_id, plan in plans.items()
    }
    placements: list[Placement] = []
    unknown: list[str] = []
    for image in images:
        plan, named = plans[image.plan_id], generations[image.plan_id]
        places = _places(image.generation, named)
        if not places:
            unknown.append(
                f"Plan {plan.plan_id} has no generation {image.generation} for version {image.version}; "
                f"besides its own images it has those of generation {listed(sorted(named))}."
            )
        placements += [Placement(image, plan, shelf) for shelf in plan.shelves if shelf.generation in places]
    PlanMissing.raise_for(unknown)
    for shelf in [one.shelf for one in placements]:
        if shelf.key is None:
            raise RuleBroken(
                f"Offers of type {one_line(offer.type or '(none)', MAX_NAME)} hold no images that we know of: "
                "their plans have neither …vmImages nor …vmImagesPublicAzure."
            )
        if shelf.node and shelf.node.kind not in {"object", "null"}:
            raise RuleBroken(
                f"The draft's {one_line(shelf.key, MAX_NAME)} is of kind {shelf.node.kind}, not a map of image "
                "versions."
            )
    return placements


def _find_plans(offer: Offer, images: Iterable[Image]) -> dict[str, Plan]:
    wanted = dict.fromkeys(image.plan_id for image in images)
    found: dict[str, Plan] = {}
    for plan in offer.plans:
        if plan.plan_id in wanted and found.setdefault(plan.plan_id, plan) is not plan:
            raise RuleBroken(f"The draft has two plans {plan.plan_id}; remove one of them in the portal.")
    lacking = [plan_id for plan_id in wanted if plan_id not in found]
    if lacking:
        ids = [plan.plan_id for plan in offer.plans]
        there = f"it has {listed(ids)}" if ids else "it has no plans at all"
        raise PlanMissing(
            f"The draft has no plan {listed(lacking)}; {there}. Correct plan_id, or add the plan to the offer first."
        )
    return found


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
