"""What the writes of a draft have in common, whichever API carries them."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from marketplace.errors import Unguarded
from marketplace.model import EditOutcome, OfferKey, Operation
from marketplace.protocol import KNOWN_OPERATIONS
from marketplace.wording import bounded

ROUNDS = 5
"""How often a write is tried on a draft that others write too."""


MAX_NAMED = 1000
"""How many removed, and how many deprecated versions are named."""

Named = TypeVar("Named")


def first(versions: Sequence[Named], what: str, warnings: list[str]) -> list[Named]:
    """Return as many versions as a result names, and warn first of all where there are more.

    Args:
        versions: The versions.
        what: What became of them: ``"removed"`` or ``"deprecated"``.
        warnings: Gets the warning.
    """
    if len(versions) > MAX_NAMED:
        warnings.insert(0, f"{len(versions):,} versions were {what}; the result names the first {MAX_NAMED:,}.")
    return list(versions[:MAX_NAMED])


def merged(
    done: EditOutcome, edit: EditOutcome, operations: Iterable[str] = (), warnings: Sequence[str] = ()
) -> EditOutcome:
    """Return what two rounds did together, each fact once.

    Args:
        done: What the rounds before did.
        edit: What this one did.
        operations: Ids of the newest operations now.
        warnings: Further sentences for a person.
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
    """Return the ids of the newest operations; what is new in the list after these is of the draft as it is now."""
    return [operation.id for operation in operations][:KNOWN_OPERATIONS]


def unguarded(offer: OfferKey) -> Unguarded:
    """Return the error of a write that could take away what another run of ours has just written."""
    return Unguarded(f"{offer}: the marketplace gives no ETag that would guard the draft against other writers")
