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
        named = str([(entry["id"], entry["target"], entry.get("result")) for entry in entries])
        return random.Random(named).sample(entries, len(entries))  # noqa: S311 - no secret
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
    runs = [run for run in _visible(offer, publisher.switches, now) if run.snapshot.publish_id == number]
    if not runs:
        return None
    run = runs[-1]
    if run.outcome == "canceled" and publisher.switches.canceled_submission == "gone":
        return None
    return _entry(publisher, offer, run, "live" if run.kind == "goLive" else "preview")


def entry_of_slot(publisher: Publisher, offer: Offer, target: Target, publish_id: str | None, now: datetime) -> Entry:
    """Return the submission that is part of a tree: the one that filled the slot."""
    if target == "draft" or publish_id is None:
        return draft_entry(publisher, offer)
    kind = "goLive" if target == "live" else "publish"
    runs = [run for run in offer.operations if run.snapshot.publish_id == publish_id and run.kind == kind]
    if not runs:
        return entry_of(publisher, offer, publish_id, now) or draft_entry(publisher, offer)
    return _entry(publisher, offer, runs[-1], target)


def _visible(offer: Offer, switches: Switches, now: datetime) -> list[Operation]:
    """Return the publishes and go-lives that can be listed already, oldest first."""
    lag = timedelta(seconds=switches.submission_after_seconds)
    return [run for run in offer.operations if run.kind != "cancel" and run.started + lag <= now]


def _preview(offer: Offer, switches: Switches, now: datetime) -> Sequence[tuple[Operation, Target]]:
    visible = _visible(offer, switches, now)
    runs = [run for run in visible if run.kind == "publish"]
    if switches.canceled_submission == "gone":
        runs = [run for run in runs if run.outcome != "canceled"]
    if not runs:
        return []
    newest = runs[-1]
    promotions = [
        run
        for run in offer.operations
        if run.kind == "goLive" and run.snapshot.publish_id == newest.snapshot.publish_id
    ]
    waits = offer.waiting_operation == newest.id
    if promotions:
        kept = switches.after_go_live == "preview_and_live" and promotions[-1].outcome != "failed"
        shown = waits or kept or promotions[-1] not in visible
    else:
        shown = waits or newest.outcome != "completed"
    return [(newest, "preview")] if shown else []


def _live(offer: Offer, switches: Switches, now: datetime) -> Sequence[tuple[Operation, Target]]:
    runs: dict[str | None, Operation] = {}
    for run in _visible(offer, switches, now):
        if run.kind == "goLive":
            runs.pop(run.snapshot.publish_id, None)
            runs[run.snapshot.publish_id] = run
    known = list(runs.values())
    released = [run for run in known if run.outcome == "completed"]
    kept = released[-2:] if switches.after_go_live == "second_live" else released[-1:]
    newest = known[-1:]
    return [(run, "live") for run in [*kept, *(run for run in newest if run not in kept)]]


def _entry(publisher: Publisher, offer: Offer, run: Operation, target: Target) -> Entry:
    result = {None: "pending", "completed": "succeeded", "failed": "failed"}.get(run.outcome)
    return draft_entry(publisher, offer) | {
        "id": f"submission/{product_guid(publisher.id, offer.id)}/{run.snapshot.publish_id}",
        "target": {"targetType": target},
        "status": "running" if run.running else "completed",
        "result": result or publisher.switches.canceled_submission.replace("gone", "failed"),
        "created": timestamp(run.started),
    }
