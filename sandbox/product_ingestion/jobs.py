"""Jobs. Each accepted request begins one, which ends later."""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sandbox import offers
from sandbox.product_ingestion.drafts import clean, merge
from sandbox.product_ingestion.errors import Error, error_of, shaped
from sandbox.product_ingestion.ids import product_guid
from sandbox.product_ingestion.resources import Resource, resources_in, text_of
from sandbox.product_ingestion.schemas import address_of
from sandbox.product_ingestion.times import timestamp
from sandbox.spelled_json import objects_in, parse_plain
from sandbox.state import Job, JobResult, Operation, Outcome, Publisher
from sandbox.steps import CERTIFICATION, progress_of
from sandbox.switches import Switches

Json: TypeAlias = dict[str, Any]

_KEPT_JOBS = 1_000
_NOT_YET = "0001-01-01T00:00:00"
_STATUS_SCHEMA = address_of("configure-status", "2022-03-01-preview2")
_DETAILS = "https://product-ingestion.mp.microsoft.com/configure/"
_RESULTS: Mapping[Outcome, JobResult] = {"completed": "succeeded", "failed": "failed", "canceled": "cancelled"}
_BAD_ENDINGS = ("blocked", "rejected", "failed")
_ISSUES = "Issues were found while the offer was certified."


def begin(
    publisher: Publisher,
    offer_id: str,
    now: datetime,
    *,
    operation: str | None,
    applied: Sequence[Resource],
    change: str | None,
    errors: Sequence[Error],
) -> Job:
    """Add the job of an accepted request, and forget the oldest of too many ended jobs."""
    seconds = publisher.switches.draft_job_seconds
    job = Job(
        id=str(uuid.uuid4()),
        offer=offer_id,
        started=now,
        due=now + timedelta(seconds=seconds) if seconds is not None and operation is None else None,
        operation=operation,
        applied=text_of(applied),
        change=change,
        errors=json.dumps(errors) if errors else None,
    )
    ended = [known.id for known in publisher.jobs.values() if known.ended]
    for forgotten in ended[:-_KEPT_JOBS]:
        del publisher.jobs[forgotten]
    publisher.jobs[job.id] = job
    return job


def settle_jobs(publisher: Publisher, now: datetime, tick: Callable[[], int]) -> bool:
    """End the jobs that are due, or whose operation has ended. Return whether there were any."""
    changed = False
    for job in [job for job in publisher.jobs.values() if job.result is None]:
        if job.operation is not None:
            _settle_with_operation(publisher, job)
        elif job.due and job.due <= now:
            _finish(publisher, job, job.due, tick)
        changed = changed or job.result is not None
    return changed


def _settle_with_operation(publisher: Publisher, job: Job) -> None:
    offer = publisher.offers.get(job.offer)
    operation = offer.operation(str(job.operation)) if offer else None
    if operation is None or operation.outcome is None:
        return
    job.ended = operation.sign_off_reached or operation.ended
    job.result = "succeeded" if operation.sign_off_reached else _RESULTS[operation.outcome]


def count_read(publisher: Publisher, job: Job, now: datetime, tick: Callable[[], int]) -> bool:
    """Count a read of a draft job, which ends after some reads. Return whether that changed anything."""
    if job.result or job.operation or job.due:
        return False
    job.reads += 1
    if job.reads > publisher.switches.draft_job_reads:
        _finish(publisher, job, now, tick)
    return True


def _finish(publisher: Publisher, job: Job, moment: datetime, tick: Callable[[], int]) -> None:
    offer = publisher.offers.get(job.offer)
    if job.change is not None and offer is not None:
        merged = merge(resources_in(offer.draft.text), resources_in(job.change))
        offers.store_draft(publisher, offer, text_of(clean(merged, moment)), moment, tick)
        job.applied, job.change = job.change, None
    job.ended = moment
    job.result = "failed" if job.errors else "succeeded"


def is_forgotten(job: Job, switches: Switches, now: datetime) -> bool:
    """Return whether the service no longer knows the job."""
    keep = switches.job_retention_seconds
    return keep is not None and job.ended is not None and now > job.ended + timedelta(seconds=keep)


def status_of(publisher: Publisher, job: Job) -> Json:
    """Return the status document of a job."""
    switches = publisher.switches
    if job.result:
        status = "completed"
    elif job.operation or job.due or job.reads >= max(1, min(2, switches.draft_job_reads)):
        status = "running"
    else:
        status = "notStarted"
    return {
        "$schema": _STATUS_SCHEMA,
        switches.job_id_spelling: job.id,
        "jobStatus": status,
        "jobResult": job.result or "pending",
        "jobStart": timestamp(job.started),
        "jobEnd": timestamp(job.ended) if job.ended else _NOT_YET,
        "resourceUri": _DETAILS + job.id,
        "errors": [shaped(error, switches) for error in _errors_of(publisher, job)],
    }


def accepted(publisher: Publisher, job: Job) -> Json:
    """Return the answer to the request that began the job."""
    return status_of(publisher, job) | {"jobStatus": "notStarted", "jobResult": "pending", "errors": []}


def _errors_of(publisher: Publisher, job: Job) -> list[Error]:
    if job.result == "cancelled":
        return [error_of("conflict", "Operation failed", None, [error_of("operationCanceled", "It was cancelled.")])]
    if job.result != "failed":
        return []
    if job.errors:
        return objects_in(parse_plain(job.errors))
    offer = publisher.offers.get(job.offer)
    operation = offer.operation(str(job.operation)) if offer else None
    if operation is None:
        return [error_of("internalServerError", "Operation failed")]
    number = f"submission/{product_guid(publisher.id, job.offer)}/{operation.snapshot.publish_id}"
    return [error_of("internalServerError", "Operation failed", number, [_failure_of(operation)])]


def _failure_of(operation: Operation) -> Error:
    """Return the error of the step that failed. Its innermost errors are the messages of certification."""
    failed = next(
        (view for view in progress_of(operation, operation.changed).steps if view.status in _BAD_ENDINGS), None
    )
    stage = "Certification" if failed is None or failed.plan.id == CERTIFICATION else failed.plan.name
    messages = failed.plan.fault.messages if failed and failed.plan.fault else []
    leaves = [error_of("invalidState", message) for message in messages]
    return error_of("invalidState", stage, None, [error_of("invalidState", _ISSUES, None, leaves)])
