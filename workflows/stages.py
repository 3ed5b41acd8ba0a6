"""The stages that the procedures share: survey, edit, publish, make way, follow.

A procedure is a loop: follow the running operation, survey the offer, do the next thing that is missing. What a stage
learns and a survey cannot show goes into the control state. The loop can then go on in a new history.
"""

import contextlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError

with workflow.unsafe.imports_passed_through():
    from activities.offers import (
        EditRequest,
        OfferActivities,
        PutOfferRequest,
        Survey,
        SurveyRequest,
    )
    from activities.operations import (
        PUBLISH_IN_PROGRESS,
        CancelAnswer,
        CancelRequest,
        CancelState,
        LookRequest,
        OperationActivities,
        PublishRequest,
        StartedOperation,
    )
    from marketplace.model import (
        ForeignEdits,
        ImageVersion,
        OfferDefinition,
        OfferKey,
        Operation,
        OperationKind,
        OperationReport,
        OperationState,
        WhenFull,
        shown_id,
    )
    from workflows.calls import READ, START, within
    from workflows.draft import DraftWrite, DraftWriter
    from workflows.errors import application_error, ended_badly, final, refused_for_good
    from workflows.following import Follower
    from workflows.history import carried
    from workflows.logbook import Logbook
    from workflows.messages import (
        IfPublishing,
        Outcome,
        Patience,
        PublicationResult,
        PublishStage,
        WantedImages,
    )
    from workflows.publication import Following, Publication, Published, Purpose
    from workflows.schedule import next_look_after
    from workflows.waiting import Waiting, heed_cancellation

MAX_ROUNDS = 100
"""Rounds of the loop after which a run gives up, because others keep changing the offer."""

MAX_WORKFLOW_ID = 200
"""Bytes. Temporal's SQL stores take 255. A run with a longer ID would hang there instead of failing."""

GLANCE = timedelta(minutes=1)
"""How long the run waits for details that it only displays."""


