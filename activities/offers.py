"""Activities on an offer's documents: survey the slots, put the offer, edit the draft's images."""

from temporalio import activity

from activities.errors import marketplace_call
from activities.redaction import RedactedImages, SentImages
from activities.tries import tried_before
from marketplace.errors import VersionTaken
from marketplace.images import added, conflicts, missing, version_of
from marketplace.model import (
    EditOutcome,
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


class SurveyRequest(Fact):
    """Input of `OfferActivities.survey`."""

    offer: OfferKey
    images: RedactedImages = []
    when_full: WhenFull = WhenFull.FAIL
    limit: int | None = None


class Survey(Fact):
    """How an offer stands: its operations, and what its slots hold of the images asked for.

    Attributes:
        exists: Whether there is such an offer at all.
        operations: The newest operations, newest first, at most `KNOWN_OPERATIONS`.
        awaits_sign_off: Whether the preview waits for the publisher's sign-off.
        in_draft: Whether the draft needs no edit to hold every image asked for.
        would_remove: Image versions that an edit of the draft would drop to make room.
        in_preview: Whether the preview holds every image asked for, with the same disks; likewise Production.
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
    def last_publish(self) -> Operation | None:
        """The newest publish: what it made is what the preview shows once it waits for sign-off."""
        return next((each for each in self.operations if each.kind is OperationKind.PUBLISH), None)

    @property
    def known_operations(self) -> list[str]:
        """Ids of the newest operations, newest first."""
        return [each.id for each in self.operations]


class PutOfferRequest(Fact):
    """Input of `OfferActivities.put_offer`; ``document`` is the offer's JSON text as the user wrote it."""

    offer: OfferKey
    document: str
    replace: bool


class PutOfferAnswer(Fact):
    """What a put did.

    Attributes:
        existed: The offer exists and was not to be replaced; nothing was sent.
        operations: Ids of the newest operations after the put, newest first.
        images: The image versions in the draft, at most `SHOWN_IMAGES`.
        warnings: Sentences for a person.
    """

    existed: bool = False
    operations: list[str] = []
    images: list[ImageVersion] = []
    warnings: list[str] = []


class EditImagesRequest(Fact):
    """Input of `OfferActivities.edit_images`.

    Attributes:
        would_remove: Image versions that the edit was going to drop when the offer was surveyed.
    """

    offer: OfferKey
    images: SentImages
    when_full: WhenFull
    limit: int | None = None
    would_remove: list[ImageVersion] = []


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
            draft = await self._marketplace.read_slot(request.offer, Slot.DRAFT)
            if draft is None:
                return Survey(exists=False)
            # Before the slots: what the preview is shown with must not be a publish that came after it was read.
            operations, awaits_sign_off = await self._operations_as_they_are(request.offer)
            preview = await self._marketplace.read_slot(request.offer, Slot.PREVIEW)
            production = await self._marketplace.read_slot(request.offer, Slot.PRODUCTION)
            _refuse_taken(request.images, preview or [], production or [])
            in_preview = preview is not None and not missing(request.images, preview)
            in_production = production is not None and not missing(request.images, production)
            in_draft = bool(request.images) and not missing(request.images, draft)
            would_remove: list[ImageVersion] = []
            if request.images and not in_preview and not in_production:
                edit = await self._marketplace.planned_edit(
                    request.offer,
                    request.images,
                    preview=preview or [],
                    production=production or [],
                    when_full=request.when_full,
                    limit=request.limit,
                )
                in_draft, would_remove = not edit.changed, edit.removed
        return Survey(
            exists=True,
            operations=operations,
            awaits_sign_off=awaits_sign_off,
            preview_exists=preview is not None,
            in_draft=in_draft,
            would_remove=would_remove,
            in_preview=in_preview,
            in_production=in_production,
            adds=added(production or [], preview or [])[:SHOWN_IMAGES],
            removes=added(preview, production or [])[:SHOWN_IMAGES] if preview is not None else [],
        )

    async def _operations_as_they_are(self, offer: OfferKey) -> tuple[list[Operation], bool]:
        """List the newest operations, and tell whether the preview waits for sign-off.

        A running operation is looked at, since the list hides the sign-off. Where sign-off ends the operation it
        stays completed when its preview is cancelled: the offer's status tells.
        """
        operations = (await self._marketplace.operations(offer))[:KNOWN_OPERATIONS]
        if not operations:
            return [], False
        listed = newest = operations[0]
        if listed.state is OperationState.RUNNING:
            report = await self._marketplace.look(offer, listed.id, listed.kind)
            newest = operations[0] = listed.model_copy(update={"state": report.state})
        if listed.state is OperationState.PREVIEW:
            return operations, await self._marketplace.awaits_sign_off(offer, otherwise=True)
        if newest.kind is OperationKind.GO_LIVE and newest.state in _CAME_TO_NOTHING:
            return operations, await self._marketplace.awaits_sign_off(offer)
        return operations, newest.state is OperationState.PREVIEW

    @activity.defn
    async def put_offer(self, request: PutOfferRequest) -> PutOfferAnswer:
        """Create the offer or replace its draft.

        Safe to repeat: a second try recognises an offer that already says what the first one wrote.
        """
        async with marketplace_call(writes=True):
            put = await self._marketplace.put_offer(
                request.offer, request.document, replace=request.replace, repeated=tried_before()
            )
        if put is None:
            return PutOfferAnswer(existed=True)
        return PutOfferAnswer(operations=put.operations, images=put.images[:SHOWN_IMAGES], warnings=put.warnings)

    @activity.defn
    async def edit_images(self, request: EditImagesRequest) -> EditOutcome:
        """Put the images into the draft.

        Safe to repeat: an image that is there already is left alone, and the write is conditional. What an earlier
        try removed, whose answer was lost, is told by a later one.
        """
        async with marketplace_call(writes=True):
            edit = await self._marketplace.edit_images(
                request.offer, request.images, when_full=request.when_full, limit=request.limit
            )
            if request.would_remove and not edit.changed and tried_before():
                held = await self._marketplace.read_slot(request.offer, Slot.DRAFT) or []
                left = {(each.plan_id, each.version) for each in map(version_of, held)}
                gone = [each for each in request.would_remove if (each.plan_id, each.version) not in left]
                edit = edit.model_copy(update={"removed": gone})
            return edit


_CAME_TO_NOTHING = {OperationState.FAILED, OperationState.CANCELED}


def _refuse_taken(images: list[Image], *slots: list[HeldImage]) -> None:
    """Refuse images whose version is published with other disks, or the run would take those for its own."""
    VersionTaken.raise_for(dict.fromkeys(each for held in slots for each in conflicts(images, held)))
