"""The call `configure`, which changes the draft, publishes and goes live."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.responses import JSONResponse, Response

from sandbox import offers
from sandbox.api_call import ApiCall
from sandbox.product_ingestion import jobs
from sandbox.product_ingestion.configure_body import Prepared, checked_ceiling, prepare, read_resources
from sandbox.product_ingestion.draft_rules import check_resources
from sandbox.product_ingestion.drafts import clean, merge, published_alone
from sandbox.product_ingestion.errors import (
    BUSINESS_ERROR,
    SCHEMA_ERROR,
    Error,
    NestedError,
    bad_request,
    contention,
    error_of,
    errors_about,
)
from sandbox.product_ingestion.ids import PRODUCT_EXTERNAL_ID, external_id_of, product_guid
from sandbox.product_ingestion.publish_rules import problems_with_publishing
from sandbox.product_ingestion.queries import query_of
from sandbox.product_ingestion.resources import Resource, resources_in, state_of, text_of
from sandbox.product_ingestion.schemas import TECHNICAL_CONFIGURATIONS
from sandbox.product_ingestion.submissions import DRAFT
from sandbox.refusals import Detail, RefusedError
from sandbox.spelled_json import members_of
from sandbox.state import Job, Offer, Operation, Publisher
from sandbox.switches import Switches

_ALWAYS_IN_MODULAR = ("product", "property")


class _FailedJobError(Exception):
    """The request is accepted, but its job fails."""

    def __init__(self, errors: Sequence[Error]) -> None:
        super().__init__(errors[0]["message"])
        self.errors = errors


@dataclass
class _Request:
    """A request and the product that it is about.

    Attributes:
        product: The ID of the product.
        before: The resources of the draft before the request.
        after: The resources of the draft after the request.
    """

    call: ApiCall
    publisher: Publisher
    offer: Offer | None
    product: str
    prepared: Prepared
    before: Sequence[Resource] = ()
    after: list[Resource] = field(default_factory=list)

    @property
    def switches(self) -> Switches:
        return self.publisher.switches

    @property
    def target(self) -> str:
        """The target of the request's submission; without one, the draft."""
        submission = self.prepared.submission
        return str(members_of(submission.plain.get("target")).get("targetType")) if submission else "draft"

    @property
    def draft_submission_id(self) -> str:
        """The ID that errors about a submission name."""
        return f"submission/{self.product}/{DRAFT}"


def configure(call: ApiCall) -> Response:
    """Do what a request asks for, and answer with its job."""
    request = _read(call)
    try:
        job = _perform(request)
    except _FailedJobError as failed:
        job = _begin_failing_job(request, failed.errors)
    call.job_id = job.id
    call.operation_id = job.operation or f"job:{job.id}"
    return JSONResponse(jobs.accepted(request.publisher, job), 202)


def _read(call: ApiCall) -> _Request:
    switches = call.switches
    sent = read_resources(call.body, checked_ceiling(query_of(call.request).get("version"), switches), switches)
    publisher = call.marketplace.publisher(call.publisher_id)
    offer = publisher.offers.get(call.subject.offer_id or "")
    offer = offer if offer and offer.api == "product_ingestion" else None
    offer_id = call.subject.offer_id
    if offer_id is None:
        raise bad_request("The request names no product that exists.")
    if offer is None and not any(each.schema.type == "product" for each in sent):
        raise NestedError(404, error_of("notFound", "There is no such product."))
    product = product_guid(publisher.id, offer_id)
    before = resources_in(offer.draft.text) if offer else ()
    return _Request(
        call, publisher, offer, product, prepare(sent, product, offer_id, before, call.now, switches), before
    )


def _perform(request: _Request) -> Job:
    if request.target not in ("draft", "preview", "live"):
        raise bad_request(f"The target '{request.target}' is not supported.")
    if request.target == "live":
        return _go_live(request)
    if request.offer and request.target == "preview":
        _check_nothing_runs(request)
    elif request.offer:
        _check_editable(request, request.offer)
    _merge(request)
    if request.target == "preview":
        return _publish(request)
    return _write_draft(request)


