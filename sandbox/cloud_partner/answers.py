"""The JSON of operations, statuses and lists, as the switches shape it."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from sandbox.cloud_partner.errors import API_VERSIONS
from sandbox.offers import can_cancel
from sandbox.spelled_json import members_of, parse_plain
from sandbox.state import Offer, Operation, Publisher
from sandbox.steps import SIGN_OFF, StepView, progress_of
from sandbox.switches import Switches

Json: TypeAlias = dict[str, object]

_OPERATIONS_PAGE_WORDS = {
    "inProgress": "running",
    "complete": "completed",
    "blocked": "failed",
    "rejected": "failed",
}
_OTHER_SIGN_OFF_ID = "display-review-7"
"""The ID of the sign-off step when only its name says what it is."""

_SLOTS = {"publish": "staging", "goLive": "production", "cancel": "staging"}


def timestamp(moment: datetime, switches: Switches) -> str:
    """Return a moment as text, with as many fractional digits as the switches say."""
    moment = moment.astimezone(UTC)
    fraction = f"{moment.microsecond:06d}000"[: switches.timestamp_fraction]
    zone = "Z" if switches.timestamp_zone else ""
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if fraction else "") + zone


def cased(text: str, switches: Switches) -> str:
    """Return a status in the letter case that the switches say."""
    if switches.word_case == "upper":
        return text.upper()
    if switches.word_case == "pascal":
        return "".join(part[:1].upper() + part[1:] for part in text.split())
    return text


def operation_status(operation: Operation, switches: Switches) -> str:
    """Return the status of an operation."""
    words = {
        None: switches.running_word,
        "completed": switches.success_word,
        "failed": switches.failure_word,
        "canceled": switches.cancel_word,
    }
    return cased(words[operation.outcome], switches)


def steps_answer(operation: Operation, switches: Switches, now: datetime, *, on_operation: bool) -> list[Json]:
    """Return the steps of an operation, as the operation itself or the offer's status shows them."""
    steps: list[Json] = []
    for view in progress_of(operation, now).steps:
        hidden = switches.sign_off_by == "offer_status" or (
            switches.sign_off_by == "operation_completed" and on_operation and operation.kind == "publish"
        )
        if view.plan.role == "sign_off" and hidden:
            continue
        steps.append(_step(view, switches, on_operation=on_operation))
    return steps


def _step(view: StepView, switches: Switches, *, on_operation: bool) -> Json:
    plan = view.plan
    status: str = view.status
    if switches.step_words == "operations_page":
        status = _OPERATIONS_PAGE_WORDS.get(status, status)
    other_id = plan.id == SIGN_OFF and switches.sign_off_by == "step_name"
    step: Json = {"estimatedTimeFrame": plan.estimate}
    if plan.role == "sign_off" and on_operation:
        step = {}
    return step | {
        "id": _OTHER_SIGN_OFF_ID if other_id else plan.id,
        "stepName": plan.name,
        "description": plan.description,
        "status": cased(status, switches),
        "messages": _messages(view, switches),
        switches.progress_key: view.percent,
    }


def _messages(view: StepView, switches: Switches) -> list[object]:
    fault = view.plan.fault
    level = "information"
    texts: list[str] = []
    if view.status in ("blocked", "rejected", "failed"):
        level = "error"
        texts = (fault.messages if fault else []) or [f"<p>{view.plan.name} did not succeed.</p>"]
    elif view.status == "inProgress" and fault and fault.outcome == "never":
        texts = fault.messages
    elif view.status == "complete":
        texts = ["Done."]
    if switches.messages_as_strings:
        return list(texts)
    when = {"timestamp": timestamp(view.finished, switches)} if view.finished else {}
    return [{"messageHtml": text, "level": level, **when} for text in texts]


def operation_answer(offer: Offer, operation: Operation, switches: Switches, now: datetime) -> Json:
    """Return the JSON of an operation."""
    if operation.cancel_at and operation.running:
        cancellation = "cancelRequested"
    else:
        cancellation = "canCancel" if can_cancel(offer, operation, switches) else "cannotCancel"
    steps = steps_answer(operation, switches, now, on_operation=True)
    answer: Json = {
        "status": operation_status(operation, switches),
        "messages": [],
        "publishingVersion": operation.publishing_version,
        "offerVersion": operation.snapshot.version,
        "cancellationRequestState": cancellation,
        "steps": steps,
        "previewLinks": [],
        "liveLinks": [],
    }
    if not switches.migrated:
        answer["notificationEmails"] = operation.emails
    if switches.operation_table_members:
        answer |= {
            "id": operation.id,
            "submissionType": operation.kind,
            "createdDateTime": timestamp(operation.started, switches),
            "lastActionDateTime": timestamp(operation.changed, switches),
            "error": "A step did not succeed." if operation.outcome == "failed" else None,
        }
    return answer


