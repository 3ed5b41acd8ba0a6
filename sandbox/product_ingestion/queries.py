"""The query parameters of a call, and the pages of a list."""

from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from starlette.requests import Request

from sandbox.product_ingestion.errors import bad_request

_Item = TypeVar("_Item")


def query_of(request: Request) -> dict[str, str]:
    """Return the query parameters, with names in lower case and without the `$`."""
    return {name.lower().lstrip("$"): value for name, value in request.query_params.items()}


def page_of(items: Sequence[_Item], request: Request, page_size: int) -> tuple[Sequence[_Item], str | None]:
    """Return the requested page, and the address of the next one.

    Nothing in its continuation token needs escaping, so that a client may escape the address again or not.
    """
    query = query_of(request)
    size, token = query.get("maxpagesize", str(page_size)), query.get("continuationtoken", "p0")
    if not size.isdecimal() or int(size) < 1:
        raise bad_request(f"The $maxpagesize '{size}' is not valid.")
    if not token.startswith("p") or not token[1:].isdecimal():
        raise bad_request("The continuationToken is not valid.")
    size_asked, begin = min(int(size), page_size), int(token[1:])
    end = begin + size_asked
    if end >= len(items):
        return items[begin:], None
    kept = [
        f"{quote(name, safe='$')}={quote(value, safe='')}"
        for name, value in request.query_params.items()
        if name.lower() != "continuationtoken"
    ]
    address = str(request.url.replace(query=""))
    return items[begin:end], f"{address}?{'&'.join([*kept, f'continuationToken=p{end}'])}"


def listed(values: Sequence[Any], next_link: str | None) -> dict[str, Any]:
    """Return the JSON of a list."""
    return {"value": list(values)} | ({"@nextLink": next_link} if next_link else {})
