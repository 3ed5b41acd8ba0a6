"""The marketplace behind the Cloud Partner Portal API."""

import contextlib
from asyncio import to_thread
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import httpx

from marketplace import sas
from marketplace.cloud_partner import edits, status
from marketplace.cloud_partner.calls import OfferDocument, Portal
from marketplace.cloud_partner.comparison import says_the_same
from marketplace.cloud_partner.contents import OfferContents, held_images, version_of
from marketplace.cloud_partner.definitions import NO_OFFER, check_disks, with_signed_disks
from marketplace.cloud_partner.operations import operations as listed_operations
from marketplace.cloud_partner.plans import HeldImage
from marketplace.disks import signed
from marketplace.draft_writes import ROUNDS, merged, newest_ids, unguarded
from marketplace.errors import Conflict, NotFound, Refused, RuleBroken, Unreadable
from marketplace.model import (
    SHOWN_IMAGES,
    Change,
    Deprecation,
    EditOutcome,
    ImageVersion,
    OfferDefinition,
    OfferKey,
    OfferStatus,
    Operation,
    OperationKind,
    OperationReport,
    OperationState,
    Promotion,
    Scope,
    Slot,
    only_in_first,
)
from marketplace.protocol import KNOWN_OPERATIONS, Attempt, Contents, PutOutcome
from marketplace.timestamps import utc_now

_ANY_DRAFT = "*"
"""The ``If-Match`` header of a write that is not conditional."""

_OTHER_API = "of the Product Ingestion API only, and this worker speaks to the Cloud Partner Portal API"