class Stages:
    """The stages of one run on one offer.

    Every stage shows what the run is waiting for, and none waits longer than the run's deadline.
    """

    def __init__(
        self,
        logbook: Logbook,
        waiting: Waiting,
        offer: OfferKey,
        patience: Patience,
        wanted: WantedImages | None = None,
        notification_emails: Sequence[str] = (),
    ) -> None:
        self.wanted = wanted
        self.logbook = logbook
        self.waiting = waiting
        self.offer = offer
        self.patience = patience
        self.notification_emails = list(notification_emails)
        self.follower = Follower(logbook, waiting, offer, patience.polling)
        self._draft = DraftWriter(logbook, waiting, offer)
        self._seen: Operation | None = None

    @property
    def _time_to_show(self) -> timedelta:
        """How long the effect of a request may take to show at the marketplace when the answer was lost."""
        return 2 * self.patience.polling.min_interval

    @property
    def publication(self) -> Publication:
        """The run's control state."""
        return self.logbook.publication

    # Survey

    async def survey(
        self, wanted: WantedImages | None = None, *, must_exist: bool = True, production_suffices: bool = False
    ) -> Survey:
        """Survey the offer, and check the wanted images against the marketplace's rules."""
        await heed_cancellation()
        seen, self._seen = self._seen, None
        self.logbook.waits_for("the marketplace to show the offer's slots and operations")
        survey = await self.waiting.read(
            OfferActivities.survey,
            SurveyRequest(
                offer=self.offer,
                seen=seen,
                production_suffices=production_suffices,
                **_asked(wanted),
            ),
            within(self.waiting.time_left(), READ, f"Read operations and slots of {self.offer}"),
        )
        return self._existing(survey) if must_exist else survey

    def _existing(self, survey: Survey) -> Survey:
        if not survey.exists:
            raise final(
                "OfferNotFound",
                f"{self.offer}: the marketplace has no such offer. Check publisher and offer id, or create it with"
                " CreateOfferAndPublish.",
            )
        return survey

    async def _survey_once_shown(self, wanted: WantedImages, *, production_suffices: bool) -> Survey:
        """Survey the offer, repeatedly while the publish waits for sign-off but the preview still lags behind.

        Another publish would publish the same draft twice. A joined publish may be of an older draft, however: the
        run waits for it no longer than ``max_interval``.
        """
        publication = self.publication
        while True:
            survey = await self.survey(wanted, production_suffices=production_suffices)
            last, published = survey.last_publish, publication.published
            waits = survey.in_draft and survey.awaits_sign_off and not survey.in_preview
            if not waits or last is None or published is None or last.id != published.operation_id:
                publication.slot_since = None
                return survey
            if survey.preview_of == published.operation_id:
                # The preview is that publish's, and does not lag: the publish was of another draft or of other plans.
                publication.published = publication.slot_since = None
                return survey
            publication.slot_since = publication.slot_since or self.waiting.now
            waited = self.waiting.now - publication.slot_since
            if not published.ours and waited >= self.patience.polling.max_interval:
                publication.published = publication.slot_since = None
                return survey
            await self.waiting.pause(
                "the Preview slot to show the images that were published",
                next_look_after(waited, self.patience.polling),
            )

    def count_round(self) -> None:
        """Count a round of the loop.

        Raises:
            ApplicationError: ``MarketplaceError``: there were too many.
        """
        self.publication.rounds += 1
        if self.publication.rounds > MAX_ROUNDS:
            raise final(
                "MarketplaceError",
                f"{self.offer}: others changed the offer {MAX_ROUNDS} times while this run tried to publish it. Find"
                f" out who changes it, and start the run again.{self._last_note()}",
            )

    def _last_note(self) -> str:
        notes = self.publication.notes
        return f" The last note: {notes[-1]}" if notes else ""

    # The draft

    async def edit(self, wanted: WantedImages, *, production_suffices: bool = False) -> Survey:
        """Survey the offer, and put the images into its draft if neither the draft nor a slot holds them.

        While another operation runs, the images wait in the draft, provided that the run may wait and the marketplace
        accepts edits meanwhile. The next publish carries them, whoever starts it.

        Args:
            wanted: The images.
            production_suffices: Whether the run is done once Production holds the images.
        """
        publication = self.publication
        would_remove, would_deprecate = list[ImageVersion](), list[ImageVersion]()
        if publication.known_operations is not None or wanted.when_full is WhenFull.REMOVE_OLDEST:
            survey = await self._survey_once_shown(wanted, production_suffices=production_suffices)
            if survey.in_draft and (publication.known_operations is None or survey.running is None):
                # Operations that have ended by now did not bring the images to the preview.
                publication.known_operations = survey.known_operations
            live = production_suffices and survey.in_production
            if survey.in_draft or live or self.preview_holds_the_images(survey):
                return survey
            would_remove, would_deprecate = survey.would_remove, survey.would_deprecate
        self.logbook.waits_for("the marketplace to take the draft, which may take minutes")
        request = EditRequest(
            offer=self.offer,
            while_running=wanted.if_publishing is not IfPublishing.FAIL,
            production_suffices=production_suffices,
            would_remove=would_remove,
            would_deprecate=would_deprecate,
            settle=self._time_to_show,
            **_asked(wanted),
        )
        written = await self._draft.write(DraftWrite(edit=request, time=self.waiting.time_left()))
        survey = self._existing(written.survey)
        if set(written.known_operations) <= set(survey.known_operations):
            return survey
        # A publish that began while the draft was written may carry the images already. Do not publish them again.
        return await self._survey_once_shown(wanted, production_suffices=production_suffices)

    async def put(self, definition: Callable[[], OfferDefinition], *, replace: bool) -> Survey:
        """Survey the offer, and put it unless that is done already or an operation is running.

        Args:
            definition: Returns the offer. Called only when needed: a large offer takes a while.
            replace: Whether to replace the draft of an existing offer.

        Raises:
            ApplicationError: ``OfferExists``: it exists and must not be replaced.
        """
        publication = self.publication
        is_put = publication.known_operations is not None
        if is_put or replace:
            survey = await self.survey(must_exist=is_put)
            if is_put or survey.running is not None:
                # Operations that have ended by now did not bring the draft to the preview.
                ended = is_put and survey.running is None
                publication.known_operations = survey.known_operations if ended else publication.known_operations
                return survey
        else:
            publication.unguarded = True  # an offer that does not exist yet has no ETag
        self.logbook.waits_for("the marketplace to take the offer, which may take minutes")
        request = PutOfferRequest(
            offer=self.offer, definition=definition(), replace=replace, settle=self._time_to_show
        )
        written = await self._draft.write(DraftWrite(put=request, time=self.waiting.time_left()))
        if written.existed:
            raise final(
                "OfferExists",
                f"{self.offer}: the offer exists already. Publish new images of it with UpdateOfferAndPublish, or"
                ' replace its draft with "if_exists": "replace".',
            )
        if written.survey.in_draft:
            self.logbook.stage(PublishStage.PREPARING, images=written.images)
        return written.survey

    # Publish

    def preview_holds_the_images(self, survey: Survey) -> bool:
        """Whether nothing is left to do: the preview is ready, or Production holds the images already."""
        return survey.is_ready or (survey.in_preview and self.publication.published is not None)

    async def previewed(self, survey: Survey) -> PublicationResult:
        """End a run whose images are in the preview, or in Production already."""
        publication, last = self.publication, survey.last_publish
        live = survey.in_production and not survey.awaits_sign_off
        if not live:
            await self.show_steps(last)
        operation_id = publication.published.operation_id if publication.published else last.id if last else None
        return self.finish(Outcome.LIVE if live else Outcome.PREVIEW, operation_id, publication.images)

    async def bring_to_preview(self, survey: Survey, if_publishing: IfPublishing) -> None:
        """Do the next thing that brings the draft to the preview: publish it, or deal with a running operation."""
        publication, running = self.publication, survey.running
        if running is None:
            if publication.known_operations is not None:
                await self._publish()
        elif self._carries_the_images(running):
            self.set_followed(running.id, OperationKind.PUBLISH, Purpose.TO_PREVIEW)
        elif (
            survey.in_draft
            and running.kind is OperationKind.PUBLISH
            and if_publishing is IfPublishing.CANCEL
            and not publication.changed
            and publication.asked_to_join != running.id
        ):
            # The images were in the draft already. Only the marketplace knows whether the publish carries them.
            publication.asked_to_join = running.id
            await self._publish(ask_to_join=True)
        else:
            await self.make_way(running, if_publishing)

    def _carries_the_images(self, running: Operation) -> bool:
        """Whether the operation publishes a draft that held the images, because it began after they were put."""
        known = self.publication.known_operations
        return running.kind is OperationKind.PUBLISH and known is not None and running.id not in known

    async def _publish(self, *, ask_to_join: bool = False) -> None:
        """Publish the draft, or join the publish that carries it already.

        If somebody else publishes at the same moment, the run goes on with a survey.
        """
        await heed_cancellation()
        publication = self.publication
        self.logbook.stage(PublishStage.PUBLISHING, "the marketplace to accept the publish request")
        request = PublishRequest(
            offer=self.offer,
            known_operations=publication.known_operations or [],
            notification_emails=self.notification_emails,
            ask_to_join=ask_to_join,
            settle=self._time_to_show,
            # An offer that was put whole is published with everything in its draft.
            **(_asked(self.wanted) or {"foreign_edits": ForeignEdits.INCLUDE}),
        )
        try:
            started = await self._draft.publish(request)
        except (ActivityError, ChildWorkflowError) as error:
            publication.publish_requested = not refused_for_good(error)
            await heed_cancellation()
            if application_error(error).type != PUBLISH_IN_PROGRESS:
                raise
            self.logbook.note(application_error(error).message)
            self.logbook.stage(PublishStage.PREPARING)
            return
        publication.publish_requested = False
        if started.ours:
            publication.own_publish = started.operation_id
            publication.changed = True
        await heed_cancellation()
        known = publication.known_operations or []
        self.set_followed(started.operation_id, OperationKind.PUBLISH, Purpose.TO_PREVIEW, started, known)

    async def make_way(self, running: Operation, if_publishing: IfPublishing) -> None:
        """Deal with an operation that is in the way: wait for it, cancel it, or fail."""
        in_the_way = f"{running.kind.replace('_', '-')} {running.id}, which is running on the offer already"
        self.logbook.stage(PublishStage.PREPARING, in_the_way)
        if if_publishing is IfPublishing.FAIL:
            cancel = ' or "cancel"' if self._may_cancel(running) else ""
            raise final(
                "PublishInProgress",
                f"{self.offer}: {in_the_way}, has to end first. Start again after it, or with"
                f' "if_publishing": "wait"{cancel}.',
            )
        if if_publishing is IfPublishing.CANCEL and running.kind is OperationKind.PUBLISH:
            answer = await self.ask_to_cancel(running.id, [])
            if answer.state is CancelState.NOTHING_TO_CANCEL:
                return
            if answer.state is CancelState.REQUESTED:
                self.set_followed(running.id, running.kind, Purpose.CANCELED)
                return
            self.logbook.note(f"{answer.reason} The run waits for it to end.")
        self.set_followed(running.id, running.kind, Purpose.OUT_OF_THE_WAY)

    def _may_cancel(self, running: Operation) -> bool:
        """Whether the input may ask to cancel the operation."""
        return running.kind is OperationKind.PUBLISH and (self.wanted is None or bool(self.wanted.images))

    async def ask_to_cancel(self, operation_id: str | None, known_operations: Sequence[str]) -> CancelAnswer:
        """Ask the service to cancel an operation. ``None`` stands for a publish that is not among those known."""
        self.logbook.waits_for("the marketplace to accept the cancel request")
        answer = await workflow.execute_activity_method(
            OperationActivities.cancel_operation,
            CancelRequest(
                offer=self.offer,
                operation_id=operation_id,
                known_operations=list(known_operations),
                notification_emails=self.notification_emails,
                settle=self._time_to_show,
            ),
            **within(self.patience.deadline, START, f"Cancel the operation on {self.offer}"),
        )
        self.waiting.now = workflow.now()
        return answer

    # Follow

    def set_followed(
        self,
        operation_id: str,
        kind: OperationKind,
        purpose: Purpose,
        started: StartedOperation | None = None,
        known: Sequence[str] = (),
    ) -> None:
        """Set the operation that `follow` will follow.

        Args:
            operation_id: The operation.
            kind: The kind of operation.
            purpose: Why it is followed.
            started: The answer to the request that started it, if this run made one.
            known: IDs of the operations that existed before the request.
        """
        if started is not None:
            self.waiting.now = workflow.now()
        now = self.waiting.now
        following = Following(
            purpose=purpose,
            operation_id=operation_id,
            kind=kind,
            ours=started is not None and started.ours,
            known_operations=list(known),
            since=now,
            until=now + (self.patience.deadline if purpose is Purpose.CANCELED else self.waiting.time_left()),
        )
        self.publication.following = following
        what = f"{kind.replace('_', '-')} {operation_id}"
        self.logbook.waits_for(f"the cancellation of {what}" if purpose is Purpose.CANCELED else what)
        if started is not None and started.report is not None:
            following.looks, following.looked_at = 1, now
            self.logbook.looked(started.report)

    async def follow(self) -> bool:
        """Follow the operation that the run is waiting for, if any, to its end, and record the outcome.

        Returns:
            Whether the operation has brought the draft to the preview.

        Raises:
            ApplicationError: The run cannot reach its goal: ``PublishFailed``, ``GoLiveFailed``,
                ``OperationCanceled``, ``OperationTimedOut``.
        """
        await heed_cancellation()
        return await self.follow_on()

    async def follow_on(self) -> bool:
        """Follow the operation even if the run has been cancelled."""
        publication = self.publication
        following = publication.following
        if following is None:
            return False
        report = await self.follower.follow(following)
        publication.following = None
        self.logbook.waits_for(None)
        return report is not None and await self._conclude(following, report)

    async def _conclude(self, following: Following, report: OperationReport) -> bool:
        publication = self.publication
        if report.state is OperationState.TURNED_AWAY:
            await self._come_back(report)
            return False
        reason = ended_badly(self.offer, report)
        if following.purpose is Purpose.TO_PREVIEW:
            if reason is None:
                publication.own_publish = report.operation_id if following.ours else None
                publication.published = Published(operation_id=report.operation_id, ours=following.ours)
                self._seen = Operation(id=report.operation_id, kind=report.kind, state=report.state)
                return True
            publication.own_publish = None
            if report.state is OperationState.CANCELED and await self._goes_on_without(following):
                what = "Another publish took its place" if following.ours else "The draft is published again"
                self.logbook.note(f"publish {report.operation_id} was cancelled at the marketplace. {what}.")
                return False
            raise reason
        if following.purpose is Purpose.TO_PRODUCTION:
            if reason is not None:
                raise reason
            publication.gone_live = report.operation_id
        elif reason is not None and workflow.cancellation_reason() is None:
            self.logbook.note(f"what was in the way has ended: {reason.message}")
        return False

    async def _come_back(self, report: OperationReport) -> None:
        """Note that the marketplace turned the request away, and pause before the offer is surveyed again."""
        publication = self.publication
        publication.own_publish, publication.go_live_requested = None, False
        said = "; ".join(report.errors) or "something else is running on the offer"
        self.logbook.note(f"{report.kind.replace('_', '-')} was turned away by the marketplace: {said}")
        self.logbook.stage(PublishStage.PREPARING)
        await self.waiting.pause("what else is running on the offer", self.patience.polling.min_interval)

    async def _goes_on_without(self, following: Following) -> bool:
        """Whether the run goes on although the publish was cancelled.

        It does if the publish was somebody else's, because the images still wait in the draft. It also does if a
        newer publish took the place of its own, with the same draft or a later one.
        """
        if not following.ours:
            return True
        known = self.publication.known_operations or []
        newest = (await self.survey()).last_publish
        replaced = newest is not None and newest.id not in {following.operation_id, *known}
        return replaced and newest is not None and newest.state in {OperationState.RUNNING, OperationState.PREVIEW}

    async def show_steps(self, publish: Operation | None) -> None:
        """Show the steps of the publish that made the preview, unless the run has followed it."""
        report = self.publication.report
        if publish is None or (report is not None and report.operation_id == publish.id):
            return
        with contextlib.suppress(ApplicationError, ActivityError):  # the run goes on without the steps
            answer = await self.waiting.read(
                OperationActivities.look,
                LookRequest(offer=self.offer, operation_id=publish.id, kind=publish.kind),
                within(GLANCE, READ, f"Look at {publish.id} of {self.offer}, which made the preview"),
            )
            if answer.report is not None:
                self.logbook.looked(answer.report)
        await heed_cancellation()

    # The end

    def finish(
        self, outcome: Outcome, operation_id: str | None, images: Sequence[ImageVersion] = ()
    ) -> PublicationResult:
        """Enter the stage of the outcome, if it has one, and return the run's result."""
        if outcome in {Outcome.PREVIEW, Outcome.LIVE}:
            named = list(images) != self.publication.images
            self.logbook.stage(PublishStage(outcome), images=images if named else None)
        return PublicationResult(
            publisher_id=self.offer.publisher_id,
            offer_id=self.offer.offer_id,
            outcome=outcome,
            operation_id=shown_id(operation_id) if operation_id is not None else None,
            images=list(images),
            removed=self.publication.removed,
            deprecated=self.publication.deprecated,
            changed=self.publication.changed,
        )


