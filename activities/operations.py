"""Activities on an offer's operations: publish, go live, cancel, look."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any
from weakref import WeakValueDictionary

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.attempts import Trail, unbroken
from activities.errors import marketplace_call
from activities.offers import ChangeRequest
from activities.redaction import RedactedImages
from marketplace.errors import Conflict, Refused, Unavailable
from marketplace.model import (
    JOB_PREFIX,
    LIVE_SUFFIX,
    Fact,
    ImageVersion,
    OfferKey,
    Operation,
    OperationKind,
    OperationReport,
    OperationState,
    Promotion,
    Slot,
)
from marketplace.protocol import SETTLE, Marketplace

PUBLISH_IN_PROGRESS = "PublishInProgress"
PREVIEW_CHANGED = "PreviewChanged"
NOT_APPROVED = "NotApproved"
NOT_LIVE_YET = "NotLiveYet"

TOO_MANY_REQUESTS = 429

FIRST_LOOK = timedelta(seconds=20)
"""How long the answer to a request that began an operation waits for the first look at it."""


class PublishRequest(ChangeRequest):
    """Input of `OperationActivities.publish`.

    Attributes:
        known_operations: Ids of the newest operations when the draft held what is to be published, newest first:
            a publish that is new since carries it.
        ask_to_join: Whether the request is sent although an operation is running, to find out whether that one
            publishes the same draft: the service then lets the request join it.
        settle: How long a request whose answer was lost may take to show, where operations are not listed at once.
    """

    known_operations: list[str]
    notification_emails: list[str] = []
    ask_to_join: bool = False
    settle: timedelta = SETTLE


class StartedOperation(Fact):
    """An operation that was asked for.

    Attributes:
        ours: Whether it began with our request; otherwise it was running already and does what we want.
        report: The first look at it, unless the marketplace failed to show it.
    """

    operation_id: str
    ours: bool
    report: OperationReport | None = None


class GoLiveRequest(Fact):
    """Input of `OperationActivities.go_live`.

    Attributes:
        approved_publish: Id of the publish whose preview was approved.
        images: What the preview has to hold.
        approver: Who approved it.
        shown: What going live has to do, as it was shown for approval; ``None``: it was not shown.
    """

    offer: OfferKey
    known_operations: list[str]
    approved_publish: str
    approver: str | None = None
    images: RedactedImages = []
    shown: Promotion | None = None


class CancelRequest(Fact):
    """Input of `OperationActivities.cancel_operation`.

    Attributes:
        operation_id: The operation, ``None`` when it is not known whether publishing began.
        known_operations: Ids of the newest operations before this run published, newest first.
        settle: How long a publish whose answer was lost may take to show, where operations are not listed at once.
    """

    offer: OfferKey
    operation_id: str | None
    known_operations: list[str] = []
    notification_emails: list[str] = []
    settle: timedelta = SETTLE


class CancelState(StrEnum):
    """What became of a request to cancel; ``NOTHING_TO_CANCEL`` too where that is done and will not show."""

    NOTHING_TO_CANCEL = "nothing_to_cancel"
    REQUESTED = "requested"
    REFUSED = "refused"


class CancelAnswer(Fact):
    """What the service said to a request to cancel.

    Attributes:
        at_sign_off: Whether the operation's preview waits for sign-off: nothing runs any more.
        reason: The service's words where it refused; ends with a full stop.
        is_final: Whether it will always refuse, however often it is asked.
    """

    state: CancelState
    operation_id: str | None = None
    at_sign_off: bool = False
    reason: str | None = None
    is_final: bool = False


class LookRequest(Fact):
    """Input of `OperationActivities.look`; without an operation the offer's last one is meant.

    Attributes:
        kind: The operation's kind as an earlier look found it, which spares asking for it again.
        known_operations: Ids of operations that were there before it was asked for: it is none of them.
    """

    offer: OfferKey
    operation_id: str | None = None
    kind: OperationKind | None = None
    known_operations: list[str] = []


class LookAnswer(Fact):
    """What was seen; no report when the offer has never been published."""

    report: OperationReport | None = None


class VerifyLiveRequest(Fact):
    """Input of `OperationActivities.verify_live`: images by disk, or by version alone."""

    offer: OfferKey
    images: RedactedImages = []
    versions: list[ImageVersion] = []


class OperationActivities:
    """Activities on an offer's operations."""

    def __init__(self, marketplace: Marketplace, approvers: Sequence[str] = ()) -> None:
        """Act on a marketplace.

        Args:
            marketplace: Its client.
            approvers: Without one of them nothing goes live; empty: with anyone.
        """
        self._marketplace = marketplace
        self._approvers = approvers
        self._publishing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @activity.defn
    async def publish(self, request: PublishRequest) -> StartedOperation:
        """Publish the draft.

        Safe to repeat: the operations are read first. A publish that is new since ``known_operations`` carries the
        draft already: an earlier attempt started it, or somebody else did, and it is joined.

        Raises:
            ApplicationError: ``PublishInProgress`` when something else is running, or somebody's publish
                began and ended since the known operations were read.
        """
        return await unbroken(self._begin(request, OperationKind.PUBLISH, self._publish(request)))

    async def _begin(
        self,
        request: PublishRequest | GoLiveRequest,
        kind: OperationKind,
        sending: Coroutine[Any, Any, StartedOperation],
    ) -> StartedOperation:
        """Send a request, and look at what it began: the look needs no activity of its own, and may fail."""
        offer, known = request.offer, request.known_operations
        started = await sending
        report: OperationReport | None = None
        with contextlib.suppress(ApplicationError, TimeoutError):
            async with asyncio.timeout(FIRST_LOOK.total_seconds()), marketplace_call():
                report = await self._marketplace.look(offer, started.operation_id, kind, known=known)
        return started.model_copy(update={"report": report})

    async def _publish(self, request: PublishRequest) -> StartedOperation:
        offer = request.offer
        # The service does not say whose request an operation began with. One request at a time, and each run that
        # comes later finds the operation listed: only runs of two workers can both take it for their own.
        turn = self._publishing.setdefault(str(offer).casefold(), asyncio.Lock())
        async with marketplace_call() as trail, turn:
            if trail.handle is not None:
                return StartedOperation(operation_id=trail.handle, ours=True)
            before = await self._marketplace.operations(offer)
            begun = _newest_since(before, request.known_operations, OperationKind.PUBLISH)
            if begun is not None and trail.sent:
                return StartedOperation(operation_id=begun.id, ours=True)
            self._let_settle(offer, trail, request.settle, was_sent=trail.sent)
            if begun is not None and begun.state is not OperationState.RUNNING:
                # No worker was there for a while. What ended meanwhile may have brought the same draft to Production.
                raise _in_progress(offer, f"{begun.id} was published since this run looked last")
            if begun is not None:
                return StartedOperation(operation_id=begun.id, ours=False)
            in_the_way = await self._running(offer, before)
            if in_the_way is not None and not (request.ask_to_join and self._marketplace.joins_publishes):
                raise _in_progress(offer, f"operation {in_the_way.id} is running")
            known = [operation.id for operation in before]
            try:
                named = await self._send_publish(request, trail)
            except (Refused, Conflict) as refusal:
                # What was in the way may have ended by now; that it was there is reason enough to look again.
                after = await self._marketplace.operations(offer)
                came_and_went = next((each for each in after if each.id not in known), None)
                in_the_way = await self._running(offer, after) or in_the_way or came_and_went
                if in_the_way is None and refusal.status is None:
                    # Nothing was sent: the draft lacks what is live. A survey finds out, and puts it back.
                    raise _in_progress(offer, str(refusal)) from refusal
                if in_the_way is None:
                    raise
                raise _in_progress(
                    offer,
                    f"operation {in_the_way.id} is running, and the marketplace publishes nothing else meanwhile."
                    f" It said: {refusal}",
                ) from refusal
            if named is None:
                named = await self._unnamed(offer, OperationKind.PUBLISH, known)
            return StartedOperation(operation_id=named, ours=named not in known)

    async def _send_publish(self, request: PublishRequest, trail: Trail) -> str | None:
        attempt = trail.attempt()
        trail.sends()
        try:
            return await self._marketplace.publish(
                request.offer, request.change, request.notification_emails, attempt=attempt
            )
        except (Refused, Conflict, Unavailable) as error:
            if not isinstance(error, Unavailable) or error.status == TOO_MANY_REQUESTS:
                trail.was_not_served()
            raise

    def _let_settle(self, offer: OfferKey, trail: Trail, time: timedelta, *, was_sent: bool) -> None:
        """Give a request whose answer was lost the time to show.

        Raises:
            ApplicationError: Retryable: the next attempt looks once more.
        """
        if was_sent and not trail.waited and not self._marketplace.lists_at_once:
            trail.waits()
            raise ApplicationError(
                f"{offer}: the answer to the request was lost, and the marketplace does not list its operation yet;"
                f" it is looked for once more in {time}",
                type="MarketplaceError",
                next_retry_delay=time,
            )

    async def _running(self, offer: OfferKey, operations: list[Operation]) -> Operation | None:
        """Return the operation the service is busy with; the list calls one running that waits for sign-off."""
        running = next((each for each in operations if each.state is OperationState.RUNNING), None)
        if running is not None:
            report = await self._marketplace.look(offer, running.id, running.kind)
            running = running if report.state is OperationState.RUNNING else None
        return running

    async def _unnamed(self, offer: OfferKey, kind: OperationKind, known: list[str]) -> str:
        """Find the operation that an accepted request began or joined, where the answer did not name it."""
        operations = await self._marketplace.operations(offer)
        found = _newest_since(operations, known, kind)
        if found is None:
            running = [each for each in operations if each.kind is kind and each.state is OperationState.RUNNING]
            found = next(iter(running), None)
        if found is None:
            raise ApplicationError(
                f"{offer}: the marketplace accepted the request ({kind}) but does not list the operation yet",
                type="MarketplaceError",
            )
        return found.id

    @activity.defn
    async def go_live(self, request: GoLiveRequest) -> StartedOperation:
        """Promote the approved preview.

        Safe to repeat: a repeated attempt reads the operations first, and a go-live that is new since
        ``known_operations`` is the one that an earlier attempt started.

        Raises:
            ApplicationError: ``PreviewChanged`` when the preview is not the approved one any more, or somebody
                has gone live since; ``NotApproved`` when nobody has approved who may. Nothing was sent.
        """
        return await unbroken(self._begin(request, OperationKind.GO_LIVE, self._go_live(request)))

    async def _go_live(self, request: GoLiveRequest) -> StartedOperation:
        offer = request.offer
        async with marketplace_call() as trail:
            if trail.handle is not None:
                return StartedOperation(operation_id=trail.handle, ours=True)
            operations = await self._marketplace.operations(offer)
            begun = _newest_since(operations, request.known_operations, OperationKind.GO_LIVE)
            begun = begun or _promotion_of(operations, request.approved_publish)
            if begun is not None and not trail.sent:
                raise _preview_changed(offer, f"somebody else has gone live since, {begun.id}")
            if begun is not None:
                return StartedOperation(operation_id=begun.id, ours=True)
            self._check_approver(request)
            await self._check_preview(request, operations)
            attempt = trail.attempt()
            known = [*request.known_operations, *(operation.id for operation in operations)]
            trail.sends()
            try:
                named = await self._marketplace.go_live(offer, request.approved_publish, attempt=attempt)
            except (Refused, Conflict):
                operations = await self._marketplace.operations(offer)
                begun = _newest_since(operations, known, OperationKind.GO_LIVE)
                begun = begun or _promotion_of(operations, request.approved_publish)
                if begun is None:
                    await self._check_preview(request, operations)
                    await self._check_sign_off(request)
                    raise
                return StartedOperation(operation_id=begun.id, ours=False)
            if named is None:
                named = await self._unnamed(offer, OperationKind.GO_LIVE, request.known_operations)
            return StartedOperation(operation_id=named, ours=True)

    def _check_approver(self, request: GoLiveRequest) -> None:
        """Hold a run to the worker's policy, whatever the run itself let stand."""
        if self._approvers and (request.approver or "").casefold() not in map(str.casefold, self._approvers):
            raise ApplicationError(
                f"{request.offer}: {request.approver or 'nobody by name'} has approved going live, and this worker"
                f" (GO_LIVE_APPROVERS) wants one of {', '.join(self._approvers[:10])}",
                type=NOT_APPROVED,
                non_retryable=True,
            )

    async def _check_preview(self, request: GoLiveRequest, operations: list[Operation]) -> None:
        published = next((each for each in operations if each.kind is OperationKind.PUBLISH), None)
        if published is None or published.id != request.approved_publish:
            raise _preview_changed(request.offer, "the offer has been published again")
        preview = await self._marketplace.read_slot(request.offer, Slot.PREVIEW)
        lacking = preview.missing(request.images) if preview else [each.image_version for each in request.images]
        if lacking:
            raise _preview_changed(request.offer, f"it lacks {', '.join(map(str, lacking[:10]))}")
        differing = preview.conflicts(request.images) if preview else []
        if differing:
            raise _preview_changed(request.offer, "; ".join(differing[:10]))
        if request.shown is None:
            return
        production = await self._marketplace.read_slot(request.offer, Slot.PRODUCTION)
        promotion = self._marketplace.promotion(preview, production)
        if promotion != request.shown:
            raise _preview_changed(
                request.offer,
                f"going live would {_told(promotion)}, which is not what was shown",
            )

    async def _check_sign_off(self, request: GoLiveRequest) -> None:
        report = await self._marketplace.look(request.offer, request.approved_publish, OperationKind.PUBLISH)
        if report.state is not OperationState.PREVIEW:
            raise _preview_changed(request.offer, f"its publish does not wait for sign-off, but is {report.state}")

    @activity.defn
    async def cancel_operation(self, request: CancelRequest) -> CancelAnswer:
        """Ask for the operation to be cancelled.

        Safe to repeat: an operation that has ended is left alone, as is whatever else runs on the offer.
        """
        return await unbroken(self._cancel_operation(request))

    async def _cancel_operation(self, request: CancelRequest) -> CancelAnswer:
        offer = request.offer
        async with marketplace_call() as trail:
            operation_id = request.operation_id
            if operation_id is None:
                operations = await self._marketplace.operations(offer)
                begun = _newest_since(operations, request.known_operations, OperationKind.PUBLISH)
                if begun is None:
                    self._let_settle(offer, trail, request.settle, was_sent=True)
                    return CancelAnswer(state=CancelState.NOTHING_TO_CANCEL)
                operation_id = begun.id
            nothing_to_cancel = CancelAnswer(state=CancelState.NOTHING_TO_CANCEL, operation_id=operation_id)
            report = await self._marketplace.look(
                offer, operation_id, OperationKind.PUBLISH, known=request.known_operations
            )
            if report.state not in _CANCELABLE or not await self._is_newest(offer, operation_id):
                return nothing_to_cancel
            if await self._is_canceled(offer, report):
                return nothing_to_cancel
            refused: Refused | Conflict | None = None
            try:
                await self._marketplace.cancel(offer, operation_id, request.notification_emails)
            except (Refused, Conflict) as refusal:
                refused = refusal
            if refused is not None or report.state is OperationState.PREVIEW:
                report = await self._marketplace.look(
                    offer, operation_id, OperationKind.PUBLISH, known=request.known_operations
                )
                if await self._is_canceled(offer, report):
                    return nothing_to_cancel
            if refused is not None and report.state in _CANCELABLE:
                return CancelAnswer(
                    state=CancelState.REFUSED,
                    operation_id=operation_id,
                    at_sign_off=report.state is OperationState.PREVIEW,
                    reason=f"{str(refused).rstrip('.')}.",
                    # Without a status nothing was asked: this operation is none that can be cancelled.
                    is_final=refused.status is None or report.is_over,
                )
            return CancelAnswer(state=CancelState.REQUESTED, operation_id=operation_id)

    async def _is_canceled(self, offer: OfferKey, report: OperationReport) -> bool:
        """Return whether a preview was cancelled whose operation, ended by sign-off, will never say so."""
        return report.state is OperationState.PREVIEW and not await self._marketplace.awaits_sign_off(
            offer, otherwise=True
        )

    async def _is_newest(self, offer: OfferKey, operation_id: str) -> bool:
        """Return whether cancelling would hit this operation: the request may name the offer only."""
        if operation_id.startswith(JOB_PREFIX):
            return True
        operations = await self._marketplace.operations(offer)
        return not operations or operations[0].id == operation_id

    @activity.defn
    async def look(self, request: LookRequest) -> LookAnswer:
        """Look at an operation. Changes nothing, so it is safe to repeat."""
        async with marketplace_call():
            operation_id = request.operation_id
            if operation_id is None:
                operations = await self._marketplace.operations(request.offer)
                if not operations:
                    return LookAnswer()
                operation_id = operations[0].id
            report = await self._marketplace.look(
                request.offer, operation_id, request.kind, known=request.known_operations
            )
            return LookAnswer(report=report)

    @activity.defn
    async def verify_live(self, request: VerifyLiveRequest) -> None:
        """Check that Production holds the images; tried again until it does. Changes nothing.

        Raises:
            ApplicationError: ``NotLiveYet``, retryable: Production may follow the operation after a while.
        """
        async with marketplace_call():
            production = await self._marketplace.read_slot(request.offer, Slot.PRODUCTION)
        held = set(production.versions) if production is not None else set()
        images = [each.image_version for each in request.images]
        lacking = production.missing(request.images) if production is not None else images
        lacking += [each for each in request.versions if each not in held]
        if lacking:
            raise ApplicationError(
                f"{request.offer}: Production does not show {', '.join(map(str, lacking[:10]))} yet",
                type=NOT_LIVE_YET,
                category=ApplicationErrorCategory.BENIGN,
            )