def _check_nothing_runs(request: _Request) -> None:
    running = request.offer.running_operation() if request.offer else None
    if running:
        message = (
            f"The submission cannot be created: an in-progress submission already exists "
            f"({running.snapshot.publish_id})."
        )
        raise _contended(request, message)


def _check_editable(request: _Request, offer: Offer) -> None:
    try:
        offers.check_editable(offer, request.switches)
    except RefusedError:
        raise _contended(request, "The product is locked: a submission is in progress.") from None


def _contended(request: _Request, message: str) -> Exception:
    error = contention(request.product, message, request.switches)
    return _FailedJobError([error.error]) if request.switches.contention == "job" else error


def _merge(request: _Request) -> None:
    prepared, offer = request.prepared, request.offer
    problems = list(prepared.problems)
    after = merge(request.before, prepared.resources)
    if not problems:
        problems += _problems_with_product(request)
        problems += check_resources(offer, request.before, after, request.switches)
    if problems:
        raise _refused(request, problems)
    request.after = clean(after, request.call.now)


def _problems_with_product(request: _Request) -> list[Detail]:
    product = next((each for each in request.prepared.resources if each.type == "product"), None)
    if product is None:
        return []
    external_id = external_id_of(product.plain)
    if external_id is None or not PRODUCT_EXTERNAL_ID.fullmatch(external_id):
        return [Detail(SCHEMA_ERROR, "The product needs a valid identity.externalId.", product.id)]
    offer = request.offer
    if offer is None:
        taken = request.publisher.offers.get(external_id)
        return [Detail(BUSINESS_ERROR, f"The offer id '{external_id}' is taken.", product.id)] if taken else []
    if external_id != offer.id or product.plain.get("type") != offer.offer_type:
        return [Detail(BUSINESS_ERROR, "The identity and the type of a product cannot be changed.", product.id)]
    if state_of(product.plain) == "deleted" and (offer.preview or offer.production):
        return [Detail(BUSINESS_ERROR, "A published product cannot be deleted.", product.id)]
    return []


def _refused(request: _Request, problems: Sequence[Detail]) -> Exception:
    errors = errors_about(problems, request.switches)
    if request.switches.refuse_at == "http":
        return NestedError(400, error_of("badRequest", "The request is invalid.", None, errors))
    return _FailedJobError(errors)


def _refused_submission(request: _Request, message: str, code: str = "invalidState") -> Exception:
    top = "badRequest" if request.switches.refuse_at == "http" else "conflict"
    error = error_of(top, "Operation failed", request.draft_submission_id, [error_of(code, message)])
    return NestedError(400, error) if request.switches.refuse_at == "http" else _FailedJobError([error])


def _write_draft(request: _Request) -> Job:
    call, prepared = request.call, request.prepared
    call.effect = True
    change = None
    if request.offer and request.switches.draft_changes == "completed":
        change = text_of(prepared.resources)
    else:
        _store(request)
    applied = [] if change else prepared.resources
    return _begin_job(request, written=applied, change=change)


def _begin_job(
    request: _Request,
    *,
    operation: Operation | None = None,
    written: Sequence[Resource] = (),
    change: str | None = None,
    errors: Sequence[Error] = (),
) -> Job:
    names = {resource.id for resource in written}
    return jobs.begin(
        request.publisher,
        request.call.offer_id,
        request.call.now,
        operation=operation.id if operation else None,
        applied=[resource for resource in request.after if resource.id in names],
        change=change,
        errors=errors,
    )


def _store(request: _Request) -> None:
    call, publisher = request.call, request.publisher
    product = next((each for each in request.after if each.type == "product"), None)
    if product is None:
        publisher.offers.pop(call.offer_id, None)
    elif request.offer:
        offers.store_draft(publisher, request.offer, text_of(request.after), call.now, call.tick)
    else:
        request.offer = offers.create(
            publisher,
            "product_ingestion",
            call.offer_id,
            str(product.plain["type"]),
            text_of(request.after),
            call.now,
            call.tick,
        )


