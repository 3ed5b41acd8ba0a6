"""The runs of an example: start them, act on them, wait until they settle, and check what they report."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.service import RPCError, RPCStatusCode

from tests.campaigns.histories import History, failing_tasks
from tests.campaigns.model.ends import complaints
from tests.campaigns.model.entities import Decision, Intent
from tests.campaigns.model.inputs import input_of
from tests.campaigns.model.played_offer import PlayedOffer
from tests.campaigns.model.rig import Settled, progress_of, queue_of
from workflows.messages import Progress, PublicationResult

_WORKFLOWS = {
    "create": "CreateOfferAndPublish",
    "update": "UpdateOfferAndPublish",
    "promote": "ValidateAndGoLive",
    "check": "CheckLastOperationStatus",
}


class Runs:
    """The runs on one offer, one for each intent of the model."""

    def __init__(self, offer: PlayedOffer) -> None:
        self._offer = offer
        self._rig = offer.rig
        self._world = offer.world
        self._handles: dict[str, WorkflowHandle[Any, PublicationResult]] = {}
        self._settled: dict[str, Settled] = {}

    def open(self) -> list[Intent]:
        """Return the intents whose runs have not ended."""
        return [each for each in self._world.intents if each.open]

    def looking(self) -> list[Intent]:
        """Return the open intents whose runs are about to look."""
        return [each for each in self.open() if self._settled[each.name].state == "looks"]

    def asking(self) -> list[Intent]:
        """Return the open intents whose runs ask for an approval."""
        return [each for each in self.open() if self._settled[each.name].state == "asks"]

    async def start(self, intent: Intent, early: bool | None = None, person: str | None = None) -> None:  # noqa: FBT001
        """Start a run.

        Args:
            intent: What the run is for.
            early: Whether the start approves or rejects. ``None`` means neither.
            person: The name of the person who approves or rejects.
        """
        options: dict[str, Any] = {}
        if early is not None:
            options = {"start_signal": "approve_go_live" if early else "reject_go_live"}
            options["start_signal_args"] = [{"approver": person}]
        self._handles[intent.name] = await self._rig.client.start_workflow(
            _WORKFLOWS[intent.workflow],
            input_of(intent, self._offer.publisher_id, self._offer.api),
            id=f"{self._offer.publisher_id}/{intent}",
            task_queue=queue_of(self._offer.api),
            result_type=PublicationResult,
            **options,
        )

    async def start_together(self, intents: Sequence[Intent]) -> None:
        """Start several runs at once."""
        await asyncio.gather(*(self.start(each) for each in intents))

    async def decide(self, intent: Intent, person: str | None, *, approve: bool, update: bool) -> bool | None:
        """Send a decision. Return whether the run accepted it. A signal has no answer."""
        handle = self._handles[intent.name]
        if not update:
            await handle.signal("approve_go_live" if approve else "reject_go_live", {"approver": person})
            return None
        try:
            await handle.execute_update("decide_go_live", {"approve": approve, "approver": person})
        except WorkflowUpdateFailedError:
            return False
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # the run has ended
                raise
            return False
        return True

    def expect_decision(self, intent: Intent, person: str | None, *, approve: bool) -> bool:
        """Return whether a run must accept a decision. If it must, record the decision."""
        if not intent.may_decide(person):
            return False
        approves = intent.shown
        if not intent.images:
            waiting = self._world.now.waiting
            approves = frozenset(waiting.content) if waiting else frozenset()
        intent.decision = Decision(approve, str(person), approves)
        return True

    async def cancel(self, intent: Intent) -> None:
        """Cancel a run."""
        intent.cancelled = True
        self._rig.gate.forget(self._settled[intent.name].looker)
        await self._handles[intent.name].cancel()

    async def check_now(self, intent: Intent) -> None:
        """Send ``check_now``."""
        await self._handles[intent.name].signal("check_now")

    def let_look(self, intent: Intent) -> None:
        """Let a run look at the operation that it follows."""
        self._rig.gate.let_go(self._settled[intent.name].looker)

    async def settle(self, intent: Intent) -> str:
        """Wait until a run settles, and check what it shows or how it ended. Return a text for the list of steps."""
        handle = self._handles[intent.name]
        try:
            settled = self._settled[intent.name] = await self._rig.settle(handle, cancelled=intent.cancelled)
        except TimeoutError:
            try:
                shows = (await progress_of(handle)).model_dump_json(exclude_defaults=True)
            except RPCError as error:
                shows = f"no progress ({error})"
            self._complain(f"{intent} does not settle, and shows {shows}")
            return ""
        if settled.state == "ended":
            await self._check_end(intent)
            return f" → {intent} ended: {intent.ended}"
        progress = await progress_of(handle)
        self._check_progress(intent, settled, progress)
        return f" → {intent} waits for {self._offer.readable(progress.waiting_for)}"

    async def check_histories(self) -> None:
        """Check the histories of all runs on the offer, internal ones included."""
        prefixes = (f"{self._offer.publisher_id}/", f"internal/draft/{self._offer.publisher_id}/")
        for workflow_id, run_id in sorted(self._rig.gate.seen):
            if not workflow_id.startswith(prefixes):
                continue
            handle = self._rig.client.get_workflow_handle(workflow_id, run_id=run_id)
            described = await handle.describe()
            if described.status is not None and described.status.name == "RUNNING":
                self._complain(f"{workflow_id} is still running")
            history = await handle.fetch_history()
            for each in failing_tasks(History(workflow_id, run_id, described.status, history.events)):
                self._complain(each)

    async def terminate(self) -> None:
        """Terminate all open runs."""
        for intent in self.open():
            if intent.name in self._handles:
                with contextlib.suppress(RPCError):  # it has just ended
                    await self._handles[intent.name].terminate()

    def _complain(self, finding: str) -> None:
        self._offer.findings.append(finding)

    async def _check_end(self, intent: Intent) -> None:
        """Check the outcome or the error of a run that has ended."""
        result: PublicationResult | None = None
        message = ""
        try:
            result = await self._handles[intent.name].result()
            outcome = str(result.outcome)
        except WorkflowFailureError as failure:
            cause, message = failure.cause, f" ({failure.cause})"
            outcome = str(cause.type) if isinstance(cause, ApplicationError) else type(cause).__name__
            outcome = "canceled" if isinstance(cause, CancelledError) else outcome
        for each in complaints(intent, outcome, self._world, self._offer.since):
            self._complain(f"{each}{message}")
        if result is not None:
            self._check_result(intent, result)
        intent.ended = outcome

    def _check_result(self, intent: Intent, result: PublicationResult) -> None:
        """Compare a result with what the marketplace has."""
        now = self._world.now
        if result.operation_id is not None and now.operation(self._offer.operation_id(result.operation_id)) is None:
            self._complain(f"{intent} names an operation that does not exist")
        if any(each.asked_by == intent.name for each in now.operations if each.kind == "publish") > result.changed:
            self._complain(f"{intent} published, and reports that nothing was changed")
        if result.approved_by is not None and (intent.decision is None or intent.decision.by != result.approved_by):
            self._complain(f"{intent} reports that {result.approved_by} approved")

    def _check_progress(self, intent: Intent, settled: Settled, progress: Progress) -> None:
        """Compare the progress of a run with the model, and record what it shows to approvers."""
        if not progress.waiting_for:
            self._complain(f"{intent} waits ({progress.stage}) and does not say for what")
        self._check_decision(intent, progress)
        if settled.state == "looks":
            self._check_operation(intent, progress)
        elif intent.workflow != "promote" or not intent.approval or intent.decision is not None:
            self._complain(f"{intent} asks for an approval that it does not need")
        else:
            self._check_question(intent, progress)

    def _check_decision(self, intent: Intent, progress: Progress) -> None:
        """Check that a run drops a decision only when something else was published, and says why."""
        approval = progress.approval
        if intent.decision is None or (approval is not None and approval.decision is not None):
            return
        shown = self._world.now.operation(intent.shown_publish)
        outdated = self._last_publish() != intent.shown_publish or (shown is not None and shown.state != "waits")
        if approval is None or approval.reopened is None or not (outdated or not intent.images):
            self._complain(f"{intent} forgot the decision of {intent.decision.by}")
        intent.decision = None

    def _check_operation(self, intent: Intent, progress: Progress) -> None:
        """Check that a run names the operation that it looks at. Before its first look it cannot."""
        named = progress.operation
        known = self._world.now.operation(self._offer.operation_id(named.id)) if named is not None else None
        if (named is None and progress.looks) or (named is not None and known is None):
            self._complain(f"{intent} does not say at which operation it looks")

    def _check_question(self, intent: Intent, progress: Progress) -> None:
        """Check what a run shows to its approvers."""
        approval, now = progress.approval, self._world.now
        # Others may have published since the run looked.
        named = self._offer.operation_id(progress.operation.id) if progress.operation else None
        intent.shown_publish = named or self._last_publish()
        intent.shown = frozenset(now.preview or ())
        live = frozenset(now.production or ())
        changes = (approval.adds, approval.removes) if approval else ()
        shows = [frozenset(f"{each.plan_id} {each.version}" for each in images) for images in changes]
        if shows != [intent.shown - live, live - intent.shown]:
            self._complain(f"{intent} shows the wrong preview: {shows}")
        if not all(person in (progress.waiting_for or "") for person in intent.approvers):
            self._complain(f"{intent} does not say who may decide: {progress.waiting_for}")

    def _last_publish(self) -> str | None:
        operations = reversed(self._world.now.operations)
        return next((each.id for each in operations if each.kind == "publish"), None)
