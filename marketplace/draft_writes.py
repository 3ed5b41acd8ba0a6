"""Helpers for writes to a draft, which both APIs use."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from marketplace.errors import Unguarded
from marketplace.model import EditOutcome, OfferKey, Operation
from marketplace.protocol import KNOWN_OPERATIONS
from marketplace.wording import bounded

ROUNDS = 5
"""How often a write is attempted on a draft that others write to as well."""

MAX_REPORTED = 1000
"""How many removed, and how many deprecated, versions a result names."""

Version = TypeVar("Version")


def capped(versions: Sequence[Version], what: str, warnings: list[str]) -> list[Version]:
    """Return the versions that a result names, and put a warning first if there are more.

    Args:
        versions: The versions.
        what: ``"removed"`` or ``"deprecated"``.
        warnings: The list that gets the warning.
    """
    if len(versions) > MAX_REPORTED:
        warnings.insert(0, f"{len(versions):,} versions were {what}; the result names the first {MAX_REPORTED:,}.")
    return list(versions[:MAX_REPORTED])


def merged(
    done: EditOutcome, edit: EditOutcome, operations: Iterable[str] = (), warnings: Sequence[str] = ()
) -> EditOutcome:
    """Return the outcome of two rounds together, without repeats.

    Args:
        done: The outcome of the rounds before.
        edit: The outcome of this round.
        operations: The IDs of the newest operations now.
        warnings: Further warnings for a person.
    """
    return EditOutcome(
        added=list(dict.fromkeys([*done.added, *edit.added])),
        removed=list(dict.fromkeys([*done.removed, *edit.removed])),
        deprecated=list(dict.fromkeys([*done.deprecated, *edit.deprecated])),
        renewed=list(dict.fromkeys([*done.renewed, *edit.renewed])),
        warnings=bounded([*done.warnings, *edit.warnings, *warnings]),
        operations=list(operations),
    )


def newest_ids(operations: Iterable[Operation]) -> list[str]:
    """Return the IDs of the newest operations.

    Operations that start later come before these in a list. A publish among them carries the draft as it is now.
    """
    return [operation.id for operation in operations][:KNOWN_OPERATIONS]


def unguarded(offer: OfferKey) -> Unguarded:
    """Return the error of a write that could overwrite another run's images."""
    return Unguarded(f"{offer}: the marketplace gives no ETag that would guard the draft against other writers")
