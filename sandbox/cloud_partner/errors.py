"""The errors of the Cloud Partner Portal API."""

import math

from starlette.responses import Response

from sandbox.refusals import RefusedError, shaped_response

API_VERSIONS = ("2017-10-31",)


def error_response(refused: RefusedError, shape: str) -> Response:
    """Return the answer to a refused call, in the given shape."""
    error: dict[str, object] = {"code": refused.code, "message": refused.message}
    if refused.details:
        error["details"] = [vars(detail) for detail in refused.details]
    return shaped_response(refused, error, shape)


def too_many_response(retry_after: float, shape: str) -> Response:
    """Return the answer to one request too many. Its Retry-After has whole seconds."""
    refused = RefusedError(429, "TooManyRequests", "The rate limit is exceeded. Try again later.")
    response = error_response(refused, shape)
    response.headers["Retry-After"] = str(math.ceil(retry_after))
    return response
