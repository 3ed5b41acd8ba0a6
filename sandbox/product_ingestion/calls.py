"""The calls, each as it is when nothing goes wrong; refusals are raised."""

import random
from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from sandbox import offers
from sandbox.json_text import render
from sandbox.product_ingestion import jobs, submissions
from sandbox.product_ingestion.configure import configure
from sandbox.product_ingestion.ids import external_id_of, product_guid
from sandbox.product_ingestion.products import products
from sandbox.product_ingestion.queries import listed, page_of, query_of
from sandbox.product_ingestion.refusals import NestedError, bad_request, error_of, not_found
from sandbox.product_ingestion.rendering import no_draft, shown, snapshot_of
from sandbox.product_ingestion.requested import checked_ceiling
from sandbox.product_ingestion.resources import Resource, resources_in
from sandbox.product_ingestion.schemas import address_of
from sandbox.product_ingestion.submissions import Target
from sandbox.state import Job, Offer, Publisher
from sandbox.tokens import account_of, bearer_of
from sandbox.visit import Visit

_TREE_SCHEMA = address_of("resource-tree", "2022-03-01-preview2")
_DETAIL_SCHEMA = address_of("configure-detail", "2022-03-01-preview2")
_TARGETS: Mapping[str, Target] = {"draft": "draft", "preview": "preview", "live": "live"}


def _ceiling(visit: Visit) -> str | None:
    return checked_ceiling(query_of(visit.request).get("version"), visit.switches)


def _offer(visit: Visit) -> tuple[Publisher, Offer]:
    publisher = visit.marketplace.state.publishers.get(visit.publisher_id)
    offer = publisher.offers.get(visit.place.offer_id or "") if publisher else None
    if publisher is None or offer is None or offer.api != "product_ingestion":
        raise not_found("There is no such product.")
    return publisher, offer


def _job(visit: Visit) -> tuple[Publisher, Job]:
    publisher = visit.marketplace.state.publishers.get(visit.publisher_id)
    job = publisher.jobs.get(str(visit.request.path_params["job"]).lower()) if publisher else None
    if publisher is None or job is None or jobs.is_forgotten(job, publisher.switches, visit.now):
        raise not_found("There is no such job.")
    visit.job_id, visit.operation_id = job.id, job.operation or f"job:{job.id}"
    return publisher, job


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(render(content), status, media_type="application/json")


def list_products(visit: Visit) -> Response:
    """All products, or that with an external id."""
    query, ceiling = query_of(visit.request), _ceiling(visit)
    account = account_of(bearer_of(visit.request.headers))
    wanted, kind = query.get("externalid"), query.get("type")
    found = [
        (publisher, offer)
        for publisher, offer in products(visit.marketplace, account, listed=True)
        if (wanted is None or offer.id == wanted.lower()) and (kind is None or offer.offer_type == kind)
    ]
    page, next_link = page_of(found[:1] if wanted else found, visit.request, visit.switches.page_size)
    values = [
        resource
        for publisher, offer in page
        for resource in shown(_of_type(offer, "product"), offer, "draft", ceiling, visit.now, publisher.switches)
    ]
    return _json(listed(values, next_link))


def _of_type(offer: Offer, kind: str) -> list[Resource]:
    return [resource for resource in resources_in(offer.draft.text) if resource.type == kind]


def list_plans(visit: Visit) -> Response:
    """The plans of a product."""
    query, ceiling = query_of(visit.request), _ceiling(visit)
    if "product" not in query:
        raise bad_request("The query parameter 'product' is required.")
    publisher, offer = _offer(visit)
    wanted = query.get("externalid")
    plans = [plan for plan in _of_type(offer, "plan") if wanted in (None, external_id_of(plan.plain))]
    page, next_link = page_of(plans, visit.request, publisher.switches.page_size)
    return _json(listed(shown(page, offer, "draft", ceiling, visit.now, publisher.switches), next_link))