def _asked(wanted: WantedImages | None) -> dict[str, Any]:
    """Return the change that a run wants, as arguments of activity requests."""
    if wanted is None:
        return {}
    return {
        "images": wanted.images,
        "when_full": wanted.when_full,
        "limit": wanted.max_versions_per_plan,
        "scope": wanted.publish,
        "foreign_edits": wanted.foreign_edits,
        "deprecation": wanted.deprecation,
    }


def begin(
    logbook: Logbook,
    waiting: Waiting,
    request: RawValue,
    offer: OfferKey,
    patience: Patience,
    wanted: WantedImages | None = None,
    notification_emails: Sequence[str] = (),
) -> Stages:
    """Begin a run, or resume one that continued as new.

    Args:
        logbook: Shows how the run stands.
        waiting: The run's waits.
        request: The run's input, as it was sent.
        offer: The offer that the run is about.
        patience: How long and how often the run looks at the marketplace.
        wanted: The images that the run is about, if its input names any.
        notification_emails: Addresses that the marketplace notifies.

    Raises:
        ApplicationError: ``InvalidInput``: the workflow ID is too long.
    """
    length = len(workflow.info().workflow_id.encode())
    if length > MAX_WORKFLOW_ID:
        raise final(
            "InvalidInput",
            f"{offer}: the workflow ID has {length} bytes, {MAX_WORKFLOW_ID} are allowed. Start the run under a"
            " shorter one.",
        )
    now = workflow.now()
    waiting.request = request
    images = wanted.image_versions if wanted is not None else []
    emails = wanted.notification_emails if wanted is not None else notification_emails
    fresh = Publication(offer=offer, images=images, since=now, wait_until=now + patience.deadline)
    logbook.open(carried(request) or fresh)
    return Stages(logbook, waiting, offer, patience, wanted, emails)
