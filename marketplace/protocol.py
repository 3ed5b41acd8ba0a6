"""What the procedures need of a marketplace, whichever of its APIs is behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from marketplace.model import (
    EditOutcome,
    HeldImage,
    Image,
    ImageVersion,
    OfferKey,
    Operation,
    OperationKind,
    OperationReport,
    Slot,
    WhenFull,
)

KNOWN_OPERATIONS = 5
"""How many of the newest operations are remembered: whatever stands before them in the list is new."""


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


class Marketplace(Protocol):
    """A marketplace: drafts are edited, slots read, operations started, looked at and cancelled.

    Every method makes a few requests and no retries; each raises the errors of `marketplace.errors`. Writes
    say in their docstring what makes them safe to repeat.
    """

    async def put_offer(
        self, offer: OfferKey, document: str, *, replace: bool, repeated: bool, sole_writer: bool
    ) -> PutOutcome | None:
        """Create the offer, or replace its draft, with ``document`` (JSON text).

        It is sent as it is, but for disks without a SAS, which get one. Safe to repeat: with ``repeated`` (an
        earlier attempt may have had its effect) an offer that already says what ``document`` says counts as
        created by us.

        Args:
            offer: The offer.
            document: The whole offer.
            replace: Whether an offer that exists is replaced.
            repeated: Whether an earlier attempt may have had its effect.
            sole_writer: Whether no other run of ours writes to the draft meanwhile.

        Returns:
            ``None`` when the offer exists and ``replace`` is off: nothing was sent.

        Raises:
            Unguarded: The write would not be conditional, and the caller is not the sole writer.
        """
        ...

    async def edit_images(
        self,
        offer: OfferKey,
        images: Sequence[Image],
        *,
        preview: Sequence[HeldImage],
        production: Sequence[HeldImage],
        when_full: WhenFull,
        limit: int | None,
        sole_writer: bool,
    ) -> EditOutcome:
        """Put the images into the draft in one write; read and apply again when somebody was faster.

        Safe to repeat: an image that is there already is left alone.

        Args:
            offer: The offer.
            images: The images wanted, of any number of plans.
            preview: What the preview holds.
            production: What Production holds.
            when_full: What to do with a full plan.
            limit: Versions a plan may hold, 0 for any number, ``None`` for what the offer type allows.
            sole_writer: Whether no other run of ours writes to the draft meanwhile.

        Raises:
            Unguarded: The write would not be conditional, and the caller is not the sole writer.
        """
        ...

    async def planned_edit(
        self,
        offer: OfferKey,
        images: Sequence[Image],
        *,
        preview: Sequence[HeldImage],
        production: Sequence[HeldImage],
        when_full: WhenFull,
        limit: int | None,
    ) -> EditOutcome:
        """Check every rule and return what `edit_images` would change; the slots are given as they were read."""
        ...

    async def read_slot(self, offer: OfferKey, slot: Slot) -> list[HeldImage] | None:
        """Return the image versions a slot holds, ``None`` when nothing is there."""
        ...

    async def operations(self, offer: OfferKey) -> list[Operation]:
        """Return the offer's operations, newest first; empty when it has never been published.

        Raises:
            NotFound: There is no such offer.
        """
        ...

    async def awaits_sign_off(self, offer: OfferKey, *, otherwise: bool = False) -> bool:
        """Tell whether the offer's preview waits for the publisher's sign-off, ``otherwise`` where it is not said."""
        ...

    async def look(self, offer: OfferKey, operation_id: str, kind: OperationKind | None = None) -> OperationReport:
        """Look at one operation; ``kind`` is what an earlier look found, and spares asking for it again."""
        ...

    async def publish(self, offer: OfferKey, notification_emails: Sequence[str]) -> str | None:
        """Publish the draft; answers with the operation's id where the service named it.

        Repeated while the same draft is being published it joins that operation; `operations` tells what an
        earlier try did.
        """
        ...

    async def go_live(self, offer: OfferKey) -> str | None:
        """Promote the preview; answers with the operation's id where the service named it. Not repeatable."""
        ...

    async def cancel(self, offer: OfferKey, notification_emails: Sequence[str]) -> None:
        """Ask for the running operation to be cancelled; `look` tells when it is."""
        ...