def read_tree(visit: Visit) -> Response:
    """All resources of a target."""
    ceiling = _ceiling(visit)
    publisher, offer = _offer(visit)
    asked = query_of(visit.request).get("targettype", "draft")
    target = _TARGETS.get(asked.lower())
    if target is None:
        raise bad_request(f"The targetType '{asked}' is not valid.")
    switches = publisher.switches
    if target == "draft":
        _bring_on_drafts(visit, publisher, offer)
    snapshot = snapshot_of(offer, target)
    if snapshot is None or (target == "draft" and switches.no_pending_draft == "absent" and no_draft(offer)):
        status = switches.tree_absent_status
        code = "badRequest" if status == 400 else "notFound"  # noqa: PLR2004
        raise NestedError(status, error_of(code, f"The product has nothing at the target '{target}'."))
    resources = shown(resources_in(snapshot.text), offer, target, ceiling, visit.now, switches)
    resources.append(submissions.entry_of_slot(publisher, offer, target, snapshot.publish_id, visit.now))
    random.shuffle(resources)
    root = f"product/{product_guid(publisher.id, offer.id)}"
    return _json({"$schema": _TREE_SCHEMA, "root": root, "target": {"targetType": target}, "resources": resources})


def _bring_on_drafts(visit: Visit, publisher: Publisher, offer: Offer) -> None:
    """A job whose answer was lost must end as well: a look at the draft counts as one at its jobs."""
    for job in list(publisher.jobs.values()):
        if (
            job.offer == offer.id
            and job.change is not None
            and jobs.count_read(publisher, job, visit.now, visit.tick)
        ):
            visit.changed = True


def read_resource(visit: Visit) -> Response:
    """One resource of the draft."""
    ceiling = _ceiling(visit)
    publisher, offer = _offer(visit)
    parameters = visit.request.path_params
    wanted = f"{parameters['type']}/{parameters['rest']}".lower()
    resource = next((each for each in resources_in(offer.draft.text) if each.id.lower() == wanted), None)
    if resource is None or (publisher.switches.no_pending_draft != "shown" and no_draft(offer)):
        raise not_found(f"There is no resource {wanted} in the draft.")
    return _json(shown([resource], offer, "draft", ceiling, visit.now, publisher.switches)[0])


def list_submissions(visit: Visit) -> Response:
    """The active submissions."""
    _ceiling(visit)
    publisher, offer = _offer(visit)
    wanted = query_of(visit.request).get("targettype")
    entries = [
        entry
        for entry in submissions.listed(publisher, offer, visit.now)
        if wanted is None or entry["target"]["targetType"] == wanted.lower()
    ]
    page, next_link = page_of(entries, visit.request, publisher.switches.page_size)
    return _json(listed(page, next_link))


def read_submission(visit: Visit) -> Response:
    """One submission."""
    _ceiling(visit)
    publisher, offer = _offer(visit)
    number = str(visit.request.path_params["submission"])
    entry = submissions.entry_of(publisher, offer, number, visit.now)
    if entry is None:
        raise not_found(f"There is no submission {number}.")
    visit.operation_id = number
    return _json(entry)


def read_job(visit: Visit) -> Response:
    """How a job stands."""
    _ceiling(visit)
    publisher, job = _job(visit)
    visit.changed = jobs.count_read(publisher, job, visit.now, visit.tick)
    return JSONResponse(jobs.status_of(publisher, job))


def read_job_detail(visit: Visit) -> Response:
    """The resources that a job has written."""
    ceiling = _ceiling(visit)
    publisher, job = _job(visit)
    offer, written = publisher.offers.get(job.offer), resources_in(job.applied)
    partly = job.result == "failed" and written
    if offer is None or (job.result != "succeeded" and not partly):
        raise not_found("The job has no details.")
    resources = shown(written, offer, "draft", ceiling, visit.now, publisher.switches)
    return _json({"$schema": _DETAIL_SCHEMA, "resources": resources})


def cancel_job(visit: Visit) -> Response:
    """Cancel what of a job has not been done."""
    _ceiling(visit)
    publisher, job = _job(visit)
    if job.result:
        raise bad_request("Cannot cancel job, job has already completed.")
    if job.operation is None:
        job.result, job.ended, job.change = "cancelled", visit.now, None
    else:
        _cancel_operation(visit, publisher, job)
    visit.effect = True
    return JSONResponse(jobs.status_of(publisher, job))


def _cancel_operation(visit: Visit, publisher: Publisher, job: Job) -> None:
    offer = publisher.offers[job.offer]
    run = offer.operation(str(job.operation))
    if run is None or not offers.can_cancel(offer, run, publisher.switches):
        raise bad_request("Cannot cancel job, it is too far along.")
    offers.cancel(publisher, offer, visit.now, visit.tick)
    jobs.settle_jobs(publisher, visit.now, visit.tick)


CALLS: Mapping[str, Callable[[Visit], Response]] = {
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
