"""Activities on an offer's documents: survey the slots, put the offer, edit the draft's images."""

import asyncio

from temporalio import activity

from activities.attempts import tried_before, unbroken
from activities.errors import marketplace_call
from activities.redaction import RedactedImages, SentImages
from marketplace.errors import Conflict, NotFound, Refused, Unguarded, VersionTaken
from marketplace.images import added, conflicts, missing, version_of
from marketplace.model import (
    Fact,
    HeldImage,
    Image,
    ImageVersion,
    OfferKey,
    Operation,
    OperationKind,
    OperationState,
    Slot,
    WhenFull,
)
from marketplace.protocol import KNOWN_OPERATIONS, Marketplace

SHOWN_IMAGES = 100

PRECONDITION_FAILED = 412
"""The draft changed between our read and our write: somebody else was faster."""


class SurveyRequest(Fact):
    """Input of `OfferActivities.survey`.

    Attributes:
        seen: The newest operation, where the run has looked at it a moment ago: the list is not read again.
    """

    offer: OfferKey
    images: RedactedImages = []
    when_full: WhenFull = WhenFull.FAIL
    limit: int | None = None
    seen: Operation | None = None


class Survey(Fact):
    """How an offer stands: its operations, and what its slots hold of the images asked for.

    Attributes:
        exists: Whether there is such an offer at all.
        operations: The newest operations, newest first, at most `KNOWN_OPERATIONS`.
        awaits_sign_off: Whether the preview waits for the publisher's sign-off.
        in_draft: Whether the draft needs no edit to hold every image asked for.
        would_remove: Image versions that an edit of the draft would drop to make room.
        in_preview: Whether the preview holds every image asked for, with the same disks.
        in_production: Whether Production holds every image asked for, with the same disks.
        adds: What going live would add to Production, at most `SHOWN_IMAGES`.
        removes: What going live would take from Production, at most `SHOWN_IMAGES`.
    """

    exists: bool
    operations: list[Operation] = []
    awaits_sign_off: bool = False
    preview_exists: bool = False
    in_draft: bool = False
    would_remove: list[ImageVersion] = []
    in_preview: bool = False
    in_production: bool = False
    adds: list[ImageVersion] = []
    removes: list[ImageVersion] = []

    @property
    def running(self) -> Operation | None:
        """The operation the service is busy with; one that waits for sign-off is not."""
        return next((each for each in self.operations if each.state is OperationState.RUNNING), None)

    @property
    def going_live(self) -> Operation | None:
        """The go-live that is running."""
        running = self.running
        return running if running is not None and running.kind is OperationKind.GO_LIVE else None

    @property
    def went_live(self) -> bool:
        """Whether the newest operation brought the preview to Production, which may show it a while later."""
        newest = next(iter(self.operations), None)
        return newest is not None and (newest.kind, newest.state) == (OperationKind.GO_LIVE, OperationState.LIVE)

    @property
    def is_ready(self) -> bool:
        """Whether every image asked for is where it should be: in a preview that is ready, or in Production."""
        if not self.preview_exists:
            return self.in_production
        promoted = self.going_live is not None or self.went_live or self.in_production
        return self.in_preview and (self.awaits_sign_off or promoted)

    @property
    def last_publish(self) -> Operation | None:
        """The newest publish: what it made is what the preview shows once it waits for sign-off."""
        return next((each for each in self.operations if each.kind is OperationKind.PUBLISH), None)

    @property
    def known_operations(self) -> list[str]:
        """Ids of the newest operations, newest first."""
        return [each.id for each in self.operations]


class PutOfferRequest(Fact):
    """Input of `OfferActivities.put_offer`.

    Attributes:
        document: The offer's JSON text as the user wrote it.
        sole_writer: Whether no other run writes to the draft meanwhile.
    """

    offer: OfferKey
    document: str
    replace: bool
    sole_writer: bool = False


class EditRequest(SurveyRequest):
    """Input of `OfferActivities.edit_images`.

    Attributes:
        while_running: Whether the draft is edited although an operation runs that may not hold the images.
        production_suffices: Whether nothing is to be done once Production holds the images.
        sole_writer: Whether no other run writes to the draft meanwhile.
        would_remove: Image versions that the edit was going to drop when the offer was surveyed before.
    """

    images: SentImages = []
    while_running: bool = True
    production_suffices: bool = False
    sole_writer: bool = False
    would_remove: list[ImageVersion] = []


