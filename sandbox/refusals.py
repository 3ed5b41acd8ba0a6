"""Refused calls. Each API turns a refusal into an answer of its own form."""

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.responses import Response


@dataclass(frozen=True)
class Detail:
    """One member of a document that is at fault."""

    code: str
    message: str
    target: str


class RefusedError(Exception):
    """The call is refused; it is answered with an error."""

    def __init__(self, status: int, code: str, message: str, details: Sequence[Detail] = ()) -> None:
        """Keep what the answer needs."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details


def shaped_response(refused: RefusedError, error: Mapping[str, object], shape: str) -> Response:
    """Return the answer with the error as the API documents it, or in another shape.

    The APIs do not promise a body, so a client has to expect any of these.
    """
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
