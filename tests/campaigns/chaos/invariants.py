"""The invariants, which hold under every fault, as pure functions from evidence to findings."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecutionStatus

from sandbox import DEFAULT_TOKEN
from tests.campaigns.apis import Call
from tests.campaigns.chaos.evidence import (
    Activity,
    Chain,
    Evidence,
    Place,
    activities,
    approvals,
    asked_for_approval,
    time_of,
)
from tests.campaigns.chaos.play import Observation
from tests.campaigns.chaos.scenarios import STRANGERS_PLAN
from tests.campaigns.histories import failing_tasks
from tests.campaigns.secrets import ACCOUNT_KEY, GIVEN_SIGNATURE

Loss: TypeAlias = Literal["lost", "duplicated", "unapproved", "orphaned", "extra", "secret", "not hit"]

SECRETS = re.compile(
    rb"sig=[A-Za-z0-9%+/]{20,}|"
    + b"|".join(re.escape(each.encode()) for each in (GIVEN_SIGNATURE, ACCOUNT_KEY))
    + rb"|Bearer [\w.-]+|"
    + re.escape(DEFAULT_TOKEN.encode())
)
SIGNED_INPUTS = {"survey", "edit_images", "put_offer"}
"""The activities whose input contains disk URLs from the run's input, with their signatures."""


@dataclass(frozen=True)
class Finding:
    """A violated invariant.

    Attributes:
        kind: The kind of fault.
        where: The publisher, or the log.
    """

    kind: str
    loss: Loss
    where: str
    what: str


def findings(evidence: Evidence) -> list[Finding]:
    """Check all invariants of one scenario."""
    found = []
    for loss, check in _CHECKS:
        found += [
            Finding(evidence.scenario.kind, loss, evidence.scenario.publisher, what) for what in check(evidence)
        ]
    return found


def secrets_in(text: bytes) -> list[str]:
    """Return the secrets in a text, shortened."""
    return sorted({f"{found[:14].decode()}…" for found in SECRETS.findall(text)})


def recoveries(evidence: Evidence) -> list[float]:
    """Return the seconds from every hit to the next recorded step of each open run."""
    took = []
    for run in evidence.scenario.runs:
        events = [event for chain in evidence.of_run(run.id) for _, event in chain.events()]
        times = sorted(time_of(event) for event in events if _is_step(event))
        for hit in evidence.hits():
            later = [time for time in times if time > hit]
            if later and times[0] < hit:
                took.append((later[0] - hit) / timedelta(seconds=1))
    return took


def _is_step(event: HistoryEvent) -> bool:
    """Return whether the event records progress of the run."""
    return event.event_type in {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
    }


def _ends(evidence: Evidence) -> Iterator[str]:
    """Every accepted start ends in a way that its input and the faults allow."""
    for run in evidence.scenario.runs:
        ends = evidence.ends[run.id]
        if not ends or ends[-1] not in run.ends:
            yield f"{run.workflow} {run.id} ended {ends}, not {sorted(run.ends)}"


def _slots(evidence: Evidence) -> Iterator[str]:
    """Each wanted image is in its slots with the right disk, and nothing else was added or removed."""
    draft, production = (_held(evidence, evidence.offer, slot) for slot in ("Draft", "Production"))
    for run in evidence.scenario.runs:
        for image, disk in run.images.items() if run.leaves == "images" else ():
            if draft.get(image) != disk:
                yield f"the draft holds {draft.get(image)} as {image}, not {disk}"
            if evidence.ends[run.id][-1:] == ["live"] and production.get(image) != disk:
                yield f"Production holds {production.get(image)} as {image}, not {disk}"
    for image in _strangers(evidence):
        if image not in draft:
            yield f"the stranger's {image} is gone from the draft"
    wanted = {image for run in evidence.scenario.runs for image in run.images if run.leaves != "nothing"}
    wanted |= set(_strangers(evidence))
    for image in sorted(set(draft) - wanted):
        yield f"the draft holds {image}, which nobody asked for"
    gone = set(_held(evidence, evidence.offer, "Preview")) - set(draft)
    gone |= set(production) - set(draft)
    for image in sorted(gone):
        yield f"{image} was published and is gone from the draft"


def _kept(evidence: Evidence) -> Iterator[str]:
    """An image that a completed run reported stays in the draft, and in the slot of the outcome.

    Every observation counts, because a later run may restore an image that was lost in between.
    """
    observations = [*evidence.observations, Observation(datetime.max.replace(tzinfo=UTC), evidence.offer)]
    for report in evidence.reports():
        for slot in ("Draft", "Production" if report.outcome == "live" else "Preview"):
            gone: dict[str, int] = {}
            later = [observation for observation in observations if observation.since > report.at]
            for observation in later:
                held = _held(evidence, observation.offer, slot)
                for image in report.images:
                    gone[image] = gone.get(image, 0) + (image not in held)
            for image, times in gone.items():
                if times:
                    yield (
                        f"{report.workflow_id} reported {report.outcome} with {image}, which is gone from"
                        f" {slot} in {times} of {len(later)} observations"
                    )


def _strangers(evidence: Evidence) -> list[str]:
    """Return the images that strangers added to the draft successfully."""
    hit = {entry["call"] for entry in evidence.requests if "stranger_edit" in entry["faults"]}
    edits = (fault for fault in evidence.scenario.injected if fault["action"]["kind"] == "stranger_edit")
    return [f"{STRANGERS_PLAN} {fault['action']['version']}" for fault in edits if fault["call"] in hit]


