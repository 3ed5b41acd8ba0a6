"""The decision on going live: who may take it, what it holds for, and when it has to be taken again."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.offers import Survey
    from marketplace.model import Operation, Promotion
    from marketplace.wording import listed, one_line
    from workflows.errors import final
    from workflows.messages import GoLiveDecision, PublishStage, ValidateAndGoLiveInput
    from workflows.people import AWAITING_APPROVAL, notify
    from workflows.publication import SignOff
    from workflows.stages import Stages

MAX_COMMENT = 1000
"""Characters of a comment in an error."""


class Approval:
    """The sign-off of one run. The first valid decision stands, for what was shown."""

    def __init__(self, stages: Stages, wanted: ValidateAndGoLiveInput) -> None:
        self._stages = stages
        self._logbook = stages.logbook
        self._wanted = wanted
        publication = stages.publication
        if publication.sign_off is None:
            publication.sign_off = SignOff(required=wanted.approval.required, approvers=wanted.approval.approvers)
            self._logbook.show()
        self.sign_off: SignOff = publication.sign_off

    @property
    def approver(self) -> str | None:
        """Who approved going live; ``None`` if nobody did, or gave no name."""
        decision = self.sign_off.decision
        return decision.approver if decision is not None and decision.approve else None

    def heed(self, policy: Sequence[str]) -> None:
        """Narrow the input's approvers to those that the worker's policy allows.

        Args:
            policy: The approvers that the worker requires. Empty: only the input counts.

        Raises:
            ApplicationError: ``NotAuthorized``: the policy allows none of the input's approvers.
        """
        wanted, sign_off = self._wanted.approval, self.sign_off
        named = [each.casefold() for each in wanted.approvers]
        allowed = [each for each in policy if not named or each.casefold() in named]
        if policy and not allowed:
            raise final(
                "NotAuthorized",
                f"{self._stages.offer}: none of this run's approvers may decide on going live. The worker allows only"
                f" {listed(policy)} (GO_LIVE_APPROVERS). Start the run again with one of them as an approver.",
            )
        sign_off.required = wanted.required or bool(policy)
        sign_off.approvers = allowed or wanted.approvers
        if policy and not wanted.required:
            self._logbook.note("the worker requires an approval (GO_LIVE_APPROVERS) that this run's input does not")
        if sign_off.decision is not None and not self._may_decide(sign_off.decision):
            self.reopen(f"{_name(sign_off.decision)} is not an approver that the worker allows")
        self._logbook.show()

    def _may_decide(self, decision: GoLiveDecision) -> bool:
        approvers = [approver.casefold() for approver in self.sign_off.approvers]
        return not approvers or (decision.approver or "").casefold() in approvers

    def objection(self, decision: GoLiveDecision) -> str | None:
        """Return why a decision cannot stand."""
        if workflow.cancellation_reason() is not None:
            return "this run is being cancelled"
        publication = self._logbook.publication
        if publication.error is not None or publication.stage is PublishStage.LIVE:
            return f"this run has failed: {publication.error}" if publication.error else "this run has gone live"
        if not self.sign_off.required:
            return "this run goes live without approval"
        if not self._may_decide(decision):
            return (
                f"{_name(decision)} is not among those who may decide on going live:"
                f" {listed(self.sign_off.approvers)}"
            )
        if self.sign_off.decision is not None:
            taken = self.sign_off.decision
            verb = "approved" if taken.approve else "rejected"
            return (
                f"{_name(taken)} {verb} going live at {taken.decided_at:%Y-%m-%d %H:%M} UTC already;"
                f" {_name(decision)} comes too late"
            )
        return None

    def decide(self, decision: GoLiveDecision) -> None:
        """Record a decision. It holds for the preview that was shown, or for the images if none was shown yet."""
        self.sign_off.decision = decision
        self.sign_off.approved = self.sign_off.shown
        self.sign_off.reopened = None
        verb = "approved" if decision.approve else "rejected"
        self._logbook.log(f"going live was {verb} by {_name(decision)}")
        self._logbook.show()

    def signaled(self, decision: GoLiveDecision) -> None:
        """Record a decision that came as a signal, or note why it is ignored."""
        objection = self.objection(decision)
        if objection is None:
            self.decide(decision)
        else:
            what = "an approval" if decision.approve else "a rejection"
            self._logbook.log(f"{what} was ignored: {objection}")
            self._logbook.note(f"{what} was ignored: {objection}")

    def reopen(self, why: str) -> None:
        """Ask for the decision again: what was approved is not what would go live."""
        self.sign_off.decision = None
        self.sign_off.until, self.sign_off.reminders = None, 0
        self.sign_off.reopened = why
        self._logbook.log(f"approval is needed again: {why}")
        self._logbook.note(f"approval is needed again: {why}")

    def raise_if_rejected(self) -> None:
        """Raise ``GoLiveRejected`` if somebody has rejected going live."""
        decision = self.sign_off.decision
        if decision is None or decision.approve:
            return
        why = f": {one_line(decision.comment, MAX_COMMENT)}" if decision.comment else ""
        raise final(
            "GoLiveRejected",
            f"{self._stages.offer}: going live was rejected by {_name(decision)}{why}. The preview stays as it is."
            " Its images also go live with the next version, unless somebody removes them from the draft first.",
        )

    def holds_for_the_images(self) -> bool:
        """Whether the images may go live as they are, without anybody seeing the rest of the preview first."""
        given = self.sign_off.decision is not None and self.sign_off.decision.approve
        unseen = given and self.sign_off.approved is None
        return bool(self._wanted.images) and (unseen or not self.sign_off.required)

    def shown_promotion(self) -> Promotion | None:
        """Return what the approver was shown; ``None`` if the decision came before there was a preview."""
        if self.sign_off.decision is None or self.sign_off.approved is None:
            return None
        return self.sign_off.promotion

    def preview_changed(self, how: str) -> None:
        """Ask again, unless no approval is required or it was given for the images before there was a preview."""
        if self.sign_off.required and (self.sign_off.approved is not None or not self._wanted.images):
            self.reopen(how)
        else:
            self._logbook.note(how)

    async def is_given(self, survey: Survey) -> bool:
        """Wait for the decision on the preview; return ``False`` when the offer has to be surveyed again first."""
        if not self.sign_off.required:
            return True
        self._reconsider(survey)
        self.sign_off.promotion = survey.promotion
        self._logbook.show()  # before anybody can decide on it
        if self.sign_off.until is None:
            self.sign_off.until = self._stages.waiting.now + self._wanted.approval.timeout
        if self.sign_off.decision is None:
            await self._ask(survey.last_publish, self.sign_off.until)
            if self.sign_off.decision is None or not self._wanted.images:
                # Without images, the approval is for the preview of this moment: survey it once more.
                return False
        self.raise_if_rejected()
        return True

    def _reconsider(self, survey: Survey) -> None:
        """Ask for the decision again if it was on something else than the surveyed preview."""
        published = survey.last_publish.id if survey.last_publish else None
        another = self.sign_off.decision is not None and self.sign_off.approved not in {None, published}
        # Without images, an approval is for the preview that waited for sign-off then, whoever published it.
        if another and (self._wanted.images or not _is_older(survey.last_publish, self.sign_off.decision)):
            self.reopen("the offer has been published again since")
        elif self._wanted.images and self.shown_promotion() not in (None, survey.promotion):
            self.reopen("going live would do something else than what was shown")
        given = self.sign_off.decision is not None and self.sign_off.decision.approve
        if given and not self._wanted.images and self.sign_off.until is None:
            # An early approval holds for the images that the input names. This one names none.
            self.reopen("it was given before a preview was shown")

    async def _ask(self, publish: Operation | None, until: datetime) -> None:
        """Show the preview, and wait until somebody decides on it. The deadline counts again afterwards."""
        publication = self._stages.publication
        self.sign_off.shown = publish.id if publish else None
        await self._stages.show_steps(publish)
        # The run waits for a person now, perhaps across continue-as-new.
        publication.rounds = 0
        publication.wait_until = until + self._wanted.deadline
        await self._wait(until)
        publication.wait_until = self._stages.waiting.now + self._wanted.deadline

    async def _wait(self, until: datetime) -> None:
        """Wait until somebody decides, or asks for another survey of the offer."""
        who = listed(self.sign_off.approvers) or "anyone"
        entering = self._logbook.publication.stage is not PublishStage.AWAITING_APPROVAL
        self._logbook.stage(PublishStage.AWAITING_APPROVAL, f"approval to go live, by {who}")
        if entering:
            again = self.sign_off.reopened
            what = f"needs another decision: {again}" if again else "is ready"
            await notify(
                self._logbook,
                AWAITING_APPROVAL,
                f"The preview of {self._stages.offer} {what}. Look at it, then approve or reject going live.",
            )
        summary = f"Approval to go live, by {who}; until {until:%Y-%m-%d %H:%M} UTC"
        while True:
            reminders = [until - before for before in _reminders(self._wanted.approval.timeout)]
            moment = next(iter(reminders[self.sign_off.reminders :]), until)
            if not await self._stages.waiting.until(
                moment, summary, lambda: self.sign_off.decision is not None, ends=moment == until
            ):
                return
            now = self._stages.waiting.now
            if now >= until:
                raise final(
                    "ApprovalTimedOut",
                    f"{self._stages.offer}: nobody decided on going live within {self._wanted.approval.timeout}. The"
                    " preview stays as it is: start the run again to ask again.",
                )
            self.sign_off.reminders = sum(each <= now for each in reminders)
            await notify(
                self._logbook,
                AWAITING_APPROVAL,
                f"The preview of {self._stages.offer} still waits for somebody to approve or reject going live. The"
                f" run gives up at {until:%Y-%m-%d %H:%M} UTC.",
                reminder=self.sign_off.reminders,
            )


def _reminders(timeout: timedelta) -> tuple[timedelta, timedelta]:
    """Return how long before the end people are reminded: halfway, and shortly before it."""
    return timeout / 2, min(timeout / 8, timedelta(days=1))


def _is_older(published: Operation | None, decision: GoLiveDecision | None) -> bool:
    published_at = published.changed_at if published is not None else None
    return decision is not None and published_at is not None and published_at <= decision.decided_at


def _name(decision: GoLiveDecision) -> str:
    return decision.approver or "somebody who gave no name"