class CloudPartnerMarketplace:
    """Implements `marketplace.protocol.Marketplace`.

    One object serves any number of offers concurrently, since it keeps no state between calls. Documents are
    processed in threads. A document with thousands of plans takes seconds, and other activities must not miss a
    heartbeat.
    """

    def __init__(
        self,
        portal: Portal,
        *,
        signer: sas.Signer | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Create the marketplace.

        Args:
            portal: Makes the calls of the API.
            signer: Signs disks without a SAS, where the worker has the storage account's key.
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
        """Whether a write can be conditional, which it is if the read before it gave an ETag."""
        return True

    @property
    def joins_publishes(self) -> bool:
        """Whether a publish that is asked for while the same draft is being published joins that operation."""
        return True

    def check(self, change: Change) -> None:
        """Refuse what only the Product Ingestion API can do.

        Raises:
            RuleBroken: The change uses a member that this API does not have.
        """
        given = {
            "publish": change.scope is not Scope.WHOLE,
            "foreign_edits": change.foreign_edits is not None,
            "deprecation": change.deprecation != Deprecation(),
            "images.gallery_image_id": any(image.gallery_image_id for image in change.images),
            "images.sku": any(image.sku for image in change.images),
        }
        members = [member for member, is_given in given.items() if is_given]
        RuleBroken.raise_for(f"{member}: is {_OTHER_API}. Leave it out." for member in members)

    async def put_offer(
        self, offer: OfferKey, definition: OfferDefinition, *, replace: bool, sole_writer: bool, attempt: Attempt
    ) -> PutOutcome | None:
        """Create the offer or replace its draft. The document is sent as it is, apart from disks that need a SAS.

        Disks without a SAS are signed if the worker has the account's key. When a draft is replaced, an image that it
        holds with the same disks keeps the draft's URLs. The image may be published, and a published version cannot
        be edited, not even its URLs. A problem with the SAS of such an image is a warning. For any other image it is
        an error.

        A new offer is put without ``If-Match``, as in the documentation's example. If that is refused and there is
        still no offer, it is put with ``*``. A draft is replaced under the ETag of the read, or ``*`` if there is
        none. Only an ETag makes a write conditional. Without one, the caller must be the draft's sole writer.

        Safe to repeat: in a repeated attempt, an offer with the content of the document counts as created by us.

        Raises:
            NotFound: There is no such publisher.
            Conflict: Others wrote to the draft between read and write, `ROUNDS` times, or the service accepts no
                writes now.
            Unguarded: There is no ETag, and the caller is not the sole writer. Nothing was sent.
            RuleBroken: The document is not a JSON object, or it has a disk that the service could not read. Nothing
                was sent.
        """
        document, images = _document_of(offer, definition)
        to_create: str | None = None
        for is_last in _rounds():
            draft = await self._draft(offer)
            if draft is not None and not replace:
                if not (attempt.repeated and await to_thread(says_the_same, document, draft.text)):
                    return None
                _, warnings = await to_thread(self._ready, offer, document, draft)
                return await self._put_outcome(offer, images, warnings, draft)
            text, warnings = await to_thread(self._ready, offer, document, draft)
            _refuse_unguarded(offer, draft, sole_writer=sole_writer)
            try:
                attempt.before_send()
                if_match = to_create if draft is None else draft.etag or _ANY_DRAFT
                await self._portal.put_offer(offer, text, if_match=if_match)
            except (Conflict, Refused) as refusal:
                # Somebody else may have created the offer by now, or If-Match may be required for a new one.
                try_again = _is_stale(refusal) if draft else to_create is None
                if is_last or not try_again:
                    raise
                to_create = _ANY_DRAFT
                continue
            return await self._put_outcome(offer, images, warnings, draft)
        raise AssertionError("unreachable")

    async def _put_outcome(
        self, offer: OfferKey, images: list[ImageVersion], warnings: list[str], before: OfferDocument | None
    ) -> PutOutcome:
        """Return the outcome of a put.

        The operations are read after the put, which takes minutes. A publish that somebody started meanwhile carries
        the old draft. An offer that did not exist before has no operations.
        """
        known = newest_ids(await self.operations(offer)) if before is not None else []
        return PutOutcome(known, images, warnings)

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

        Without an ETag the last writer wins. Then the caller must be the sole writer among our runs. The draft is
        read again after such a write, because strangers may write too. If an image is missing, the images are applied
        again. The operations are read last. A publish that somebody started during the write carries the old draft.

        Safe to repeat: an image that is there already is left alone.

        Raises:
            NotFound: There is no such offer.
            Conflict: Others wrote to the draft between read and write, `ROUNDS` times, or the service accepts no
                writes now.
            Unguarded: There is no ETag, and the caller is not the sole writer. Nothing was sent.
            RuleBroken: A rule of the marketplace is broken. Nothing was sent.
        """
        done = EditOutcome()
        for is_last in _rounds():
            draft = await self._portal.read_offer(offer)
            text, edit = await to_thread(self._edited, offer, draft, change, preview, production)
            if not edit.changed:
                return merged(done, edit, newest_ids(await self.operations(offer)))
            _refuse_unguarded(offer, draft, sole_writer=sole_writer)
            try:
                attempt.before_send()
                await self._portal.put_offer(offer, text, if_match=draft.etag or _ANY_DRAFT)
            except Conflict as conflict:
                if is_last or not _is_stale(conflict):
                    raise
                continue
            if draft.etag is not None:
                return merged(done, edit, newest_ids(await self.operations(offer)))
            done = merged(done, edit)
        raise Conflict(
            f"edit {offer}: the images were overwritten {ROUNDS} times by somebody else, and the marketplace"
            " sends no ETag that would prevent it; start the run again when nobody else edits the offer",
            call=f"edit {offer}",
        )

    async def planned_edit(
        self, offer: OfferKey, change: Change, *, preview: Contents | None, production: Contents | None
    ) -> EditOutcome:
        """Check all rules and return what `edit_images` would change.

        Raises:
            NotFound: There is no such offer.
            RuleBroken: A rule of the marketplace is broken.
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
            return edits.edit(
                draft.text,
                [signed(image, lambda url: self._signer.signed(url, now)) for image in change.images],
                preview=_images(preview),
                production=_images(production),
                when_full=change.when_full,
                limit=change.limit,
                now=now,
            )
        except ValueError as error:
            raise _unreadable_offer(offer, error) from None

    async def read_slot(self, offer: OfferKey, slot: Slot) -> OfferContents | None:
        """Return what a slot holds, ``None`` if it is empty."""
        try:
            document = await self._portal.read_offer(offer, slot)
            return OfferContents(await to_thread(held_images, document.text))
        except NotFound:
            return None
        except ValueError as error:
            raise _unreadable_offer(offer, error) from None

    def promotion(self, preview: Contents | None, production: Contents | None) -> Promotion:
        """Return the image versions that going live would add and remove."""
        if preview is None:
            return Promotion()
        live = production.versions if production is not None else []
        return Promotion(
            adds=only_in_first(preview.versions, live)[:SHOWN_IMAGES],
            removes=only_in_first(live, preview.versions)[:SHOWN_IMAGES],
        )

    async def operations(self, offer: OfferKey) -> list[Operation]:
        """Return the offer's operations, running ones first, then newest first. Empty if it was never published.

        The documentation does not say if an offer that was never published has a list. If there is no list, the
        offer's status decides.

        Raises:
            NotFound: There is no such offer.
            Refused: The offer was published, and the service has no list of its operations. Only the list shows
                whether a publish or go-live has started.
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

    async def status(self, offer: OfferKey) -> OfferStatus:
        """Return the newest operations, and whether the preview waits for sign-off.

        A running operation is looked at, since the list does not show the sign-off. A publish that ended at the
        sign-off stays completed when its preview is cancelled. Then the offer's status decides.
        """
        operations = (await self.operations(offer))[:KNOWN_OPERATIONS]
        if not operations:
            return OfferStatus()
        newest = operations[0]
        if newest.state is OperationState.RUNNING:
            report = await self.look(offer, newest.id, newest.kind)
            newest = operations[0] = newest.model_copy(update={"state": report.state})
        elif newest.state is OperationState.PREVIEW:
            return OfferStatus(operations=operations, awaits_sign_off=await self.may_await_sign_off(offer))
        if newest.kind is OperationKind.GO_LIVE and newest.state in {OperationState.FAILED, OperationState.CANCELED}:
            waits = status.awaits_sign_off(await self._portal.status(offer))
            return OfferStatus(operations=operations, awaits_sign_off=waits)
        return OfferStatus(operations=operations, awaits_sign_off=newest.state is OperationState.PREVIEW)

    async def may_await_sign_off(self, offer: OfferKey) -> bool:
        """Return whether the preview may wait for sign-off. The offer's status says if it does not."""
        return not status.no_publish_waits(await self._portal.status(offer))

    async def look(
        self,
        offer: OfferKey,
        operation_id: str,
        kind: OperationKind | None = None,
        *,
        known: Sequence[str] = (),  # noqa: ARG002 - operation IDs are never reused
    ) -> OperationReport:
        """Look at one operation. ``kind`` is the kind that an earlier look, or the list, found.

        The operation's document may lack its kind and the sign-off step. Then the list of operations and the offer's
        status are read. The status describes the newest operation only.
        """
        document = status.single_document(await self._portal.operation(offer, operation_id), operation_id)
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
        attempt: Attempt,  # noqa: ARG002 - the list of operations shows what earlier attempts did
    ) -> str | None:
        """Publish the draft. Return the operation's ID where the service names it.

        According to the documentation, publishing a draft that is being published joins that operation.
        """
        return await self._portal.publish(offer, notification_emails)

    async def go_live(
        self,
        offer: OfferKey,
        publish_id: str,  # noqa: ARG002 - the portal promotes the preview that waits
        *,
        attempt: Attempt,  # noqa: ARG002
    ) -> str | None:
        """Promote the preview that waits. Return the operation's ID where the service names it."""
        return await self._portal.go_live(offer)

    async def cancel(
        self,
        offer: OfferKey,
        operation_id: str,  # noqa: ARG002 - the portal cancels the running operation
        notification_emails: Sequence[str],
    ) -> None:
        """Ask for cancellation of the running operation. `look` shows when it is cancelled."""
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
        """Return the document with signed disks, and warnings about its disks."""
        stored = draft.text if draft else NO_OFFER
        now = self._clock()
        try:
            text = with_signed_disks(document, lambda url: self._signer.signed(url, now), stored=stored)
            return text, check_disks(text, now, stored=stored)
        except ValueError as error:  # from the draft: the document was read before
            raise _unreadable_offer(offer, error) from None


