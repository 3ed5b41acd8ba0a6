"""The marketplace's rules for new image versions, checked before anything is sent.

Each rule is a function that raises an error with one sentence for each violation. The rules come from the API's
documentation of plans and images.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice

from marketplace.cloud_partner.plans import HeldImage, Plan, order
from marketplace.cloud_partner.wanted_images import SlotImages, WantedImage
from marketplace.disks import addresses, given_disks, sas_problems
from marketplace.errors import PlanFull, RuleBroken, VersionTaken
from marketplace.model import Image, ImageVersion, Slot, WhenFull
from marketplace.versions import SortKey, sort_key
from marketplace.wording import MAX_NAME, listed, one_line

_SMALLER_DISK_LIMIT = 15
"""The documentation gives two limits on data disks: this one, and `marketplace.model.MAX_DATA_DISKS`."""

_MAX_VERSION = 200
_MAX_DISK = 300

Slots = Mapping[Slot, SlotImages]


def refuse_contradictions(wanted: Iterable[WantedImage]) -> None:
    """Refuse a version that is asked for with two sets of disks."""
    asked: dict[tuple[int, str], Image] = {}
    broken: list[str] = []
    for one in wanted:
        first = asked.setdefault((id(one.image_map), one.image.version), one.image)
        if addresses(given_disks(first)) != addresses(given_disks(one.image)):
            broken.append(
                f"Plan {one.plan.plan_id}: version {first.version} is asked for twice, with different disks; "
                "keep one of them, or say which generation each belongs to."
            )
    RuleBroken.raise_for(broken)


def refuse_taken(wanted: Iterable[WantedImage], slots: Slots) -> None:
    """Refuse a version that is there with other disks or in another spelling.

    Two spellings of one version are also refused within one request, even for different generations. A plan with both
    would hold one version twice.

    Args:
        wanted: The images wanted.
        slots: The draft and the published slots.
    """
    broken: list[str] = []
    asked: dict[tuple[str, SortKey], str] = {}
    for one in wanted:
        image = one.image
        first = asked.setdefault((image.plan_id, sort_key(image.version)), image.version)
        if first != image.version:
            broken.append(
                f"Plan {image.plan_id}: versions {first} and {image.version} are the same number, in two spellings; "
                "keep one of them."
            )
        found = (
            objection
            for name, slot in slots.items()
            for objection in objections(image, slot, {one.image_map.generation}, name)
        )
        broken += islice(found, 1)
    VersionTaken.raise_for(broken)


def objections(
    image: Image, slot: SlotImages, generations: Collection[str | None], name: Slot | None = None
) -> list[str]:
    """Return a sentence for each image in a slot that rules out a wanted image.

    Args:
        image: The image wanted.
        slot: What the slot holds.
        generations: The generations of the maps that the image belongs in.
        name: The slot's name, ``None`` to leave it out of the sentences.
    """
    where = f" in the {name}" if name else ""
    disks = addresses(given_disks(image))
    return [
        *(_respelled(image, held, where) for held in slot.other_spellings(image)),
        *(
            _other_disks(image, held, where)
            for held in slot.same_version(image)
            if held.generation in generations and held.disks != disks
        ),
    ]


@dataclass(frozen=True)
class _EarlierImages:
    """The images that a plan has in the draft and in the published slots."""

    images: Sequence[HeldImage]

    @cached_property
    def versions(self) -> set[str]:
        return {held.version for held in self.images}

    @cached_property
    def newest(self) -> str | None:
        return max(self.versions, key=order, default=None)

    @cached_property
    def by_generation(self) -> Mapping[str | None, "_EarlierImages"]:
        found: dict[str | None, list[HeldImage]] = defaultdict(list)
        for held in self.images:
            found[held.generation].append(held)
        return {generation: _EarlierImages(images) for generation, images in found.items()}


def refuse_old(added: Iterable[WantedImage], slots: Slots) -> None:
    """Refuse a new version that is not greater than all earlier ones."""
    broken: list[str] = []
    earlier: dict[str, _EarlierImages] = {}
    for one in added:
        version, plan_id = one.image.version, one.plan.plan_id
        if plan_id not in earlier:
            draft = [entry.held for entry in one.plan.newest_first]
            earlier[plan_id] = _EarlierImages([*draft, *_published(plan_id, slots)])
        before = earlier[plan_id]
        if version in before.versions:
            # The version is in another map of the plan. Compare with the images of this map only.
            before = before.by_generation.get(one.image_map.generation, _EarlierImages([]))
        if version in before.versions:
            continue  # published, and no longer in the draft: it comes back
        if before.newest is not None and sort_key(version) <= sort_key(before.newest):
            newest = one_line(before.newest, MAX_NAME)
            broken.append(
                f"Plan {plan_id}: version {version} is not greater than {newest}, which the plan already has; the "
                f"marketplace would never show it. Give the image a version above {newest}."
            )
    RuleBroken.raise_for(broken)


def refuse_disk_counts(added: Iterable[WantedImage], slots: Slots) -> None:
    """Refuse a new version with more or fewer data disks than the plan's other versions."""
    broken: list[str] = []
    expected: dict[str, tuple[str, int]] = {}
    for one in added:
        plan_id = one.plan.plan_id
        count = len(one.image.data_disks)
        if plan_id not in expected:
            earlier = [entry.held for entry in one.plan.newest_first] or _published(plan_id, slots)
            newest = max(earlier, key=lambda held: order(held.version), default=None)
            expected[plan_id] = (newest.version, len(newest.disks) - 1) if newest else (one.image.version, count)
        version, other = expected[plan_id]
        if count != other:
            broken.append(
                f"Plan {plan_id}: version {one.image.version} has {_counted(count)}, but version "
                f"{one_line(version, MAX_NAME)} has {_counted(other)}; every version of a plan must have the same "
                "number. Give as many data disks, or use another plan."
            )
    RuleBroken.raise_for(broken)


