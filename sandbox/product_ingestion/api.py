"""What all calls of this API have in common."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.json_text import members_of, objects_in
from sandbox.marketplace import SandboxMarketplace
from sandbox.product_ingestion.calls import CALLS
from sandbox.product_ingestion.ids import external_id_of, external_reference, product_in
from sandbox.product_ingestion.products import Found, by_external_id, by_guid, job_by_id
from sandbox.product_ingestion.queries import query_of
from sandbox.product_ingestion.refusals import error_response, too_many_response
from sandbox.product_ingestion.requested import read_plain
from sandbox.product_ingestion.schemas import Schema
from sandbox.refusals import RefusedError
from sandbox.switches import Switches
from sandbox.tokens import account_of, bearer_of
from sandbox.visit import Place, Visit

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
    """The Product Ingestion API."""

    def place_of(self, marketplace: SandboxMarketplace, call: str, request: Request, body: bytes) -> Place:
        """Return what a request is about: addresses name products and jobs, but no publisher."""
        account = account_of(bearer_of(request.headers))
        nowhere = Place(call, account or marketplace.account)
        parameters, query = request.path_params, query_of(request)
        if call == "configure":
            return _place_of_configure(marketplace, account, body)
        if "job" in parameters:
            known = job_by_id(marketplace, str(parameters["job"]))
            return Place(call, known[0].id, known[1].offer) if known else nowhere
        found = None
        if call == "list_products" and "externalid" in query:
            found = by_external_id(marketplace, query["externalid"], account)
            nowhere = Place(call, account or marketplace.owner_of(query["externalid"]))
        elif call == "list_plans" and "product" in query:
            found = by_guid(marketplace, product_in(query["product"]) or "", account)
        elif call != "list_products":
            product = str(parameters.get("product") or parameters.get("rest", "").split("/")[0])
            found = by_guid(marketplace, product, account)
        if found is None:
            return nowhere
        slot = _SLOTS.get(query.get("targettype", "draft").lower()) if call == "read_tree" else None
        return Place(call, found[0].id, found[1].id, slot)

    def check(self, visit: Visit) -> None:
        """Refuse a request for its publisher."""
        if visit.switches.forbidden:
            raise RefusedError(403, "Forbidden", "The application has no access to this account.")

    def answer(self, visit: Visit) -> Response:
        """Do what is asked for."""
        return CALLS[visit.call](visit)

    def refusal(self, refused: RefusedError, switches: Switches) -> Response:
        """Say that it was refused."""
        return error_response(refused, switches)

    def too_many(self, stay_away: float, visit: Visit) -> Response:
        """Say that there were too many requests."""
        return too_many_response(stay_away, visit.now)


def _place_of_configure(marketplace: SandboxMarketplace, account: str | None, body: bytes) -> Place:
    resources = objects_in(members_of(read_plain(body)).get("resources"))
    types = [schema.type if (schema := Schema.of(resource.get("$schema"))) else "" for resource in resources]
    target = "draft"
    if "submission" in types:
        submission = resources[types.index("submission")]
        target = str(members_of(submission.get("target")).get("targetType")).lower()
    call = f"configure_{target if target in ('preview', 'live') else 'draft'}"
    if "product" in types:
        return _place_of_product(marketplace, account, call, resources[types.index("product")])
    for resource in resources:
        found = _meant(marketplace, account, resource)
        if found:
            return Place(call, found[0].id, found[1].id)
    return Place(call, account or marketplace.account)


def _place_of_product(
    marketplace: SandboxMarketplace, account: str | None, call: str, product: dict[str, Any]
) -> Place:
    """A product which is not known by its id is one of the sandbox's account or was promised, perhaps a new one."""
    found = by_guid(marketplace, product_in(str(product.get("id"))) or "", account)
    if found:
        return Place(call, found[0].id, found[1].id)
    external_id = external_id_of(product)
    return Place(call, account or marketplace.owner_of(external_id), external_id)


def _meant(marketplace: SandboxMarketplace, account: str | None, resource: dict[str, Any]) -> Found | None:
    reference = resource.get("product")
    external_id = external_reference(reference)
    if external_id is not None:
        return by_external_id(marketplace, external_id, account)
    durable = reference if isinstance(reference, str) else str(resource.get("id"))
    return by_guid(marketplace, product_in(durable) or "", account)
