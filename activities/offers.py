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
    Fact,
    ForeignEdits,
    ImageVersion,
    OfferDefinition,
    OfferKey,
    Operation,
    OperationKind,
    OperationState,
    Promotion,
    Scope,
    Slot,
    WhenFull,
)
from marketplace.protocol import SETTLE, Contents, Marketplace

PRECONDITION_FAILED = 412
"""The draft changed between our read and our write: somebody else was faster."""


class ChangeRequest(Fact):
    """What a run wants of an offer, as activities that only look are told: without signatures.

    Attributes:
        limit: Versions a plan may hold, 0 for any number, ``None`` for what the marketplace allows.
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
        """The same, as the marketplace takes it."""
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
        seen: The newest operation, where the run has looked at it a moment ago: the list is not read again.
    """

    seen: Operation | None = None


class Survey(Fact):
    """How an offer stands: its operations, and what its slots hold of the images asked for.

    Attributes:
        exists: Whether there is such an offer at all.
        operations: The newest operations, newest first, at most `KNOWN_OPERATIONS`.
        awaits_sign_off: Whether the preview waits for the publisher's sign-off.
        in_draft: Whether the draft needs no edit to hold every image asked for.
        would_remove: Image versions that an edit of the draft would drop to make room.
        would_deprecate: Image versions that it would deprecate to make room.
        in_preview: Whether the preview holds every image asked for, with the same disks.
        in_production: Whether Production holds every image asked for, with the same disks.
        preview_of: Id of the publish that the preview is of, where it says so.
        promotion: What going live would do.
        approvers: Without one of whom nothing goes live, by the worker's policy; empty: it has none.
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
        definition: The whole offer, as the user wrote it.
        sole_writer: Whether no other run writes to the draft meanwhile.
        settle: How long a write whose answer was lost may take to show, where nothing makes it conditional.
    """

    offer: OfferKey
    definition: OfferDefinition
    replace: bool
    sole_writer: bool = False
    settle: timedelta = SETTLE


class EditRequest(SurveyRequest):
    """Input of `OfferActivities.edit_images`.

    Attributes:
        while_running: Whether the draft is edited although an operation runs that may not hold the images.
        production_suffices: Whether nothing is to be done once Production holds the images.
        sole_writer: Whether no other run writes to the draft meanwhile.
        would_remove: Image versions that the edit was going to drop when the offer was surveyed before.
        would_deprecate: Image versions that it was going to deprecate.
        settle: How long a write whose answer was lost may take to show, where nothing makes it conditional.
    """

    images: SentImages = []
    while_running: bool = True
    production_suffices: bool = False
    sole_writer: bool = False
    would_remove: list[ImageVersion] = []
    would_deprecate: list[ImageVersion] = []
    settle: timedelta = SETTLE


class DraftWritten(Fact):
    """What became of a write to the draft.

    Attributes:
        survey: How the offer stood before the write; of an edit, also what its slots hold.
        known_operations: Ids of the newest operations after the write, newest first: a publish that is new since
            carries what was written.
        changed: Whether anything was written.
        images: Of an offer that was put: the image versions in the draft, at most `SHOWN_IMAGES`.
        removed: Image versions dropped to make room.
        deprecated: Image versions deprecated to make room.
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
    deprecated: list[ImageVersion] = []
    warnings: list[str] = []
    existed: bool = False
    unguarded: bool = False
    refused: str | None = None


class OfferActivities:
    """Activities on an offer's documents. Documents stay here: answers are small facts."""

    def __init__(self, marketplace: Marketplace, approvers: Sequence[str] = ()) -> None:
        """Act on a marketplace.

        Args:
            marketplace: Its client.
            approvers: Without one of them nothing goes live, as surveys say.
        """
        self._marketplace = marketplace
        self._approvers = approvers

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
        """Survey the offer but for its draft; return what preview and Production hold as well."""
        offer, images = request.offer, request.images
        self._marketplace.check(request.change)
        if request.seen is not None:
            operations, awaits_sign_off = [request.seen], request.seen.state is OperationState.PREVIEW
        else:
            try:
                # Before the slots: what the preview is shown with must not be a publish that came after it was read.
                standing = await self._marketplace.standing(offer)
            except NotFound:
                return Survey(exists=False), None, None
            operations, awaits_sign_off = standing.operations, standing.awaits_sign_off
        reading = asyncio.create_task(self._marketplace.read_slot(offer, Slot.PRODUCTION))
        try:
            preview = await self._marketplace.read_slot(offer, Slot.PREVIEW)
            production = await reading
        finally:
            reading.cancel()
        if not operations and preview is None and await self._marketplace.read_slot(offer, Slot.DRAFT) is None:
            return Survey(exists=False), None, None
        published = [contents for contents in (preview, production) if contents is not None]
        # Or the run would take what is published under the same version for its own.
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

    @activity.defn
    async def put_offer(self, request: PutOfferRequest) -> DraftWritten:
        """Create the offer or replace its draft.

        Safe to repeat: a later attempt recognises an offer that already says what an earlier one wrote.
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
        """Return the refusal where an operation was its reason, which may have ended by now; raise it otherwise."""
        if refusal.status == PRECONDITION_FAILED:
            raise refusal
        try:
            operations = (await self._marketplace.standing(offer)).operations
        except NotFound:
            raise refusal from None
        now = survey.model_copy(update={"operations": operations})
        known = set(survey.known_operations)
        # Of a put nothing was surveyed before.
        came_and_went = bool(known) and not set(now.known_operations) <= known
        if survey.running is None and now.running is None and not came_and_went:
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
                # Where the images came from somebody else, no room was made: the draft says what was done.
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
    """Return the change as it is judged now: what a running publish may carry is no foreign edit until it has ended.

    Nothing is published by an edit, and a publish judges anew.
    """
    runs = survey.running is not None and survey.running.kind is OperationKind.PUBLISH
    return change.model_copy(update={"foreign_edits": ForeignEdits.INCLUDE}) if runs else change


def _with(survey: Survey, *, in_draft: bool) -> Survey:
    return survey.model_copy(update={"in_draft": in_draft})
