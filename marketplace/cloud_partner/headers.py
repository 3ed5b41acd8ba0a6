"""What the headers of an answer name: the operation that was begun, and the state of a document that was read."""

import re
from urllib.parse import unquote, urlsplit

import httpx

from marketplace.cloud_partner.operations import identifier

_LOCATION_HEADERS = ("location", "operation-location")


def operation_id(headers: httpx.Headers) -> str | None:
    """Return the id of the operation that an answer's ``Location`` names, ``None`` where it names none.

    Three generations of the header are documented: ``Location`` with a path that ends in
    ``/operations/{operationId}``, ``Operation-Location`` with the same as an absolute URL, and, of offers
    that have not been migrated, ``/api/operations/{publisherId}${offerId}$2$preview``, which holds no id.
    Only the id is taken: the address is not followed, so it does not matter which host it names.
    """
    for name in _LOCATION_HEADERS:
        for location in headers.get_list(name):
            try:
                path = urlsplit(location.strip()).path
            except ValueError:
                continue
            found = re.search(r"/operations/([^/]+)/*$", path, re.IGNORECASE)
            operation = identifier(unquote(found[1])) if found else None
            if operation is not None:
                return operation
    return None


def etag(headers: httpx.Headers) -> str | None:
    """Return the ETag as it was read, ``None`` where there is none that could be sent back."""
    value = headers.get("etag", "").strip()
    return value if re.fullmatch(r"[\x20-\x7e]{1,1024}", value) else None
