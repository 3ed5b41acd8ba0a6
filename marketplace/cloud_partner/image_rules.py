"""The marketplace's rules for new image versions, checked before anything is sent.

Each is a function that raises with a sentence for everything that breaks it. They follow the API's
documentation of plans and images.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from marketplace.cloud_partner.placements import HeldByPlan, Placement, other_spellings, same_version
from marketplace.cloud_partner.plans import HeldImage, Plan, disks_of, order
from marketplace.disks import given_disks, sas_problems
from marketplace.errors import PlanFull, RuleBroken, VersionTaken
from marketplace.model import Image, ImageVersion, WhenFull
from marketplace.versions import SortKey, sort_key
from marketplace.wording import MAX_NAME, listed, one_line

_DATA_DISKS_OF_OLD = 15
"""One page of the documentation allows a plan this many data disks, another one more."""

_MAX_VERSION = 200
_MAX_DISK = 300

Slots = Mapping[str, HeldByPlan]
"""What slots hold, by the slot's name."""


def refuse_contradictions(placements: Iterable[Placement]) -> None:
    """Refuse a version that is asked for with two sets of disks."""
    first: dict[tuple[int, str], Image] = {}
    broken: list[str] = []
    for one in placements:
        image = first.setdefault((id(one.shelf), one.image.version), one.image)
        if disks_of(image) != disks_of(one.image):
            broken.append(
                f"Plan {one.plan.plan_id}: version {image.version} is asked for twice, with different disks; "
                "keep one of them, or say which generation each belongs to."
            )
    RuleBroken.raise_for(broken)


def refuse_taken(placements: Iterable[Placement], slots: Slots) -> None:
    """Refuse a version that is there with other disks, which it never changes, or in another spelling.

    Two spellings of one version are refused within one request too, and whichever generations they are for: a
    plan that held both would hold one version twice.

    Args:
        placements: What is wanted.
        slots: The draft and what is published.
    """
    broken: list[str] = []
    asked: dict[tuple[str, SortKey], str] = {}
    for one in placements:
        image = one.image
        first = asked.setdefault((image.plan_id, sort_key(image.version)), image.version)
        if first != image.version:
            broken.append(
                f"Plan {image.plan_id}: versions {first} and {image.version} are the same number, in two spellings; "
                "keep one of them."
            )
        broken += [
            sentence
            for name, slot in slots.items()
            for sentence in objections(image, slot, {one.shelf.generation}, name)
        ][:1]
    VersionTaken.raise_for(broken)


def objections(image: Image, slot: HeldByPlan, places: Collection[str | None], name: str | None = None) -> list[str]:
    """Say what a slot has against an image: its version in another spelling, or with other disks.

    Args:
        image: What is wanted.
        slot: What is there.
        places: The generations of the maps that the image belongs in.
        name: The slot's name.
    """
    where = f" in the {name}" if name else ""
    return [
        *(_respelled(image, held, where) for held in other_spellings(image, slot)),
        *(
            _taken(image, held, where)
            for held in same_version(image, slot)
            if held.generation in places and held.disks != disks_of(image)
        ),
    ]


class _Standing:
    """What a plan had before, in the draft and in the published slots."""

    def __init__(self, held: Iterable[HeldImage]) -> None:
        self._held = list(held)
        self._of_generation: dict[str | None, _Standing] = {}
        self.versions = {one.version for one in self._held}
        self.newest = max(self.versions, key=order, default=None)

    def of(self, generation: str | None) -> "_Standing":
        """Return what is of one generation."""
        if generation not in self._of_generation:
            self._of_generation[generation] = _Standing(one for one in self._held if one.generation == generation)
        return self._of_generation[generation]


def refuse_old(added: Iterable[Placement], slots: Slots) -> None:
    """Refuse a new version that is not greater than all before."""
    broken: list[str] = []
    standing: dict[str, _Standing] = {}
    for one in added:
        version, plan_id = one.image.version, one.plan.plan_id
        if plan_id not in standing:
            draft = [entry.held for entry in one.plan.newest_first]
            standing[plan_id] = _Standing([*draft, *_published(plan_id, slots)])
        before = standing[plan_id]
        if version in before.versions:
            # The plan has the version in another map: only what is in this map was there before it.
            before = before.of(one.shelf.generation)
        if version in before.versions:
            continue  # published, but no longer in the draft: it comes back
        if before.newest is not None and sort_key(version) <= sort_key(before.newest):
            shown = one_line(before.newest, MAX_NAME)
            broken.append(
                f"Plan {plan_id}: version {version} is not greater than {shown}, which the plan already has; the "
                f"marketplace would never show it. Give the image a version above {shown}."
            )
    RuleBroken.raise_for(broken)


