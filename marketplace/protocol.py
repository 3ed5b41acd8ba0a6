"""The interface to a marketplace, which both APIs implement."""

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
    OfferStatus,
    Operation,
    OperationKind,
    OperationReport,
    Promotion,
    Slot,
)

KNOWN_OPERATIONS = 5
"""How many of the newest operations are remembered. Operations that come before them in a later list are new."""

SETTLE = timedelta(minutes=2)
"""Default time to wait for a request to show after its answer was lost."""


def _forget(*_marks: str) -> None:
    """Do nothing. This is the default for callers that never repeat a request."""


@dataclass(frozen=True)
class Attempt:
    """What an attempt of a write knows about earlier attempts, and records for later ones.

    Attributes:
        repeated: Whether there was an earlier attempt, which may have had an effect.
        may_have_sent: Whether an earlier attempt may have sent its request. It is recorded just before sending.
        handle: The ID that the answer to that request named, such as a job's; ``None`` if it named none or was lost.
        settle: How long a request whose answer was lost may take to show.
        before_send: Records that a request is about to be sent. The record outlives this process.
        accepted: Records the ID that the answer to a request names.
    """

    repeated: bool = False
    may_have_sent: bool = False
    handle: str | None = None
    settle: timedelta = SETTLE
    before_send: Callable[[], None] = _forget
    accepted: Callable[[str], None] = _forget


@dataclass(frozen=True)
class PutOutcome:
    """The outcome of putting a whole offer.

    Attributes:
        operations: IDs of the newest operations after the put, newest first. A publish that starts later carries
            this draft.
        images: The image versions that the draft holds now.
        warnings: Warnings for a person, such as a SAS that expires too soon.
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
        """The ID of the publish that made these contents, if the document names it."""
        ...

    def missing(self, images: Sequence[Image]) -> list[ImageVersion]:
        """Return the images that are missing, whatever their disks."""
        ...

    def conflicts(self, images: Sequence[Image]) -> list[str]:
        """Return a sentence for each image whose version is there with another source or in another spelling."""
        ...


class Marketplace(Protocol):
    """A marketplace.

    Every method makes a few requests without retries, and raises the errors of `marketplace.errors`. The docstring of
    a write says what makes it safe to repeat.
    """

    @property
    def lists_at_once(self) -> bool:
        """Whether an operation is listed as soon as its request was accepted. If not, that may take minutes."""
        ...

    @property
    def guards_writes(self) -> bool:
        """Whether a write can be conditional. If not, every write needs a sole writer."""
        ...

    @property
    def joins_publishes(self) -> bool:
        """Whether a publish joins a running publish of the same draft."""
        ...

    def check(self, change: Change) -> None:
        """Check that the API supports a change. Nothing is sent.

        Raises:
            RuleBroken: It does not. The error names each unsupported member.
        """
        ...

    async def put_offer(
        self, offer: OfferKey, definition: OfferDefinition, *, replace: bool, sole_writer: bool, attempt: Attempt
    ) -> PutOutcome | None:
        """Create the offer, or replace its draft. The definition is sent as it is, apart from disks that need a SAS.

        Safe to repeat: in a repeated attempt, an offer with the content of the definition counts as created by us.

        Returns:
            ``None`` if the offer exists and ``replace`` is off. Then nothing was sent.

        Raises:
            Unguarded: The write would not be conditional, and the caller is not the sole writer.
        """
        ...

    async def planned_edit(
        self, offer: OfferKey, change: Change, *, preview: Contents | None, production: Contents | None
    ) -> EditOutcome:
        """Check all rules and return what `edit_images` would change. It has the same arguments."""
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
        """Put the images into the draft in one write. If somebody else wrote first, read and apply again.

        Safe to repeat: an image that is there already is left alone.

        Args:
            offer: The offer.
            change: The images wanted, in any number of plans.
            preview: What the preview holds, from `read_slot`.
            production: What Production holds, from `read_slot`.
            sole_writer: Whether no other run of ours writes to the draft meanwhile.
            attempt: What is known about earlier attempts.

        Raises:
            Unguarded: The write would not be conditional, and the caller is not the sole writer.
        """
        ...

    async def read_slot(self, offer: OfferKey, slot: Slot) -> Contents | None:
        """Return what a slot holds, ``None`` if it is empty."""
        ...

    def promotion(self, preview: Contents | None, production: Contents | None) -> Promotion:
        """Return what going live would change."""
        ...

    async def operations(self, offer: OfferKey) -> list[Operation]:
        """Return the offer's operations, running ones first, then newest first. Empty if it was never published.

        An operation whose preview waits for sign-off may be listed as running. `status` has its real state.

        Raises:
            NotFound: There is no such offer.
        """
        ...

    async def status(self, offer: OfferKey) -> OfferStatus:
        """Return the offer's newest operations, and whether its preview waits for sign-off.

        Raises:
            NotFound: There is no such offer.
        """
        ...

    async def may_await_sign_off(self, offer: OfferKey) -> bool:
        """Return whether the preview of a completed publish may still wait for the publisher's sign-off.

        ``False`` means that the service says that it does not, for example after a cancellation.
        """
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
            kind: The kind that an earlier look found, which saves a request.
            known: IDs of the operations that existed before this one was started. It is none of them.
        """
        ...

    async def publish(
        self, offer: OfferKey, change: Change, notification_emails: Sequence[str], *, attempt: Attempt
    ) -> str | None:
        """Publish the draft, or the plans of the change's images. Return the operation's ID if it is known.

        Repeat it only after `operations` has shown that an earlier attempt had no effect.
        """
        ...

    async def go_live(self, offer: OfferKey, publish_id: str, *, attempt: Attempt) -> str | None:
        """Promote the preview of a publish. Return the operation's ID if it is known."""
        ...

    async def cancel(self, offer: OfferKey, operation_id: str, notification_emails: Sequence[str]) -> None:
        """Ask for cancellation of an operation. `look` shows when it is cancelled.

        Raises:
            Refused: The operation cannot be cancelled, or not by us.
        """
        ...
