"""What has to hold, whatever went wrong: pure functions from evidence to findings."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecutionStatus

from sandbox import DEFAULT_TOKEN
from tests.campaigns.chaos.evidence import (
    Activity,
    Chain,
    Evidence,
    History,
    Place,
    activities,
    approvals,
    asked_for_approval,
    time_of,
)
from tests.campaigns.chaos.play import Sight
from tests.campaigns.chaos.scenarios import GIVEN_SIGNATURE, STRANGERS_PLAN
from tests.harness.apis import Call
from tests.harness.stack import ACCOUNT_KEY

Loss: TypeAlias = Literal["lost", "duplicated", "unapproved", "orphaned", "extra", "secret", "not hit"]

SECRETS = re.compile(
    rb"sig=[A-Za-z0-9%+/]{20,}|"
    + b"|".join(re.escape(each.encode()) for each in (GIVEN_SIGNATURE, ACCOUNT_KEY))
    + rb"|Bearer [\w.-]+|"
    + re.escape(DEFAULT_TOKEN.encode())
)
SIGNED_INPUTS = {"survey", "edit_images", "put_offer"}
"""The activities that edit or check disks; they and the runs themselves are given what a user put into an input."""


@dataclass(frozen=True)
class Finding:
    """Something that must not be."""

    kind: str
    loss: Loss
    where: str
    what: str


def findings(evidence: Evidence) -> list[Finding]:
    """Check everything about one story."""
    found = []
    for loss, check in _CHECKS:
        found += [Finding(evidence.story.kind, loss, evidence.story.publisher, what) for what in check(evidence)]
    return found


def secrets_in(text: bytes) -> list[str]:
    """Return what no log may show."""
    return sorted({f"{found[:14].decode()}…" for found in SECRETS.findall(text)})


def recoveries(evidence: Evidence) -> list[float]:
    """Return, for every fault and every run then under way, the seconds until that run's next recorded step."""
    took = []
    for run in evidence.story.runs:
        events = [event for chain in evidence.of_run(run.id) for _, event in chain.events()]
        times = sorted(time_of(event) for event in events if _is_step(event))
        for hit in evidence.hits():
            later = [time for time in times if time > hit]
            if later and times[0] < hit:
                took.append((later[0] - hit) / timedelta(seconds=1))
    return took


def _is_step(event: HistoryEvent) -> bool:
    """Return whether a worker did something, or the run began or ended."""
    return event.event_type in {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
    }


def _ends(evidence: Evidence) -> Iterator[str]:
    """Every accepted start ends in exactly what its inputs and the injected facts allow."""
    for run in evidence.story.runs:
        ends = evidence.ends[run.id]
        if not ends or ends[-1] not in run.ends:
            yield f"{run.workflow} {run.id} ended {ends}, not {sorted(run.ends)}"


def _slots(evidence: Evidence) -> Iterator[str]:
    """Each wanted image is where it has to be, with the right disk; what nobody asked to remove is there."""
    draft, production = (_held(evidence, evidence.offer, slot) for slot in ("Draft", "Production"))
    for run in evidence.story.runs:
        for image, disk in run.images.items() if run.leaves == "images" else ():
            if draft.get(image) != disk:
                yield f"the draft holds {draft.get(image)} as {image}, not {disk}"
            if evidence.ends[run.id][-1:] == ["live"] and production.get(image) != disk:
                yield f"Production holds {production.get(image)} as {image}, not {disk}"
    for image in _strangers(evidence):
        if image not in draft:
            yield f"the stranger's {image} is gone from the draft"
    wanted = {image for run in evidence.story.runs for image in run.images if run.leaves != "nothing"}
    wanted |= set(_strangers(evidence))
    for image in sorted(set(draft) - wanted):
        yield f"the draft holds {image}, which nobody asked for"
    gone = set(_held(evidence, evidence.offer, "Preview")) - set(draft)
    gone |= set(production) - set(draft)
    for image in sorted(gone):
        yield f"{image} was published and is gone from the draft"


def _kept(evidence: Evidence) -> Iterator[str]:
    """An image that a completed run reported is there from then on, in the draft and where the run said it came to.

    It is looked for again and again: a later run that wants the same image, or finds it missing, may put it back.
    """
    sights = [*evidence.sights, Sight(datetime.max.replace(tzinfo=UTC), evidence.offer)]
    for reported in evidence.reports():
        for slot in ("Draft", "Production" if reported.outcome == "live" else "Preview"):
            gone: dict[str, int] = {}
            later = [sight for sight in sights if sight.since > reported.at]
            for sight in later:
                held = _held(evidence, sight.offer, slot)
                for image in reported.images:
                    gone[image] = gone.get(image, 0) + (image not in held)
            for image, times in gone.items():
                if times:
                    yield (
                        f"{reported.workflow_id} reported {reported.outcome} with {image}, which is gone from"
                        f" {slot} in {times} of {len(later)} sights"
                    )


