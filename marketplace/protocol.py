"""What the procedures need of a marketplace, whichever of its APIs is behind it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from marketplace.model import (
    Change,
    EditOutcome,
    Image,
    ImageVersion,
    OfferDefinition,
    OfferKey,
    Operation,
    OperationKind,
    OperationReport,
    Promotion,
    Slot,
    Standing,
)

KNOWN_OPERATIONS = 5
"""How many of the newest operations are remembered: whatever stands before them in the list is new."""


SETTLE = timedelta(minutes=2)
"""How long a request whose answer was lost may take to show, unless the caller says otherwise."""


def _forgotten(*_marks: str) -> None:
    """Remember nothing: for callers that never repeat a request."""


@dataclass(frozen=True)
class Attempt:
    """What an attempt to write knows of those before it.

    Attributes:
        repeated: Whether an earlier attempt may have had its effect.
        sent: Whether an earlier attempt has sent a request.
        handle: What the marketplace called that request.
        settle: How long a request whose answer was lost may take to show.
        sends: Remembers that a request is about to be sent, whatever becomes of this process.
        note: Remembers what the marketplace calls it.
    """

    repeated: bool = False
    sent: bool = False
    handle: str | None = None
    settle: timedelta = SETTLE
    sends: Callable[[], None] = _forgotten
    note: Callable[[str], None] = _forgotten


@dataclass(frozen=True)
class PutOutcome:
    """What a put of a whole offer did.

    Attributes:
        operations: Ids of the newest operations after the put, newest first: what is new after is of this draft.
        images: The image versions that the draft holds now.
        warnings: Sentences for a person, such as a SAS that expires too soon.
    """

    operations: list[str]
    images: list[ImageVersion]
    warnings: list[str]


class Contents(Protocol):
    """What a slot holds."""

    @property
    def versions(self) -> list[ImageVersion]:
        """All image versions, in the document's order."""
        ...

    @property
    def publish_id(self) -> str | None:
        """Id of the publish that it is of, where its document says so."""
        ...

    def missing(self, images: Sequence[Image]) -> list[ImageVersion]:
        """Return which of the images it lacks, whatever their disks."""
        ...

    def conflicts(self, images: Sequence[Image]) -> list[str]:
        """Return a sentence for each of the images whose version it holds with another source or spelling."""
        ...


class Marketplace(Protocol):
    """A marketplace: drafts are edited, slots read, operations started, looked at and cancelled.

    Every method makes a few requests and no retries; each raises the errors of `marketplace.errors`. Writes
    say in their docstring what makes them safe to repeat.
    """

    @property
    def lists_at_once(self) -> bool:
        """Whether an operation is listed as soon as its request was accepted; otherwise it may take a while."""
        ...

    @property
    def guards_writes(self) -> bool:
        """Whether a write can be conditional; otherwise every write needs a sole writer."""
        ...

    @property
    def joins_publishes(self) -> bool:
        """Whether a publish that is asked for while the same draft is being published joins that operation."""
        ...

    def check(self, change: Change) -> None:
        """Check that the marketplace can do what is asked of it at all; nothing is sent.

        Raises:
            RuleBroken: It cannot; names each member of the request that it does not know.
        """
        ...

    async def put_offer(
        self, offer: OfferKey, definition: OfferDefinition, *, replace: bool, sole_writer: bool, attempt: Attempt
    ) -> PutOutcome | None:
        """Create the offer, or replace its draft.

        The definition is sent as it is, but for disks without a SAS, which get one. Safe to repeat: in a repeated
        attempt an offer that already says what the definition says counts as created by us.

        Returns:
            ``None`` when the offer exists and ``replace`` is off: nothing was sent.

        Raises:
            Unguarded: The write would not be conditional, and the caller is not the sole writer.
        """
        ...

    async def planned_edit(
        self, offer: OfferKey, change: Change, *, preview: Contents | None, production: Contents | None
    ) -> EditOutcome:
        """Check every rule and return what `edit_images` would change; the slots are given as they were read."""
        ...

    async def edit_images(
        self,
        offer: OfferKey,
        change: Change,
        *,
        preview: Contents | None,
        production: Contents | None,
        sole_writer: bool,
        attempt: Attempt,
    ) -> EditOutcome:
        """Put the images into the draft in one write; read and apply again when somebody was faster.

        Safe to repeat: an image that is there already is left alone.

        Args:
            offer: The offer.
            change: The images wanted, of any number of plans.
            preview: What the preview holds, as `read_slot` returned it.
            production: What Production holds.
            sole_writer: Whether no other run of ours writes to the draft meanwhile.
            attempt: What is known of earlier attempts.

        Raises:
            Unguarded: The write would not be conditional, and the caller is not the sole writer.
        """
        ...

    async def read_slot(self, offer: OfferKey, slot: Slot) -> Contents | None:
        """Return what a slot holds, ``None`` when nothing is there."""
        ...

    def promotion(self, preview: Contents | None, production: Contents | None) -> Promotion:
        """Return what going live would do."""
        ...

    async def operations(self, offer: OfferKey) -> list[Operation]:
        """Return the offer's operations, newest first; empty when it has never been published.

        The list may call an operation running whose preview waits for sign-off; `standing` does not.

        Raises:
            NotFound: There is no such offer.
        """
        ...

    async def standing(self, offer: OfferKey) -> Standing:
        """Return the offer's newest operations as they are, and whether its preview waits for sign-off.

        Raises:
            NotFound: There is no such offer.
        """
        ...

    async def awaits_sign_off(self, offer: OfferKey, *, otherwise: bool = False) -> bool:
        """Return whether the preview waits for the publisher's sign-off, ``otherwise`` where it is not said."""
        ...

    async def look(
        self,
        offer: OfferKey,
        operation_id: str,
        kind: OperationKind | None = None,
        *,
        known: Sequence[str] = (),
    ) -> OperationReport:
        """Look at one operation.

        Args:
            offer: The offer.
            operation_id: The operation.
            kind: What an earlier look found; spares asking for it again.
            known: Ids of the operations that were there before it was asked for: it is none of them.
        """
        ...

    async def publish(
        self, offer: OfferKey, change: Change, notification_emails: Sequence[str], *, attempt: Attempt
    ) -> str | None:
        """Publish the draft, or the plans of the change's images; return the operation's id if it is known.

        Not to be repeated before `operations` has shown that an earlier attempt came to nothing.
        """
        ...

    async def go_live(self, offer: OfferKey, publish_id: str, *, attempt: Attempt) -> str | None:
        """Promote the preview that a publish made; return the operation's id if it is known."""
        ...

    async def cancel(self, offer: OfferKey, operation_id: str, notification_emails: Sequence[str]) -> None:
        """Ask for an operation to be cancelled; `look` shows when it is.

        Raises:
            Refused: It cannot be cancelled, or not by us.
        """
        ...
