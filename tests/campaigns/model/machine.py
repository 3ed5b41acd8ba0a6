"""The state machine: what people, the marketplace and strangers do, in any order, and what the model says to it."""

import asyncio
import contextlib
import itertools
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.service import RPCError, RPCStatusCode

from sandbox import DEFAULT_TOKEN
from sandbox.faults import Fault, StepFault, StrangerAct, StrangerChange, StrangerEdit
from sandbox.marketplace import LogEntry
from sandbox.state import Offer, Publisher
from sandbox.steps import progress_of as progress_of_operation
from sandbox.strangers import act_as_stranger
from sandbox.switches import Switches
from tests.campaigns.chaos.evidence import History
from tests.campaigns.chaos.invariants import failing_tasks
from tests.campaigns.chaos.scenarios import REFUSING_EDITS, WITHOUT_ETAGS
from tests.campaigns.model.ends import complaints
from tests.campaigns.model.inputs import PLANS, base, disk_of, input_of, published_by_hand, wants
from tests.campaigns.model.nouns import Decision, Intent, Request, Rules
from tests.campaigns.model.rig import STEP_SECONDS, Rest, Rig, progress_of, queue_of
from tests.campaigns.model.sights import sight_of
from tests.campaigns.model.world import World
from tests.harness.apis import CLOUD_PARTNER, PRODUCT_INGESTION, Api
from workflows.messages import Progress, PublicationResult

DANA, LEE, MALLORY = "dana@fabrikam.example", "lee@fabrikam.example", "mallory@fabrikam.example"
AT_ONCE = 4
"""Open runs on the offer; more only take time."""

OLD = 0.1
"""Seconds; a write takes no time, so who has read without a lock has lost."""

ROUNDS = 30
"""How often everything is let run out before a run counts as stuck."""

_TYPES = {
    "create": "CreateOfferAndPublish",
    "update": "UpdateOfferAndPublish",
    "promote": "ValidateAndGoLive",
    "check": "CheckLastOperationStatus",
}
_SWITCHES: dict[Api, Sequence[dict[str, Any]]] = {
    CLOUD_PARTNER: (
        {},
        {"cancel_async": True, "cancel_seconds": STEP_SECONDS},
        {"second_publish": "replace"},
        {"second_publish": "join"},
        {"sign_off_by": "operation_completed"},
        {"conflict_status": 409, "location_form": "none"},
        {"cancel_window": "sign_off_only"},
        {"preview_cleared_after_go_live": True},
        REFUSING_EDITS,
    ),
    PRODUCT_INGESTION: (
        {},
        {"cancel_async": True, "cancel_seconds": STEP_SECONDS, "canceled_submission": "cancelled"},
        {"after_go_live": "second_live", "contention": "423"},
        {"after_go_live": "preview_and_live", "contention": "400"},
        {"draft_changes": "completed", "draft_job_reads": 3, "contention": "job"},
        {"job_retention_seconds": 1, "no_pending_draft": "absent"},
        {"canceled_submission": "failed", "page_size": 1, "submissions_order": "shuffled"},
        {"tree_absent_status": 404, "error_details": "absent", "configuration_id": "refused"},
        REFUSING_EDITS | {"contention": "job", "failed_jobs_apply": "everything"},
        REFUSING_EDITS,
    ),
}
_RULES = {
    CLOUD_PARTNER: Rules(),
    PRODUCT_INGESTION: Rules(versions_grow=False, cancels_all=False, newest_of_draft_stays=True, forgets=True),
}
_TROUBLE: dict[str, dict[str, Any]] = {
    "answers 503": {"kind": "respond", "status": 503},
    "does it and answers 503": {"kind": "respond_after", "status": 503},
    "drops the connection": {"kind": "drop"},
    "does it and drops the connection": {"kind": "drop", "when": "after"},
    "is edited by a stranger just before": {"kind": "stranger_edit"},
    "is edited by a stranger just after": {"kind": "stranger_edit", "when": "after"},
    "is changed by a stranger just before": {"kind": "stranger_change"},
    "is changed by a stranger just after": {"kind": "stranger_change", "when": "after"},
    "is published by a stranger just before": {"kind": "stranger_publish"},
    "is published by a stranger just after": {"kind": "stranger_publish", "when": "after"},
    "goes live by a stranger just before": {"kind": "stranger_go_live"},
    "is cancelled by a stranger just before": {"kind": "stranger_cancel"},
    "is cancelled by a stranger just after": {"kind": "stranger_cancel", "when": "after"},
}