def _publish(request: _Request) -> Job:
    call, named = request.call, request.prepared.resources
    text = text_of(request.after)
    if named and request.offer:
        _check_modular(request)
        text = published_alone(request.offer, request.after, named)
    problems = problems_with_publishing(resources_in(text))
    if problems:
        raise _refused(request, problems)
    if named:
        _store(request)
    if request.offer is None:
        raise bad_request("The product is to be deleted; it cannot be published.")
    accepted = offers.publish(request.publisher, request.offer, "", call.now, call.tick, text)
    call.effect = accepted.effect
    return _begin_job(request, operation=accepted.operation, written=named)


def _check_modular(request: _Request) -> None:
    named = request.prepared.resources
    types = {resource.type for resource in named}
    missing = [name for name in _ALWAYS_IN_MODULAR if name not in types]
    plans = {resource.id for resource in named if resource.type == "plan"}
    touched = {str(resource.plain["plan"]) for resource in named if "plan" in resource.plain} | plans
    missing += [f"plan ({durable})" for durable in sorted(touched - plans)]
    configured = {str(each.plain.get("plan")) for each in named if each.type in TECHNICAL_CONFIGURATIONS}
    missing += [f"technical configuration ({durable})" for durable in sorted(plans - configured)]
    if not touched:
        missing.append("plan")
    if missing:
        message = f"A submission with resources needs all of the plans it publishes; missing: {', '.join(missing)}."
        raise _refused(request, [Detail(BUSINESS_ERROR, message, request.draft_submission_id)])


def _go_live(request: _Request) -> Job:
    call, offer, submission = request.call, request.offer, request.prepared.submission
    if request.prepared.problems:
        raise _refused(request, request.prepared.problems)
    if request.prepared.resources:
        raise bad_request("A submission to live publishes the preview as it is: it takes no other resources.")
    if offer is None or submission is None:
        raise NestedError(404, error_of("notFound", "There is no such product."))
    product, _, number = str(submission.plain.get("id") or DRAFT).rpartition("/")
    if number in ("", DRAFT):
        raise _refused_submission(
            request, "The submission id must not be null or 0 for target Live.", "invalidRequest"
        )
    publishes = [operation for operation in offer.operations if operation.kind == "publish"]
    wanted = next((operation for operation in publishes if operation.id == number), None)
    if wanted is None or wanted.outcome == "canceled" or product != f"submission/{request.product}":
        raise _refused_submission(request, f"There is no submission {number}.", "resourceNotFound")
    _check_nothing_runs(request)
    if offer.waiting_operation != number:
        raise _refused_submission(request, _why_not_live(offer, wanted))
    accepted = offers.go_live(request.publisher, offer, call.now, call.tick)
    call.effect = accepted.effect
    return _begin_job(request, operation=accepted.operation)


def _why_not_live(offer: Offer, wanted: Operation) -> str:
    operations = [operation for operation in offer.operations if operation.kind == "publish"]
    if wanted is not operations[-1]:
        return f"The submission {wanted.id} cannot be pushed to live because it is not the latest."
    if any(
        operation.kind == "goLive" and operation.snapshot.publish_id == wanted.id for operation in offer.operations
    ):
        return f"The submission {wanted.id} has already been pushed to live."
    return (
        f"The submission {wanted.id} cannot be pushed to live: its preview has {wanted.outcome or 'not completed'}."
    )


def _begin_failing_job(request: _Request, errors: Sequence[Error]) -> Job:
    """Write what the switches let a failing job write, and begin the job."""
    call, switches, prepared = request.call, request.switches, request.prepared
    written: list[Resource] = []
    if request.target == "draft" and switches.failed_jobs_apply != "nothing" and request.offer:
        blamed = {str(error.get("resourceId")) for error in errors}
        written = [
            resource
            for resource in prepared.resources
            if switches.failed_jobs_apply == "everything" or resource.id not in blamed
        ]
    if written:
        request.after = clean(merge(request.before, written), call.now)
        _store(request)
        call.effect = True
    return _begin_job(request, written=written, errors=errors)
