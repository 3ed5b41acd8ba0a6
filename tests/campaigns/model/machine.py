"""The state machine: people, the marketplace and strangers act in any order, and the model judges each step."""

import itertools
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.campaigns.apis import CLOUD_PARTNER, CampaignApi
from tests.campaigns.model import choices
from tests.campaigns.model.choices import DANA, OPEN_RUNS, SWITCHES, TROUBLE, Wanted
from tests.campaigns.model.entities import Intent
from tests.campaigns.model.inputs import PLANS, base, disk_of, wants
from tests.campaigns.model.played_offer import Act, PlayedOffer
from tests.campaigns.model.rig import Rig
from tests.campaigns.model.runs import Runs
from tests.campaigns.switches import WITHOUT_ETAGS

READ_AGE = 0.1
"""Seconds until a read is answered if runs start together. Writes take no time, so these reads are outdated."""

ROUNDS = 30
"""A run is stuck if it has not ended after this many rounds in which everything could proceed."""

RULES = (
    *("update", "together", "promote", "create", "check"),
    *("decide", "decide_twice", "cancel", "check_now", "look"),
    *("advance", "step_fails", "stranger", "trouble"),
)
_numbers = itertools.count(1)


class FoundError(AssertionError):
    """The model found something wrong. The message lists the steps that led to it."""


@dataclass
class Tally:
    """The rules that were played, how runs ended, and the last finding."""

    examples: int = 0
    found: str = ""
    steps: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)


