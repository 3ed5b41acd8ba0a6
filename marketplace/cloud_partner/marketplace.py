"""The marketplace behind the Cloud Partner Portal API: what the procedures need, put together of its calls."""

import contextlib
from asyncio import to_thread
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import httpx

from marketplace import sas
from marketplace.cloud_partner import images as held
from marketplace.cloud_partner import status
from marketplace.cloud_partner.calls import OfferDocument, Portal
from marketplace.cloud_partner.contents import OfferContents
from marketplace.cloud_partner.documents import says_the_same
from marketplace.cloud_partner.offer_disks import NO_OFFER, check_disks, with_signed_disks
from marketplace.cloud_partner.operations import operations as listed_operations
from marketplace.cloud_partner.plans import HeldImage
from marketplace.disks import signed
from marketplace.errors import Conflict, NotFound, Refused, RuleBroken, Unreadable
from marketplace.model import (
    SHOWN_IMAGES,
    Change,
    Deprecation,
    EditOutcome,
    OfferDefinition,
    OfferKey,
    Operation,
    OperationKind,
    OperationReport,
    OperationState,
    Promotion,
    Scope,
    Slot,
    Standing,
    added,
)
from marketplace.protocol import KNOWN_OPERATIONS, Attempt, Contents, PutOutcome
from marketplace.writing import ROUNDS, merged, newest_ids, unguarded

LAST_ONE_WINS = "*"

_CAME_TO_NOTHING = {OperationState.FAILED, OperationState.CANCELED}

_ELSEWHERE = "of the Product Ingestion API only, and this worker speaks to the Cloud Partner Portal API"