def _strangers(evidence: Evidence) -> list[str]:
    """Return the images that strangers put into the draft: those of the calls that were hit."""
    hit = {entry["call"] for entry in evidence.requests if "stranger_edit" in entry["faults"]}
    edits = (fault for fault in evidence.story.injected if fault["action"]["kind"] == "stranger_edit")
    return [f"{STRANGERS_PLAN} {fault['action']['version']}" for fault in edits if fault["call"] in hit]


def _held(evidence: Evidence, offer: dict[str, Any], slot: str) -> dict[str, str]:
    held = offer["slots"][slot]
    return evidence.story.api.images_in(held["document"]) if held else {}


def _twice(evidence: Evidence) -> Iterator[str]:
    """No intent leads to two publishes or two go-lives."""
    for call, _, most in _bounds(evidence):
        count = len(evidence.effects(call))
        if count > most:
            yield f"{count} times {call} had an effect, {most} are wanted"
    published: str | None = None
    contents = {each["id"]: each["fingerprint"] for each in evidence.offer["operations"]}
    # Who starts the creation of an offer again asks for it to be put and published once more.
    anew: set[Call] = {"cancel", "edit"} if _started_again(evidence, "CreateOfferAndPublish") else {"cancel"}
    for entry in evidence.requests:
        if "stranger_publish" in entry["faults"] or (entry["effect"] and entry["call"] in anew):
            published = None
        elif entry["effect"] and entry["call"] == "publish":
            content = contents[entry["operation_id"]]
            if content == published:
                yield f"publish {entry['operation_id']} repeats the one before: nothing had changed"
            published = content


def _too_few(evidence: Evidence) -> Iterator[str]:
    for call, fewest, _ in _bounds(evidence):
        count = len(evidence.effects(call))
        if count < fewest:
            yield f"{count} times {call} had an effect, {fewest} are wanted"


def _bounds(evidence: Evidence) -> Iterator[tuple[Call, int, int]]:
    """Yield how often each call has to have an effect: at least, and at most."""
    fewest, most = evidence.story.publishes
    yield "publish", fewest, most + _started_again(evidence, "CreateOfferAndPublish")
    yield ("go_live", *evidence.story.go_lives)


def _started_again(evidence: Evidence, workflow: str) -> int:
    """Count how often a person started runs of a workflow again."""
    runs = (run for run in evidence.story.runs if run.workflow == workflow)
    return sum(max(len(evidence.ends[run.id]) - 1, 0) for run in runs)


def _approved(evidence: Evidence) -> Iterator[str]:
    """Every go-live was approved in the history of a run, for the very publish that it promoted."""
    for entry in evidence.effects("go_live"):
        operation = entry["operation_id"]
        promoted = evidence.story.api.promoted_by(operation, evidence.offer["operations"])
        askers = _askers(evidence, operation, promoted)
        if not any(
            activity.given["approved_publish"] == promoted
            and _was_approved(evidence, chain, activity.scheduled, promoted)
            for chain, activity in askers
        ):
            asked = [activity.given["approved_publish"] for _, activity in askers]
            yield f"{operation} promoted {promoted}, which nobody approved; asked for was {asked}"
        for chain, activity in askers:
            if activity.answered and activity.answered["ours"] and not any(approvals(chain)):
                yield f"{chain.workflow_id} went live unapproved"


def _askers(evidence: Evidence, go_live: str, promoted: str | None) -> list[tuple[Chain, Activity]]:
    """Return which activities answered with a go-live; where the answer died with a worker, which asked for it."""
    asked = [(chain, each) for chain in evidence.chains for each in activities(chain) if each.name == "go_live"]
    answered = [
        (chain, each)
        for chain, each in asked
        if each.answered and evidence.operation(each.answered["operation_id"]) == go_live
    ]
    unanswered = [
        (chain, each) for chain, each in asked if not each.answered and each.given["approved_publish"] == promoted
    ]
    return answered or unanswered


