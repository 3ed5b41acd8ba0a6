"""The stages that only `ValidateAndGoLive` has: promote a preview, and end live."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.offers import Survey
    from marketplace.model import OperationKind
    from marketplace.wording import listed
    from workflows.approval import Approval
    from workflows.errors import final
    from workflows.messages import Outcome, PublicationResult, ValidateAndGoLiveInput
    from workflows.people import LIVE, notify
    from workflows.stages import PreviewChangedError, Stages


class GoingLive:
    """Brings one run's images from the preview to Production."""

    def __init__(self, stages: Stages, approval: Approval, wanted: ValidateAndGoLiveInput) -> None:
        self._stages = stages
        self._approval = approval
        self._wanted = wanted

    async def survey(self) -> Survey:
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
        self._approval.sign_off.preview_awaited = True
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
        try:
            await self._stages.go_live(
                publish_id, self._wanted.images, self._approval.shown(), known, self._approval.approver
            )
        except PreviewChangedError as error:
            self._approval.preview_changed(str(error))

    async def verify(self, survey: Survey | None = None) -> None:
        """Wait until Production shows what was promoted, by this run or by somebody else."""
        images = self._wanted.images
        if survey is None:
            adds = self._approval.sign_off.promotion.adds
            await self._stages.verify_live(images, [] if images else adds)
            return
        # Whoever promoted it may have had another preview in mind: after a while it is surveyed anew.
        await self._stages.glance_live(images, survey.promotion.adds)

    async def end(self, survey: Survey | None = None) -> PublicationResult:
        """End live, with the run's own go-live or with the last one that the survey shows."""
        own = self._stages.publication.gone_live
        images = self._wanted.image_versions or (self._approval.sign_off.promotion.adds if own else [])
        result = self._stages.result(Outcome.LIVE, own or _last_go_live(survey), images)
        if result.changed:
            what = listed([str(image) for image in images])
            by = f", approved by {self._approval.approver}" if self._approval.approver else ""
            await notify(self._stages.logbook, LIVE, f"{self._wanted.key} is live{by}: {what}.")
        return result.model_copy(update={"approved_by": self._approval.approver})


def _last_go_live(survey: Survey | None) -> str | None:
    operations = survey.operations if survey is not None else []
    return next((each.id for each in operations if each.kind is OperationKind.GO_LIVE), None)
