"""The nine calls of the Cloud Partner Portal API. A refused call raises `RefusedError`."""

from collections.abc import Callable, Mapping
from typing import cast

from starlette.responses import JSONResponse, Response

from sandbox import offers
from sandbox.api_call import ApiCall
from sandbox.cloud_partner import answers, documents
from sandbox.cloud_partner.documents import Members
from sandbox.cloud_partner.put import put
from sandbox.refusals import RefusedError
from sandbox.spelled_json import members_of, parse, parse_plain, render
from sandbox.state import Offer, Operation, Publisher, Snapshot


def _offer(call: ApiCall) -> Offer:
    """Return the offer; refuse the call unless the offer was created through this API."""
    known = call.publisher.offers.get(call.offer_id)
    if known is None or known.api != "cloud_partner":
        raise RefusedError(404, "NotFound", f"The publisher '{call.publisher_id}' has no offer '{call.offer_id}'.")
    return known


def list_offers(call: ApiCall) -> Response:
    """List the publisher's offers."""
    publisher = call.publisher
    return JSONResponse(
        [
            answers.summary_answer(publisher, offer)
            for offer in publisher.offers.values()
            if offer.api == "cloud_partner"
        ]
    )


def read_offer(call: ApiCall) -> Response:
    """Return the document of the draft, of a version or of a slot."""
    offer, switches = _offer(call), call.switches
    snapshot: Snapshot | None = offer.draft
    version = offer.version
    if "version" in call.request.path_params:
        version = _whole_number(str(call.request.path_params["version"]))
        snapshot = offer.draft if version == offer.version else offer.versions.get(version)
    elif "slot" in call.request.path_params:
        slot = str(call.request.path_params["slot"])
        slots = {name.casefold(): found for name, found in offer.slots.items()}
        if slot.casefold() not in slots:
            raise RefusedError(400, "InvalidSlot", f"'{slot}' is not one of {', '.join(offer.slots)}.")
        snapshot = slots[slot.casefold()]
        version = snapshot.version if snapshot and snapshot is not offer.draft else version
    if snapshot is None:
        raise RefusedError(404, "NotFound", f"The offer '{offer.id}' has no such slot or version.")
    text = _document(call, offer, snapshot, version)
    headers = {"ETag": offer.etag} if switches.etag_on_get else {}
    return Response(text, 200, headers, "application/json")


def _whole_number(text: str) -> int:
    if not text.isdecimal():
        raise RefusedError(400, "InvalidVersion", f"'{text}' is not a version: it must be a whole number.")
    return int(text)


def _document(call: ApiCall, offer: Offer, snapshot: Snapshot, version: int) -> str:
    switches = call.switches
    document = cast("Members", parse(snapshot.text))
    if switches.normalize_documents:
        documents.normalize(document)
    if not switches.secrets_returned:
        documents.drop_secrets(document)
    if switches.windows_os_type_dropped == "everywhere" or (
        switches.windows_os_type_dropped == "put_response"
        and call.name == "put_offer"
        and switches.normalize_documents
    ):
        documents.drop_windows_os_type(document)
    members: Members = {
        "status": answers.offer_status(offer, switches),
        "version": version,
        "changedTime": answers.timestamp(snapshot.changed, switches),
    }
    if switches.etag_in_body:
        members["eTag"] = offer.etag
    documents.set_server_members(document, members, changed_time_in_definition=switches.changed_time_in_definition)
    return render(document)


def put_offer(call: ApiCall) -> Response:
    """Create an offer, or replace its draft."""
    try:
        text = call.body.decode()
    except UnicodeDecodeError:
        raise RefusedError(400, "InvalidRequest", "The body is not UTF-8.") from None
    # A publisher begins to exist with its first offer, if that is not refused.
    publisher = call.known_publisher or Publisher(id=call.publisher_id, switches=call.switches)
    if_match = call.request.headers.get("if-match")
    offer, created = put(publisher, call.offer_id, text, if_match, call.now, call.tick)
    call.marketplace.state.publishers.setdefault(publisher.id, publisher)
    call.effect = True
    switches = publisher.switches
    answer = _document(call, offer, offer.draft, offer.version)
    headers = {"ETag": offer.etag} if switches.etag_on_put else {}
    return Response(answer, switches.create_status if created else 200, headers, "application/json")