def _held(evidence: Evidence, offer: dict[str, Any], slot: str) -> dict[str, str]:
    held = offer["slots"][slot]
    return evidence.scenario.api.images_in(held["document"]) if held else {}


def _twice(evidence: Evidence) -> Iterator[str]:
    """Nothing is published or promoted twice."""
    for call, _, most in _bounds(evidence):
        count = len(evidence.effects(call))
        if count > most:
            yield f"{call} had an effect {count} times, and {most} at most are wanted"
    published: str | None = None
    contents = {each["id"]: each["fingerprint"] for each in evidence.offer["operations"]}
    # A second CreateOfferAndPublish puts and publishes the offer again.
    anew: set[Call] = {"cancel", "edit"} if _started_again(evidence, "CreateOfferAndPublish") else {"cancel"}
    for entry in evidence.requests:
        if "stranger_publish" in entry["faults"] or (entry["effect"] and entry["call"] in anew):
            published = None
        elif entry["effect"] and entry["call"] == "publish":
            content = contents[entry["operation_id"]]
            if content == published:
                yield f"publish {entry['operation_id']} repeats the one before, with nothing changed in between"
            published = content


def _too_few(evidence: Evidence) -> Iterator[str]:
    for call, fewest, _ in _bounds(evidence):
        count = len(evidence.effects(call))
        if count < fewest:
            yield f"{call} had an effect {count} times, and {fewest} at least are wanted"


def _bounds(evidence: Evidence) -> Iterator[tuple[Call, int, int]]:
    """Yield each call with the minimum and maximum number of its effects."""
    fewest, most = evidence.scenario.publishes
    yield "publish", fewest, most + _started_again(evidence, "CreateOfferAndPublish")
    yield ("go_live", *evidence.scenario.go_lives)


def _started_again(evidence: Evidence, workflow: str) -> int:
    """Count the repeated starts of a workflow."""
    runs = (run for run in evidence.scenario.runs if run.workflow == workflow)
    return sum(max(len(evidence.ends[run.id]) - 1, 0) for run in runs)


def _approved(evidence: Evidence) -> Iterator[str]:
    """Every go-live was approved, in the history of a run, for exactly the publish that it promoted."""
    for entry in evidence.effects("go_live"):
        operation = entry["operation_id"]
        promoted = evidence.scenario.api.promoted_by(operation, evidence.offer["operations"])
        askers = _askers(evidence, operation, promoted)
        if not any(
            activity.input["approved_publish"] == promoted
            and _was_approved(evidence, chain, activity.scheduled, promoted)
            for chain, activity in askers
        ):
            asked = [activity.input["approved_publish"] for _, activity in askers]
            yield f"{operation} promoted {promoted}, which nobody approved; the runs asked for {asked}"
        for chain, activity in askers:
            if activity.result and activity.result["ours"] and not any(approvals(chain)):
                yield f"{chain.workflow_id} went live unapproved"


def _askers(evidence: Evidence, go_live: str, promoted: str | None) -> list[tuple[Chain, Activity]]:
    """Return the activities that returned a go-live, or all that asked if a worker died with the result."""
    asked = [(chain, each) for chain in evidence.chains for each in activities(chain) if each.name == "go_live"]
    returned = [
        (chain, each)
        for chain, each in asked
        if each.result and evidence.operation(each.result["operation_id"]) == go_live
    ]
    without_result = [
        (chain, each) for chain, each in asked if not each.result and each.input["approved_publish"] == promoted
    ]
    return returned or without_result


def _was_approved(evidence: Evidence, chain: Chain, scheduled: Place, promoted: str | None) -> bool:
    """Return whether somebody approved before the activity was scheduled.

    An approval that follows a question does not count for a publish that began after the approval.
    """
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
    """No run asks for an approval again without saying why."""
    for run_id in evidence.forgetful:
        yield f"{run_id} forgot its approval"


def _orphans(evidence: Evidence) -> Iterator[str]:
    """Nothing is left running on Temporal or at the marketplace."""
    for chain in evidence.chains:
        if chain.status is WorkflowExecutionStatus.RUNNING:
            yield f"{chain.workflow_id} still runs"
    outcomes = {operation["id"]: operation["outcome"] for operation in evidence.offer["operations"]}
    if evidence.offer["status"] == "running":
        yield f"the marketplace is still busy with the offer: {outcomes}"
    yield from _left_by_cancelled(evidence, outcomes)


def _left_by_cancelled(evidence: Evidence, outcomes: Mapping[str, str | None]) -> Iterator[str]:
    """The publish of a cancelled run is cancelled, unless the API refuses that."""
    for run in evidence.scenario.runs:
        for chain in evidence.of_run(run.id) if evidence.ends[run.id][-1:] == ["canceled"] else ():
            asked = [each.result for each in activities(chain) if each.name == "cancel_operation" and each.result]
            if not evidence.scenario.api.cancels_all and any(each["state"] == "refused" for each in asked):
                continue
            for activity in activities(chain):
                if activity.name == "publish" and activity.result and activity.result["ours"]:
                    operation = str(evidence.operation(activity.result["operation_id"]))
                    if outcomes.get(operation) != "canceled":
                        yield f"cancelled {run.id} left {operation} {outcomes.get(operation)}"


def _one_run(evidence: Evidence) -> Iterator[str]:
    """A person's run is one run. Other workflows are internal and carry no search attributes."""
    started = {run.id for run in evidence.scenario.runs}
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


def _secrets(evidence: Evidence) -> Iterator[str]:
    """No history shows a signature, key or token. Inputs may hold the signatures that a user put into them."""
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
