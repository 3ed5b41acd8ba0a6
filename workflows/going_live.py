"""The stages that only `ValidateAndGoLive` has: promote a preview, and end live."""

from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.offers import Survey
    from activities.operations import (
        NOT_APPROVED,
        PREVIEW_CHANGED,
        GoLiveRequest,
        OperationActivities,
        VerifyLiveRequest,
    )
    from marketplace.model import ImageVersion, OperationKind
    from marketplace.wording import listed
    from workflows.approval import Approval
    from workflows.calls import START, VERIFY, within
    from workflows.errors import application_error, final
    from workflows.messages import Outcome, PublicationResult, PublishStage, ValidateAndGoLiveInput
    from workflows.people import LIVE, notify
    from workflows.publication import Purpose
    from workflows.stages import Stages
    from workflows.waiting import heed_cancellation

VERIFY_WITHIN = timedelta(days=1)


class GoingLive:
    """Brings one run's images from the preview to Production."""

    def __init__(self, stages: Stages, approval: Approval, wanted: ValidateAndGoLiveInput) -> None:
        self._stages = stages
        self._approval = approval
        self._wanted = wanted

    async def edit(self) -> Survey:
        """Survey the offer, and put images that no slot holds into its draft."""
        if self._wanted.images:
            survey = await self._stages.edit(self._wanted, production_suffices=True)
        else:
            survey = await self._stages.survey()
        self._approval.heed(survey.approvers)
        return survey

    def is_done(self, survey: Survey) -> bool:
        """Whether there is nothing left to promote."""
        if self._wanted.images:
            return survey.in_production
        nothing_new = survey.preview_exists and survey.promotion.is_empty and survey.running is None
        return nothing_new and not survey.awaits_sign_off

    def was_promoted(self, survey: Survey) -> bool:
        """Whether the images have been promoted already, but Production does not show them yet."""
        return survey.went_live and (survey.in_preview if self._wanted.images else not survey.promotion.is_empty)

    def may_be_promoted(self, survey: Survey) -> bool:
        """Whether a preview with the images waits for sign-off."""
        return survey.awaits_sign_off and (survey.in_preview or not self._wanted.images)

    async def bring_to_preview(self, survey: Survey) -> None:
        """Bring the images to the preview; without images, wait for what is being published."""
        if self._wanted.images:
            await self._stages.bring_to_preview(survey, self._wanted.if_publishing)
            return
        if survey.running is None:
            raise final(
                "MarketplaceError",
                f"{self._wanted.key}: nothing waits for sign-off, so there is nothing to promote. Publish the offer"
                " first, or name the images.",
            )
        await self._stages.make_way(survey.running, self._wanted.if_publishing)

    async def promote(self, survey: Survey | None = None) -> None:
        """Promote the approved preview: the surveyed one, or the one that the run has just published."""
        publication = self._stages.publication
        if survey is not None:
            publish_id = survey.last_publish.id if survey.last_publish is not None else None
            # A survey may list only the newest operation; older ones can be missing from it.
            known = list(dict.fromkeys([*survey.known_operations, *(publication.known_operations or [])]))
        else:
            publish_id = publication.published.operation_id if publication.published is not None else None
            known = [*([publish_id] if publish_id else []), *(publication.known_operations or [])]
        if publish_id is None:
            raise final(
                "MarketplaceError",
                f"{self._wanted.key}: the marketplace shows a preview but no operation that published it.",
            )
        await self._request(publish_id, known)

    async def _request(self, publish_id: str, known: Sequence[str]) -> None:
        """Ask the marketplace to go live, and set the operation to follow; ask for approval again if it refuses."""
        await heed_cancellation()
        stages, publication = self._stages, self._stages.publication
        stages.logbook.stage(PublishStage.GOING_LIVE, "the marketplace to accept the go-live request")
        publication.go_live_requested = True
        request = GoLiveRequest(
            offer=stages.offer,
            known_operations=list(known),
            approved_publish=publish_id,
            images=self._wanted.images,
            shown=self._approval.shown_promotion(),
            approver=self._approval.approver,
        )
        try:
            started = await workflow.execute_activity_method(
                OperationActivities.go_live,
                request,
                **within(stages.waiting.time_left(), START, f"Go live with {stages.offer}"),
            )
        except ActivityError as error:
            reason = application_error(error)
            publication.go_live_requested = reason.type not in {PREVIEW_CHANGED, NOT_APPROVED}
            await heed_cancellation()
            if publication.go_live_requested:
                raise
            self._approval.preview_changed(reason.message)
            return
        await heed_cancellation()
        publication.changed = publication.changed or started.ours
        stages.set_followed(started.operation_id, OperationKind.GO_LIVE, Purpose.TO_PRODUCTION, started, known)

    async def verify(self, survey: Survey | None = None) -> None:
        """Wait until Production shows what was promoted, by this run or by somebody else."""
        if survey is None:
            adds = self._approval.sign_off.promotion.adds
            await self._verify([] if self._wanted.images else adds, VERIFY_WITHIN)
            return
        try:
            await self._verify(survey.promotion.adds, self._wanted.polling.max_interval)
        except ActivityError as error:
            await heed_cancellation()
            # Somebody else may have promoted another preview: survey the offer again after a while.
            if application_error(error).type != "OperationTimedOut":
                raise
            self._stages.publication.rounds = 0  # to wait is no round of changes
            await self._stages.waiting.pause(
                "Production to show what was promoted", self._wanted.polling.min_interval
            )

    async def _verify(self, versions: Sequence[ImageVersion], time: timedelta) -> None:
        """Wait until Production holds the wanted images and these versions."""
        stages = self._stages
        stages.logbook.waits_for("Production to show the images")
        await stages.waiting.read(
            OperationActivities.verify_live,
            VerifyLiveRequest(offer=stages.offer, images=self._wanted.images, versions=list(versions)),
            within(
                min(stages.waiting.time_left(), time),
                VERIFY,
                f"Check that Production of {stages.offer} holds the images",
            ),
        )

    async def end(self, survey: Survey | None = None) -> PublicationResult:
        """End live, with the run's own go-live or with the last one that the survey shows."""
        own = self._stages.publication.gone_live
        approver = self._approval.approver if own is not None else None
        if survey is not None:
            # Somebody else went live. What the run saw last, such as steps that wait for sign-off, is out of date.
            self._stages.publication.report = None
            self._approval.sign_off.promotion = survey.promotion
        images = self._wanted.image_versions or (self._approval.sign_off.promotion.adds if own else [])
        result = self._stages.finish(Outcome.LIVE, own or _last_go_live(survey), images)
        if result.changed or own is not None:
            what = listed([str(image) for image in images])
            by = f", approved by {approver}" if approver else ""
            await notify(self._stages.logbook, LIVE, f"{self._wanted.key} is live{by}: {what}.")
        return result.model_copy(update={"approved_by": approver})


def _last_go_live(survey: Survey | None) -> str | None:
    operations = survey.operations if survey is not None else []
    return next((each.id for each in operations if each.kind is OperationKind.GO_LIVE), None)
