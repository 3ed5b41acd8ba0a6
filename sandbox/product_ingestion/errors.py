"""The errors of the Product Ingestion API. An error has further errors as details, in an answer or in a job."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from starlette.responses import Response

from sandbox.refusals import Detail, RefusedError, shaped_response
from sandbox.switches import Switches

Error: TypeAlias = dict[str, Any]

SCHEMA_ERROR = "schemaValidationError"
BUSINESS_ERROR = "businessValidationError"

_CODES: Mapping[int, str] = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "notFound",
    405: "methodNotAllowed",
    409: "conflict",
    423: "locked",
}
_CONTENTION: Mapping[str, int] = {"409": 409, "423": 423, "400": 400, "job": 409}


class NestedError(RefusedError):
    """A refusal whose error has further errors as details."""

    def __init__(self, status: int, error: Error) -> None:
        """Keep the error."""
        super().__init__(status, str(error["code"]), str(error["message"]))
        self.error = error


def error_of(code: str, message: str, resource: str | None = None, details: Sequence[Error] = ()) -> Error:
    """Return an error with the errors that explain it."""
    return (
        {"code": code, "message": message}
        | ({"resourceId": resource} if resource else {})
        | {"details": list(details)}
    )


def bad_request(message: str, details: Sequence[Error] = ()) -> NestedError:
    """Return the refusal of an invalid request."""
    return NestedError(400, error_of("badRequest", message, None, details))


def not_found(message: str) -> NestedError:
    """Return the refusal of a request for what does not exist."""
    return NestedError(404, error_of("notFound", message))


def errors_about(details: Sequence[Detail], switches: Switches) -> list[Error]:
    """Return an error for each resource. What is wrong with it is in the innermost errors."""
    if switches.error_details != "array":
        return [error_of(detail.code, detail.message, detail.target) for detail in details]
    targets = dict.fromkeys(detail.target for detail in details)
    return [
        error_of(
            "badRequest",
            "Invalid resource.",
            target,
            [error_of(detail.code, detail.message) for detail in dict.fromkeys(details) if detail.target == target],
        )
        for target in targets
    ]


def contention(product: str, message: str, switches: Switches) -> NestedError:
    """Return the refusal of a request that has to wait for a submission in progress."""
    status = _CONTENTION[switches.contention]
    inner = "productLocked" if status == 423 else "invalidState"  # noqa: PLR2004
    code = _CODES[status]
    return NestedError(
        status, error_of(code, "Operation failed", f"submission/{product}/0", [error_of(inner, message)])
    )


def shaped(error: Error, switches: Switches) -> Error:
    """Return an error with the innermost `details` in the form that the switches say."""
    details = [shaped(inner, switches) for inner in error["details"]]
    if details or switches.error_details == "array":
        return error | {"details": details}
    if switches.error_details == "object":
        return error | {"details": {}}
    return {name: value for name, value in error.items() if name != "details"}


def error_response(refused: RefusedError, switches: Switches) -> Response:
    """Return the answer to a refused call."""
    if isinstance(refused, NestedError):
        error = refused.error
    else:
        code = _CODES.get(refused.status, refused.code)
        error = error_of(code, refused.message, None, errors_about(refused.details, switches))
    return shaped_response(refused, shaped(error, switches), switches.error_shape)


def too_many_response(retry_after: float, now: datetime) -> Response:
    """Return the answer to one request too many, as Microsoft Graph gives it. Its Retry-After has a fraction."""
    refused = RefusedError(429, "TooManyRequests", "Too many requests. Try again later.")
    request_id = str(uuid.uuid4())
    inner = {"date": f"{now:%Y-%m-%dT%H:%M:%S}", "request-id": request_id, "client-request-id": request_id}
    error = {"code": refused.code, "message": refused.message, "innerError": inner}
    response = shaped_response(refused, error, "documented")
    response.headers["Retry-After"] = f"{retry_after:.3f}"
    return response