def _was_approved(evidence: Evidence, chain: Chain, scheduled: Place, promoted: str | None) -> bool:
    """Return whether someone approved before: nobody who was asked can have approved what had not begun yet."""
    given = [(place, event) for place, event in approvals(chain) if place < scheduled]
    asked = min(asked_for_approval(chain), default=scheduled)
    began = next(
        (entry for entry in evidence.effects("publish") if entry["operation_id"] == promoted),
        None,
    )
    return any(
        place < asked or began is None or time_of(event) >= datetime.fromisoformat(began["wall_time"])
        for place, event in given
    )


def _remembered(evidence: Evidence) -> Iterator[str]:
    """No run asks for a decision that it has taken already, unless it says why."""
    for run_id in evidence.forgetful:
        yield f"{run_id} forgot that it was approved"


def _orphans(evidence: Evidence) -> Iterator[str]:
    """Nothing runs on that nobody follows, neither here nor at the marketplace."""
    for chain in evidence.chains:
        if chain.status is WorkflowExecutionStatus.RUNNING:
            yield f"{chain.workflow_id} still runs"
    outcomes = {operation["id"]: operation["outcome"] for operation in evidence.offer["operations"]}
    if evidence.offer["status"] == "running":
        yield f"the marketplace is still busy with the offer: {outcomes}"
    yield from _left_by_cancelled(evidence, outcomes)


def _left_by_cancelled(evidence: Evidence, outcomes: Mapping[str, str | None]) -> Iterator[str]:
    """What a cancelled run published is cancelled, unless the marketplace refused where it may."""
    for run in evidence.story.runs:
        for chain in evidence.of_run(run.id) if evidence.ends[run.id][-1:] == ["canceled"] else ():
            asked = [each.answered for each in activities(chain) if each.name == "cancel_operation" and each.answered]
            if not evidence.story.api.cancels_all and any(each["state"] == "refused" for each in asked):
                continue
            for activity in activities(chain):
                if activity.name == "publish" and activity.answered and activity.answered["ours"]:
                    operation = str(evidence.operation(activity.answered["operation_id"]))
                    if outcomes.get(operation) != "canceled":
                        yield f"cancelled {run.id} left {operation} {outcomes.get(operation)}"


def _one_run(evidence: Evidence) -> Iterator[str]:
    """What a person started is one run; what the product needs besides is internal, and not found among those."""
    started = {run.id for run in evidence.story.runs}
    for chain in evidence.chains:
        if chain.workflow_id in started:
            continue
        if not chain.workflow_id.startswith("internal/"):
            yield f"nobody started {chain.workflow_id}"
        for _, event in chain.events():
            if b"PublisherId" in event.SerializeToString():
                yield f"{chain.workflow_id} carries search attributes"


def _failing_tasks(evidence: Evidence) -> Iterator[str]:
    for history in evidence.histories:
        yield from failing_tasks(history)


def failing_tasks(history: History) -> Iterator[str]:
    """No workflow task ever fails by our doing: such a one would fail for ever."""
    for event in history.events:
        if event.event_type != EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            continue
        failed = event.workflow_task_failed_event_attributes
        if failed.cause in _HARMLESS:
            continue
        yield f"{history.workflow_id}: {WorkflowTaskFailedCause.Name(failed.cause)}: {failed.failure.message}"


_HARMLESS = {
    # A signal arrived while the worker wrote the run's end: the task is done once more, with the signal.
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
    # The worker drained while it had the task.
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_STICKY_TASK_QUEUE,
    # The run was terminated, by a person or with the run it belongs to, while a worker had its task.
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND,
}


def _secrets(evidence: Evidence) -> Iterator[str]:
    """No signature, key or token is in a history, but for the inputs that a user put a signature into."""
    for history in evidence.histories:
        for event in history.events:
            shown = [] if _may_hold_a_signature(event) else secrets_in(event.SerializeToString())
            if shown:
                yield f"{history.workflow_id} event {event.event_id} shows {shown}"


def _may_hold_a_signature(event: HistoryEvent) -> bool:
    if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
        return event.activity_task_scheduled_event_attributes.activity_type.name in SIGNED_INPUTS
    return event.event_type in {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
    }


_CHECKS: Sequence[tuple[Loss, Callable[[Evidence], Iterator[str]]]] = (
    ("lost", _ends),
    ("lost", _slots),
    ("lost", _kept),
    ("lost", _remembered),
    ("lost", _too_few),
    ("lost", _failing_tasks),
    ("duplicated", _twice),
    ("unapproved", _approved),
    ("orphaned", _orphans),
    ("extra", _one_run),
    ("secret", _secrets),
)