def _document_of(offer: OfferKey, definition: OfferDefinition) -> tuple[str, list[ImageVersion]]:
    """Return the document in a definition, and its image versions."""
    if definition.member != "offer":
        raise RuleBroken(f"{definition.member}: is {_OTHER_API}. Give the offer as `offer` instead.")
    try:
        return definition.text, [version_of(image) for image in held_images(definition.text)]
    except ValueError as error:
        raise RuleBroken(f"{offer}: the offer cannot be sent: {error}. Correct `offer`.") from None


def _images(contents: Contents | None) -> list[HeldImage]:
    return contents.images if isinstance(contents, OfferContents) else []


def _refuse_unguarded(offer: OfferKey, draft: OfferDocument | None, *, sole_writer: bool) -> None:
    if not sole_writer and (draft is None or draft.etag is None):
        raise unguarded(offer)


def _is_stale(refusal: Conflict | Refused) -> bool:
    """Return whether a write was refused because the draft has another ETag by now.

    Only 412 means that. After any other conflict, the service accepts no writes for now.
    """
    return isinstance(refusal, Conflict) and refusal.status == httpx.codes.PRECONDITION_FAILED


def _rounds() -> Iterator[bool]:
    """Yield for each round whether it is the last one."""
    yield from (number == ROUNDS for number in range(1, ROUNDS + 1))


def _unreadable_offer(offer: OfferKey, error: ValueError) -> Unreadable:
    return Unreadable(
        f"read {offer}: the marketplace's offer document is not as documented: {error}", call=f"read {offer}"
    )
