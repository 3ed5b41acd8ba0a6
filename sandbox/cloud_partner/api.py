"""The routes of the Cloud Partner Portal API, and what all its calls share."""

from starlette.requests import Request
from starlette.responses import Response

from sandbox.api_call import ApiCall, Subject
from sandbox.cloud_partner.calls import CALLS
from sandbox.cloud_partner.errors import API_VERSIONS, error_response, too_many_response
from sandbox.cloud_partner.put import missing_if_match
from sandbox.marketplace import SandboxMarketplace
from sandbox.refusals import RefusedError
from sandbox.switches import Switches
from sandbox.tokens import account_of, bearer_of

_OFFERS = "/api/publishers/{publisher}/offers"
_OFFER = _OFFERS + "/{offer}"
ROUTES = (
    ("GET", _OFFERS, "list_offers"),
    ("GET", _OFFER, "read_offer"),
    ("GET", _OFFER + "/versions/{version}", "read_offer"),
    ("GET", _OFFER + "/slot/{slot}", "read_offer"),
    ("PUT", _OFFER, "put_offer"),
    ("GET", _OFFER + "/status", "offer_status"),
    ("POST", _OFFER + "/publish", "publish"),
    ("POST", _OFFER + "/golive", "go_live"),
    ("POST", _OFFER + "/cancel", "cancel"),
    ("GET", _OFFER + "/submissions", "list_operations"),
    ("GET", _OFFER + "/submissions/", "list_operations"),
    ("GET", _OFFER + "/operations/{operation}", "read_operation"),
    ("GET", "/api/operations/{publisher}${offer}$2${stage}", "read_operation"),
)


class CloudPartnerApi:
    """How the sandbox handles a request of the Cloud Partner Portal API."""

    def subject_of(self, _marketplace: SandboxMarketplace, name: str, request: Request, _body: bytes) -> Subject:
        """Return what a request is about, from its address."""
        parameters = request.path_params
        slot = str(parameters.get("slot", "Draft")) if name == "read_offer" else None
        return Subject(name, str(parameters["publisher"]), parameters.get("offer"), slot)

    def check(self, call: ApiCall) -> None:
        """Refuse a request with a wrong API version, wrong headers, or a publisher that the token is not for."""
        request, switches = call.request, call.switches
        if request.query_params.get("api-version") not in API_VERSIONS:
            given = request.query_params.get("api-version", "")
            message = f"api-version '{given}' is not recognised. Known: [{', '.join(API_VERSIONS)}]"
            raise RefusedError(400, "InvalidAPIVersion", message)
        account = account_of(bearer_of(request.headers))
        if switches.forbidden or account not in (None, call.publisher_id):
            message = f"The principal has no access to the publisher '{call.publisher_id}'."
            raise RefusedError(403, "Forbidden", message)
        if request.method == "POST" and switches.length_required and "content-length" not in request.headers:
            raise RefusedError(411, "LengthRequired", "A POST needs a Content-Length.")
        if switches.if_match_required == "every_call" and "if-match" not in request.headers:
            raise missing_if_match(switches)

    def answer(self, call: ApiCall) -> Response:
        """Do what the call asks for."""
        return CALLS[call.name](call)

    def refusal(self, refused: RefusedError, switches: Switches) -> Response:
        """Return the answer to a refused call."""
        return error_response(refused, switches.error_shape)

    def too_many(self, retry_after: float, call: ApiCall) -> Response:
        """Return the answer to one request too many."""
        return too_many_response(retry_after, call.switches.error_shape)
