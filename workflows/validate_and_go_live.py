"""The workflow `ValidateAndGoLive`."""

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.offers import Survey
    from marketplace.model import OperationKind
    from marketplace.wording import listed
    from workflows.approval import Approval
    from workflows.closing import closing
    from workflows.errors import final
    from workflows.inputs import MAX_SIGNAL, NOTHING, Model, read
    from workflows.logbook import Logbook
    from workflows.messages import (
        ApproveGoLive,
        DecideGoLive,
        GoLiveDecision,
        IfPublishing,
        Outcome,
        Progress,
        PublicationResult,
        RejectGoLive,
        ValidateAndGoLiveInput,
    )
    from workflows.people import notify
    from workflows.stages import PreviewChangedError, Stages, begin
    from workflows.taking_back import taking_back
    from workflows.waiting import Waiting


@workflow.defn
class ValidateAndGoLive:
    """Bring images from the preview, or through it, to Production, once somebody has approved.

    Others may write to the same offer at any time. So the run surveys the offer, does the next thing that is
    missing, and surveys again. What goes live is the preview that was approved, or nothing.
    """

    def __init__(self) -> None:
        self._logbook = Logbook()
        self._waiting = Waiting(self._logbook)
        self._early: list[GoLiveDecision] = []
        self._approval: Approval | None = None

    @workflow.run
    async def run(self, request: RawValue = NOTHING) -> PublicationResult:
        """Take a `ValidateAndGoLiveInput`."""
        async with closing(self._logbook):
            wanted = read(ValidateAndGoLiveInput, request)
            stages = begin(self._logbook, self._waiting, request, wanted.key, wanted, wanted)
            approval = self._open(stages, wanted)
            async with taking_back(stages):
                while True:
                    just_published = await stages.follow()
                    approval.raise_if_rejected()
                    if stages.publication.gone_live is not None:
                        return await self._went_live(stages, approval, wanted)
                    if just_published and approval.holds_for_the_images():
                        await self._go_live(stages, approval, wanted)
                        continue
                    stages.count_round()
                    survey = await self._survey(stages, wanted)
                    if _is_live(wanted, survey):
                        return await self._live(stages, approval, wanted, _last_go_live(survey))
                    if survey.going_live is not None:
                        await stages.make_way(survey.going_live, IfPublishing.WAIT)
                    elif _was_promoted(wanted, survey):
                        await stages.verify_live(wanted.images, survey.adds)
                    elif not _may_be_promoted(wanted, survey):
                        await self._bring_to_preview(stages, approval, wanted, survey)
                    elif await approval.is_given(survey):
                        await self._go_live(stages, approval, wanted, survey)

    def _open(self, stages: Stages, wanted: ValidateAndGoLiveInput) -> Approval:
        """Begin to take decisions; those that came before the run knew who may decide are looked at now."""
        self._approval = Approval(stages, wanted)
        for decision in self._early:
            self._approval.signaled(decision)
        return self._approval

    async def _survey(self, stages: Stages, wanted: ValidateAndGoLiveInput) -> Survey:
        """Survey the offer, and put into its draft the images that are nowhere yet."""
        if wanted.images:
            return await stages.edit(wanted, production_suffices=True)
        return await stages.survey()

    async def _bring_to_preview(
        self, stages: Stages, approval: Approval, wanted: ValidateAndGoLiveInput, survey: Survey
    ) -> None:
        """Bring the images to the preview; without images, wait for what is being published."""
        if wanted.images:
            await stages.bring_to_preview(survey, wanted.if_publishing)
            return
        if survey.running is None:
            raise final(
                "MarketplaceError",
                f"{wanted.key}: nothing waits for sign-off, so there is nothing to promote. Publish the offer"
                " first, or name the images.",
            )
        approval.sign_off.preview_awaited = True
        await stages.make_way(survey.running, wanted.if_publishing)

    async def _go_live(
        self, stages: Stages, approval: Approval, wanted: ValidateAndGoLiveInput, survey: Survey | None = None
    ) -> None:
        """Promote the approved preview: the surveyed one, or the one that the run has just published."""
        published, known = stages.publication.published, stages.publication.known_operations or []
        if survey is not None:
            publish, known = survey.last_publish, survey.known_operations
            publish_id = publish.id if publish is not None else None
        else:
            publish_id = published.operation_id if published is not None else None
            known = [*([publish_id] if publish_id else []), *known]
        if publish_id is None:
            raise final(
                "MarketplaceError",
                f"{wanted.key}: the marketplace shows a preview but no operation that published it.",
            )
        try:
            await stages.go_live(publish_id, wanted.images, approval.shown(), known)
        except PreviewChangedError as error:
            approval.preview_changed(str(error))

    async def _went_live(
        self, stages: Stages, approval: Approval, wanted: ValidateAndGoLiveInput
    ) -> PublicationResult:
        """Wait until Production shows what the run promoted."""
        await stages.verify_live(wanted.images, [] if wanted.images else approval.sign_off.adds)
        return await self._live(stages, approval, wanted, stages.publication.gone_live)

    async def _live(
        self, stages: Stages, approval: Approval, wanted: ValidateAndGoLiveInput, operation_id: str | None
    ) -> PublicationResult:
        images = wanted.image_versions or (approval.sign_off.adds if stages.publication.gone_live else [])
        result = stages.result(Outcome.LIVE, operation_id, images)
        if result.changed:
            await notify(self._logbook, "live", f"{wanted.key} is live: {listed([str(image) for image in images])}.")
        decision = approval.sign_off.decision
        return result.model_copy(update={"approved_by": decision.approver if decision else None})

    def _received(self, signal: str, model: type[Model], sent: RawValue) -> Model | None:
        """Read a signal's payload. One of the wrong shape is noted, and changes nothing."""
        try:
            return read(model, sent, MAX_SIGNAL)
        except ApplicationError as error:
            self._logbook.note(f"signal {signal} was refused at {workflow.now():%Y-%m-%d %H:%M} UTC: {error.message}")
            return None

    def _signaled(self, decision: GoLiveDecision) -> None:
        if self._approval is None:
            self._early.append(decision)
        else:
            self._approval.signaled(decision)

    @workflow.signal(description='Approve going live: nothing, or {"approver": "…", "comment": "…"}.')
    def approve_go_live(self, decision: RawValue = NOTHING) -> None:
        """Take an `ApproveGoLive`."""
        sent = self._received("approve_go_live", ApproveGoLive, decision)
        if sent is not None:
            self._signaled(_decision(sent.approver, sent.comment, approve=True))

    @workflow.signal(description='Reject going live: nothing, or {"approver": "…", "reason": "…"}.')
    def reject_go_live(self, decision: RawValue = NOTHING) -> None:
        """Take a `RejectGoLive`."""
        sent = self._received("reject_go_live", RejectGoLive, decision)
        if sent is not None:
            self._signaled(_decision(sent.approver, sent.reason, approve=False))

    @workflow.update(description='Decide on going live: {"approve": true, "approver": "…", "comment": "…"}.')
    async def decide_go_live(self, decision: RawValue = NOTHING) -> GoLiveDecision:
        """Take a `DecideGoLive`; answer with the decision that stands."""
        taken = _decided(decision)
        await workflow.wait_condition(
            lambda: self._approval is not None or self._logbook.publication.error is not None
        )
        self._check_decision(decision)
        if self._approval is not None:
            self._approval.decide(taken)
        return taken

    @decide_go_live.validator
    def _check_decision(self, decision: RawValue = NOTHING) -> None:
        """Refuse at once what could not stand, so that it leaves nothing in the history."""
        taken = _decided(decision)
        objection = self._logbook.publication.error
        if self._approval is not None:
            objection = self._approval.objection(taken)
        if objection is not None:
            raise ApplicationError(objection, type="DecisionRefused", non_retryable=True)

    @workflow.signal(description="Look now instead of at the next timer.")
    def check_now(self, _ignored: RawValue = NOTHING) -> None:
        """Cut the wait short; where approval is awaited, survey the offer again."""
        self._waiting.check_now()

    @workflow.query(description="Stage, operation, steps, images, approval, and what the run is waiting for.")
    def progress(self) -> Progress:
        """Return how the run stands."""
        return self._logbook.progress()