class CloudPartnerMarketplace:
    """Implements `marketplace.protocol.Marketplace`.

    Nothing is remembered between calls, so one object serves any number of offers at the same time. Documents are
    worked on in threads: one of thousands of plans takes seconds, and other activities must not miss a heartbeat.
    """

    def __init__(
        self,
        portal: Portal,
        *,
        signer: sas.Signer | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Use what is given; nothing is sent yet.

        Args:
            portal: The API's calls.
            signer: Signs disks that are given without a SAS, where the worker holds a storage account's key.
            clock: The present time, for the validity of SAS.
        """
        self._portal = portal
        self._signer = signer or sas.Signer({})
        self._clock = clock

    @property
    def lists_at_once(self) -> bool:
        """Whether an operation is listed as soon as its request was accepted."""
        return True

    @property
    def guards_writes(self) -> bool:
        """Whether a write can be conditional: where a read gives an ETag."""
        return True

    @property
    def joins_publishes(self) -> bool:
        """Whether a publish that is asked for while the same draft is being published joins that operation."""
        return True

    def check(self, change: Change) -> None:
        """Refuse what only the Product Ingestion API knows.

        Raises:
            RuleBroken: Names each such member.
        """
        asked = {
            "publish": change.scope is not Scope.WHOLE,
            "foreign_edits": change.foreign_edits is not None,
            "deprecation": change.deprecation != Deprecation(),
            "images.gallery_image_id": any(image.gallery_image_id for image in change.images),
            "images.sku": any(image.sku for image in change.images),
        }
        members = [member for member, is_asked in asked.items() if is_asked]
        RuleBroken.raise_for(f"{member}: is {_ELSEWHERE}. Leave it out." for member in members)

    async def put_offer(
        self, offer: OfferKey, definition: OfferDefinition, *, replace: bool, sole_writer: bool, attempt: Attempt
    ) -> PutOutcome | None:
        """Create the offer, or replace its draft, with a document sent to the letter but for disks to sign.

        Disks without a SAS are signed where we hold their account's key. When a draft is replaced, those of an
        image that it holds with the same disks keep the URLs that it has: the image may be published, and a
        published version cannot be edited, not even its URLs. What is wrong with the SAS of such an image is
        a warning; with that of any other it is refused.

        A new offer is put without ``If-Match``, as the documentation's example of creating one is, and with
        ``*`` only where that was refused and the offer is still absent. A draft is replaced under the ETag of
        its read, or ``*`` where the read gave none. Nothing but an ETag makes a write conditional: without
        one, creation included, the caller has to be the draft's sole writer.

        Safe to repeat: in a repeated attempt an offer that says what the document says, whatever the SAS of its
        disks, counts as created by us.

        Raises:
            NotFound: There is no such publisher.
            Conflict: Others wrote the draft `ROUNDS` times in between.
            Unguarded: There is no ETag, and the caller is not the sole writer; nothing was sent.
            RuleBroken: The document is not a JSON object, or has a disk that the service could not read;
                nothing was sent.
        """
        if definition.member != "offer":
            raise RuleBroken(f"{definition.member}: is {_ELSEWHERE}. Give the offer as `offer` instead.")
        document = definition.text
        try:
            images = [held.version_of(image) for image in held.held_images(document)]
        except ValueError as error:
            raise RuleBroken(f"{offer}: the offer cannot be sent: {error}") from None
        to_create: str | None = None
        for last in _rounds():
            draft = await self._draft(offer)
            if (
                draft is not None
                and not replace
                and not (attempt.repeated and await to_thread(says_the_same, document, draft.text))
            ):
                return None
            text, warnings = await to_thread(self._ready, offer, document, draft)
            if draft is None or replace:
                _refuse_unguarded(offer, draft, sole_writer=sole_writer)
                try:
                    if_match = to_create if draft is None else draft.etag or LAST_ONE_WINS
                    attempt.sends()
                    await self._portal.put_offer(offer, text, if_match=if_match)
                except (Conflict, Refused) as refusal:
                    # A new offer may exist by now, created by somebody else, or need an If-Match after all.
                    again = isinstance(refusal, Conflict) if draft else to_create is None
                    if last or not again:
                        raise
                    to_create = LAST_ONE_WINS
                    continue
            # After the put, which takes minutes: what somebody began meanwhile is of the old draft. For our own
            # creation of an earlier try too: a publish of ours comes later.
            known = newest_ids(await self.operations(offer)) if draft is not None else []
            return PutOutcome(known, images, warnings)
        raise AssertionError("unreachable")

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

        Where the service gives no ETag the last writer wins: the caller has to be the only one of ours, and
        for the sake of strangers the draft is read once more after the write and the images applied again if
        one of them is missing. The operations are read last: what somebody began while the write took its
        minutes is of the old draft.

        Safe to repeat: an image that is there already is left alone.

        Raises:
            NotFound: There is no such offer.
            Conflict: Others wrote the draft `ROUNDS` times in between.
            Unguarded: There is no ETag, and the caller is not the sole writer; nothing was sent.
            RuleBroken: A rule of the marketplace; nothing was sent.
        """
        done = EditOutcome()
        for last in _rounds():
            draft = await self._portal.read_offer(offer)
            text, edit = await to_thread(self._edited, offer, draft, change, preview, production)
            if not edit.changed:
                return merged(done, edit, newest_ids(await self.operations(offer)))
            _refuse_unguarded(offer, draft, sole_writer=sole_writer)
            try:
                attempt.sends()
                await self._portal.put_offer(offer, text, if_match=draft.etag or LAST_ONE_WINS)
            except Conflict as conflict:
                # Another status than that of a stale ETag: the service takes no edits now.
                if last or conflict.status != httpx.codes.PRECONDITION_FAILED:
                    raise
                continue
            if draft.etag is not None:
                return merged(done, edit, newest_ids(await self.operations(offer)))
            done = merged(done, edit)
        raise Conflict(
            f"edit {offer}: the images were overwritten {ROUNDS} times by somebody else, and the marketplace"
            " sends no ETag that would prevent it",
            call=f"edit {offer}",
        )

    async def planned_edit(
        self, offer: OfferKey, change: Change, *, preview: Contents | None, production: Contents | None
    ) -> EditOutcome:
        """Check every rule and return what `edit_images` would change.

        Raises:
            NotFound: There is no such offer.
            RuleBroken: A rule of the marketplace.
        """
        draft = await self._portal.read_offer(offer)
        _, edit = await to_thread(self._edited, offer, draft, change, preview, production)
        return edit

    def _edited(
        self,
        offer: OfferKey,
        draft: OfferDocument,
        change: Change,
        preview: Contents | None,
        production: Contents | None,
    ) -> tuple[str, EditOutcome]:
        now = self._clock()
        try:
            return held.edit(
                draft.text,
                [signed(image, lambda url: self._signer.signed(url, now)) for image in change.images],
                preview=_held(preview),
                production=_held(production),
                when_full=change.when_full,
                limit=change.limit,
                now=now,
            )
        except ValueError as error:
            raise _unreadable_offer(offer, error) from None

    async def read_slot(self, offer: OfferKey, slot: Slot) -> OfferContents | None:
        """Return what a slot holds, ``None`` when nothing is there."""
        try:
            document = await self._portal.read_offer(offer, slot=None if slot is Slot.DRAFT else slot)
            return OfferContents(await to_thread(held.held_images, document.text))
        except NotFound:
            return None
        except ValueError as error:
            raise _unreadable_offer(offer, error) from None

    def promotion(self, preview: Contents | None, production: Contents | None) -> Promotion:
        """Return which image versions going live would add and remove."""
        if preview is None:
            return Promotion()
        live = production.versions if production is not None else []
        return Promotion(
            adds=added(live, preview.versions)[:SHOWN_IMAGES], removes=added(preview.versions, live)[:SHOWN_IMAGES]
        )

    async def operations(self, offer: OfferKey) -> list[Operation]:
        """Return the offer's operations, newest first, a running one before all; empty if never published.

        Whether an offer that was never published has a list, or none, is not documented: where there is none
        the offer's status is asked.

        Raises:
            NotFound: There is no such offer.
            Refused: The service lists no operations of an offer that was published. Nothing else shows whether
                a publish or a go-live that was asked for has begun.
        """
        try:
            return await to_thread(listed_operations, await self._portal.submissions(offer))
        except NotFound as refusal:
            if status.never_published(await self._portal.status(offer)):
                return []
            raise Refused(
                f"{refusal} - the offer exists and was published, but the marketplace does not list its"
                " operations, and without the list nothing can be published safely; check that"
                " MARKETPLACE_URL is the Cloud Partner Portal API",
                call=refusal.call,
                status=refusal.status,
            ) from refusal

    async def standing(self, offer: OfferKey) -> Standing:
        """Return the newest operations as they are, and whether the preview waits for sign-off.

        A running operation is looked at, since the list hides the sign-off. Where sign-off ends the operation it
        stays completed when its preview is cancelled: then the offer's status decides.
        """
        operations = (await self.operations(offer))[:KNOWN_OPERATIONS]
        if not operations:
            return Standing()
        newest = operations[0]
        if newest.state is OperationState.RUNNING:
            report = await self.look(offer, newest.id, newest.kind)
            newest = operations[0] = newest.model_copy(update={"state": report.state})
        elif newest.state is OperationState.PREVIEW:
            waits = await self.awaits_sign_off(offer, otherwise=True)
            return Standing(operations=operations, awaits_sign_off=waits)
        if newest.kind is OperationKind.GO_LIVE and newest.state in _CAME_TO_NOTHING:
            return Standing(operations=operations, awaits_sign_off=await self.awaits_sign_off(offer))
        return Standing(operations=operations, awaits_sign_off=newest.state is OperationState.PREVIEW)

    async def awaits_sign_off(self, offer: OfferKey, *, otherwise: bool = False) -> bool:
        """Return whether the offer's status, or its sign-off step, says that the preview waits."""
        offer_status = await self._portal.status(offer)
        return status.awaits_sign_off(offer_status) or (otherwise and not status.no_publish_waits(offer_status))

    async def look(
        self,
        offer: OfferKey,
        operation_id: str,
        kind: OperationKind | None = None,
        *,
        known: Sequence[str] = (),  # noqa: ARG002 - an id names one operation for ever
    ) -> OperationReport:
        """Look at one operation; ``kind`` is what an earlier look, or the list, found.

        Its document need not say of which kind it is, nor have a sign-off step: then the list of operations
        and the offer's status are asked. The status is that of the newest operation, so it is believed of
        this one only when this is the newest.
        """
        document = status.the_document(await self._portal.operation(offer, operation_id), operation_id)
        listed: list[Operation] | None = None
        kind = status.kind_of(document) or kind
        if kind is None:
            listed = await self._operations_if_listed(offer)
            kinds = {each.id: each.kind for each in listed}
            kind = kinds.get(operation_id) or status.kind_by_steps(document)
        report = status.report(operation_id, kind, document)
        if kind is OperationKind.PUBLISH and status.may_wait_for_sign_off(report):
            offer_status = await self._portal.status(offer)
            if status.awaits_sign_off(offer_status):
                listed = await self._operations_if_listed(offer) if listed is None else listed
                if listed and listed[0].id == operation_id:
                    report = status.report(operation_id, kind, document, offer_status)
        return report

    async def publish(
        self,
        offer: OfferKey,
        change: Change,  # noqa: ARG002 - the portal publishes the whole draft
        notification_emails: Sequence[str],
        *,
        attempt: Attempt,  # noqa: ARG002 - the list of the operations shows what earlier attempts did
    ) -> str | None:
        """Publish the draft; return the operation's id where the service named it.

        Repeated while the same draft is being published it joins that operation, as documented.
        """
        return await self._portal.publish(offer, notification_emails)

    async def go_live(
        self,
        offer: OfferKey,
        publish_id: str,  # noqa: ARG002 - the portal promotes the preview that waits
        *,
        attempt: Attempt,  # noqa: ARG002
    ) -> str | None:
        """Promote the preview that waits; return the operation's id where the service named it."""
        return await self._portal.go_live(offer)

    async def cancel(
        self,
        offer: OfferKey,
        operation_id: str,  # noqa: ARG002 - the portal cancels what runs
        notification_emails: Sequence[str],
    ) -> None:
        """Ask for the running operation to be cancelled; `look` shows when it is."""
        await self._portal.cancel(offer, notification_emails)

    async def _draft(self, offer: OfferKey) -> OfferDocument | None:
        with contextlib.suppress(NotFound):
            return await self._portal.read_offer(offer)
        return None

    async def _operations_if_listed(self, offer: OfferKey) -> list[Operation]:
        with contextlib.suppress(Refused):
            return await self.operations(offer)
        return []

    def _ready(self, offer: OfferKey, document: str, draft: OfferDocument | None) -> tuple[str, list[str]]:
        """Return the document as it can be sent, and what a person should know of its disks."""
        stored = draft.text if draft else NO_OFFER
        now = self._clock()
        try:
            text = with_signed_disks(document, lambda url: self._signer.signed(url, now), stored=stored)
            return text, check_disks(text, now, stored=stored)
        except ValueError as error:  # the draft: that of the document was met before
            raise _unreadable_offer(offer, error) from None


def _held(contents: Contents | None) -> list[HeldImage]:
    return contents.images if isinstance(contents, OfferContents) else []


def _refuse_unguarded(offer: OfferKey, draft: OfferDocument | None, *, sole_writer: bool) -> None:
    if not sole_writer and (draft is None or draft.etag is None):
        raise unguarded(offer)


def _rounds() -> Iterator[bool]:
    """Yield, for every round, whether it is the last."""
    yield from (number == ROUNDS for number in range(1, ROUNDS + 1))


def _unreadable_offer(offer: OfferKey, error: ValueError) -> Unreadable:
    return Unreadable(f"read {offer}: the marketplace's offer document is odd: {error}", call=f"read {offer}")
