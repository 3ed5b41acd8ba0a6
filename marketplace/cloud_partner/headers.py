"""The headers of an answer: the ID of the operation that was started, and the ETag of the document that was read."""

import re
from urllib.parse import unquote, urlsplit

import httpx

from marketplace.cloud_partner.operations import identifier

_LOCATION_HEADERS = ("location", "operation-location")


def operation_id(headers: httpx.Headers) -> str | None:
    """Return the ID of the operation that was started, ``None`` where the headers do not name it.

    Three forms are documented:

    * ``Location`` with a path that ends in ``/operations/{operationId}``
    * ``Operation-Location`` with the same path in an absolute URL
    * ``/api/operations/{publisherId}${offerId}$2$preview``, which has no ID, for offers that were not migrated

    The address is never requested, so its host does not matter.
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
    """Return the ETag as it was read, ``None`` if it is missing or could not be sent back."""
    value = headers.get("etag", "").strip()
    return value if re.fullmatch(r"[\x20-\x7e]{1,1024}", value) else None
