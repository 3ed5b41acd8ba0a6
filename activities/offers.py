"""Activities on an offer's documents: survey the slots, put the offer, edit the draft's images."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from temporalio import activity

from activities.attempts import unbroken
from activities.errors import marketplace_call
from activities.redaction import RedactedImages, SentImages
from marketplace.errors import Conflict, NotFound, Refused, Unguarded, VersionTaken
from marketplace.model import (
    SHOWN_IMAGES,
    Change,
    Deprecation,
    ForeignEdits,
    ImageVersion,
    OfferDefinition,
    OfferKey,
    Operation,
    OperationKind,
    OperationState,
    Payload,
    Promotion,
    Scope,
    Slot,
    WhenFull,
)
from marketplace.protocol import SETTLE, Contents, Marketplace

PRECONDITION_FAILED = 412
"""The HTTP status of a conditional write to a draft that somebody else has changed since it was read."""


class ChangeRequest(Payload):
    """The change that a run wants, without signatures.

    Attributes:
        limit: The number of versions that a plan may hold; 0 for any number, ``None`` for the marketplace's limit.
    """

    offer: OfferKey
    images: RedactedImages = []
    when_full: WhenFull = WhenFull.FAIL
    limit: int | None = None
    scope: Scope = Scope.WHOLE
    foreign_edits: ForeignEdits | None = None
    deprecation: Deprecation = Deprecation()

    @property
    def change(self) -> Change:
        """The change as an argument of the marketplace client."""
        return Change(
            images=self.images,
            when_full=self.when_full,
            limit=self.limit,
            scope=self.scope,
            foreign_edits=self.foreign_edits,
            deprecation=self.deprecation,
        )


class SurveyRequest(ChangeRequest):
    """Input of `OfferActivities.survey`.

    Attributes:
        seen: The newest operation, if the run has just looked at it. Then the list is not read again.
        production_suffices: Whether the run is done once Production holds the images.
    """

    seen: Operation | None = None
    production_suffices: bool = False


class Survey(Payload):
    """How an offer stands: its operations, and which of the wanted images its slots hold.

    Attributes:
        exists: Whether the offer exists.
        operations: The newest operations, running ones first, then newest first, at most `KNOWN_OPERATIONS`.
        awaits_sign_off: Whether the preview waits for the publisher's sign-off.
        in_draft: Whether the draft holds every wanted image and needs no edit.
        would_remove: Image versions that an edit would remove from the draft to make room.
        would_deprecate: Image versions that an edit would deprecate to make room.
        in_preview: Whether the preview holds every wanted image, with the same disks.
        in_production: Whether Production holds every wanted image, with the same disks.
        preview_of: ID of the publish that made the preview, if the preview names it.
        promotion: What going live would do.
        approvers: The approvers that the worker's policy requires; empty without a policy.
    """

    exists: bool
    operations: list[Operation] = []
    awaits_sign_off: bool = False
    preview_exists: bool = False
    in_draft: bool = False
    would_remove: list[ImageVersion] = []
    would_deprecate: list[ImageVersion] = []
    in_preview: bool = False
    in_production: bool = False
    preview_of: str | None = None
    promotion: Promotion = Promotion()
    approvers: list[str] = []

    @property
    def running(self) -> Operation | None:
        """The running operation. An operation that waits for sign-off is not running."""
        return next((each for each in self.operations if each.state is OperationState.RUNNING), None)

    @property
    def going_live(self) -> Operation | None:
        """The go-live that is running."""
        running = self.running
        return running if running is not None and running.kind is OperationKind.GO_LIVE else None

    @property
    def went_live(self) -> bool:
        """Whether the newest operation is a completed go-live. Production may show its effect later."""
        newest = next(iter(self.operations), None)
        return newest is not None and (newest.kind, newest.state) == (OperationKind.GO_LIVE, OperationState.LIVE)

    @property
    def is_ready(self) -> bool:
        """Whether the preview is ready and holds every wanted image. Without a preview, whether Production does."""
        if not self.preview_exists:
            return self.in_production
        promoted = self.going_live is not None or self.went_live or self.in_production
        return self.in_preview and (self.awaits_sign_off or promoted)

    @property
    def last_publish(self) -> Operation | None:
        """The newest publish. Once it waits for sign-off, it has made the preview."""
        return next((each for each in self.operations if each.kind is OperationKind.PUBLISH), None)

    @property
    def known_operations(self) -> list[str]:
        """IDs of the newest operations, newest first."""
        return [each.id for each in self.operations]


class PutOfferRequest(Payload):
    """Input of `OfferActivities.put_offer`.

    Attributes:
        definition: The whole offer, as the user wrote it.
        sole_writer: Whether the run holds the draft's lease.
        settle: How long an unconditional write may take to show when its answer was lost.
    """

    offer: OfferKey
    definition: OfferDefinition
    replace: bool
    sole_writer: bool = False
    settle: timedelta = SETTLE


class EditRequest(SurveyRequest):
    """Input of `OfferActivities.edit_images`.

    Attributes:
        while_running: Whether to edit the draft while an operation runs that may not carry the images.
        sole_writer: Whether the run holds the draft's lease.
        would_remove: Image versions that the last survey said an edit would remove.
        would_deprecate: Image versions that the last survey said an edit would deprecate.
        settle: How long an unconditional write may take to show when its answer was lost.
    """

    images: SentImages = []
    while_running: bool = True
    sole_writer: bool = False
    would_remove: list[ImageVersion] = []
    would_deprecate: list[ImageVersion] = []
    settle: timedelta = SETTLE


class DraftWritten(Payload):
    """The outcome of a write to the draft.

    Attributes:
        survey: The survey from before the write. Only ``in_draft`` describes the draft after it. Only an edit reads
            what the slots hold.
        known_operations: IDs of the newest operations after the write, newest first. A publish that is not among
            them carries what was written.
        changed: Whether anything was written.
        images: After a put: the image versions in the draft, at most `SHOWN_IMAGES`.
        removed: Image versions removed to make room.
        deprecated: Image versions deprecated to make room.
        warnings: Sentences for a person.
        existed: The offer exists and must not be replaced. Nothing was sent.
        unguarded: The draft has no ETag and needs the lease. Nothing was sent.
        refused: The service's message, if it refuses edits while an operation is running.
    """

    survey: Survey = Survey(exists=True)
    known_operations: list[str] = []
    changed: bool = False
    images: list[ImageVersion] = []
    removed: list[ImageVersion] = []
    deprecated: list[ImageVersion] = []
    warnings: list[str] = []
    existed: bool = False
    unguarded: bool = False
    refused: str | None = None


class OfferActivities:
    """Activities on an offer's documents. Documents stay in the activity; answers are small."""

    def __init__(self, marketplace: Marketplace, approvers: Sequence[str] = ()) -> None:
        """Create the activities.

        Args:
            marketplace: The marketplace client.
            approvers: The approvers that the worker's policy requires, which surveys report.
        """
        self._marketplace = marketplace
        self._approvers = approvers

    @activity.defn
    async def survey(self, request: SurveyRequest) -> Survey:
        """Read operations and slots, and check the images against the marketplace's rules.

        Changes nothing and is safe to repeat. The rules are checked here, before the run waits for anything: a
        wrong image is reported at once.
        """
        async with marketplace_call():
            survey, preview, production = await self._read(request)
            live = survey.in_production and (request.production_suffices or not survey.preview_exists)
            if not survey.exists or not request.images or survey.in_preview or live:
                return survey
            edit = await self._marketplace.planned_edit(
                request.offer, _until_published(request.change, survey), preview=preview, production=production
            )
        return survey.model_copy(
            update={
                "in_draft": not edit.changed,
                "would_remove": edit.removed,
                "would_deprecate": edit.deprecated,
            }
        )

    async def _read(self, request: SurveyRequest) -> tuple[Survey, Contents | None, Contents | None]:
        """Survey the offer without its draft. Also return what preview and Production hold."""
        offer, images = request.offer, request.images
        self._marketplace.check(request.change)
        if request.seen is not None:
            operations, awaits_sign_off = [request.seen], request.seen.state is OperationState.PREVIEW
        else:
            try:
                # Read before the slots: a publish that begins after the preview was read did not make it.
                status = await self._marketplace.status(offer)
            except NotFound:
                return Survey(exists=False), None, None
            operations, awaits_sign_off = status.operations, status.awaits_sign_off
        preview, production = await self._read_published(offer)
        if not operations and preview is None and await self._marketplace.read_slot(offer, Slot.DRAFT) is None:
            return Survey(exists=False), None, None
        published = [contents for contents in (preview, production) if contents is not None]
        # Without this check, the run would take another image of the same version for its own.
        VersionTaken.raise_for(dict.fromkeys(each for contents in published for each in contents.conflicts(images)))
        survey = Survey(
            exists=True,
            operations=operations,
            awaits_sign_off=awaits_sign_off,
            preview_exists=preview is not None,
            in_preview=preview is not None and not preview.missing(images),
            in_production=production is not None and not production.missing(images),
            preview_of=preview.publish_id if preview is not None else None,
            promotion=self._marketplace.promotion(preview, production),
            approvers=list(self._approvers),
        )
        return survey, preview, production

    async def _read_published(self, offer: OfferKey) -> tuple[Contents | None, Contents | None]:
        """Return what preview and Production hold. If a read fails, the other one is cancelled."""
        try:
            async with asyncio.TaskGroup() as reads:
                preview = reads.create_task(self._marketplace.read_slot(offer, Slot.PREVIEW))
                production = reads.create_task(self._marketplace.read_slot(offer, Slot.PRODUCTION))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return preview.result(), production.result()

    @activity.defn
    async def put_offer(self, request: PutOfferRequest) -> DraftWritten:
        """Create the offer or replace its draft.

        Safe to repeat: a later attempt recognises what an earlier attempt has written.
        """
        return await unbroken(self._put_offer(request)) if request.sole_writer else await self._put_offer(request)

    async def _put_offer(self, request: PutOfferRequest) -> DraftWritten:
        offer = request.offer
        if not (request.sole_writer or self._marketplace.guards_writes):
            return DraftWritten(unguarded=True)
        async with marketplace_call() as trail:
            try:
                put = await self._marketplace.put_offer(
                    offer,
                    request.definition,
                    replace=request.replace,
                    sole_writer=request.sole_writer,
                    attempt=trail.attempt(request.settle),
                )
            except Unguarded:
                return DraftWritten(unguarded=True)
            except (Refused, Conflict) as refusal:
                return await self._refused(Survey(exists=True), offer, refusal)
            if put is None:
                return DraftWritten(existed=True)
        return DraftWritten(
            survey=Survey(exists=True, in_draft=True),
            known_operations=put.operations,
            changed=True,
            images=put.images[:SHOWN_IMAGES],
            warnings=put.warnings,
        )

    async def _refused(self, survey: Survey, offer: OfferKey, refusal: Refused | Conflict) -> DraftWritten:
        """Return the refusal if an operation was the reason, even one that has ended by now. If not, raise it."""
        if refusal.status == PRECONDITION_FAILED:
            raise refusal
        try:
            operations = (await self._marketplace.status(offer)).operations
        except NotFound:
            raise refusal from None
        now = survey.model_copy(update={"operations": operations})
        known = set(survey.known_operations)
        # A put has surveyed nothing before.
        came_and_went = bool(known) and not set(now.known_operations) <= known
        if survey.running is None and now.running is None and not came_and_went:
            raise refusal
        return DraftWritten(survey=now, known_operations=now.known_operations, refused=str(refusal))

    @activity.defn
    async def edit_images(self, request: EditRequest) -> DraftWritten:
        """Survey the offer, and put images that no slot holds into the draft.

        Safe to repeat: an image that is there already is left alone, and the write is conditional or made under the
        lease. If an earlier attempt's answer was lost, a later attempt still reports what it removed.
        """
        return await unbroken(self._edit_images(request)) if request.sole_writer else await self._edit_images(request)

    async def _edit_images(self, request: EditRequest) -> DraftWritten:
        offer = request.offer
        if not (request.sole_writer or self._marketplace.guards_writes):
            return DraftWritten(unguarded=True)
        async with marketplace_call() as trail:
            survey, preview, production = await self._read(request)
            as_it_is = DraftWritten(survey=survey, known_operations=survey.known_operations)
            waits = survey.in_preview and survey.running is not None
            live = survey.in_production and request.production_suffices
            if not survey.exists or survey.is_ready or waits or live:
                return as_it_is
            if survey.running is not None and not request.while_running:
                edit = await self._marketplace.planned_edit(
                    offer, _until_published(request.change, survey), preview=preview, production=production
                )
                return as_it_is.model_copy(update={"survey": _with(survey, in_draft=not edit.changed)})
            repeated = trail.repeated
            try:
                edit = await self._marketplace.edit_images(
                    offer,
                    _until_published(request.change, survey),
                    preview=preview,
                    production=production,
                    sole_writer=request.sole_writer,
                    attempt=trail.attempt(request.settle),
                )
            except Unguarded:
                return as_it_is.model_copy(update={"unguarded": True})
            except (Refused, Conflict) as refusal:
                return await self._refused(survey, offer, refusal)
            removed, deprecated = edit.removed, edit.deprecated
            if repeated and not (removed or deprecated) and (request.would_remove or request.would_deprecate):
                # If somebody else put the images, no room was made. The draft shows what was done.
                draft = await self._marketplace.read_slot(offer, Slot.DRAFT)
                held = {(each.plan_id, each.version) for each in draft.versions} if draft is not None else set()
                removed = [each for each in request.would_remove if (each.plan_id, each.version) not in held]
                withdrawn = self._marketplace.promotion(draft, production).deprecates
                deprecated = [each for each in request.would_deprecate if each in withdrawn]
        return DraftWritten(
            survey=_with(survey, in_draft=True),
            known_operations=edit.operations,
            changed=edit.changed or bool(removed or deprecated),
            removed=removed,
            deprecated=deprecated,
            warnings=edit.warnings,
        )


def _until_published(change: Change, survey: Survey) -> Change:
    """Return the change without the check for foreign edits while a publish runs, because it may carry them.

    The check is repeated when the draft is published.
    """
    runs = survey.running is not None and survey.running.kind is OperationKind.PUBLISH
    return change.model_copy(update={"foreign_edits": ForeignEdits.INCLUDE}) if runs else change


def _with(survey: Survey, *, in_draft: bool) -> Survey:
    return survey.model_copy(update={"in_draft": in_draft})