Act: TypeAlias = Literal["edit", "publish", "go_live", "cancel", "change"]
Which: TypeAlias = Literal["next", "same", "other disk"]
Wanted: TypeAlias = Sequence[tuple[str, Which]]

_numbers = itertools.count(1)
_wanted = st.tuples(st.sampled_from(PLANS), st.sampled_from(["next", "next", "same", "other disk"]))
_some = st.lists(_wanted, min_size=1, max_size=2, unique_by=lambda each: each[0])
_which = st.integers(0, AT_ONCE - 1)
_busy = st.sampled_from(["wait", "wait", "cancel", "fail"])
_people = st.sampled_from([DANA, LEE, MALLORY, None])
_approvers = st.sampled_from([(), (DANA,), (DANA, LEE)])


RULES = (
    *("update", "together", "promote", "create", "check"),
    *("decide", "decide_twice", "cancel", "check_now", "look"),
    *("advance", "step_fails", "stranger", "trouble"),
)


class FoundError(AssertionError):
    """Something must not be; the message is the list of steps that led to it."""


@dataclass
class Tally:
    """What was played, and what was found last."""

    examples: int = 0
    found: str = ""
    steps: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)


class PublishingMachine(RuleBasedStateMachine):
    """One offer of a publisher of its own."""

    def __init__(self, rig: Rig, tally: Tally, api: Api = CLOUD_PARTNER) -> None:
        super().__init__()
        self.rig = rig
        self.tally = tally
        self.api = api
        self.publisher_id = f"model-{next(_numbers)}"
        self.offer_id = api.offer_id(self.publisher_id)
        self.world = World(_RULES[api])
        self.askers: dict[str, str] = {}
        self.handles: dict[str, WorkflowHandle[Any, PublicationResult]] = {}
        self.rests: dict[str, Rest] = {}
        self.told: list[str] = []
        self.findings: list[str] = []
        self.versions = dict.fromkeys(PLANS, 0)
        self.since = 0
        self.by_hand = False
        self.etags = True
        self.over = False
        tally.examples += 1
        rig.gate.shut = True
        rig.gate.seen.clear()
        rig.marketplace.told = self._take_in
        if not api.names_publishers:
            rig.marketplace.owners[self.offer_id] = self.publisher_id

    # Where it begins

    @initialize(
        stage=st.sampled_from(["no offer", "draft", "preview", "live"]),
        turn=st.integers(0, 89),
        etags=st.booleans(),
    )
    def begin(self, stage: str, turn: int, *, etags: bool) -> None:
        """Let somebody without Temporal have brought the offer so far."""
        self.etags = etags and self.api.guards_drafts
        switches = _SWITCHES[self.api][turn % len(_SWITCHES[self.api])]
        if self.api.guards_drafts and not etags:
            switches = switches | WITHOUT_ETAGS
        self._step("begin", f"{stage}; marketplace: {json.dumps(switches)}")
        self.publisher.switches = Switches.model_validate(self.publisher.switches.model_dump() | switches)
        self.rig.run(self._set_up(stage))
        self._done()

    async def _set_up(self, stage: str) -> None:
        self.by_hand = True
        if stage != "no offer":
            await self._put_by_hand(published_by_hand(self.publisher_id, self.api))
        if stage in {"preview", "live"}:
            self._act("publish")
            self._let_time_pass(5)
        if stage == "live":
            self._act("go_live")
            self._let_time_pass(2)
        self.by_hand = False

    # What people start

    @rule(
        wanted=_some,
        if_publishing=_busy,
        limit=st.sampled_from([8, 8, 2]),
        remove_oldest=st.booleans(),
        includes=st.booleans(),
        alone=st.sampled_from([False, False, True]),
    )
    def update(
        self, wanted: Wanted, if_publishing: Any, limit: int, *, remove_oldest: bool, includes: bool, alone: bool
    ) -> None:
        """Start `UpdateOfferAndPublish`."""
        room: dict[str, Any] = {"limit": limit, "remove_oldest": remove_oldest}
        if not self.api.guards_drafts:
            room |= {"includes": includes, "alone": alone}
        self._start(self._intent("update", wanted, if_publishing=if_publishing, **room))

    @rule(
        wanted=st.one_of(_some, _some, st.just([])),
        if_publishing=_busy,
        approvers=_approvers,
        approval=st.sampled_from([True, True, True, False]),
        early=st.sampled_from([None, None, None, True, False]),
        who=_people,
    )
    def promote(
        self,
        wanted: Wanted,
        if_publishing: Any,
        approvers: Sequence[str],
        *,
        approval: bool,
        early: bool | None,
        who: str | None,
    ) -> None:
        """Start `ValidateAndGoLive`, approved or rejected with the start or not."""
        approval = approval or not wanted
        if not wanted and if_publishing == "cancel":
            if_publishing = "wait"
        intent = self._intent("promote", wanted, if_publishing=if_publishing, approval=approval, approvers=approvers)
        self._start(intent, early, who)

    @rule(wanted=st.one_of(st.just([]), _some), replace=st.booleans())
    def create(self, wanted: Wanted, *, replace: bool) -> None:
        """Start `CreateOfferAndPublish`."""
        self._start(self._intent("create", wanted, replace=replace))

    @rule()
    def check(self) -> None:
        """Start `CheckLastOperationStatus`."""
        self._start(self._intent("check", ()))

    @rule(limit=st.sampled_from([8, 8, 2]), remove_oldest=st.booleans())
    def together(self, limit: int, *, remove_oldest: bool) -> None:
        """Start `UpdateOfferAndPublish` for each plan at the same moment, where every read is old when it arrives."""
        if len(self._open()) + len(PLANS) > AT_ONCE:
            return
        more: dict[str, Any] = {"limit": limit, "remove_oldest": remove_oldest}
        intents = []
        for plan in PLANS:
            intents.append(self._intent("update", [(plan, "next")], **more))
            self.world.starts(intents[-1])
        self._step("together", "at once, " + ", ".join(f"{each}: update {wants(each)}" for each in intents))
        old = {
            "call": self.api.calls["read_slot"],
            "times": -1,
            "action": {"kind": "delay", "seconds": OLD, "when": "after"},
        }
        fault = self.rig.marketplace.add_fault(self.publisher, Fault.model_validate(old))
        self.rig.run(self._started_together(intents))
        for intent in intents:
            self._done(intent)
        self.publisher.faults.remove(fault)

    async def _started_together(self, intents: Sequence[Intent]) -> None:
        await asyncio.gather(*(self._started(each, None, None) for each in intents))

    def _intent(self, workflow: Any, wanted: Wanted, **more: Any) -> Intent:
        images = {}
        for plan, which in wanted:
            if which == "next":
                self.versions[plan] += 1
            version = f"1.{self.versions[plan]}.0"
            images[f"{plan} {version}"] = disk_of(plan, version, other=which == "other disk")
        if workflow == "create":
            images = base() | images
        return Intent(f"run-{len(self.world.intents) + 1}", workflow, images, **more)

    def _start(self, intent: Intent, early: bool | None = None, who: str | None = None) -> None:  # noqa: FBT001
        if len(self._open()) >= AT_ONCE:
            return
        said = "" if early is None else f"; {'approved' if early else 'rejected'} at once by {who}"
        self._step(intent.workflow, f"{intent}: {intent.workflow} {wants(intent)}{said}")
        self.world.starts(intent)
        if early is not None:
            self._decides(intent, who, approve=early)
        self.rig.run(self._started(intent, early, who))
        self._done(intent)

    async def _started(self, intent: Intent, early: bool | None, who: str | None) -> None:  # noqa: FBT001
        options: dict[str, Any] = {}
        if early is not None:
            options = {"start_signal": "approve_go_live" if early else "reject_go_live"}
            options["start_signal_args"] = [{"approver": who}]
        self.handles[intent.name] = await self.rig.client.start_workflow(
            _TYPES[intent.workflow],
            input_of(intent, self.publisher_id, self.api),
            id=f"{self.publisher_id}/{intent}",
            task_queue=queue_of(self.api),
            result_type=PublicationResult,
            **options,
        )

    # What people do about runs

    @precondition(lambda self: self.world.intents)
    @rule(which=_which, approve=st.sampled_from([True, True, False]), who=_people, update=st.booleans())
    def decide(self, which: int, who: str | None, *, approve: bool, update: bool) -> None:
        """Approve or reject, by update or by signal, asked or not, whoever one is."""
        intent = _nth(which, [each for each in self._open() if each.workflow == "promote"])
        if intent is None:
            return
        how = "an update" if update else "a signal"
        self._step("decide", f"{who} {'approves' if approve else 'rejects'} {intent} by {how}")
        expected = self._decides(intent, who, approve=approve)
        accepted = self.rig.run(self._decided(intent, who, approve=approve, update=update))
        if accepted is not None and accepted != expected:
            self.findings.append(f"the decision was {'taken' if accepted else 'refused'}")
        self._done(intent)

    @precondition(lambda self: self.world.intents)
    @rule(which=_which, approve=st.booleans())
    def decide_twice(self, which: int, *, approve: bool) -> None:
        """Decide as one who may, and once more otherwise, before the run has come to rest."""
        intent = _nth(which, [each for each in self._open() if each.workflow == "promote"])
        if intent is None:
            return
        who = next(iter(intent.approvers), DANA)
        self._step("decide_twice", f"{who} {'approves' if approve else 'rejects'} {intent}, then the other way")
        expected = self._decides(intent, who, approve=approve)
        first = self.rig.run(self._decided(intent, who, approve=approve, update=True))
        second = self.rig.run(self._decided(intent, who, approve=not approve, update=True))
        if first != expected or second:
            self.findings.append(f"decisions were taken: {first}, {second}")
        self._done(intent)

    def _decides(self, intent: Intent, who: str | None, *, approve: bool) -> bool:
        """Return whether a decision has to be taken; if so, it stands."""
        if not intent.may_decide(who):
            return False
        approves = intent.shown
        if not intent.images:
            waiting = self.world.now.waiting
            approves = frozenset(waiting.content) if waiting else frozenset()
        intent.decision = Decision(approve, str(who), approves)
        return True

    async def _decided(self, intent: Intent, who: str | None, *, approve: bool, update: bool) -> bool | None:
        """Send a decision; return whether it was taken, where there is an answer."""
        handle = self.handles[intent.name]
        if not update:
            await handle.signal("approve_go_live" if approve else "reject_go_live", {"approver": who})
            return None
        try:
            await handle.execute_update("decide_go_live", {"approve": approve, "approver": who})
        except WorkflowUpdateFailedError:
            return False
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # the run has ended
                raise
            return False
        return True

    @precondition(lambda self: self.world.intents)
    @rule(which=_which)
    def cancel(self, which: int) -> None:
        """Cancel a run."""
        intent = _nth(which, [each for each in self._open() if not each.cancelled])
        if intent is None:
            return
        self._step("cancel", f"{intent} is cancelled")
        intent.cancelled = True
        self.rig.gate.forget(self.rests[intent.name].looker)
        self.rig.run(self.handles[intent.name].cancel())
        self._done(intent)

    @precondition(lambda self: self.world.intents)
    @rule(which=_which)
    def check_now(self, which: int) -> None:
        """Ask a run to look now."""
        intent = _nth(which, self._open())
        if intent is None:
            return
        self._step("check_now", f"{intent} is asked to look now")
        self.rig.run(self.handles[intent.name].signal("check_now"))
        self._done(intent)

    @precondition(lambda self: self.world.intents)
    @rule(which=_which)
    def look(self, which: int) -> None:
        """Let a run look at the operation that it follows."""
        intent = _nth(which, [each for each in self._open() if self.rests[each.name].state == "looks"])
        if intent is None:
            return
        self._step("look", f"{intent} looks")
        self.rig.gate.let_go(self.rests[intent.name].looker)
        self._done(intent)

    # What the marketplace and strangers do

    @rule(steps=st.sampled_from([1, 5, 5]))
    def advance(self, steps: int) -> None:
        """Let the marketplace work, for one step of an operation, or to its end or its sign-off."""
        if self.world.now.busy is None:
            return
        self._step("advance", f"the marketplace gets on by {steps} step{'s' * (steps > 1)}")
        self._let_time_pass(steps)
        self._done()

    @rule()
    def step_fails(self) -> None:
        """Let the step that the marketplace is busy with fail."""
        busy = self.world.now.busy
        if busy is None or busy.state != "running" or self.offer is None:
            return
        self._step("step_fails", f"{busy.name} fails")
        known = self.offer.operation(busy.id)
        assert known is not None
        now = self.rig.clock.read()
        step = next(each.plan.id for each in progress_of_operation(known, now).steps if each.status == "inProgress")
        fault = StepFault(outcome="fail", duration_seconds=0)
        self.rig.marketplace.set_step_fault(self.publisher, step, fault, now)
        self._let_time_pass(0)
        self.rig.marketplace.set_step_fault(self.publisher, step, None, self.rig.clock.read())
        self._done()

    @rule(
        kind=st.sampled_from(["edit", "publish", "publish", "go_live", "cancel", "change"]),
        plan=st.sampled_from(PLANS),
    )
    def stranger(self, kind: Act, plan: str) -> None:
        """Let somebody else act at the marketplace."""
        if self.offer is None or (kind == "change" and self.api.guards_drafts):
            return
        self._step("stranger", f"a stranger: {kind} {plan if kind == 'edit' else ''}")
        refused = self._act(kind, plan)
        self.told[-1] += f" ({'refused' if refused else 'done'})"
        self._done()

    def _act(self, kind: Act, plan: str | None = None) -> str | None:
        """Act as somebody else; answers with why that was refused, if it was."""
        act: StrangerEdit | StrangerChange | StrangerAct
        if kind == "edit":
            act = StrangerEdit(kind="stranger_edit", plan_id=plan)
        elif kind == "change":
            act = StrangerChange(kind="stranger_change")
        else:
            act = StrangerAct(kind=f"stranger_{kind}")
        now = self.rig.clock.read()
        refused = act_as_stranger(self.rig.marketplace, self.publisher, self.offer_id, act, now)
        self._look_at_offer()
        return refused

    @rule(
        call=st.sampled_from(
            ["edit", "publish", "go_live", "cancel", "list_operations", "read_operation", "read_slot"]
        ),
        trouble=st.sampled_from(list(_TROUBLE)),
        after=st.sampled_from([0, 0, 1, 2]),
    )
    def trouble(self, call: Any, trouble: str, after: int) -> None:
        """Let a request to come go wrong."""
        if len(self.publisher.faults) >= 2:
            return
        if not self.etags and (call, trouble) == ("edit", "is edited by a stranger just before"):
            return  # nothing tells us of that edit before we write over it
        if self.api.guards_drafts and "changed" in trouble:
            return  # it is published with the rest
        self._step("trouble", f"at the next {call} but {after}, the offer {trouble}")
        hit = {"call": self.api.calls[call], "action": _TROUBLE[trouble], "after": after}
        fault = Fault.model_validate(hit)
        self.rig.marketplace.add_fault(self.publisher, fault)
        self._done()

    # How it ends

    def teardown(self) -> None:
        """Let everything run out and judge it; after a finding, just clear up."""
        try:
            if not self.over:
                self._run_out()
        finally:
            self.rig.marketplace.told = None
            self.rig.gate.open()
            self.rig.run(self._clear_up())

    def _run_out(self) -> None:
        """Let the marketplace get on and all look at the same time, and approve whatever asks, until all is over."""
        self._step("run_out", "everything runs out")
        self.publisher.faults.clear()
        for _ in range(ROUNDS):
            if not self._open():
                break
            self._let_time_pass(5)
            self.since = len(self.world.sights) - 1
            moved = [each for each in self._open() if self.rests[each.name].state == "looks"]
            for intent in moved:
                self.rig.gate.let_go(self.rests[intent.name].looker)
            for intent in moved:
                self._done(intent)
            for intent in self._open():
                if self.rests[intent.name].state == "asks":
                    self._approve(intent)
        else:
            self.findings += [f"{intent} is stuck" for intent in self._open()]
        self.rig.run(self._judge_histories())
        self._judge()

    def _approve(self, intent: Intent) -> None:
        who = next(iter(intent.approvers), DANA)
        self.told[-1] += f"; {who} approves {intent}"
        if not self._decides(intent, who, approve=True):
            self.findings.append(f"{intent} asks although it was decided")
        elif not self.rig.run(self._decided(intent, who, approve=True, update=True)):
            self.findings.append(f"{intent} asks and takes no decision")
        self._done(intent)

    async def _judge_histories(self) -> None:
        for workflow_id, run_id in sorted(self.rig.gate.seen):
            if not workflow_id.startswith((f"{self.publisher_id}/", f"internal/draft/{self.publisher_id}/")):
                continue
            handle = self.rig.client.get_workflow_handle(workflow_id, run_id=run_id)
            described = await handle.describe()
            if described.status is not None and described.status.name == "RUNNING":
                self.findings.append(f"{workflow_id} still runs")
            history = await handle.fetch_history()
            self.findings += failing_tasks(History(workflow_id, run_id, described.status, history.events))

    async def _clear_up(self) -> None:
        for intent in self._open():
            if intent.name in self.handles:
                with contextlib.suppress(RPCError):  # it has just ended
                    await self.handles[intent.name].terminate()
        self.rig.marketplace.state.publishers.pop(self.publisher_id, None)
        self.rig.marketplace.requests.clear()

    # What a step is made of

    def _step(self, name: str, said: str) -> None:
        self.over = True  # should the step itself break
        self.tally.steps[name] += 1
        self.told.append(said)
        self.since = len(self.world.sights) - 1

    def _done(self, intent: Intent | None = None) -> None:
        """Wait until the run that the step moved has come to rest, and judge."""
        if intent is not None:
            self.rig.run(self._come_to_rest(intent))
        self._judge()

    async def _come_to_rest(self, intent: Intent) -> None:
        handle = self.handles[intent.name]
        try:
            rest = self.rests[intent.name] = await self.rig.rest(handle, cancelled=intent.cancelled)
        except TimeoutError:
            try:
                shows = (await progress_of(handle)).model_dump_json(exclude_defaults=True)
            except RPCError as error:
                shows = f"no progress ({error})"
            self.findings.append(f"{intent} does not come to rest, and shows {shows}")
            return
        if rest.state == "ended":
            await self._ended(intent)
            self.told[-1] += f" → {intent} ended: {intent.ended}"
            return
        progress = await progress_of(handle)
        self._heed(intent, rest, progress)
        self.told[-1] += f" → {intent} waits for {self._readable(progress.waiting_for)}"

    async def _ended(self, intent: Intent) -> None:
        result: PublicationResult | None = None
        said = ""
        try:
            result = await self.handles[intent.name].result()
            outcome = str(result.outcome)
        except WorkflowFailureError as failure:
            cause, said = failure.cause, f" ({failure.cause})"
            outcome = str(cause.type) if isinstance(cause, ApplicationError) else type(cause).__name__
            outcome = "canceled" if isinstance(cause, CancelledError) else outcome
        self.findings += [f"{each}{said}" for each in complaints(intent, outcome, self.world, self.since)]
        if result is not None:
            self._believe(intent, result)
        intent.ended = outcome
        self.tally.ends[outcome] += 1

    def _believe(self, intent: Intent, result: PublicationResult) -> None:
        """Compare what a result says with what the marketplace has."""
        sight = self.world.now
        if result.operation_id is not None and sight.operation(self._resolved(result.operation_id)) is None:
            self.findings.append(f"{intent} names an operation that there is not")
        if any(each.asked_by == intent.name for each in sight.operations if each.kind == "publish") > result.changed:
            self.findings.append(f"{intent} published and says that nothing was changed")
        if result.approved_by is not None and (intent.decision is None or intent.decision.by != result.approved_by):
            self.findings.append(f"{intent} says that {result.approved_by} approved")

    def _heed(self, intent: Intent, rest: Rest, progress: Progress) -> None:
        """Compare what a run says about itself with what the model says, and take over what it shows people."""
        if not progress.waiting_for:
            self.findings.append(f"{intent} waits ({progress.stage}) and does not say for what")
        approval, sight = progress.approval, self.world.now
        published = next((each.id for each in reversed(sight.operations) if each.kind == "publish"), None)
        if intent.decision is not None and (approval is None or approval.decision is None):
            shown = sight.operation(intent.shown_publish)
            news = published != intent.shown_publish or (shown is not None and shown.state != "waits")
            if approval is None or approval.reopened is None or not (news or not intent.images):
                self.findings.append(f"{intent} forgot the decision of {intent.decision.by}")
            intent.decision = None
        if rest.state == "looks":
            seen = progress.operation
            # Before the first look it can say only that it waits for it.
            known = sight.operation(self._resolved(seen.id)) if seen is not None else None
            if (seen is None and progress.looks) or (seen is not None and known is None):
                self.findings.append(f"{intent} does not say at which operation it looks")
            return
        if intent.workflow != "promote" or not intent.approval or intent.decision is not None:
            self.findings.append(f"{intent} asks for an approval that it does not need")
            return
        # Others may have published since the run looked.
        intent.shown_publish = self._resolved(progress.operation.id) if progress.operation else published
        intent.shown = frozenset(sight.preview or ())
        live = frozenset(sight.production or ())
        told = (approval.adds, approval.removes) if approval else ()
        shows = [frozenset(f"{each.plan_id} {each.version}" for each in images) for images in told]
        if shows != [intent.shown - live, live - intent.shown]:
            self.findings.append(f"{intent} shows the wrong preview: {shows}")
        if not all(who in (progress.waiting_for or "") for who in intent.approvers):
            self.findings.append(f"{intent} does not say who may decide: {progress.waiting_for}")

    def _judge(self) -> None:
        """Raise when anything was found."""
        if not self.findings:
            self.over = False
            return
        steps = [f"{number:>3}. {self._readable(said)}" for number, said in enumerate(self.told, 1)]
        found = [f"  -> {self._readable(finding)}" for finding in dict.fromkeys(self.findings)]
        if not self.tally.found:
            print(
                "Found something:",
                *steps,
                *found,
                "Looking for fewer steps to it takes minutes.",
                sep="\n",
                flush=True,
            )
        self.tally.found = "\n".join(["", *steps, *found])
        raise FoundError(self.tally.found)

    def _readable(self, text: str | None) -> str:
        """Call operations by their place instead of their id."""
        readable = str(text)
        for job in self.publisher.jobs.values():
            readable = readable.replace(f"job:{job.id}", str(job.operation))
        # The id of one may be how that of another begins.
        for operation in sorted(self.world.now.operations, key=lambda each: -len(each.id)):
            readable = readable.replace(f"publish {operation.id}", operation.name).replace(
                operation.id, operation.name
            )
        return readable

    # What is looked at

    @property
    def publisher(self) -> Publisher:
        """The publisher at the marketplace."""
        return self.rig.marketplace.publisher(self.publisher_id)

    @property
    def offer(self) -> Offer | None:
        """The offer at the marketplace."""
        return self.publisher.offers.get(self.offer_id)

    def _open(self) -> list[Intent]:
        return [each for each in self.world.intents if each.open]

    def _take_in(self, entry: LogEntry) -> None:
        """Take in what the marketplace was asked."""
        if entry["publisher"] != self.publisher_id:
            return
        faults = entry["faults"] if isinstance(entry["faults"], list) else []
        said = {called: call for call, called in self.api.calls.items()}
        request = Request(
            call=said.get(str(entry["call"]), str(entry["call"])),
            status=entry["status"] if isinstance(entry["status"], int) else None,
            effect=bool(entry["effect"]),
            operation_id=str(entry["operation_id"]),
            stranger=any(str(fault).startswith("stranger") for fault in faults),
        )
        if request.effect and request.call == "publish" and not self.api.names_publishers:
            self.askers[str(request.operation_id)] = str(entry["client_request_id"]).rpartition("/")[2]
        if request.effect and request.call == "publish" and faults:
            self.world.unanswered.add(str(request.operation_id))
        self._look_at_offer(None if self.by_hand else request)

    def _look_at_offer(self, request: Request | None = None) -> None:
        self.findings += self.world.seen(sight_of(self.offer, self.api, self.askers), request)

    def _resolved(self, operation_id: str) -> str:
        """Return the operation that a job was to begin, where a run knows no more than the job yet."""
        job = self.publisher.jobs.get(operation_id.removeprefix("job:"))
        return job.operation or operation_id if job is not None else operation_id

    def _let_time_pass(self, steps: int) -> None:
        self.rig.clock.advance(STEP_SECONDS * steps + 1)
        self.rig.marketplace.settle(self.publisher, self.rig.clock.read())
        self._look_at_offer()

    async def _put_by_hand(self, document: dict[str, Any]) -> None:
        """Put an offer by hand."""
        if self.api is CLOUD_PARTNER:
            path = f"/api/publishers/{self.publisher_id}/offers/{self.offer_id}?api-version=2017-10-31"
            await self._call("PUT", path, document)
            return
        job = await self._call("POST", f"{self.api.path}/configure", document)
        status = f"{self.api.path}/configure/{job.get('jobId') or job['jobID']}/status"
        while (await self._call("GET", status))["jobStatus"] != "completed":
            pass

    async def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Call the marketplace by hand."""
        response = await self.rig.http.request(
            method, f"{self.rig.url}{path}", headers={"Authorization": f"Bearer {DEFAULT_TOKEN}"}, json=body
        )
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer


def _nth(number: int, runs: Sequence[Intent]) -> Intent | None:
    return runs[number % len(runs)] if runs else None