def offer_status(offer: Offer, switches: Switches) -> str:
    """Return the status of an offer."""
    status = offer.status
    if status == "waitingForPublisherReview":
        status = switches.offer_status_at_sign_off
    if switches.status_contradiction and offer.status in ("running", "waitingForPublisherReview"):
        status = "succeeded"
    return cased(status, switches)


def status_answer(offer: Offer, switches: Switches, now: datetime) -> Json:
    """Return the status of an offer with the steps of its last publish or go-live."""
    operations = [operation for operation in offer.operations if operation.kind != "cancel"]
    answer: Json = {
        "status": offer_status(offer, switches),
        "messages": [],
        "steps": steps_answer(operations[-1], switches, now, on_operation=False) if operations else [],
        "previewLinks": [],
        "liveLinks": [],
    }
    if not switches.migrated and operations:
        answer["notificationEmails"] = operations[-1].emails
    return answer


def summary_answer(publisher: Publisher, offer: Offer) -> Json:
    """Return an entry of the list of offers."""
    switches = publisher.switches
    status = offer_status(offer, switches)
    definition = members_of(members_of(parse_plain(offer.draft.text)).get("definition"))
    return {
        "offerTypeId": offer.offer_type,
        "publisherId": publisher.id,
        "status": cased(switches.list_success_word, switches) if offer.status == "succeeded" else status,
        "id": offer.id,
        "version": offer.version,
        "definition": {"displayText": definition.get("displayText", "")},
        "changedTime": timestamp(offer.draft.changed, switches),
    }


def submissions_answer(publisher: Publisher, offer: Offer, wanted: str | None) -> list[Json]:
    """Return the operations of an offer whose state is `wanted`, or all if it is None."""
    switches = publisher.switches
    entries = [_submission(publisher, offer, operation) for operation in _ordered(offer.operations, switches)]
    if wanted is None or switches.submissions_filter_ignored:
        return entries
    return [entry for entry in entries if str(entry["submissionState"]).casefold() == wanted.casefold()]


def _ordered(operations: Sequence[Operation], switches: Switches) -> list[Operation]:
    if switches.submissions_order == "shuffled":
        return random.sample(list(operations), len(operations))
    return list(operations) if switches.submissions_order == "oldest_first" else list(reversed(operations))


def _submission(publisher: Publisher, offer: Offer, operation: Operation) -> Json:
    switches = publisher.switches
    return {
        "id": operation.id,
        "offerId": offer.id,
        "offerVersion": operation.snapshot.version,
        "offerTypeId": offer.offer_type,
        "publisherId": publisher.id,
        "submissionType": operation.kind,
        "submissionState": operation_status(operation, switches),
        "publishingVersion": operation.publishing_version,
        "slot": _SLOTS[operation.kind],
        "version": operation.ticks,
        "definition": {"metadata": {"emails": operation.emails}},
        "changedTime": timestamp(operation.changed, switches),
    }


def location_headers(publisher: Publisher, offer: Offer, operation: Operation, base_url: str) -> dict[str, str]:
    """Return the header with the address of an operation, in the form that the switches say."""
    version = f"?api-version={API_VERSIONS[0]}"
    path = f"/api/publishers/{publisher.id}/offers/{offer.id}/operations/{operation.id}{version}"
    stage = "production" if operation.kind == "goLive" else "preview"
    old = f"/api/operations/{publisher.id}${offer.id}$2${stage}{version}"
    headers: dict[str, dict[str, str]] = {
        "relative": {"Location": path},
        "absolute": {"Location": base_url.rstrip("/") + path},
        "old_relative": {"Location": old},
        "operation_location_absolute": {"Operation-Location": base_url.rstrip("/") + path},
        "none": {},
    }
    return headers[publisher.switches.location_form]