def refuse_unreadable_disks(images: Iterable[Image], now: datetime) -> list[str]:
    """Refuse disks that the service could not read. Return warnings about the others."""
    errors: list[str] = []
    warnings: list[str] = []
    for image in images:
        if len(image.data_disks) > _SMALLER_DISK_LIMIT:
            warnings.append(
                f"{image.image_version}: it has {_counted(len(image.data_disks))}; some pages of the "
                f"marketplace's documentation allow {_SMALLER_DISK_LIMIT} only."
            )
        name = one_line(str(image.image_version), _MAX_VERSION)
        found = sas_problems(name, given_disks(image), now)
        errors += found.errors
        warnings += found.warnings
    RuleBroken.raise_for(errors)
    return warnings


def make_room(
    added: Sequence[WantedImage], images: Iterable[Image], slots: Slots, when_full: WhenFull, limit: int
) -> dict[str, list[str]]:
    """Return the versions to remove from each plan, oldest first.

    Args:
        added: The images that are new in the draft.
        images: All images wanted. They are never removed.
        slots: The published slots. The newest versions of each are never removed.
        when_full: What to do with a plan that has no room.
        limit: Versions that a plan may hold; 0 for any number.

    Raises:
        PlanFull: A plan has no room, and not enough versions may be removed.
    """
    removed: dict[str, list[str]] = {}
    broken: list[str] = []
    wanted: dict[str, set[SortKey]] = defaultdict(set)
    for image in images:
        wanted[image.plan_id].add(sort_key(image.version))
    for plan in {one.plan.plan_id: one.plan for one in added}.values() if limit > 0 else ():
        new = {one.image.version for one in added if one.plan is plan} - plan.versions()
        over = len(plan.versions() | new) - limit
        if over <= 0 or not new:
            continue
        kept = wanted[plan.plan_id] | _newest_published(plan.plan_id, slots)
        oldest = _removable(plan, added, kept)
        if when_full == WhenFull.REMOVE_OLDEST and len(oldest) >= over:
            removed[plan.plan_id] = oldest[:over]
        else:
            broken.append(_full(plan, new, limit, oldest[:over] if len(oldest) >= over else None))
    PlanFull.raise_for(broken)
    return removed


def named(held: HeldImage) -> str:
    """Return an image version for a person, as one bounded line."""
    image_version = ImageVersion(plan_id=held.plan_id, version=held.version, generation=held.generation)
    return one_line(str(image_version), _MAX_VERSION)


def _full(plan: Plan, new: Iterable[str], limit: int, removable: Sequence[str] | None) -> str:
    held = sorted(plan.versions(), key=order)
    sentence = (
        f"Plan {plan.plan_id} holds {len(held)} versions ({listed(held)}), {limit} are allowed, and "
        f"{listed(sorted(new, key=order))} would not fit. "
    )
    if removable is None:
        return sentence + (
            "Not enough of them can be removed: the newest of preview and production, the versions asked for and the "
            "last of a map stay. Ask for fewer versions, or raise the limit."
        )
    return sentence + (
        f"The oldest that could go: {listed(removable)}. Remove it in the portal, or set when_full to "
        '"remove_oldest".'
    )


def _other_disks(image: Image, held: HeldImage, where: str) -> str:
    ours, theirs = addresses(given_disks(image)), held.disks
    other = next((disk for disk in theirs if disk not in ours), theirs[0] if theirs else "")
    return (
        f"{named(held)} is there{where} with other disks: it has {_counted(len(theirs) - 1)} "
        f"and {one_line(str(other), _MAX_DISK)}. A version never changes its disks; give the new image a new version."
    )


def _respelled(image: Image, held: HeldImage, where: str) -> str:
    return (
        f"{named(held)} is there{where}, and {image.version} is the same number in another spelling. Spell the "
        "version as it is there, or give the new image a greater one."
    )


def _published(plan_id: str, slots: Slots) -> list[HeldImage]:
    return [held for slot in slots.values() for held in slot.by_plan.get(plan_id, ())]


def _newest_published(plan_id: str, slots: Slots) -> set[SortKey]:
    """Return the newest version of each generation in each published slot."""
    newest: set[SortKey] = set()
    for slot in slots.values():
        by_generation: dict[str | None, list[SortKey]] = defaultdict(list)
        for held in slot.by_plan.get(plan_id, ()):
            by_generation[held.generation].append(sort_key(held.version))
        newest |= {max(versions) for versions in by_generation.values()}
    return newest


def _removable(plan: Plan, added: Iterable[WantedImage], kept: set[SortKey]) -> list[str]:
    """Return the versions that may be removed, oldest first. No map of the plan becomes empty without them."""
    left = {id(one): len(one.entries) for one in plan.image_maps}
    for one in added:
        if one.plan is plan:
            left[id(one.image_map)] += 1
    found: list[str] = []
    candidates = [version for version in plan.versions() if sort_key(version) not in kept]
    for version in sorted(candidates, key=order):
        holders = [id(one) for one in plan.image_maps if version in one.entries]
        if all(left[holder] > 1 for holder in holders):
            found.append(version)
            for holder in holders:
                left[holder] -= 1
    return found


def _counted(count: int) -> str:
    return f"{count} data disk{'' if count == 1 else 's'}"
