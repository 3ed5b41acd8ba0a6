"""Activities on an offer's operations: publish, go live, cancel, look."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from enum import StrEnum
from functools import partial
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
    ImageVersion,
    OfferKey,
    Operation,
    OperationKind,
    OperationReport,
    OperationState,
    Payload,
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
"""How long a request that started an operation waits for a first look at it."""


class PublishRequest(ChangeRequest):
    """Input of `OperationActivities.publish`.

    Attributes:
        known_operations: IDs of the newest operations when the draft held the images, newest first. A publish that is
            not among them carries the images.
        ask_to_join: Whether to send the request although an operation is running. If that one publishes the same
            draft, the service lets the request join it.
        settle: How long a request may take to show when its answer was lost, if operations are not listed at once.
    """

    known_operations: list[str]
    notification_emails: list[str] = []
    ask_to_join: bool = False
    settle: timedelta = SETTLE


class StartedOperation(Payload):
    """The operation that answers a request.

    Attributes:
        ours: Whether this request started it. If not, it was running already and does what was requested.
        report: The first look at it, if that look succeeded.
    """

    operation_id: str
    ours: bool
    report: OperationReport | None = None


class GoLiveRequest(Payload):
    """Input of `OperationActivities.go_live`.

    Attributes:
        approved_publish: ID of the publish whose preview was approved.
        images: The images that the preview must hold.
        approver: Who approved it.
        shown: What going live does, as it was shown for approval; ``None`` if it was not shown.
    """

    offer: OfferKey
    known_operations: list[str]
    approved_publish: str
    approver: str | None = None
    images: RedactedImages = []
    shown: Promotion | None = None


class CancelRequest(Payload):
    """Input of `OperationActivities.cancel_operation`.

    Attributes:
        operation_id: The operation; ``None`` if it is not known whether publishing began.
        known_operations: IDs of the newest operations before this run published, newest first.
        settle: How long a publish may take to show when its answer was lost, if operations are not listed at once.
    """

    offer: OfferKey
    operation_id: str | None
    known_operations: list[str] = []
    notification_emails: list[str] = []
    settle: timedelta = SETTLE


class CancelState(StrEnum):
    """The outcome of a request to cancel. ``NOTHING_TO_CANCEL`` includes a completed cancellation."""

    NOTHING_TO_CANCEL = "nothing_to_cancel"
    REQUESTED = "requested"
    REFUSED = "refused"


class CancelAnswer(Payload):
    """The service's answer to a request to cancel.

    Attributes:
        at_sign_off: Whether the operation's preview waits for sign-off. Then nothing is running.
        reason: The service's message if it refused; ends with a full stop.
        is_final: Whether the service will refuse every time.
    """

    state: CancelState
    operation_id: str | None = None
    at_sign_off: bool = False
    reason: str | None = None
    is_final: bool = False


class LookRequest(Payload):
    """Input of `OperationActivities.look`. Without ``operation_id``, the offer's last operation is looked at.

    Attributes:
        kind: The operation's kind, if an earlier look has found it. It saves a request.
        known_operations: IDs of the operations that existed before this one was requested. It is none of them.
    """

    offer: OfferKey
    operation_id: str | None = None
    kind: OperationKind | None = None
    known_operations: list[str] = []


class LookAnswer(Payload):
    """The answer to a look. There is no report if the offer has never been published."""

    report: OperationReport | None = None


class VerifyLiveRequest(Payload):
    """Input of `OperationActivities.verify_live`: images with disks, or versions alone."""

    offer: OfferKey
    images: RedactedImages = []
    versions: list[ImageVersion] = []


class OperationActivities:
    """Activities on an offer's operations."""

    def __init__(self, marketplace: Marketplace, approvers: Sequence[str] = ()) -> None:
        """Create the activities.

        Args:
            marketplace: The marketplace client.
            approvers: The approvers that the worker's policy requires; empty for anyone.
        """
        self._marketplace = marketplace
        self._approvers = approvers
        self._publishing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @activity.defn
    async def publish(self, request: PublishRequest) -> StartedOperation:
        """Publish the draft.

        Safe to repeat: the operations are read first. A publish that is not among ``known_operations`` carries the
        draft already. It is joined, no matter who started it.

        Raises:
            ApplicationError: ``PublishInProgress`` if another operation is running, or if somebody's publish began
                and ended after the known operations were read.
        """
        return await unbroken(self._begin(request, OperationKind.PUBLISH, partial(self._publish, request)))

    async def _begin(
        self,
        request: PublishRequest | GoLiveRequest,
        kind: OperationKind,
        send: Callable[[Trail], Awaitable[StartedOperation]],
    ) -> StartedOperation:
        """Send a request, and look once at the operation that it started. The look may fail."""
        offer, known = request.offer, request.known_operations
        async with marketplace_call() as trail:
            started = await send(trail)
        report: OperationReport | None = None
        with contextlib.suppress(ApplicationError, TimeoutError):
            async with asyncio.timeout(FIRST_LOOK.total_seconds()), marketplace_call(trail):
                report = await self._marketplace.look(offer, started.operation_id, kind, known=known)
        return started.model_copy(update={"report": report})

    async def _publish(self, request: PublishRequest, trail: Trail) -> StartedOperation:
        offer = request.offer
        # The service does not show whose request started an operation. With one request at a time, each later run
        # finds the operation listed. Only runs of two workers can both take it for their own.
        turn = self._publishing.setdefault(str(offer).casefold(), asyncio.Lock())
        async with turn:
            if trail.handle is not None:
                return StartedOperation(operation_id=trail.handle, ours=True)
            before = await self._marketplace.operations(offer)
            begun = self._begun_publish(request, trail, before)
            if begun is not None:
                return begun
            in_the_way = await self._running(offer, before)
            if in_the_way is not None and not (request.ask_to_join and self._marketplace.joins_publishes):
                raise _in_progress(offer, f"operation {in_the_way.id} is running")
            known = [operation.id for operation in before]
            try:
                named = await self._send_publish(request, trail)
            except (Refused, Conflict) as refusal:
                await self._raise_if_in_progress(offer, refusal, known, in_the_way)
                raise
            if named is None:
                named = await self._unnamed(offer, OperationKind.PUBLISH, known)
            return StartedOperation(operation_id=named, ours=named not in known)

    def _begun_publish(
        self, request: PublishRequest, trail: Trail, operations: list[Operation]
    ) -> StartedOperation | None:
        """Return the publish that has begun since the draft held the images; ``None`` if there is none.

        Raises:
            ApplicationError: ``PublishInProgress`` if somebody else's publish has begun and ended; retryable if an
                earlier attempt's publish may show later.
        """
        offer = request.offer
        begun = _newest_since(operations, request.known_operations, OperationKind.PUBLISH)
        if begun is None:
            self._let_settle(offer, trail, request.settle, may_have_sent=trail.may_have_sent)
            return None
        if trail.may_have_sent:
            return StartedOperation(operation_id=begun.id, ours=True)
        if begun.state is not OperationState.RUNNING:
            # No worker was running for a while. The publish may have brought the draft to Production meanwhile.
            raise _in_progress(offer, f"{begun.id} was published since this run looked last")
        return StartedOperation(operation_id=begun.id, ours=False)

    async def _raise_if_in_progress(
        self, offer: OfferKey, refusal: Refused | Conflict, known: list[str], in_the_way: Operation | None
    ) -> None:
        """Raise ``PublishInProgress`` if the run should survey the offer again after a refused publish.

        An operation may have been in the way. It is a reason even if it has ended by now.
        """
        operations = await self._marketplace.operations(offer)
        running = await self._running(offer, operations)
        if running is not None:
            raise _in_progress(
                offer,
                f"operation {running.id} is running, and the marketplace publishes nothing else meanwhile."
                f" It said: {refusal}",
            ) from refusal
        earlier = in_the_way or next((each for each in operations if each.id not in known), None)
        if earlier is not None:
            raise _in_progress(
                offer,
                f"the publish was refused, perhaps because of operation {earlier.id}, which is not running any more."
                f" The marketplace said: {refusal}",
            ) from refusal
        if refusal.status is None:
            # Nothing was sent: the draft lacks what is live. The next round puts it back.
            raise _in_progress(offer, str(refusal)) from refusal

    async def _send_publish(self, request: PublishRequest, trail: Trail) -> str | None:
        attempt = trail.attempt()
        with _recorded(trail):
            return await self._marketplace.publish(
                request.offer, request.change, request.notification_emails, attempt=attempt
            )

    def _let_settle(self, offer: OfferKey, trail: Trail, time: timedelta, *, may_have_sent: bool) -> None:
        """Wait for a request to show if its answer was lost.

        Raises:
            ApplicationError: Retryable, with the delay after which the next attempt looks again.
        """
        if may_have_sent and not trail.waited and not self._marketplace.lists_at_once:
            trail.record_wait()
            raise ApplicationError(
                f"{offer}: the answer to the request was lost, and the marketplace does not list its operation yet;"
                f" the run looks again in {time}",
                type="MarketplaceError",
                next_retry_delay=time,
            )

    async def _running(self, offer: OfferKey, operations: list[Operation]) -> Operation | None:
        """Return the running operation. The list may show an operation that waits for sign-off as running."""
        running = next((each for each in operations if each.state is OperationState.RUNNING), None)
        if running is not None:
            report = await self._marketplace.look(offer, running.id, running.kind)
            running = running if report.state is OperationState.RUNNING else None
        return running

    async def _unnamed(self, offer: OfferKey, kind: OperationKind, known: list[str]) -> str:
        """Return the operation ID that an accepted request started or joined, when its answer did not name one."""
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

        Safe to repeat: the operations are read first. In a later attempt, a go-live that is not among
        ``known_operations`` is the one that an earlier attempt started.

        Raises:
            ApplicationError: ``PreviewChanged`` if the preview is no longer the approved one, or somebody else has
                gone live; ``NotApproved`` if the approver is not one that the policy requires. Nothing was sent.
        """
        return await unbroken(self._begin(request, OperationKind.GO_LIVE, partial(self._go_live, request)))

    async def _go_live(self, request: GoLiveRequest, trail: Trail) -> StartedOperation:
        offer = request.offer
        if trail.handle is not None:
            return StartedOperation(operation_id=trail.handle, ours=True)
        operations = await self._marketplace.operations(offer)
        begun = _newest_since(operations, request.known_operations, OperationKind.GO_LIVE)
        begun = begun or _promotion_of(operations, request.approved_publish)
        if begun is not None and not trail.may_have_sent:
            raise _preview_changed(offer, f"somebody else has gone live since, {begun.id}")
        if begun is not None:
            return StartedOperation(operation_id=begun.id, ours=True)
        self._check_approver(request)
        await self._check_preview(request, operations)
        attempt = trail.attempt()
        known = [*request.known_operations, *(operation.id for operation in operations)]
        try:
            with _recorded(trail):
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
        """Check the approver against this worker's policy, even if the run has accepted the approver."""
        if self._approvers and (request.approver or "").casefold() not in map(str.casefold, self._approvers):
            raise ApplicationError(
                f"{request.offer}: going live was approved by {request.approver or 'somebody who gave no name'}, but"
                f" this worker requires one of {', '.join(self._approvers[:10])} (GO_LIVE_APPROVERS)",
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
                f"going live would {_described(promotion)}, which is not what was shown",
            )

    async def _check_sign_off(self, request: GoLiveRequest) -> None:
        report = await self._marketplace.look(request.offer, request.approved_publish, OperationKind.PUBLISH)
        if report.state is not OperationState.PREVIEW:
            raise _preview_changed(request.offer, f"its publish does not wait for sign-off, but is {report.state}")

    @activity.defn
    async def cancel_operation(self, request: CancelRequest) -> CancelAnswer:
        """Ask the service to cancel an operation.

        Safe to repeat: an operation that has ended is left alone, and so is any other operation on the offer.
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
                    self._let_settle(offer, trail, request.settle, may_have_sent=True)
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
                    # Without a status nothing was sent: this operation cannot be cancelled at all.
                    is_final=refused.status is None or report.is_over,
                )
            return CancelAnswer(state=CancelState.REQUESTED, operation_id=operation_id)

    async def _is_canceled(self, offer: OfferKey, report: OperationReport) -> bool:
        """Return whether a preview was cancelled. Its operation ended before and does not show it."""
        return report.state is OperationState.PREVIEW and not await self._marketplace.may_await_sign_off(offer)

    async def _is_newest(self, offer: OfferKey, operation_id: str) -> bool:
        """Return whether a request to cancel would reach this operation. Some requests name only the offer."""
        if operation_id.startswith(JOB_PREFIX):
            return True
        operations = await self._marketplace.operations(offer)
        return not operations or operations[0].id == operation_id

    @activity.defn
    async def look(self, request: LookRequest) -> LookAnswer:
        """Look at an operation. Changes nothing and is safe to repeat."""
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
        """Check that Production holds the images. Changes nothing; repeated until Production does.

        Raises:
            ApplicationError: ``NotLiveYet``, retryable: Production may show the images later.
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