def refuse_disk_counts(added: Iterable[Placement], slots: Slots) -> None:
    """Refuse a new version with more or fewer data disks than the plan's others."""
    broken: list[str] = []
    expected: dict[str, tuple[str, int]] = {}
    for one in added:
        plan_id = one.plan.plan_id
        count = len(one.image.data_disks)
        if plan_id not in expected:
            standing = [entry.held for entry in one.plan.newest_first] or _published(plan_id, slots)
            newest = max(standing, key=lambda held: order(held.version), default=None)
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
    """Refuse disks that the service could not read; return sentences of what it may not like."""
    errors: list[str] = []
    warnings: list[str] = []
    for image in images:
        if len(image.data_disks) > _DATA_DISKS_OF_OLD:
            warnings.append(
                f"{image.image_version}: it has {_counted(len(image.data_disks))}; some pages of the "
                f"marketplace's documentation allow {_DATA_DISKS_OF_OLD} only."
            )
        name = one_line(str(image.image_version), _MAX_VERSION)
        found = sas_problems(name, given_disks(image), now)
        errors += found.errors
        warnings += found.warnings
    RuleBroken.raise_for(errors)
    return warnings


def make_room(
    added: Sequence[Placement], images: Iterable[Image], slots: Slots, when_full: WhenFull, limit: int
) -> dict[str, list[str]]:
    """Return which versions to drop, by plan, the oldest first; refuse where that is not enough or not wanted.

    Args:
        added: What is new.
        images: All that is wanted, and so is not dropped.
        slots: What is published: the newest of each slot is not dropped.
        when_full: Whether anything may be dropped.
        limit: Versions that a plan may hold; 0 for any number.

    Raises:
        PlanFull: There is no room, or none may be made.
    """
    dropped: dict[str, list[str]] = {}
    broken: list[str] = []
    wanted: dict[str, set[SortKey]] = defaultdict(set)
    for image in images:
        wanted[image.plan_id].add(sort_key(image.version))
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
        held = sorted(plan.versions(), key=order)
        sentence = f"Plan {plan.plan_id} holds {len(held)} versions ({listed(held)}), {limit} are allowed, and "
        sentence += f"{listed(sorted(after - plan.versions(), key=order))} would not fit. "
        if len(oldest) < over:
            sentence += (
                "Not enough of them can be dropped: the newest of preview and production, the versions asked "
                "for and the last of a map stay. Ask for fewer versions, or raise the limit."
            )
        else:
            sentence += (
                f"The oldest that could go: {listed(oldest[:over])}. Remove it in the portal, or set "
                'when_full to "remove_oldest".'
            )
        broken.append(sentence)
    PlanFull.raise_for(broken)
    return dropped


def named(held: HeldImage) -> str:
    """Return an image version of a document for a person, as one bounded line."""
    place = ImageVersion(plan_id=held.plan_id, version=held.version, generation=held.generation)
    return one_line(str(place), _MAX_VERSION)


def _taken(image: Image, held: HeldImage, where: str) -> str:
    ours, theirs = disks_of(image), held.disks
    other = next((disk for disk in theirs if disk not in ours), theirs[0] if theirs else "")
    return (
        f"{named(held)} is there{where} with other disks: it has {_counted(len(theirs) - 1)} "
        f"and {one_line(other, _MAX_DISK)}. A version never changes its disks; give the new image a new version."
    )


def _respelled(image: Image, held: HeldImage, where: str) -> str:
    return (
        f"{named(held)} is there{where}, and {image.version} is the same number in another spelling. Spell the "
        "version as it is there, or give the new image a greater one."
    )


def _published(plan_id: str, slots: Slots) -> list[HeldImage]:
    return [held for published in slots.values() for held in published.plans.get(plan_id, ())]


def _newest_published(plan_id: str, slots: Slots) -> set[SortKey]:
    """Return the newest versions of preview and production, of each generation, however they are spelled."""
    newest: set[SortKey] = set()
    for published in slots.values():
        by_generation: dict[str | None, list[SortKey]] = defaultdict(list)
        for held in published.plans.get(plan_id, ()):
            by_generation[held.generation].append(sort_key(held.version))
        newest |= {max(versions) for versions in by_generation.values()}
    return newest


def _droppable(plan: Plan, added: Iterable[Placement], kept: set[SortKey]) -> list[str]:
    """Return the versions that may be dropped, oldest first, so that no map of the plan becomes empty."""
    left = {id(shelf): len(shelf.entries) for shelf in plan.shelves}
    for one in added:
        if one.plan is plan:
            left[id(one.shelf)] += 1
    found: list[str] = []
    may_go = [version for version in plan.versions() if sort_key(version) not in kept]
    for version in sorted(may_go, key=order):
        holders = [id(shelf) for shelf in plan.shelves if version in shelf.entries]
        if all(left[holder] > 1 for holder in holders):
            found.append(version)
            for holder in holders:
                left[holder] -= 1
    return found


def _counted(count: int) -> str:
    return f"{count} data disk{'' if count == 1 else 's'}"
