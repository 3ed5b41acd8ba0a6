"""The routes of the Product Ingestion API, and what all its calls share."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.api_call import ApiCall, Subject
from sandbox.marketplace import SandboxMarketplace
from sandbox.product_ingestion.calls import CALLS
from sandbox.product_ingestion.configure_body import read_plain
from sandbox.product_ingestion.errors import error_response, too_many_response
from sandbox.product_ingestion.ids import external_id_in, external_id_of, product_in
from sandbox.product_ingestion.products import Found, by_external_id, by_guid, job_by_id
from sandbox.product_ingestion.queries import query_of
from sandbox.product_ingestion.schemas import Schema
from sandbox.refusals import RefusedError
from sandbox.spelled_json import members_of, objects_in
from sandbox.switches import Switches
from sandbox.tokens import account_of, bearer_of

_BASE = "/rp/product-ingestion"
ROUTES = (
    ("GET", f"{_BASE}/product", "list_products"),
    ("GET", f"{_BASE}/plan", "list_plans"),
    ("GET", f"{_BASE}/resource-tree/product/{{product}}", "read_tree"),
    ("POST", f"{_BASE}/configure", "configure"),
    ("GET", f"{_BASE}/configure/{{job}}/status", "read_job"),
    ("GET", f"{_BASE}/configure/{{job}}", "read_job_detail"),
    ("POST", f"{_BASE}/configure/{{job}}/cancel", "cancel_job"),
    ("GET", f"{_BASE}/submission/{{product}}", "list_submissions"),
    ("GET", f"{_BASE}/submission/{{product}}/{{submission}}", "read_submission"),
    ("GET", f"{_BASE}/{{type}}/{{rest:path}}", "read_resource"),
)
_SLOTS = {"draft": "Draft", "preview": "Preview", "live": "Production"}


class ProductIngestionApi:
    """How the sandbox handles a request of the Product Ingestion API."""

    def subject_of(self, marketplace: SandboxMarketplace, name: str, request: Request, body: bytes) -> Subject:
        """Return what a request is about. Its address may name a product or a job, but names no publisher."""
        account = account_of(bearer_of(request.headers))
        unknown = Subject(name, account or marketplace.account)
        parameters, query = request.path_params, query_of(request)
        if name == "configure":
            return _subject_of_configure(marketplace, account, body)
        if "job" in parameters:
            known = job_by_id(marketplace, str(parameters["job"]))
            return Subject(name, known[0].id, known[1].offer) if known else unknown
        found = None
        if name == "list_products" and "externalid" in query:
            found = by_external_id(marketplace, query["externalid"], account)
            unknown = Subject(name, account or marketplace.owner_of(query["externalid"]))
        elif name == "list_plans" and "product" in query:
            found = by_guid(marketplace, product_in(query["product"]) or "", account)
        elif name != "list_products":
            product = str(parameters.get("product") or parameters.get("rest", "").split("/")[0])
            found = by_guid(marketplace, product, account)
        if found is None:
            return unknown
        slot = _SLOTS.get(query.get("targettype", "draft").lower()) if name == "read_tree" else None
        return Subject(name, found[0].id, found[1].id, slot)

    def check(self, call: ApiCall) -> None:
        """Refuse a request if the publisher is forbidden to the client."""
        if call.switches.forbidden:
            raise RefusedError(403, "Forbidden", "The application has no access to this account.")

    def answer(self, call: ApiCall) -> Response:
        """Do what the call asks for."""
        return CALLS[call.name](call)

    def refusal(self, refused: RefusedError, switches: Switches) -> Response:
        """Return the answer to a refused call."""
        return error_response(refused, switches)

    def too_many(self, retry_after: float, call: ApiCall) -> Response:
        """Return the answer to one request too many."""
        return too_many_response(retry_after, call.now)


def _subject_of_configure(marketplace: SandboxMarketplace, account: str | None, body: bytes) -> Subject:
    resources = objects_in(members_of(read_plain(body)).get("resources"))
    types = [schema.type if (schema := Schema.of(resource.get("$schema"))) else "" for resource in resources]
    target = "draft"
    if "submission" in types:
        submission = resources[types.index("submission")]
        target = str(members_of(submission.get("target")).get("targetType")).lower()
    name = f"configure_{target if target in ('preview', 'live') else 'draft'}"
    if "product" in types:
        return _subject_of_product(marketplace, account, name, resources[types.index("product")])
    for resource in resources:
        found = _product_of(marketplace, account, resource)
        if found:
            return Subject(name, found[0].id, found[1].id)
    return Subject(name, account or marketplace.account)


def _subject_of_product(
    marketplace: SandboxMarketplace, account: str | None, name: str, product: dict[str, Any]
) -> Subject:
    """Return the subject of a request with a product resource. The product may be new."""
    found = by_guid(marketplace, product_in(str(product.get("id"))) or "", account)
    if found:
        return Subject(name, found[0].id, found[1].id)
    external_id = external_id_of(product)
    return Subject(name, account or marketplace.owner_of(external_id), external_id)


def _product_of(marketplace: SandboxMarketplace, account: str | None, resource: dict[str, Any]) -> Found | None:
    reference = resource.get("product")
    external_id = external_id_in(reference)
    if external_id is not None:
        return by_external_id(marketplace, external_id, account)
    durable = reference if isinstance(reference, str) else str(resource.get("id"))
    return by_guid(marketplace, product_in(durable) or "", account)
