"""The workflow `ValidateAndGoLive`."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.offers import Survey
    from marketplace.model import ImageVersion, Operation, OperationKind, OperationState
    from marketplace.wording import listed, one_line
    from workflows import search_attributes
    from workflows.inputs import MAX_SIGNAL, NOTHING, read
    from workflows.logbook import UPDATE, Logbook
    from workflows.messages import (
        ApprovalProgress,
        ApproveGoLive,
        DecideGoLive,
        GoLiveDecision,
        IfPublishing,
        Outcome,
        Progress,
        PublicationResult,
        PublishStage,
        RejectGoLive,
        Surveyed,
        UpdateOfferAndPublishInput,
        ValidateAndGoLiveInput,
        WantedImages,
    )
    from workflows.options import short
    from workflows.stages import MAX_ROUNDS, PreviewChangedError, Stages, run_below

MAX_COMMENT = 1000
"""Characters of a comment in an error."""


@workflow.defn
class ValidateAndGoLive:
    """Bring images from the preview, or through it, to Production, once somebody has approved.

    Others may write to the same offer at any time. So the run surveys the offer, does the next thing that is
    missing, and surveys again. What goes live is the preview that was approved, or nothing.
    """

    def __init__(self) -> None:
        self._logbook = Logbook()
        self._wanted: ValidateAndGoLiveInput | None = None
        self._early: list[GoLiveDecision] = []
        self._decision: GoLiveDecision | None = None
        self._approve_until: datetime | None = None
        self._shown: str | None = None
        self._approved: str | None = None
        self._check_now = False
        self._rounds = 0
        self._published: str | None = None
        self._changed = False
        self._removed: list[ImageVersion] = []

    @workflow.run
    async def run(self, request: RawValue = NOTHING) -> PublicationResult:
        """Take a `ValidateAndGoLiveInput`."""
        async with self._logbook.closing():
            wanted = read(ValidateAndGoLiveInput, request)
            self._open(wanted)
            stages = Stages(self._logbook, wanted.key, wanted, wanted.notification_emails)
            async with stages.taking_back():
                return await self._bring_to_production(stages, wanted)

    async def _bring_to_production(self, stages: Stages, wanted: ValidateAndGoLiveInput) -> PublicationResult:
        while self._rounds < MAX_ROUNDS:
            self._rounds += 1
            survey = await stages.survey_once_shown(wanted, self._published, ours=True)
            if _is_live(wanted, survey):
                return await self._live(wanted, survey)
            self._raise_if_rejected(wanted)
            if survey.going_live is not None:
                await stages.make_way(survey.going_live, IfPublishing.WAIT)
            elif _went_live(wanted, survey):
                await stages.verify_live(wanted.images, survey.adds)
            elif not _may_be_promoted(wanted, survey):
                await self._bring_to_preview(stages, wanted, survey)
            elif await self._is_approved(stages, wanted, survey):
                operation_id = await self._go_live(stages, wanted, survey)
                if operation_id is not None:
                    return await self._live(wanted, survey, operation_id)
        raise ApplicationError(
            f"{wanted.key}: others changed the preview {MAX_ROUNDS} times while this run tried to promote it."
            " Find out who does, and start the run again.",
            type="MarketplaceError",
            non_retryable=True,
        )

    def _open(self, wanted: ValidateAndGoLiveInput) -> None:
        self._wanted = wanted
        self._logbook.open(wanted.key, [image.image_version for image in wanted.images])
        approval = wanted.approval
        self._logbook.approval(ApprovalProgress(required=approval.required, approvers=approval.approvers))
        for decision in self._early:
            self._signaled(decision)

    async def _bring_to_preview(self, stages: Stages, wanted: ValidateAndGoLiveInput, survey: Survey) -> None:
        """Run `UpdateOfferAndPublish` for what the preview lacks; without images, wait for what is running."""
        if not wanted.images:
            if survey.running is None:
                raise ApplicationError(
                    f"{wanted.key}: nothing waits for sign-off, so there is nothing to promote. Publish the offer"
                    " first, or name the images.",
                    type="MarketplaceError",
                    non_retryable=True,
                )
            await stages.make_way(survey.running, wanted.if_publishing)
            if self._decision is not None and self._decision.approve:
                self._reopen("it was given before there was a preview to approve")
            return
        self._logbook.stage(PublishStage.PUBLISHING, "the preview to hold the images")
        members = WantedImages.model_fields
        update = await run_below(
            "UpdateOfferAndPublish",
            UpdateOfferAndPublishInput(
                **{name: getattr(wanted, name) for name in members},
                surveyed=Surveyed(survey=survey, at=stages.surveyed_at),
            ),
            f"{workflow.info().workflow_id}{UPDATE}",
            search_attributes.of(wanted.key, PublishStage.PREPARING, self._logbook.progress.images),
            f"Bring the images of {wanted.key} to the preview",
        )
        self._published = update.operation_id
        self._logbook.settled(OperationState.PREVIEW)
        self._changed = self._changed or update.changed
        self._removed = list(dict.fromkeys([*self._removed, *update.removed]))

    async def _is_approved(self, stages: Stages, wanted: ValidateAndGoLiveInput, survey: Survey) -> bool:
        """Wait for the decision; ``False`` when the offer has to be surveyed again first."""
        if not wanted.approval.required:
            return True
        published = survey.last_publish.id if survey.last_publish else None
        another = self._decision is not None and self._approved not in {None, published}
        # Without images what waited for sign-off when it was approved is meant, whoever published it until then.
        if another and (wanted.images or _is_younger(survey.last_publish, self._decision)):
            self._reopen("the offer has been published again since")
        if self._approve_until is None:
            self._approve_until = workflow.now() + wanted.approval.timeout
        self._tell_approval(adds=survey.adds, removes=survey.removes, until=self._approve_until)
        if self._decision is None:
            self._shown = published
            await self._wait_for_decision(wanted, self._approve_until)
            stages.start_waiting_anew()
            if self._decision is None:
                self._rounds -= 1  # somebody wants to know how things stand, nobody changed them
            if self._decision is None or not wanted.images:
                # check_now asks how things stand now; without images it is the preview of now that is approved.
                return False
        self._raise_if_rejected(wanted)
        return True

    def _raise_if_rejected(self, wanted: ValidateAndGoLiveInput) -> None:
        if self._decision is None or self._decision.approve:
            return
        why = f": {one_line(self._decision.comment, MAX_COMMENT)}" if self._decision.comment else ""
        raise ApplicationError(
            f"{wanted.key}: going live was rejected by {_name(self._decision)}{why}. The preview stays as it is:"
            " publish a new version over it and start the run again.",
            type="GoLiveRejected",
            non_retryable=True,
        )

    async def _wait_for_decision(self, wanted: ValidateAndGoLiveInput, until: datetime) -> None:
        """Wait until somebody decides or wants the offer to be surveyed again."""
        who = listed(wanted.approval.approvers) or "anyone"
        entering = self._logbook.progress.stage is not PublishStage.AWAITING_APPROVAL
        self._logbook.stage(PublishStage.AWAITING_APPROVAL, f"approval to go live, by {who}")
        if entering:
            await self._logbook.notify(
                "awaiting_approval",
                f"The preview of {wanted.key} is ready. Look at it, then approve or reject going live.",
            )
        self._check_now = False
        try:
            await workflow.wait_condition(
                lambda: self._decision is not None or self._check_now,
                timeout=max(until - workflow.now(), timedelta(milliseconds=1)),
                timeout_summary=short(f"Approval to go live, by {who}; until {until:%Y-%m-%d %H:%M} UTC"),
            )
        except TimeoutError:
            raise ApplicationError(
                f"{wanted.key}: nobody decided on going live within {wanted.approval.timeout}. The preview stays as"
                " it is: start the run again to ask again.",
                type="ApprovalTimedOut",
                non_retryable=True,
            ) from None

    async def _go_live(self, stages: Stages, wanted: ValidateAndGoLiveInput, survey: Survey) -> str | None:
        """Promote the approved preview; ``None`` when it is not the approved one any more."""
        published = survey.last_publish
        if published is None:
            raise ApplicationError(
                f"{wanted.key}: the marketplace shows a preview but no operation that published it.",
                type="MarketplaceError",
                non_retryable=True,
            )
        try:
            started = await stages.go_live(survey, published.id, wanted.images, as_shown=self._approved is not None)
        except PreviewChangedError as error:
            self._preview_changed(wanted, str(error))
            return None
        self._changed = True
        await stages.verify_live(wanted.images, survey.adds)
        return started.operation_id

    async def _live(
        self, wanted: ValidateAndGoLiveInput, survey: Survey, operation_id: str | None = None
    ) -> PublicationResult:
        images = [image.image_version for image in wanted.images] or survey.adds
        if not wanted.images:
            self._logbook.images(images)
        self._logbook.stage(PublishStage.LIVE)
        if self._changed:
            await self._logbook.notify("live", f"{wanted.key} is live: {listed([str(image) for image in images])}.")
        go_live = next((each for each in survey.operations if each.kind is OperationKind.GO_LIVE), None)
        return PublicationResult(
            publisher_id=wanted.publisher_id,
            offer_id=wanted.offer_id,
            outcome=Outcome.LIVE,
            operation_id=operation_id or (go_live.id if go_live else None),
            images=images,
            removed=self._removed,
            changed=self._changed,
            approved_by=self._decision.approver if self._decision else None,
        )

    def _objection(self, wanted: ValidateAndGoLiveInput, decision: GoLiveDecision) -> str | None:
        """Say why a decision cannot stand."""
        if workflow.cancellation_reason() is not None:
            return "this run is being cancelled"
        if self._logbook.progress.error is not None:
            return f"this run has failed: {self._logbook.progress.error}"
        approvers = [approver.casefold() for approver in wanted.approval.approvers]
        if not wanted.approval.required:
            return "this run goes live without approval"
        if approvers and (decision.approver or "").casefold() not in approvers:
            return f"{_name(decision)} is not among those who may decide on going live"
        if self._decision is not None:
            return f"{_name(self._decision)} has decided already; {_name(decision)} comes too late"
        return None

    def _preview_changed(self, wanted: ValidateAndGoLiveInput, how: str) -> None:
        """Ask again, unless nobody has to be asked, or the approval was given for the images before any preview."""
        if wanted.approval.required and (self._approved is not None or not wanted.images):
            self._reopen(how)
        else:
            self._logbook.note(how)

    def _decide(self, decision: GoLiveDecision) -> None:
        """Let a decision stand: for the preview that was shown, or for the images where none was yet."""
        self._decision = decision
        self._approved = self._shown
        self._tell_approval(decision=decision, reopened=None)

    def _reopen(self, why: str) -> None:
        """Ask again: what was approved is not what would go live."""
        self._decision = None
        self._approve_until = None
        self._tell_approval(decision=None, reopened=why, until=None)
        self._logbook.note(f"approval is needed again: {why}")

    def _tell_approval(self, **changes: object) -> None:
        approval = self._logbook.progress.approval or ApprovalProgress(required=True)
        self._logbook.approval(approval.model_copy(update=changes))

    def _signaled(self, decision: GoLiveDecision) -> None:
        """Let a decision stand, or tell whoever looks why it does not."""
        if self._wanted is None:
            self._early.append(decision)
            return
        objection = self._objection(self._wanted, decision)
        if objection is None:
            self._decide(decision)
        else:
            what = "an approval" if decision.approve else "a rejection"
            self._logbook.note(f"{what} was ignored: {objection}")

    @workflow.signal(description='Approve going live: nothing, or {"approver": "…", "comment": "…"}.')
    def approve_go_live(self, decision: RawValue = NOTHING) -> None:
        """Take an `ApproveGoLive`."""
        sent = self._logbook.received("approve_go_live", ApproveGoLive, decision)
        if sent is not None:
            self._signaled(_decision(sent.approver, sent.comment, approve=True))

    @workflow.signal(description='Reject going live: nothing, or {"approver": "…", "reason": "…"}.')
    def reject_go_live(self, decision: RawValue = NOTHING) -> None:
        """Take a `RejectGoLive`."""
        sent = self._logbook.received("reject_go_live", RejectGoLive, decision)
        if sent is not None:
            self._signaled(_decision(sent.approver, sent.reason, approve=False))

    @workflow.update(description='Decide on going live: {"approve": true, "approver": "…", "comment": "…"}.')
    async def decide_go_live(self, decision: RawValue = NOTHING) -> GoLiveDecision:
        """Take a `DecideGoLive`; answer with the decision that stands."""
        taken = _decided(decision)
        await workflow.wait_condition(lambda: self._wanted is not None or self._logbook.progress.error is not None)
        self._check_decision(decision)
        self._decide(taken)
        return taken

    @decide_go_live.validator
    def _check_decision(self, decision: RawValue = NOTHING) -> None:
        """Refuse at once what could not stand, so that it leaves nothing in the history."""
        taken = _decided(decision)
        objection = self._logbook.progress.error
        if self._wanted is not None:
            objection = self._objection(self._wanted, taken)
        if objection is not None:
            raise ApplicationError(objection, type="DecisionRefused", non_retryable=True)

    @workflow.signal(description="Look now instead of at the next timer.")
    async def check_now(self, _ignored: RawValue = NOTHING) -> None:
        """Pass the request on to the run that looks; survey the offer again where approval is awaited."""
        self._check_now = self._logbook.heeds_check_now() or self._check_now
        await self._logbook.pass_on_check_now()

    @workflow.signal(description="Sent by the run that follows the operation.")
    def operation_moved(self, moved: RawValue = NOTHING) -> None:
        """Take over how the operation stands."""
        self._logbook.operation_moved(moved)

    @workflow.query(description="Stage, operation, steps, images, approval, and what the run waits for.")
    def progress(self) -> Progress:
        """Tell how the run stands."""
        return self._logbook.progress


def _is_live(wanted: ValidateAndGoLiveInput, survey: Survey) -> bool:
    """Tell whether there is nothing left to promote."""
    if wanted.images:
        return survey.in_production
    return (
        survey.preview_exists
        and not (survey.adds or survey.removes or survey.running)
        and (not survey.awaits_sign_off)
    )


def _went_live(wanted: ValidateAndGoLiveInput, survey: Survey) -> bool:
    """Tell whether what is missing in Production has been promoted, and Production is only late to show it."""
    return survey.went_live and (survey.in_preview if wanted.images else bool(survey.adds))


def _is_younger(published: Operation | None, decision: GoLiveDecision | None) -> bool:
    published_at = published.changed_at if published is not None else None
    return decision is not None and published_at is not None and published_at > decision.decided_at


def _may_be_promoted(wanted: ValidateAndGoLiveInput, survey: Survey) -> bool:
    return survey.awaits_sign_off and (survey.in_preview or not wanted.images)


def _decision(approver: str | None, remark: str | None, *, approve: bool) -> GoLiveDecision:
    return GoLiveDecision(approve=approve, approver=approver, comment=remark, decided_at=workflow.now())


def _decided(sent: RawValue) -> GoLiveDecision:
    decision = read(DecideGoLive, sent, MAX_SIGNAL)
    return _decision(decision.approver, decision.comment, approve=decision.approve)


def _name(decision: GoLiveDecision) -> str:
    return decision.approver or "somebody who gave no name"