def _is_live(wanted: ValidateAndGoLiveInput, survey: Survey) -> bool:
    """Whether there is nothing left to promote."""
    if wanted.images:
        return survey.in_production
    nothing_new = survey.preview_exists and not (survey.adds or survey.removes or survey.running)
    return nothing_new and not survey.awaits_sign_off


def _was_promoted(wanted: ValidateAndGoLiveInput, survey: Survey) -> bool:
    """Whether what is missing in Production has been promoted, and Production is only late to show it."""
    return survey.went_live and (survey.in_preview if wanted.images else bool(survey.adds))


def _may_be_promoted(wanted: ValidateAndGoLiveInput, survey: Survey) -> bool:
    return survey.awaits_sign_off and (survey.in_preview or not wanted.images)


def _last_go_live(survey: Survey) -> str | None:
    return next((each.id for each in survey.operations if each.kind is OperationKind.GO_LIVE), None)


def _decision(approver: str | None, remark: str | None, *, approve: bool) -> GoLiveDecision:
    return GoLiveDecision(approve=approve, approver=approver, comment=remark, decided_at=workflow.now())


def _decided(sent: RawValue) -> GoLiveDecision:
    decision = read(DecideGoLive, sent, MAX_SIGNAL)
    return _decision(decision.approver, decision.comment, approve=decision.approve)