class DraftWritten(Fact):
    """What became of a write to the draft.

    Attributes:
        survey: How the offer stood before the write; of an edit, also what its slots hold.
        known_operations: Ids of the newest operations after the write, newest first: a publish that is new since
            carries what was written.
        changed: Whether anything was written.
        images: Of an offer that was put: the image versions in the draft, at most `SHOWN_IMAGES`.
        removed: Image versions dropped to make room.
        warnings: Sentences for a person.
        existed: The offer exists and was not to be replaced; nothing was sent.
        unguarded: Only a sole writer may write to this draft; nothing was sent.
        refused: The service's words, where it takes no edits while the running operation runs.
    """

    survey: Survey = Survey(exists=True)
    known_operations: list[str] = []
    changed: bool = False
    images: list[ImageVersion] = []
    removed: list[ImageVersion] = []
    warnings: list[str] = []
    existed: bool = False
    unguarded: bool = False
    refused: str | None = None


class OfferActivities:
    """Activities on an offer's documents. Documents stay here: answers are small facts."""

    def __init__(self, marketplace: Marketplace) -> None:
        self._marketplace = marketplace

    @activity.defn
    async def survey(self, request: SurveyRequest) -> Survey:
        """Read operations and slots, and check the images against the marketplace's rules.

        Changes nothing, so it is safe to repeat. The rules are checked here, before the run waits for
        anything, so that what is wrong with an image is said at once.
        """
        async with marketplace_call():
            survey, preview, production = await self._read(request)
            if not survey.exists or not request.images or survey.in_preview or survey.in_production:
                return survey
            edit = await self._marketplace.planned_edit(
                request.offer,
                request.images,
                preview=preview,
                production=production,
                when_full=request.when_full,
                limit=request.limit,
            )
        return survey.model_copy(update={"in_draft": not edit.changed, "would_remove": edit.removed})

    async def _read(self, request: SurveyRequest) -> tuple[Survey, list[HeldImage], list[HeldImage]]:
        """Survey the offer but for its draft; return what preview and Production hold as well."""
        offer, images = request.offer, request.images
        if request.seen is not None:
            operations, awaits_sign_off = [request.seen], request.seen.state is OperationState.PREVIEW
        else:
            try:
                # Before the slots: what the preview is shown with must not be a publish that came after it was read.
                listed = await self._marketplace.operations(offer)
            except NotFound:
                return Survey(exists=False), [], []
            operations, awaits_sign_off = await self._as_they_are(offer, listed)
        reading = asyncio.create_task(self._marketplace.read_slot(offer, Slot.PRODUCTION))
        try:
            preview = await self._marketplace.read_slot(offer, Slot.PREVIEW)
            production = await reading
        finally:
            reading.cancel()
        if not operations and preview is None and await self._marketplace.read_slot(offer, Slot.DRAFT) is None:
            return Survey(exists=False), [], []
        _refuse_taken(images, preview or [], production or [])
        survey = Survey(
            exists=True,
            operations=operations,
            awaits_sign_off=awaits_sign_off,
            preview_exists=preview is not None,
            in_preview=preview is not None and not missing(images, preview),
            in_production=production is not None and not missing(images, production),
            adds=added(production or [], preview or [])[:SHOWN_IMAGES],
            removes=added(preview, production or [])[:SHOWN_IMAGES] if preview is not None else [],
        )
        return survey, preview or [], production or []

    async def _as_they_are(self, offer: OfferKey, listed: list[Operation]) -> tuple[list[Operation], bool]:
        """Return the newest of the listed operations, and whether the preview waits for sign-off.

        A running operation is looked at, since the list hides the sign-off. Where sign-off ends the operation it
        stays completed when its preview is cancelled: then the offer's status decides.
        """
        operations = listed[:KNOWN_OPERATIONS]
        if not operations:
            return [], False
        newest = operations[0]
        if newest.state is OperationState.RUNNING:
            report = await self._marketplace.look(offer, newest.id, newest.kind)
            newest = operations[0] = newest.model_copy(update={"state": report.state})
        elif newest.state is OperationState.PREVIEW:
            return operations, await self._marketplace.awaits_sign_off(offer, otherwise=True)
        if newest.kind is OperationKind.GO_LIVE and newest.state in _CAME_TO_NOTHING:
            return operations, await self._marketplace.awaits_sign_off(offer)
        return operations, newest.state is OperationState.PREVIEW

    @activity.defn
    async def put_offer(self, request: PutOfferRequest) -> DraftWritten:
        """Create the offer or replace its draft.

        Safe to repeat: a later attempt recognises an offer that already says what an earlier one wrote.
        """
        return await unbroken(self._put_offer(request)) if request.sole_writer else await self._put_offer(request)

    async def _put_offer(self, request: PutOfferRequest) -> DraftWritten:
        offer = request.offer
        async with marketplace_call(writes=True):
            try:
                put = await self._marketplace.put_offer(
                    offer,
                    request.document,
                    replace=request.replace,
                    repeated=tried_before(),
                    sole_writer=request.sole_writer,
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
        """Return the refusal where an operation was its reason, which may have ended by now; raise it otherwise."""
        if refusal.status == PRECONDITION_FAILED:
            raise refusal
        try:
            operations, _ = await self._as_they_are(offer, await self._marketplace.operations(offer))
        except NotFound:
            raise refusal from None
        now = survey.model_copy(update={"operations": operations})
        if survey.running is None and now.running is None:
            raise refusal
        return DraftWritten(survey=now, known_operations=now.known_operations, refused=str(refusal))

    @activity.defn
    async def edit_images(self, request: EditRequest) -> DraftWritten:
        """Survey the offer, and put into the draft the images that no slot holds.

        Safe to repeat: an image that is there already is left alone, and the write is conditional, or the only one.
        A later attempt knows what an earlier one removed whose answer was lost.
        """
        return await unbroken(self._edit_images(request)) if request.sole_writer else await self._edit_images(request)

    async def _edit_images(self, request: EditRequest) -> DraftWritten:
        offer = request.offer
        async with marketplace_call(writes=True):
            survey, preview, production = await self._read(request)
            as_it_is = DraftWritten(survey=survey, known_operations=survey.known_operations)
            waits = survey.in_preview and survey.running is not None
            live = survey.in_production and request.production_suffices
            if not survey.exists or survey.is_ready or waits or live:
                return as_it_is
            if survey.running is not None and not request.while_running:
                edit = await self._marketplace.planned_edit(
                    offer,
                    request.images,
                    preview=preview,
                    production=production,
                    when_full=request.when_full,
                    limit=request.limit,
                )
                return as_it_is.model_copy(update={"survey": _with(survey, in_draft=not edit.changed)})
            try:
                edit = await self._marketplace.edit_images(
                    offer,
                    request.images,
                    preview=preview,
                    production=production,
                    when_full=request.when_full,
                    limit=request.limit,
                    sole_writer=request.sole_writer,
                )
            except Unguarded:
                return as_it_is.model_copy(update={"unguarded": True})
            except (Refused, Conflict) as refusal:
                return await self._refused(survey, offer, refusal)
            removed = edit.removed
            if request.would_remove and not edit.changed and tried_before():
                held = await self._marketplace.read_slot(offer, Slot.DRAFT) or []
                left = {(each.plan_id, each.version) for each in map(version_of, held)}
                removed = [each for each in request.would_remove if (each.plan_id, each.version) not in left]
        return DraftWritten(
            survey=_with(survey, in_draft=True),
            known_operations=edit.operations,
            changed=edit.changed or bool(removed),
            removed=removed,
            warnings=edit.warnings,
        )


_CAME_TO_NOTHING = {OperationState.FAILED, OperationState.CANCELED}


def _with(survey: Survey, *, in_draft: bool) -> Survey:
    return survey.model_copy(update={"in_draft": in_draft})


def _refuse_taken(images: list[Image], *slots: list[HeldImage]) -> None:
    """Refuse images whose version is published with other disks, or the run would take those for its own."""
    VersionTaken.raise_for(dict.fromkeys(each for held in slots for each in conflicts(images, held)))