class PublishingMachine(RuleBasedStateMachine):
    """One example: an offer, the runs on it, and the steps so far."""

    def __init__(self, rig: Rig, tally: Tally, api: CampaignApi = CLOUD_PARTNER) -> None:
        super().__init__()
        self.rig = rig
        self.tally = tally
        self.api = api
        self.offer = PlayedOffer(rig, api, f"model-{next(_numbers)}")
        self.runs = Runs(self.offer)
        self.world = self.offer.world
        self.steps: list[str] = []
        self.versions = dict.fromkeys(PLANS, 0)
        self.etags = True
        self.broken = False
        tally.examples += 1
        rig.gate.shut = True
        rig.gate.seen.clear()

    # The beginning

    @initialize(
        stage=st.sampled_from(["no offer", "draft", "preview", "live"]),
        turn=st.integers(0, 89),
        etags=st.booleans(),
    )
    def begin(self, stage: str, turn: int, *, etags: bool) -> None:
        """Bring the offer to a stage by hand."""
        self.etags = etags and self.api.guards_drafts
        switches = SWITCHES[self.api][turn % len(SWITCHES[self.api])]
        if self.api.guards_drafts and not etags:
            switches = switches | WITHOUT_ETAGS
        self._step("begin", f"{stage}; marketplace: {json.dumps(switches)}")
        self.offer.switch(switches)
        self.rig.run(self.offer.set_up(stage))
        self._done()

    # Starts

    @rule(
        wanted=choices.IMAGES,
        if_publishing=choices.IF_PUBLISHING,
        limit=choices.LIMITS,
        remove_oldest=st.booleans(),
        includes=st.booleans(),
        modular=st.sampled_from([False, False, True]),
    )
    def update(
        self, wanted: Wanted, if_publishing: Any, limit: int, *, remove_oldest: bool, includes: bool, modular: bool
    ) -> None:
        """Start `UpdateOfferAndPublish`."""
        more: dict[str, Any] = {"limit": limit, "remove_oldest": remove_oldest}
        if not self.api.guards_drafts:
            more |= {"includes": includes, "modular": modular}
        self._start(self._intent("update", wanted, if_publishing=if_publishing, **more))

    @rule(
        wanted=st.one_of(choices.IMAGES, choices.IMAGES, choices.NO_IMAGES),
        if_publishing=choices.IF_PUBLISHING,
        approvers=choices.APPROVERS,
        approval=st.sampled_from([True, True, True, False]),
        early=st.sampled_from([None, None, None, True, False]),
        person=choices.PEOPLE,
    )
    def promote(
        self,
        wanted: Wanted,
        if_publishing: Any,
        approvers: Sequence[str],
        *,
        approval: bool,
        early: bool | None,
        person: str | None,
    ) -> None:
        """Start `ValidateAndGoLive`. The start may include an approval or a rejection."""
        approval = approval or not wanted
        if not wanted and if_publishing == "cancel":
            if_publishing = "wait"
        intent = self._intent("promote", wanted, if_publishing=if_publishing, approval=approval, approvers=approvers)
        self._start(intent, early, person)

    @rule(wanted=st.one_of(choices.NO_IMAGES, choices.IMAGES), replace=st.booleans())
    def create(self, wanted: Wanted, *, replace: bool) -> None:
        """Start `CreateOfferAndPublish`."""
        self._start(self._intent("create", wanted, replace=replace))

    @rule()
    def check(self) -> None:
        """Start `CheckLastOperationStatus`."""
        self._start(self._intent("check", ()))

    @rule(limit=choices.LIMITS, remove_oldest=st.booleans())
    def together(self, limit: int, *, remove_oldest: bool) -> None:
        """Start `UpdateOfferAndPublish` for all plans at once, with reads that are outdated when they arrive."""
        if len(self.runs.open()) + len(PLANS) > OPEN_RUNS:
            return
        intents = []
        for plan in PLANS:
            intents.append(self._intent("update", [(plan, "next")], limit=limit, remove_oldest=remove_oldest))
            self.world.start(intents[-1])
        self._step("together", "at once, " + ", ".join(f"{each}: update {wants(each)}" for each in intents))
        fault = self.offer.add_fault("read_slot", {"kind": "delay", "seconds": READ_AGE, "when": "after"}, times=-1)
        self.rig.run(self.runs.start_together(intents))
        for intent in intents:
            self._done(intent)
        self.offer.publisher.faults.remove(fault)

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

    def _start(self, intent: Intent, early: bool | None = None, person: str | None = None) -> None:  # noqa: FBT001
        if len(self.runs.open()) >= OPEN_RUNS:
            return
        decided = "" if early is None else f"; {'approved' if early else 'rejected'} at once by {person}"
        self._step(intent.workflow, f"{intent}: {intent.workflow} {wants(intent)}{decided}")
        self.world.start(intent)
        if early is not None:
            self.runs.expect_decision(intent, person, approve=early)
        self.rig.run(self.runs.start(intent, early, person))
        self._done(intent)

    # What people do about runs

    @precondition(lambda self: self.world.intents)
    @rule(
        which=choices.A_RUN, approve=st.sampled_from([True, True, False]), person=choices.PEOPLE, update=st.booleans()
    )
    def decide(self, which: int, person: str | None, *, approve: bool, update: bool) -> None:
        """Approve or reject, by update or signal, whether or not the run asks and the person may."""
        intent = _nth(which, [each for each in self.runs.open() if each.workflow == "promote"])
        if intent is None:
            return
        by = "an update" if update else "a signal"
        self._step("decide", f"{person} {'approves' if approve else 'rejects'} {intent} by {by}")
        expected = self.runs.expect_decision(intent, person, approve=approve)
        accepted = self.rig.run(self.runs.decide(intent, person, approve=approve, update=update))
        if accepted is not None and accepted != expected:
            self.offer.findings.append(f"the decision was {'taken' if accepted else 'refused'}")
        self._done(intent)

    @precondition(lambda self: self.world.intents)
    @rule(which=choices.A_RUN, approve=st.booleans())
    def decide_twice(self, which: int, *, approve: bool) -> None:
        """Decide as an approver, and immediately send the opposite decision, before the run settles."""
        intent = _nth(which, [each for each in self.runs.open() if each.workflow == "promote"])
        if intent is None:
            return
        person = next(iter(intent.approvers), DANA)
        self._step("decide_twice", f"{person} {'approves' if approve else 'rejects'} {intent}, then the other way")
        expected = self.runs.expect_decision(intent, person, approve=approve)
        first = self.rig.run(self.runs.decide(intent, person, approve=approve, update=True))
        second = self.rig.run(self.runs.decide(intent, person, approve=not approve, update=True))
        if first != expected or second:
            self.offer.findings.append(f"decisions were taken: {first}, {second}")
        self._done(intent)

    @precondition(lambda self: self.world.intents)
    @rule(which=choices.A_RUN)
    def cancel(self, which: int) -> None:
        """Cancel a run."""
        intent = _nth(which, [each for each in self.runs.open() if not each.cancelled])
        if intent is None:
            return
        self._step("cancel", f"{intent} is cancelled")
        self.rig.run(self.runs.cancel(intent))
        self._done(intent)

    @precondition(lambda self: self.world.intents)
    @rule(which=choices.A_RUN)
    def check_now(self, which: int) -> None:
        """Send ``check_now`` to a run."""
        intent = _nth(which, self.runs.open())
        if intent is None:
            return
        self._step("check_now", f"{intent} gets check_now")
        self.rig.run(self.runs.check_now(intent))
        self._done(intent)

    @precondition(lambda self: self.world.intents)
    @rule(which=choices.A_RUN)
    def look(self, which: int) -> None:
        """Let a run look at the operation that it follows."""
        intent = _nth(which, self.runs.looking())
        if intent is None:
            return
        self._step("look", f"{intent} looks")
        self.runs.let_look(intent)
        self._done(intent)

    # What the marketplace and strangers do

    @rule(steps=st.sampled_from([1, 5, 5]))
    def advance(self, steps: int) -> None:
        """Advance the marketplace by one step of an operation, or to its end or its sign-off."""
        if self.world.now.busy is None:
            return
        self._step("advance", f"the marketplace advances by {steps} step{'s' * (steps > 1)}")
        self.offer.let_time_pass(steps)
        self._done()

    @rule()
    def step_fails(self) -> None:
        """Let the current step of the running operation fail."""
        busy = self.world.now.busy
        if busy is None or busy.state != "running" or self.offer.offer is None:
            return
        self._step("step_fails", f"{busy.name} fails")
        self.offer.fail_step(busy.id)
        self._done()

    @rule(
        kind=st.sampled_from(["edit", "publish", "publish", "go_live", "cancel", "change"]),
        plan=st.sampled_from(PLANS),
    )
    def stranger(self, kind: Act, plan: str) -> None:
        """Let somebody else act at the marketplace."""
        if self.offer.offer is None or (kind == "change" and self.api.guards_drafts):
            return
        self._step("stranger", f"a stranger: {kind} {plan if kind == 'edit' else ''}")
        refused = self.offer.act_as_stranger(kind, plan)
        self.steps[-1] += f" ({'refused' if refused else 'done'})"
        self._done()

    @rule(
        call=st.sampled_from(
            ["edit", "publish", "go_live", "cancel", "list_operations", "read_operation", "read_slot"]
        ),
        trouble=st.sampled_from(list(TROUBLE)),
        after=st.sampled_from([0, 0, 1, 2]),
    )
    def trouble(self, call: Any, trouble: str, after: int) -> None:
        """Let something happen to one of the next requests."""
        if len(self.offer.publisher.faults) >= 2:
            return
        if not self.etags and (call, trouble) == ("edit", "comes just after a stranger's edit"):
            return  # without an ETag, nothing shows that edit before our write overwrites it
        if self.api.guards_drafts and "change" in trouble:
            return  # this API publishes such a change with the rest of the draft
        self._step("trouble", f"after {after} more, a request to {call} {trouble}")
        self.offer.add_fault(call, TROUBLE[trouble], after=after)
        self._done()

    # The end

    def teardown(self) -> None:
        """Let every run end and judge it. After a finding, only clean up."""
        try:
            if not self.broken:
                self._run_out()
        finally:
            self.rig.marketplace.on_request = None
            self.rig.gate.open()
            self.rig.run(self.runs.terminate())
            self.offer.forget()

    def _run_out(self) -> None:
        """Advance the marketplace, let all runs look at once, and approve what asks, until all runs have ended."""
        self._step("run_out", "everything runs out")
        self.offer.publisher.faults.clear()
        for _ in range(ROUNDS):
            if not self.runs.open():
                break
            self.offer.let_time_pass(5)
            self.offer.since = len(self.world.observations) - 1
            looking = self.runs.looking()
            for intent in looking:
                self.runs.let_look(intent)
            for intent in looking:
                self._done(intent)
            for intent in self.runs.asking():
                self._approve(intent)
        else:
            self.offer.findings += [f"{intent} is stuck" for intent in self.runs.open()]
        self.rig.run(self.runs.check_histories())
        self._judge()

    def _approve(self, intent: Intent) -> None:
        person = next(iter(intent.approvers), DANA)
        self.steps[-1] += f"; {person} approves {intent}"
        if not self.runs.expect_decision(intent, person, approve=True):
            self.offer.findings.append(f"{intent} asks although it has a decision")
        elif not self.rig.run(self.runs.decide(intent, person, approve=True, update=True)):
            self.offer.findings.append(f"{intent} asks and takes no decision")
        self._done(intent)

    # The parts of a step

    def _step(self, name: str, description: str) -> None:
        self.broken = True  # until the step is done: it may raise
        self.tally.steps[name] += 1
        self.steps.append(description)
        self.offer.since = len(self.world.observations) - 1

    def _done(self, intent: Intent | None = None) -> None:
        """Wait until the run that the step moved settles, and judge."""
        if intent is not None:
            self.steps[-1] += self.rig.run(self.runs.settle(intent))
            if intent.ended is not None:
                self.tally.ends[intent.ended] += 1
        self._judge()

    def _judge(self) -> None:
        """Raise `FoundError` if there are findings."""
        if not self.offer.findings:
            self.broken = False
            return
        steps = [f"{number:>3}. {self.offer.readable(step)}" for number, step in enumerate(self.steps, 1)]
        findings = [f"  -> {self.offer.readable(finding)}" for finding in dict.fromkeys(self.offer.findings)]
        if not self.tally.found:
            # Shrinking takes minutes.
            print("Found something, and looking for fewer steps:", *steps, *findings, sep="\n", flush=True)
        self.tally.found = "\n".join(["", *steps, *findings])
        raise FoundError(self.tally.found)


def _nth(number: int, intents: Sequence[Intent]) -> Intent | None:
    return intents[number % len(intents)] if intents else None
