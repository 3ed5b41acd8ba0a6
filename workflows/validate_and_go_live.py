"""The workflow `ValidateAndGoLive`."""

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from workflows.approval import Approval
    from workflows.closing import closing
    from workflows.decisions import Decisions
    from workflows.going_live import GoingLive
    from workflows.inputs import NOTHING, validated
    from workflows.logbook import Logbook
    from workflows.messages import (
        GoLiveDecision,
        IfPublishing,
        Progress,
        PublicationResult,
        ValidateAndGoLiveInput,
    )
    from workflows.stages import begin
    from workflows.taking_back import taking_back
    from workflows.waiting import Waiting


@workflow.defn
class ValidateAndGoLive:
    """Bring images from the preview, or through it, to Production, once somebody has approved.

    Others may write to the same offer at any time. Therefore the run surveys the offer, does the next thing that is
    missing, and surveys again. Nothing but the approved preview goes live.
    """

    def __init__(self) -> None:
        self._logbook = Logbook()
        self._waiting = Waiting(self._logbook)
        self._decisions = Decisions(self._logbook, self._waiting)

    @workflow.run
    async def run(self, request: RawValue = NOTHING) -> PublicationResult:
        """Take a `ValidateAndGoLiveInput`."""
        async with closing(self._logbook):
            wanted = validated(ValidateAndGoLiveInput, request)
            stages = begin(self._logbook, self._waiting, request, wanted.key, wanted, wanted)
            approval = self._decisions.open(Approval(stages, wanted))
            going_live = GoingLive(stages, approval, wanted)
            async with taking_back(stages):
                while True:
                    just_published = await stages.follow()
                    approval.raise_if_rejected()
                    if stages.publication.gone_live is not None:
                        await going_live.verify()
                        return await going_live.end()
                    if just_published and approval.holds_for_the_images():
                        await going_live.promote()
                        continue
                    stages.count_round()
                    survey = await going_live.edit()
                    if going_live.is_done(survey):
                        return await going_live.end(survey)
                    if survey.going_live is not None:
                        await stages.make_way(survey.going_live, IfPublishing.WAIT)
                    elif going_live.was_promoted(survey):
                        await going_live.verify(survey)
                    elif not going_live.may_be_promoted(survey):
                        await going_live.bring_to_preview(survey)
                    elif await approval.is_given(survey):
                        await going_live.promote(survey)

    @workflow.signal(description='Approve going live: nothing, or {"approver": "…", "comment": "…"}.')
    def approve_go_live(self, decision: RawValue = NOTHING) -> None:
        """Take an `ApproveGoLive`."""
        self._decisions.approve(decision)

    @workflow.signal(description='Reject going live: nothing, or {"approver": "…", "reason": "…"}.')
    def reject_go_live(self, decision: RawValue = NOTHING) -> None:
        """Take a `RejectGoLive`."""
        self._decisions.reject(decision)

    @workflow.update(description='Decide on going live: {"approve": true, "approver": "…", "comment": "…"}.')
    async def decide_go_live(self, decision: RawValue = NOTHING) -> GoLiveDecision:
        """Take a `DecideGoLive`; answer with the decision that stands."""
        return await self._decisions.decide(decision)

    @decide_go_live.validator
    def _check_decision(self, decision: RawValue = NOTHING) -> None:
        """Refuse a decision that would have no effect, before it is written to the history."""
        self._decisions.check(decision)

    @workflow.signal(description="Look now instead of at the next timer.")
    def check_now(self, _ignored: RawValue = NOTHING) -> None:
        """Cut the wait short. A run that awaits approval surveys the offer again."""
        self._waiting.check_now()

    @workflow.query(description="Stage, operation, steps, images, approval, and what the run is waiting for.")
    def progress(self) -> Progress:
        """Return how the run stands."""
        return self._logbook.progress()
