"""Receives decisions on going live, by signals and by an update, even before the run can judge them."""

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from workflows.approval import Approval
    from workflows.inputs import MAX_SIGNAL, Model, validated
    from workflows.logbook import Logbook
    from workflows.messages import ApproveGoLive, DecideGoLive, GoLiveDecision, RejectGoLive
    from workflows.waiting import Waiting


class Decisions:
    """The decisions that are sent to one run."""

    def __init__(self, logbook: Logbook, waiting: Waiting) -> None:
        self._logbook = logbook
        self._waiting = waiting
        self._early: list[GoLiveDecision] = []
        self._approval: Approval | None = None

    def open(self, approval: Approval) -> Approval:
        """Begin to judge decisions. First come those that arrived before the run knew who may decide."""
        self._approval = approval
        for decision in self._early:
            approval.signaled(decision)
        return approval

    def approve(self, sent: RawValue) -> None:
        """Take the payload of ``approve_go_live``."""
        approval = self._received("approve_go_live", ApproveGoLive, sent)
        if approval is not None:
            self._signaled(_decision(approval.approver, approval.comment, approve=True))

    def reject(self, sent: RawValue) -> None:
        """Take the payload of ``reject_go_live``."""
        rejection = self._received("reject_go_live", RejectGoLive, sent)
        if rejection is not None:
            self._signaled(_decision(rejection.approver, rejection.reason, approve=False))

    async def decide(self, sent: RawValue) -> GoLiveDecision:
        """Take the payload of ``decide_go_live``; return the decision that stands."""
        decision = _decided(sent)
        await workflow.wait_condition(
            lambda: self._approval is not None or self._logbook.publication.error is not None
        )
        self.check(sent)
        if self._approval is not None:
            self._approval.decide(decision)
        return decision

    def check(self, sent: RawValue) -> None:
        """Refuse a decision that would have no effect, before it is written to the history.

        Raises:
            ApplicationError: ``InvalidInput``, or ``DecisionRefused`` with the reason.
        """
        decision = _decided(sent)
        objection = self._logbook.publication.error
        if self._approval is not None:
            objection = self._approval.objection(decision)
        if objection is not None:
            raise ApplicationError(objection, type="DecisionRefused", non_retryable=True)

    def _received(self, signal: str, model: type[Model], sent: RawValue) -> Model | None:
        """Read a signal's payload. A payload of the wrong shape is noted and has no other effect."""
        self._waiting.heard()
        try:
            return validated(model, sent, MAX_SIGNAL)
        except ApplicationError as error:
            self._logbook.note(f"signal {signal} was refused at {workflow.now():%Y-%m-%d %H:%M} UTC: {error.message}")
            return None

    def _signaled(self, decision: GoLiveDecision) -> None:
        if self._approval is None:
            self._early.append(decision)
        else:
            self._approval.signaled(decision)


def _decision(approver: str | None, remark: str | None, *, approve: bool) -> GoLiveDecision:
    return GoLiveDecision(approve=approve, approver=approver, comment=remark, decided_at=workflow.now())


def _decided(sent: RawValue) -> GoLiveDecision:
    decision = validated(DecideGoLive, sent, MAX_SIGNAL)
    return _decision(decision.approver, decision.comment, approve=decision.approve)
