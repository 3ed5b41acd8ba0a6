"""The calls of the Product Ingestion API. A refused call raises `RefusedError`."""

import random
from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from sandbox import offers
from sandbox.api_call import ApiCall
from sandbox.product_ingestion import jobs, submissions
from sandbox.product_ingestion.configure import configure
from sandbox.product_ingestion.configure_body import checked_ceiling
from sandbox.product_ingestion.errors import NestedError, bad_request, error_of, not_found
from sandbox.product_ingestion.ids import external_id_of, product_guid
from sandbox.product_ingestion.products import products
from sandbox.product_ingestion.queries import listed, page_of, query_of
from sandbox.product_ingestion.rendering import has_no_changes, rendered, snapshot_of
from sandbox.product_ingestion.resources import Resource, resources_in
from sandbox.product_ingestion.schemas import address_of
from sandbox.product_ingestion.submissions import Target
from sandbox.spelled_json import render
from sandbox.state import Job, Offer, Publisher
from sandbox.tokens import account_of, bearer_of

_TREE_SCHEMA = address_of("resource-tree", "2022-03-01-preview2")
_DETAIL_SCHEMA = address_of("configure-detail", "2022-03-01-preview2")
_TARGETS: Mapping[str, Target] = {"draft": "draft", "preview": "preview", "live": "live"}


def _ceiling(call: ApiCall) -> str | None:
    return checked_ceiling(query_of(call.request).get("version"), call.switches)


def _offer(call: ApiCall) -> tuple[Publisher, Offer]:
    publisher = call.known_publisher
    offer = publisher.offers.get(call.subject.offer_id or "") if publisher else None
    if publisher is None or offer is None or offer.api != "product_ingestion":
        raise not_found("There is no such product.")
    return publisher, offer


def _job(call: ApiCall) -> tuple[Publisher, Job]:
    publisher = call.known_publisher
    job = publisher.jobs.get(str(call.request.path_params["job"]).lower()) if publisher else None
    if publisher is None or job is None or jobs.is_forgotten(job, publisher.switches, call.now):
        raise not_found("There is no such job.")
    call.job_id, call.operation_id = job.id, job.operation or f"job:{job.id}"
    return publisher, job


def _json(content: dict[str, Any]) -> Response:
    return Response(render(content), media_type="application/json")


def list_products(call: ApiCall) -> Response:
    """List the products, or the one with an external ID."""
    query, ceiling = query_of(call.request), _ceiling(call)
    account = account_of(bearer_of(call.request.headers))
    wanted, kind = query.get("externalid"), query.get("type")
    found = [
        (publisher, offer)
        for publisher, offer in products(call.marketplace, account, listed=True)
        if (wanted is None or offer.id == wanted.lower()) and (kind is None or offer.offer_type == kind)
    ]
    page, next_link = page_of(found[:1] if wanted else found, call.request, call.switches.page_size)
    values = [
        resource
        for publisher, offer in page
        for resource in rendered(_of_type(offer, "product"), offer, "draft", ceiling, call.now, publisher.switches)
    ]
    return _json(listed(values, next_link))


def _of_type(offer: Offer, kind: str) -> list[Resource]:
    return [resource for resource in resources_in(offer.draft.text) if resource.type == kind]


def list_plans(call: ApiCall) -> Response:
    """List the plans of a product."""
    query, ceiling = query_of(call.request), _ceiling(call)
    if "product" not in query:
        raise bad_request("The query parameter 'product' is required.")
    publisher, offer = _offer(call)
    wanted = query.get("externalid")
    plans = [plan for plan in _of_type(offer, "plan") if wanted in (None, external_id_of(plan.plain))]
    page, next_link = page_of(plans, call.request, publisher.switches.page_size)
    return _json(listed(rendered(page, offer, "draft", ceiling, call.now, publisher.switches), next_link))


def read_tree(call: ApiCall) -> Response:
    """Return the resource tree of a target."""
    ceiling = _ceiling(call)
    publisher, offer = _offer(call)
    asked = query_of(call.request).get("targettype", "draft")
    target = _TARGETS.get(asked.lower())
    if target is None:
        raise bad_request(f"The targetType '{asked}' is not valid.")
    switches = publisher.switches
    if target == "draft":
        _count_read_of_draft_jobs(call, publisher, offer)
    snapshot = snapshot_of(offer, target)
    if snapshot is None or (target == "draft" and switches.no_pending_draft == "absent" and has_no_changes(offer)):
        status = switches.tree_absent_status
        code = "badRequest" if status == 400 else "notFound"  # noqa: PLR2004
        raise NestedError(status, error_of(code, f"The product has nothing at the target '{target}'."))
    resources = rendered(resources_in(snapshot.text), offer, target, ceiling, call.now, switches)
    resources.append(submissions.entry_of_slot(publisher, offer, target, snapshot.publish_id, call.now))
    random.shuffle(resources)
    root = f"product/{product_guid(publisher.id, offer.id)}"
    return _json({"$schema": _TREE_SCHEMA, "root": root, "target": {"targetType": target}, "resources": resources})


