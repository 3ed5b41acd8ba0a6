"""Room for new versions in a plan. Versions that were live are deprecated, and others are deleted."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from marketplace.errors import PlanFull
from marketplace.model import Slot, WhenFull
from marketplace.product_ingestion.configurations import Configuration
from marketplace.product_ingestion.plan_configurations import PlanConfigurations
from marketplace.versions import SortKey, sort_key
from marketplace.wording import listed

VERSIONS_PER_PLAN = 100
"""The limit is not documented. Publishers report that releases are blocked at about a hundred active versions."""

Active = Mapping[str, set[str]]
"""The image types of each active version."""


@dataclass(frozen=True)
class Room:
    """The versions that make room, oldest first."""

    deprecated: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)


def make_room(
    plan: PlanConfigurations,
    before: Active,
    after: Active,
    asked: Collection[str],
    when_full: WhenFull,
    limit: int | None,
) -> Room:
    """Return the versions to deprecate or delete, to keep the number of active versions within the limit.

    These stay: the versions asked for, the newest of each image type in any slot, and the last active version of an
    image type.

    Args:
        plan: The plan.
        before: The active versions without the edit.
        after: The active versions after the edit.
        asked: The versions asked for.
        when_full: What to do if the plan has no room.
        limit: Active versions that the plan may hold; 0 for any number, ``None`` for the marketplace's limit.

    Raises:
        PlanFull: The plan has no room, and not enough versions may go.
    """
    most = VERSIONS_PER_PLAN if limit is None else limit
    over = len(after) - most
    if not exceeds_limit(after, limit) or set(after) <= set(before):
        return Room()
    oldest = _may_go(after, {sort_key(version) for version in asked} | _newest(plan, after))
    if when_full == WhenFull.FAIL or len(oldest) < over:
        raise PlanFull(_full(plan, before, after, most, oldest[:over] if len(oldest) >= over else None))
    room = Room()
    live = plan.slots.get(Slot.PRODUCTION)
    for version in oldest[:over]:
        was_live = live is not None and any(one.number == version for one in live.versions)
        (room.deprecated if was_live else room.deleted).append(version)
    return room


def exceeds_limit(after: Active, limit: int | None) -> bool:
    """Return whether there are more active versions than the plan may hold; see `make_room` for the limit."""
    return limit != 0 and len(after) > (VERSIONS_PER_PLAN if limit is None else limit)


def duration(time: timedelta) -> str:
    """Return a duration in ISO 8601 notation, with days and seconds."""
    seconds = time.seconds
    return f"P{time.days}D" + (f"T{seconds}S" if seconds else "")


def _full(plan: PlanConfigurations, before: Active, after: Active, most: int, could_go: list[str] | None) -> str:
    held = sorted(before, key=sort_key)
    new = sorted(set(after) - set(before), key=sort_key)
    sentence = (
        f"Plan {plan.plan_id} holds {len(held)} active version{'' if len(held) == 1 else 's'} ({listed(held)}), "
        f"{most} {'is' if most == 1 else 'are'} allowed, and "
        f"{listed(new)} would not fit. "
    )
    if could_go is None:
        return sentence + (
            "Not enough of them can go: the newest of each image type, the versions asked for and the last of an "
            "image type stay. Ask for fewer versions, or raise the limit."
        )
    return sentence + (
        f"The oldest that could go: {listed(could_go)}. Deprecate it in Partner Center, or set when_full to "
        '"remove_oldest".'
    )


def _may_go(after: Active, kept: set[SortKey]) -> list[str]:
    """Return the versions that may go, oldest first. Every image type keeps at least one version."""
    left: dict[str, int] = {}
    for types in after.values():
        for image_type in types:
            left[image_type] = left.get(image_type, 0) + 1
    found: list[str] = []
    for version in sorted(after, key=lambda each: (sort_key(each), each)):
        if sort_key(version) not in kept and all(left[image_type] > 1 for image_type in after[version]):
            found.append(version)
            for image_type in after[version]:
                left[image_type] -= 1
    return found


def _newest(plan: PlanConfigurations, after: Active) -> set[SortKey]:
    """Return the newest active version of each image type in each published slot, and after the edit."""
    held = [active(one) for one in plan.published.values()]
    newest: set[SortKey] = set()
    for slot in [after, *held]:
        of_type: dict[str, SortKey] = {}
        for version, types in slot.items():
            for image_type in types:
                key = sort_key(version)
                of_type[image_type] = max(of_type.get(image_type, key), key)
        newest |= set(of_type.values())
    return newest


def active(held: Configuration) -> dict[str, set[str]]:
    """Return the active versions of a configuration with their image types."""
    found: dict[str, set[str]] = {}
    for version in held.versions:
        if version.is_active:
            found.setdefault(version.number, set()).update(image.image_type for image in version.images)
    return found