@contextlib.contextmanager
def _recorded(trail: Trail) -> Iterator[None]:
    """Record that a request is about to be sent and, if the service turns it away, that it had no effect."""
    trail.record_send()
    try:
        yield
    except (Refused, Conflict, Unavailable) as error:
        if not isinstance(error, Unavailable) or error.status == TOO_MANY_REQUESTS:
            trail.record_no_effect()
        raise


def _newest_since(operations: list[Operation], known: list[str], kind: OperationKind) -> Operation | None:
    """Return the newest operation of a kind that is not among the known ones.

    Only the newest operations are known. Operations listed after the last known one are older, not new.
    """
    last_known = max((at for at, each in enumerate(operations) if each.id in known), default=len(operations))
    return next((each for each in operations[:last_known] if each.kind is kind and each.id not in known), None)


def _promotion_of(operations: list[Operation], publish_id: str) -> Operation | None:
    """Return the go-live of a publish that is running or done, if the API derives its ID from the publish.

    A go-live after a failed one has the same ID.
    """
    going = {OperationState.RUNNING, OperationState.LIVE}
    return next((each for each in operations if each.id == publish_id + LIVE_SUFFIX and each.state in going), None)


def _in_progress(offer: OfferKey, why: str) -> ApplicationError:
    return ApplicationError(f"{offer}: {why}", type=PUBLISH_IN_PROGRESS, non_retryable=True)


def _described(promotion: Promotion) -> str:
    """Return a clause that says what going live would do."""
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