_CANCELABLE = {OperationState.RUNNING, OperationState.PREVIEW}


def _newest_since(operations: list[Operation], known: list[str], kind: OperationKind) -> Operation | None:
    """Return the newest operation of a kind that was not known before.

    Only the newest are known, so what the list shows after the last of them is old, not new.
    """
    last_known = max((at for at, each in enumerate(operations) if each.id in known), default=len(operations))
    return next((each for each in operations[:last_known] if each.kind is kind and each.id not in known), None)


def _promotion_of(operations: list[Operation], publish_id: str) -> Operation | None:
    """Return the go-live of a publish that runs or is done, where the ids tell.

    After one that has failed the next has the same id.
    """
    going = {OperationState.RUNNING, OperationState.LIVE}
    return next((each for each in operations if each.id == publish_id + LIVE_SUFFIX and each.state in going), None)


def _in_progress(offer: OfferKey, why: str) -> ApplicationError:
    return ApplicationError(f"{offer}: {why}", type=PUBLISH_IN_PROGRESS, non_retryable=True)


def _told(promotion: Promotion) -> str:
    """Say what going live would do."""
    parts = {"add": promotion.adds, "remove": promotion.removes, "deprecate": promotion.deprecates}
    told = [f"{verb} {', '.join(map(str, images[:10]))}" for verb, images in parts.items() if images]
    told += [f"change {', '.join(promotion.changes[:10])}"] if promotion.changes else []
    return ", ".join(told) or "add, remove and change no image version"


def _preview_changed(offer: OfferKey, how: str) -> ApplicationError:
    return ApplicationError(
        f"{offer}: the preview is not the one that was approved: {how}",
        type=PREVIEW_CHANGED,
        non_retryable=True,
    )