def _count_read_of_draft_jobs(call: ApiCall, publisher: Publisher, offer: Offer) -> None:
    """Count a read of the draft as a read of its jobs. Without this, a job whose answer was lost would never end."""
    for job in list(publisher.jobs.values()):
        if job.offer == offer.id and job.change is not None and jobs.count_read(publisher, job, call.now, call.tick):
            call.changed = True


def read_resource(call: ApiCall) -> Response:
    """Return a resource of the draft."""
    ceiling = _ceiling(call)
    publisher, offer = _offer(call)
    parameters = call.request.path_params
    wanted = f"{parameters['type']}/{parameters['rest']}".lower()
    resource = next((each for each in resources_in(offer.draft.text) if each.id.lower() == wanted), None)
    if resource is None or (publisher.switches.no_pending_draft != "shown" and has_no_changes(offer)):
        raise not_found(f"There is no resource {wanted} in the draft.")
    return _json(rendered([resource], offer, "draft", ceiling, call.now, publisher.switches)[0])


def list_submissions(call: ApiCall) -> Response:
    """List the active submissions."""
    _ceiling(call)
    publisher, offer = _offer(call)
    wanted = query_of(call.request).get("targettype")
    entries = [
        entry
        for entry in submissions.listed(publisher, offer, call.now)
        if wanted is None or entry["target"]["targetType"] == wanted.lower()
    ]
    page, next_link = page_of(entries, call.request, publisher.switches.page_size)
    return _json(listed(page, next_link))


def read_submission(call: ApiCall) -> Response:
    """Return a submission."""
    _ceiling(call)
    publisher, offer = _offer(call)
    number = str(call.request.path_params["submission"])
    entry = submissions.entry_of(publisher, offer, number, call.now)
    if entry is None:
        raise not_found(f"There is no submission {number}.")
    call.operation_id = number
    return _json(entry)


def read_job(call: ApiCall) -> Response:
    """Return the status of a job."""
    _ceiling(call)
    publisher, job = _job(call)
    call.changed = jobs.count_read(publisher, job, call.now, call.tick)
    return JSONResponse(jobs.status_of(publisher, job))


def read_job_detail(call: ApiCall) -> Response:
    """Return the resources that a job has written."""
    ceiling = _ceiling(call)
    publisher, job = _job(call)
    offer, written = publisher.offers.get(job.offer), resources_in(job.applied)
    partly = job.result == "failed" and written
    if offer is None or (job.result != "succeeded" and not partly):
        raise not_found("The job has no details.")
    resources = rendered(written, offer, "draft", ceiling, call.now, publisher.switches)
    return _json({"$schema": _DETAIL_SCHEMA, "resources": resources})


def cancel_job(call: ApiCall) -> Response:
    """Cancel a job, or the publish for which it waits."""
    _ceiling(call)
    publisher, job = _job(call)
    if job.result:
        raise bad_request("Cannot cancel job, job has already completed.")
    if job.operation is None:
        job.result, job.ended, job.change = "cancelled", call.now, None
    else:
        _cancel_operation(call, publisher, job)
    call.effect = True
    return JSONResponse(jobs.status_of(publisher, job))


def _cancel_operation(call: ApiCall, publisher: Publisher, job: Job) -> None:
    offer = publisher.offers[job.offer]
    operation = offer.operation(str(job.operation))
    if operation is None or not offers.can_cancel(offer, operation, publisher.switches):
        raise bad_request("Cannot cancel job, it is too far along.")
    offers.cancel(publisher, offer, call.now, call.tick)
    jobs.settle_jobs(publisher, call.now, call.tick)


CALLS: Mapping[str, Callable[[ApiCall], Response]] = {
    "list_products": list_products,
    "list_plans": list_plans,
    "read_tree": read_tree,
    "read_resource": read_resource,
    "list_submissions": list_submissions,
    "read_submission": read_submission,
    "configure_draft": configure,
    "configure_preview": configure,
    "configure_live": configure,
    "read_job": read_job,
    "read_job_detail": read_job_detail,
    "cancel_job": cancel_job,
}
