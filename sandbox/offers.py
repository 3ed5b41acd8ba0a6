"""The state machine of an offer: put, publish, go live, cancel, and what happens with time."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias
from urllib.parse import quote

from sandbox.behaviours import BEHAVIOURS, behaviour_of
from sandbox.faults import StepFault
from sandbox.refusals import RefusedError
from sandbox.sas import problem_with
from sandbox.state import ApiName, Offer, Operation, Outcome, Pending, Publisher, Snapshot
from sandbox.steps import CERTIFICATION, plan_steps, progress_of
from sandbox.switches import Switches

_EPOCH = datetime(1, 1, 1, tzinfo=UTC)
_TICKS_OF_MICROSECOND = 10

Ticker: TypeAlias = Callable[[], int]
"""Returns a number for a change, greater than all earlier ones."""


@dataclass(frozen=True)
class Accepted:
    """What became of an accepted call.

    Attributes:
        operation: The operation that the call started, joined or cancelled.
        effect: Whether the call changed anything.
    """

    status: int
    operation: Operation | None
    effect: bool


def ticks_of(moment: datetime) -> int:
    """Return a moment in units of 100 ns since the year 1, in which the service numbers changes."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * _TICKS_OF_MICROSECOND


def moment_of(ticks: int) -> datetime:
    """Return the moment of a number of ticks."""
    return _EPOCH + timedelta(microseconds=ticks // _TICKS_OF_MICROSECOND)


def settle(offer: Offer, switches: Switches, now: datetime) -> bool:
    """Bring an offer up to date with the time. Return whether that changed anything."""
    changed = False
    for operation in offer.operations:
        if operation.running:
            changed = _settle_operation(offer, operation, switches, now) or changed
    for pending in list(offer.pending):
        if pending.due <= now:
            offer.pending.remove(pending)
            setattr(offer, pending.slot, pending.snapshot)
            if pending.slot == "production" and switches.preview_cleared_after_go_live:
                offer.preview = None
            changed = True
    return changed


def _settle_operation(offer: Offer, operation: Operation, switches: Switches, now: datetime) -> bool:
    until = min(now, operation.cancel_at) if operation.cancel_at else now
    progress = progress_of(operation, until)
    changed = False
    if operation.kind != "cancel" and progress.reached == "failed":
        _end(operation, "failed", progress.since)
        offer.status = "failed"
        _reopen_sign_off(offer, operation, switches)
        changed = True
    elif progress.reached == "sign_off" and operation.kind == "publish" and operation.sign_off_reached is None:
        _reach_sign_off(offer, operation, switches, progress.since)
        changed = True
    elif progress.reached == "done" and operation.kind == "goLive":
        _arrive_in_production(offer, operation, switches, progress.since)
        changed = True
    if operation.running and operation.cancel_at and operation.cancel_at <= now:
        if operation.kind == "cancel":
            _end(operation, "completed", operation.cancel_at)
        else:
            _end(operation, "canceled", operation.cancel_at)
            _close_sign_off(offer)
            offer.status = "canceled"
        changed = True
    return changed


def _end(operation: Operation, outcome: Outcome, moment: datetime) -> None:
    operation.outcome = outcome
    operation.ended = moment
    operation.changed = max(operation.changed, moment)


def _close_sign_off(offer: Offer) -> None:
    """End the wait for sign-off, because the preview was approved, replaced or cancelled."""
    waiting = offer.waiting
    if waiting:
        waiting.signed_off = True
    offer.waiting_operation = None


def _reopen_sign_off(offer: Offer, operation: Operation, switches: Switches) -> None:
    """Let a preview wait for sign-off again after its go-live has failed, if the API can repeat it."""
    repeatable = behaviour_of(offer).go_live_can_be_repeated and switches.preview_after_failed_go_live
    publish_id = operation.snapshot.publish_id
    preview = offer.operation(publish_id) if publish_id else None
    if operation.kind == "goLive" and repeatable and preview:
        preview.signed_off = False
        offer.waiting_operation = preview.id


def _fill_slot(
    offer: Offer, slot: Literal["preview", "production"], snapshot: Snapshot, moment: datetime, lag: float
) -> None:
    offer.pending.append(Pending(slot=slot, snapshot=snapshot, due=moment + timedelta(seconds=lag)))


def _reach_sign_off(offer: Offer, operation: Operation, switches: Switches, moment: datetime) -> None:
    operation.sign_off_reached = moment
    operation.changed = max(operation.changed, moment)
    _fill_slot(offer, "preview", operation.snapshot, moment, switches.preview_lag_seconds)
    offer.waiting_operation = operation.id
    offer.status = "waitingForPublisherReview"
    if switches.sign_off_by == "operation_completed" or behaviour_of(offer).publish_ends_at_sign_off:
        _end(operation, "completed", moment)


def _arrive_in_production(offer: Offer, operation: Operation, switches: Switches, moment: datetime) -> None:
    _end(operation, "completed", moment)
    offer.status = "succeeded"
    _fill_slot(offer, "production", operation.snapshot, moment, switches.production_lag_seconds)
    if switches.version_increment == "go_live":
        offer.versions[offer.version] = operation.snapshot
        offer.version += 1


def etag_of(ticks: int) -> str:
    """Return the ETag of a change: a weak tag with an OData date, as in the documentation."""
    moment = moment_of(ticks)
    seventh_digit = ticks % _TICKS_OF_MICROSECOND
    return f"W/\"datetime'{quote(moment.strftime('%Y-%m-%dT%H:%M:%S.%f') + str(seventh_digit) + 'Z')}'\""


def create(
    publisher: Publisher, api: ApiName, offer_id: str, offer_type: str, text: str, now: datetime, tick: Ticker
) -> Offer:
    """Create an offer with its first draft."""
    draft = Snapshot(
        text=text, fingerprint=BEHAVIOURS[api].fingerprint(text, publisher.switches), version=1, changed=now
    )
    offer = Offer(id=offer_id, api=api, offer_type=offer_type, etag=etag_of(tick()), draft=draft)
    publisher.offers[offer_id] = offer
    return offer


def store_draft(publisher: Publisher, offer: Offer, text: str, now: datetime, tick: Ticker) -> None:
    """Replace the draft."""
    fingerprint = behaviour_of(offer).fingerprint(text, publisher.switches)
    offer.draft = Snapshot(text=text, fingerprint=fingerprint, version=offer.version, changed=now)
    offer.etag = etag_of(tick())


def check_editable(offer: Offer, switches: Switches) -> None:
    """Refuse a change of the draft if an operation in progress forbids it."""
    busy_with = _busy_with(offer) if switches.edits_while_running == "refuse" else None
    if busy_with:
        raise _in_progress(busy_with, switches)


def _busy_with(offer: Offer) -> Operation | None:
    """Return the operation in progress. A preview that waits for sign-off does not count."""
    running = offer.running_operation()
    waits = running is not None and running.id == offer.waiting_operation and running.cancel_at is None
    return None if waits else running


def _in_progress(running: Operation, switches: Switches) -> RefusedError:
    message = f"The operation {running.id} of this offer is in progress; only one can run at a time."
    return RefusedError(switches.conflict_status, "OperationInProgress", message)


def publish(
    publisher: Publisher, offer: Offer, emails: str, now: datetime, tick: Ticker, text: str | None = None
) -> Accepted:
    """Start to publish the draft, or `text`, which is a part of it.

    A publish of the draft that is already being published starts nothing.
    """
    switches, behaviour = publisher.switches, behaviour_of(offer)
    running = offer.running_operation()
    waits = running is not None and offer.waiting_operation == running.id
    if running and not behaviour.joins_running_publish:
        raise _in_progress(running, switches)
    if running:
        same = running.kind == "publish" and running.snapshot.fingerprint == offer.draft.fingerprint
        if same and running.cancel_at is None:
            return Accepted(202, running, effect=False)
        if running.kind == "publish" and not waits and switches.second_publish == "join":
            return Accepted(202, running, effect=False)
        replaceable = running.kind == "publish" and (waits or switches.second_publish == "replace")
        if not replaceable or running.cancel_at:
            raise _in_progress(running, switches)
    text = text or offer.draft.text
    behaviour.check_publish(offer, text, switches)
    if running:
        _end(running, "completed" if waits else "canceled", moment_of(tick()))
    _close_sign_off(offer)
    offer.publishings += 1
    ticks = tick()
    publish_id = behaviour.publish_id(ticks)
    fingerprint = behaviour.fingerprint(text, switches)
    snapshot = Snapshot(
        text=text, fingerprint=fingerprint, version=offer.version, changed=offer.draft.changed, publish_id=publish_id
    )
    operation = _start(publisher, offer, "publish", publish_id, snapshot, emails, now, ticks)
    if switches.validate_sas:
        _plan_copying(offer, operation, switches, now)
    if switches.version_increment == "publish":
        offer.versions[offer.version] = snapshot
        offer.version += 1
    return Accepted(202, operation, effect=True)


def _start(
    publisher: Publisher,
    offer: Offer,
    kind: Literal["publish", "goLive"],
    operation_id: str,
    snapshot: Snapshot,
    emails: str,
    now: datetime,
    ticks: int,
) -> Operation:
    operation = Operation(
        id=operation_id,
        kind=kind,
        snapshot=snapshot,
        publishing_version=max(offer.publishings, 1),
        ticks=ticks,
        emails=emails,
        started=now,
        changed=moment_of(ticks),
        steps=plan_steps(
            going_live=kind == "goLive",
            test_drive=behaviour_of(offer).has_test_drive(snapshot.text),
            durations=publisher.switches.step_durations,
            faults=publisher.step_faults,
        ),
    )
    offer.operations.append(operation)
    offer.status = "running"
    return operation


def _plan_copying(offer: Offer, operation: Operation, switches: Switches, now: datetime) -> None:
    """Let certification fail if a new disk cannot be copied. Published disks have been copied already."""
    behaviour = behaviour_of(offer)
    copied = {
        disk for slot in (offer.preview, offer.production) if slot for disk in behaviour.disks(offer, slot.text)
    }
    at = now if switches.sas_clock == "sandbox" else datetime.now(UTC)
    problems = []
    for disk in behaviour.disks(offer, operation.snapshot.text):
        if disk in copied and not switches.published_sas_checked:
            continue
        problem = problem_with(disk.address, at, switches.sas_hosts, switches.sas_min_days)
        if problem:
            problems.append(f"Failure: Copying Images of plan {disk.plan_id}, version {disk.version}: {problem}.")
    for step in operation.steps:
        if problems and step.id == CERTIFICATION and not (step.fault and step.fault.outcome):
            seconds = step.fault.duration_seconds if step.fault else None
            step.fault = StepFault(outcome="block", messages=list(dict.fromkeys(problems)), duration_seconds=seconds)


def go_live(publisher: Publisher, offer: Offer, now: datetime, tick: Ticker) -> Accepted:
    """Promote the preview that waits for sign-off."""
    waiting = offer.waiting
    if waiting is None or (waiting.running and waiting.cancel_at):
        raise RefusedError(
            400, "NotWaitingForSignOff", "No preview of this offer waits for the publisher's sign-off."
        )
    if waiting.running:
        _end(waiting, "completed", moment_of(tick()))
    _close_sign_off(offer)
    go_live_id = behaviour_of(offer).go_live_id(waiting.id)
    operation = _start(publisher, offer, "goLive", go_live_id, waiting.snapshot, waiting.emails, now, tick())
    return Accepted(202, operation, effect=True)


def can_cancel(offer: Offer, operation: Operation, switches: Switches) -> bool:
    """Return whether this operation can be cancelled."""
    waits = offer.waiting_operation == operation.id
    allowed = {"any": True, "sign_off_only": waits, "before_sign_off": not waits}[switches.cancel_window]
    return allowed and operation.kind == "publish" and (operation.running or waits)


def cancel(publisher: Publisher, offer: Offer, now: datetime, tick: Ticker) -> Accepted:
    """Cancel the publish that runs or waits for sign-off. Production does not change."""
    switches = publisher.switches
    operation = offer.running_operation() or offer.waiting
    if operation is None:
        if switches.cancel_idle_status == 200:  # noqa: PLR2004
            return Accepted(200, None, effect=False)
        raise RefusedError(400, "NothingToCancel", "No operation of this offer is in progress.")
    if not can_cancel(offer, operation, switches):
        raise RefusedError(400, "CannotCancel", f"The operation {operation.id} cannot be cancelled at this point.")
    if operation.cancel_at:
        return Accepted(202, operation, effect=False)
    if not switches.cancel_async or not operation.running:
        if operation.running:
            _end(operation, "canceled", moment_of(tick()))
        _close_sign_off(offer)
        offer.status = "canceled"
        return Accepted(200, operation, effect=True)
    operation.cancel_at = now + timedelta(seconds=switches.cancel_seconds)
    if not switches.cancel_has_own_operation:
        return Accepted(202, operation, effect=True)
    own = operation.model_copy(
        update={
            "id": str(uuid.uuid4()),
            "kind": "cancel",
            "steps": [],
            "ticks": tick(),
            "started": now,
            "changed": now,
        }
    )
    offer.operations.append(own)
    return Accepted(202, own, effect=True)
