"""The PUT of an offer, and the conditions under which the service accepts it."""

from datetime import datetime

from sandbox import offers
from sandbox.cloud_partner.validation import check_put
from sandbox.offers import Ticker
from sandbox.refusals import RefusedError
from sandbox.state import Offer, Publisher
from sandbox.switches import Switches

_PRECONDITION_FAILED = 412


def put(
    publisher: Publisher, offer_id: str, text: str, if_match: str | None, now: datetime, tick: Ticker
) -> tuple[Offer, bool]:
    """Store a draft. Return the offer, and whether it is new."""
    offer = publisher.offers.get(offer_id)
    switches = publisher.switches
    if offer is not None and offer.api != "cloud_partner":
        raise RefusedError(409, "OfferExists", f"The offer '{offer_id}' is managed through another API.")
    if offer is None and if_match not in (None, "*"):
        raise RefusedError(_PRECONDITION_FAILED, "PreconditionFailed", "The offer does not exist.")
    if offer is not None and if_match is None and switches.if_match_required != "never":
        raise missing_if_match(switches)
    if offer is not None:
        offers.check_editable(offer, switches)
    if offer is not None and if_match not in (None, "*", offer.etag):
        message = "The offer has changed since it was read: If-Match differs from its ETag."
        raise RefusedError(_PRECONDITION_FAILED, "PreconditionFailed", message)
    offer_type = check_put(text, publisher.id, offer_id, offer.offer_type if offer else None, switches)
    if offer is None:
        return offers.create(publisher, "cloud_partner", offer_id, offer_type, text, now, tick), True
    offers.store_draft(publisher, offer, text, now, tick)
    return offer, False


def missing_if_match(switches: Switches) -> RefusedError:
    """Return the refusal of a call without If-Match."""
    message = "The If-Match header is required: the ETag of the last read, or * to overwrite."
    return RefusedError(switches.if_match_missing_status, "MissingIfMatch", message)
