"""The forms in which a refusal reaches a client of this API."""

import html
import json
import math

from starlette.responses import Response

from sandbox.refusals import RefusedError

API_VERSIONS = ("2017-10-31",)


def error_response(refused: RefusedError, shape: str) -> Response:
    """The answer in the given shape: a body is optional on every error, so all of these occur."""
    error: dict[str, object] = {"code": refused.code, "message": refused.message}
    if refused.details:
        error["details"] = [vars(detail) for detail in refused.details]
    documented = json.dumps({"error": error}, ensure_ascii=False)
    bodies = {
        "string": json.dumps(refused.message),
        "message_only": json.dumps({"message": refused.message}),
        "list": json.dumps([error]),
        "odata": json.dumps(
            {"odata.error": {"code": refused.code, "message": {"lang": "en-US", "value": refused.message}}}
        ),
        "empty": "",
        "html": f"<html><body><h1>{refused.status}</h1><p>{html.escape(refused.message)}</p></body></html>",
        "truncated": documented[: len(documented) // 2],
    }
    media_type = {"html": "text/html", "empty": None}.get(shape, "application/json")
    headers = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else None  # noqa: PLR2004
    return Response(bodies.get(shape, documented), refused.status, headers, media_type)


def too_many_response(stay_away: float, shape: str) -> Response:
    """The answer to one request too many; the header holds whole seconds."""
    refused = RefusedError(429, "TooManyRequests", "The rate limit is exceeded. Try again later.")
    response = error_response(refused, shape)
    response.headers["Retry-After"] = str(math.ceil(stay_away))
    return response
