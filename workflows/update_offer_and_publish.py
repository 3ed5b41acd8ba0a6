"""The workflow `UpdateOfferAndPublish`."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError

with workflow.unsafe.imports_passed_through():
    from activities.offers import EditImagesRequest, OfferActivities, Survey
    from activities.operations import PUBLISH_IN_PROGRESS
    from marketplace.model import ImageVersion, OperationKind, OperationState
    from workflows.inputs import NOTHING, read
    from workflows.logbook import Logbook, application_error
    from workflows.messages import (
        Outcome,
        Progress,
        PublicationResult,
        PublishStage,
        UpdateOfferAndPublishInput,
    )
    from workflows.options import EDIT, within
    from workflows.stages import MAX_ROUNDS, Stages

A_MOMENT = timedelta(minutes=1)
"""How long a survey of the run above is as good as an own one; a run that was reset may have an old one."""


@workflow.defn
class UpdateOfferAndPublish:
    """Put image versions into an offer's draft and publish it, until the preview holds them.

    Others may write to the same offer at any time. So the run surveys the offer, does the next thing that is
    missing, and surveys again: nothing is done that is done already, whoever did it.
    """

    def __init__(self) -> None:
        self._logbook = Logbook()
        self._removed: list[ImageVersion] = []
        self._published: str | None = None
        self._ours = False
        self._changed = False

    @workflow.run
    async def run(self, request: RawValue = NOTHING) -> PublicationResult:
        """Take an `UpdateOfferAndPublishInput`."""
        async with self._logbook.closing():
            wanted = read(UpdateOfferAndPublishInput, request)
            self._logbook.open(wanted.key, [image.image_version for image in wanted.images])
            stages = Stages(self._logbook, wanted.key, wanted, wanted.notification_emails)
            async with stages.taking_back():
                return await self._bring_to_preview(stages, wanted)

    async def _bring_to_preview(self, stages: Stages, wanted: UpdateOfferAndPublishInput) -> PublicationResult:
        survey = self._surveyed_above(wanted) or await stages.survey(wanted)
        for _ in range(MAX_ROUNDS):
            if self._preview_holds_the_images(survey):
                live = survey.in_production and not survey.awaits_sign_off
                return self._done(wanted, Outcome.LIVE if live else Outcome.PREVIEW, survey)
            if survey.running is not None and not _may_hold_the_images(survey):
                await stages.make_way(survey.running, wanted.if_publishing)
            else:
                known_operations = survey.known_operations
                if not survey.in_draft:
                    known_operations = await self._edit_draft(stages, wanted, survey)
                await self._publish(stages, wanted, survey, known_operations)
                if self._ours and self._logbook.runs_above():
                    return self._done(wanted, Outcome.PREVIEW)  # the run above surveys next
            survey = await stages.survey_once_shown(wanted, self._published, ours=self._ours)
        raise ApplicationError(
            f"{wanted.key}: others changed the offer {MAX_ROUNDS} times while this run tried to publish its"
            " images. Find out who does, and start the run again.",
            type="MarketplaceError",
            non_retryable=True,
        )

    def _preview_holds_the_images(self, survey: Survey) -> bool:
        """Tell whether there is nothing left to do: the preview is ready, or Production has them already."""
        if not survey.preview_exists:
            return survey.in_production
        promoted = survey.going_live or survey.went_live or survey.in_production
        return survey.in_preview and bool(survey.awaits_sign_off or promoted or self._published)

    async def _edit_draft(self, stages: Stages, wanted: UpdateOfferAndPublishInput, survey: Survey) -> list[str]:
        """Put the images into the draft; answers with the operations known then."""
        self._logbook.waits_for("the marketplace to take the draft, which may take minutes")
        edit = await workflow.execute_activity_method(
            OfferActivities.edit_images,
            EditImagesRequest(
                offer=wanted.key,
                images=wanted.images,
                when_full=wanted.when_full,
                limit=wanted.max_versions_per_plan,
                would_remove=survey.would_remove,
            ),
            **within(
                stages.time_left(),
                EDIT,
                f"Put {', '.join(str(image.image_version) for image in wanted.images)} into the draft",
            ),
        )
        for warning in edit.warnings:
            self._logbook.note(warning)
        self._removed = list(dict.fromkeys([*self._removed, *edit.removed]))
        self._changed = self._changed or edit.changed
        return edit.operations

    async def _publish(
        self,
        stages: Stages,
        wanted: UpdateOfferAndPublishInput,
        survey: Survey,
        known_operations: list[str],
    ) -> None:
        try:
            started = await stages.publish(known_operations)
        except ActivityError as error:
            if application_error(error).type != PUBLISH_IN_PROGRESS:
                raise
            self._logbook.note(application_error(error).message)
            self._logbook.stage(PublishStage.PREPARING)
            if survey.running is not None:
                await stages.make_way(survey.running, wanted.if_publishing)
            else:
                await stages.wait_for_others()
            return
        except ChildWorkflowError as error:
            if application_error(error).type != "OperationCanceled" or not await self._is_replaced(stages):
                raise
            self._logbook.note(f"{application_error(error).message} Another publish took its place.")
            operation = self._logbook.progress.operation
            self._changed = self._changed or (operation is not None and operation.ours)
            return
        self._published = started.operation_id
        self._ours = started.ours
        self._changed = self._changed or started.ours

    async def _is_replaced(self, stages: Stages) -> bool:
        """Tell whether our operation was cancelled for a newer publish, which has the same draft or a later one."""
        ours, newest = self._logbook.progress.operation, (await stages.survey()).last_publish
        if newest is None or (ours is not None and newest.id == ours.id):
            return False
        return newest.state in {OperationState.RUNNING, OperationState.PREVIEW}

    def _surveyed_above(self, wanted: UpdateOfferAndPublishInput) -> Survey | None:
        """Return how the offer stood a moment ago, where the run above has just seen it."""
        surveyed = wanted.surveyed if self._logbook.runs_above() else None
        return surveyed.survey if surveyed and workflow.now() - surveyed.at < A_MOMENT else None

    def _done(
        self, wanted: UpdateOfferAndPublishInput, outcome: Outcome, survey: Survey | None = None
    ) -> PublicationResult:
        last = survey.last_publish if survey else None
        self._logbook.stage(PublishStage(outcome))
        return PublicationResult(
            publisher_id=wanted.publisher_id,
            offer_id=wanted.offer_id,
            outcome=outcome,
            operation_id=self._published or (last.id if last else None),
            images=[image.image_version for image in wanted.images],
            removed=self._removed,
            changed=self._changed,
        )

    @workflow.signal(description="Look at the operation now instead of at the next timer.")
    async def check_now(self, _ignored: RawValue = NOTHING) -> None:
        """Pass the request on to the run that looks."""
        await self._logbook.pass_on_check_now()

    @workflow.signal(description="Sent by the run that follows the operation.")
    def operation_moved(self, moved: RawValue = NOTHING) -> None:
        """Take over how the operation stands."""
        self._logbook.operation_moved(moved)

    @workflow.query(description="Stage, operation, steps, images, and what the run waits for.")
    def progress(self) -> Progress:
        """Tell how the run stands."""
        return self._logbook.progress


def _may_hold_the_images(survey: Survey) -> bool:
    """Tell whether what runs may be a publish of our images: publishing the same draft joins it."""
    return survey.in_draft and survey.running is not None and survey.running.kind is OperationKind.PUBLISH