def offer_status(call: ApiCall) -> Response:
    """Return the status of an offer."""
    return JSONResponse(answers.status_answer(_offer(call), call.switches, call.now))


def publish(call: ApiCall) -> Response:
    """Publish the draft to the preview."""
    offer = _offer(call)
    emails = _emails(call.body, required=call.switches.publish_body_required)
    return _accepted(call, offer, offers.publish(call.publisher, offer, emails, call.now, call.tick))


def _emails(body: bytes, *, required: bool = False) -> str:
    if not body.strip():
        if required:
            raise RefusedError(400, "InvalidRequest", "The body with 'metadata' is required.")
        return ""
    try:
        content = parse_plain(body.decode())
    except (ValueError, RecursionError):
        raise RefusedError(400, "InvalidRequest", "The body is not JSON.") from None
    emails = members_of(members_of(content).get("metadata")).get("notification-emails", "")
    if not isinstance(content, dict) or not isinstance(emails, str):
        raise RefusedError(400, "InvalidRequest", "metadata.notification-emails must be a string.")
    return emails


def go_live(call: ApiCall) -> Response:
    """Publish the preview to Production."""
    offer = _offer(call)
    return _accepted(call, offer, offers.go_live(call.publisher, offer, call.now, call.tick))


def cancel(call: ApiCall) -> Response:
    """Cancel the publish."""
    offer = _offer(call)
    _emails(call.body)
    return _accepted(call, offer, offers.cancel(call.publisher, offer, call.now, call.tick))


def _accepted(call: ApiCall, offer: Offer, accepted: offers.Accepted) -> Response:
    call.effect = accepted.effect
    if accepted.operation is None or accepted.status == 200:  # noqa: PLR2004
        call.operation_id = accepted.operation.id if accepted.operation else None
        return Response(status_code=accepted.status)
    call.operation_id = accepted.operation.id
    base_url = str(call.request.base_url)
    headers = answers.location_headers(call.publisher, offer, accepted.operation, base_url)
    if call.name == "cancel" and call.switches.cancel_location == "body":
        return JSONResponse({"location": next(iter(headers.values()), None)}, accepted.status)
    return Response(status_code=accepted.status, headers=headers)


def list_operations(call: ApiCall) -> Response:
    """List the operations of an offer."""
    offer = _offer(call)
    if not call.switches.submissions_available:
        raise RefusedError(404, "NotFound", "There is no such call.")
    return JSONResponse(
        answers.submissions_answer(call.publisher, offer, call.request.query_params.get("status") or None)
    )


def read_operation(call: ApiCall) -> Response:
    """Return an operation."""
    offer = _offer(call)
    operation = _wanted_operation(call, offer)
    if operation is None:
        raise RefusedError(404, "NotFound", f"The offer '{offer.id}' has no such operation.")
    call.operation_id = operation.id
    answer = answers.operation_answer(offer, operation, call.switches, call.now)
    return JSONResponse([answer] if call.switches.operation_as_array else answer)


def _wanted_operation(call: ApiCall, offer: Offer) -> Operation | None:
    parameters = call.request.path_params
    if "operation" in parameters:
        return offer.operation(str(parameters["operation"]).casefold())
    # The oldest form of address names no operation. It means the newest one of that kind.
    kind = "goLive" if parameters["stage"] == "production" else "publish"
    return next((known for known in reversed(offer.operations) if known.kind == kind), None)


CALLS: Mapping[str, Callable[[ApiCall], Response]] = {
    "list_offers": list_offers,
    "read_offer": read_offer,
    "put_offer": put_offer,
    "offer_status": offer_status,
    "publish": publish,
    "go_live": go_live,
    "cancel": cancel,
    "list_operations": list_operations,
    "read_operation": read_operation,
}
