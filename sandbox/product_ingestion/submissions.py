"""The submissions of a product, which are the operations of its offer."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from sandbox.product_ingestion.ids import product_guid
from sandbox.product_ingestion.schemas import address_of
from sandbox.product_ingestion.times import timestamp
from sandbox.state import Offer, Operation, Publisher
from sandbox.switches import Switches

Entry: TypeAlias = dict[str, Any]
Target: TypeAlias = Literal["draft", "preview", "live"]

DRAFT = "0"
"""The number of the submission that stands for the draft."""

_SCHEMA = address_of("submission", "2022-03-01-preview2")


def listed(publisher: Publisher, offer: Offer, now: datetime) -> list[Entry]:
    """Return the active submissions: the draft, which is always listed, and those of preview and live."""
    switches = publisher.switches
    shown = [*_live(offer, switches, now), *_preview(offer, switches, now)]
    entries = [draft_entry(publisher, offer), *(_entry(publisher, offer, *each) for each in shown)]
    if switches.submissions_order == "shuffled":
        # Seeded by the content, so that all pages of a list have the same order.
        seed = str([(entry["id"], entry["target"], entry.get("result")) for entry in entries])
        return random.Random(seed).sample(entries, len(entries))  # noqa: S311 - no secret
    return entries if switches.submissions_order == "oldest_first" else list(reversed(entries))


def draft_entry(publisher: Publisher, offer: Offer) -> Entry:
    """Return the submission that stands for the draft. It has neither status nor result."""
    product = product_guid(publisher.id, offer.id)
    return {
        "$schema": _SCHEMA,
        "id": f"submission/{product}/{DRAFT}",
        "product": f"product/{product}",
        "target": {"targetType": "draft"},
        "lifecycleState": "generallyAvailable",
    }


def entry_of(publisher: Publisher, offer: Offer, number: str, now: datetime) -> Entry | None:
    """Return the submission with that number, even if it is no longer active."""
    if number == DRAFT:
        return draft_entry(publisher, offer)
    operations = [
        operation for operation in _visible(offer, publisher.switches, now) if operation.snapshot.publish_id == number
    ]
    if not operations:
        return None
    operation = operations[-1]
    if operation.outcome == "canceled" and publisher.switches.canceled_submission == "gone":
        return None
    return _entry(publisher, offer, operation, "live" if operation.kind == "goLive" else "preview")


def entry_of_slot(publisher: Publisher, offer: Offer, target: Target, publish_id: str | None, now: datetime) -> Entry:
    """Return the submission that is part of a tree: the one that filled the slot."""
    if target == "draft" or publish_id is None:
        return draft_entry(publisher, offer)
    kind = "goLive" if target == "live" else "publish"
    operations = [
        operation
        for operation in offer.operations
        if operation.snapshot.publish_id == publish_id and operation.kind == kind
    ]
    if not operations:
        return entry_of(publisher, offer, publish_id, now) or draft_entry(publisher, offer)
    return _entry(publisher, offer, operations[-1], target)


def _visible(offer: Offer, switches: Switches, now: datetime) -> list[Operation]:
    """Return the publishes and go-lives that can be listed already, oldest first."""
    lag = timedelta(seconds=switches.submission_after_seconds)
    return [
        operation for operation in offer.operations if operation.kind != "cancel" and operation.started + lag <= now
    ]


def _preview(offer: Offer, switches: Switches, now: datetime) -> Sequence[tuple[Operation, Target]]:
    visible = _visible(offer, switches, now)
    operations = [operation for operation in visible if operation.kind == "publish"]
    if switches.canceled_submission == "gone":
        operations = [operation for operation in operations if operation.outcome != "canceled"]
    if not operations:
        return []
    newest = operations[-1]
    promotions = [
        operation
        for operation in offer.operations
        if operation.kind == "goLive" and operation.snapshot.publish_id == newest.snapshot.publish_id
    ]
    waits = offer.waiting_operation == newest.id
    if promotions:
        kept = switches.after_go_live == "preview_and_live" and promotions[-1].outcome != "failed"
        shown = waits or kept or promotions[-1] not in visible
    else:
        shown = waits or newest.outcome != "completed"
    return [(newest, "preview")] if shown else []


def _live(offer: Offer, switches: Switches, now: datetime) -> Sequence[tuple[Operation, Target]]:
    operations: dict[str | None, Operation] = {}
    for operation in _visible(offer, switches, now):
        if operation.kind == "goLive":
            operations.pop(operation.snapshot.publish_id, None)
            operations[operation.snapshot.publish_id] = operation
    known = list(operations.values())
    released = [operation for operation in known if operation.outcome == "completed"]
    kept = released[-2:] if switches.after_go_live == "second_live" else released[-1:]
    newest = known[-1:]
    return [
        (operation, "live") for operation in [*kept, *(operation for operation in newest if operation not in kept)]
    ]


def _entry(publisher: Publisher, offer: Offer, operation: Operation, target: Target) -> Entry:
    result = {None: "pending", "completed": "succeeded", "failed": "failed"}.get(operation.outcome)
    return draft_entry(publisher, offer) | {
        "id": f"submission/{product_guid(publisher.id, offer.id)}/{operation.snapshot.publish_id}",
        "target": {"targetType": target},
        "status": "running" if operation.running else "completed",
        "result": result or publisher.switches.canceled_submission.replace("gone", "failed"),
        "created": timestamp(operation.started),
    }
