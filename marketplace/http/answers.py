"""What an answer of the marketplace means: the one table from HTTP outcomes to errors, and what headers say.

Pure functions. An error's body is optional, say the APIs' documents, so nothing here depends on its shape.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import overload

import httpx

from marketplace.errors import (
    Conflict,
    Forbidden,
    Invalid,
    MarketplaceError,
    NotFound,
    Refused,
    Unauthorized,
    Unavailable,
    Unreachable,
    Unreadable,
)
from marketplace.wording import MAX_READ, one_line, plain_text, sayings

MAX_WORDS = 600
"""Characters of the service's own words in an error message."""

LONGEST_RETRY_AFTER = timedelta(hours=1)

_REQUEST_ID_HEADERS = ("x-ms-request-id", "x-ms-correlation-id", "x-ms-requestid", "request-id", "client-request-id")
_SHORTEST_SECRET = 8

_ERRORS: dict[int, type[MarketplaceError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    412: Conflict,
    422: Invalid,
    423: Conflict,
    429: Unavailable,
}


@dataclass(frozen=True)
class Answer:
    """An answer, read.

    Attributes:
        text: The body. Of a failure, or of a call whose body nobody needs, what could be read of it.
    """

    status: int
    headers: httpx.Headers
    text: str


@dataclass(frozen=True)
class Call:
    """A request in the words of a person: ``Call("publish", "fabrikam-linux", "webstack-appliance")``.

    Attributes:
        name: One of few words for what is measured: names neither an offer nor an operation.
    """

    verb: str
    publisher_id: str
    offer_id: str = ""
    name: str = "other"

    def __str__(self) -> str:
        return f"{self.verb} {self.publisher_id}{'/' if self.offer_id else ''}{self.offer_id}"


def words(body: str) -> str:
    """Return what an error body says, for a person, in at most `MAX_WORDS` characters.

    Reads JSON of the shapes in `marketplace.wording.sayings`, JSON that was cut off, HTML and plain text;
    secrets are replaced.
    """
    body = body.strip()
    try:
        return one_line("; ".join(sayings(json.loads(body))), MAX_WORDS)
    except (ValueError, RecursionError):
        pass
    if body[:1] in {"{", "["}:
        pieces = re.findall(r'"(?i:code|message|value)"\s*:\s*"((?:[^"\\]|\\.)*)', body[:MAX_READ])
        return plain_text(": ".join(map(_unescaped, pieces)), MAX_WORDS) or one_line(body, MAX_WORDS)
    return plain_text(body, MAX_WORDS)


def _by_status(_answer: Answer) -> None:
    return None


@dataclass(frozen=True)
class Dialect:
    """How one API says no.

    Attributes:
        hints: What to do about a status, for a person; ``{publisher_id}`` stands for the publisher.
        words: Returns what the body of a refusal says, for a person.
        error: Returns the error of a refusal where its body says more than its status, ``None`` elsewhere.
    """

    hints: Mapping[int, str] = field(default_factory=dict)
    words: Callable[[str], str] = words
    error: Callable[[Answer], type[MarketplaceError] | None] = _by_status


PLAIN = Dialect()


@overload
def failure(
    call: Call, happened: Exception, *, now: datetime, secret: str = "", dialect: Dialect = PLAIN
) -> MarketplaceError: ...


@overload
def failure(
    call: Call, happened: Answer, *, now: datetime, secret: str = "", dialect: Dialect = PLAIN
) -> MarketplaceError | None: ...


def failure(
    call: Call, happened: Answer | Exception, *, now: datetime, secret: str = "", dialect: Dialect = PLAIN
) -> MarketplaceError | None:
    """Return the error that an outcome of a request is, ``None`` when it is a success.

    ==========================  ================  ======================================================
    outcome                     error             why
    ==========================  ================  ======================================================
    200, 201, 202, other 2xx    none
    1xx, 3xx                    ``Refused``       no call answers so; a redirect could carry the token away
    401                         ``Unauthorized``  token missing, expired or for another audience
    403                         ``Forbidden``     the principal has no rights in the publisher
    404                         ``NotFound``      no such publisher, offer, version, operation, empty slot
    408, 429, 5xx               ``Unavailable``   with ``retry_after`` where the service names a time
    409, 412, 423               ``Conflict``      the offer changed meanwhile, or something else runs on it
    422                         ``Invalid``       the draft failed validation
    400, 411, every other 4xx   ``Refused``       wrong for good
    no answer, or a broken one  ``Unreachable``   ``httpx.TransportError`` and what the system raises
    undecodable compression     ``Unreadable``    ``httpx.DecodingError``, also of a body that is too long
    an impossible redirect      ``Refused``       ``httpx.InvalidURL`` and ``UnicodeError``
    ==========================  ================  ======================================================

    That a success has a readable body is asked by `json_of`.

    Args:
        call: What was asked.
        happened: The answer, or the exception that came in its place.
        now: What a date in ``Retry-After`` is compared with, unless the answer has a date of its own.
        secret: The token sent, so that a service which echoes it does not put it into a message.
        dialect: How the API says no.
    """
    if isinstance(happened, Exception):
        # The text of a LocalProtocolError quotes the header it refuses, and that can be the token.
        told = "" if isinstance(happened, httpx.LocalProtocolError) else _hidden(str(happened), secret)
        words = one_line(f"{type(happened).__name__}: {told}".rstrip(": "), MAX_WORDS)
        if isinstance(happened, httpx.DecodingError):
            return Unreadable(f"{call}: the marketplace's answer cannot be read: {words}", call=str(call))
        if isinstance(happened, httpx.InvalidURL | UnicodeError):
            # The library works out where a redirect leads even though it is not to go there.
            return Refused(f"{call}: the marketplace redirects to an address that is none: {words}", call=str(call))
        return Unreachable(f"{call}: no answer from the marketplace: {words}", call=str(call))
    status = happened.status
    if httpx.codes.is_success(status):
        return None
    usual = _ERRORS.get(status, Unavailable if status >= httpx.codes.INTERNAL_SERVER_ERROR else Refused)
    error = dialect.error(happened) or usual
    return error(
        _sentence(call, happened, secret, dialect),
        call=str(call),
        status=status,
        retry_after=retry_after(happened.headers, now) if error is Unavailable else None,
    )


def without(answer: Answer, secret: str) -> Answer:
    """Return the answer without the token that was sent, should the service repeat it in its body or a header."""
    if len(secret) < _SHORTEST_SECRET:
        return answer
    headers = [(name, value.replace(secret.encode(), b"REDACTED")) for name, value in answer.headers.raw]
    return replace(answer, headers=httpx.Headers(headers), text=answer.text.replace(secret, "REDACTED"))


def json_of(call: Call, answer: Answer) -> object:
    """Return the JSON value that a success answered with.

    Raises:
        Unreadable: The body is empty, cut off, HTML, or something else that is not JSON.
    """
    try:
        value: object = json.loads(answer.text)
    except (ValueError, RecursionError) as error:
        start = plain_text(answer.text, 120) or "nothing"
        raise unreadable(call, answer, f"is not JSON: {start}") from error
    return value


def unreadable(call: Call, answer: Answer, what: str) -> Unreadable:
    """Return the error of a success whose body is not what is documented."""
    return Unreadable(
        f"{call}: the marketplace answered {answer.status}, but the answer {what}{_request_id(answer.headers)}",
        call=str(call),
        status=answer.status,
    )


def retry_after(headers: httpx.Headers, now: datetime) -> timedelta | None:
    """Return how long the service asked us to stay away, at most `LONGEST_RETRY_AFTER`.

    Seconds, with or without a fraction, or a date. What is negative, past or garbage says nothing and gives
    ``None``.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d*)?", value, re.ASCII):
        seconds = float(value)
    else:
        wanted = _date(value)
        if wanted is None:
            return None
        seconds = (wanted - (_date(headers.get("date", "")) or now)).total_seconds()
        if seconds < 0:
            return None
    return timedelta(seconds=min(seconds, LONGEST_RETRY_AFTER.total_seconds()))


def _sentence(call: Call, answer: Answer, secret: str, dialect: Dialect) -> str:
    said = dialect.words(_hidden(answer.text, secret))
    sentence = f"{call}: the marketplace answered {answer.status}{': ' if said else ''}{said}"
    hint = dialect.hints.get(answer.status, "").format(publisher_id=call.publisher_id)
    return f"{sentence}{' - ' if hint else ''}{hint}{_request_id(answer.headers)}"


def request_ids(headers: httpx.Headers) -> dict[str, str]:
    """Return by what names the service knows a request, header by header; the most telling first."""
    return {name: one_line(headers[name], 100) for name in _REQUEST_ID_HEADERS if headers.get(name)}


def _request_id(headers: httpx.Headers) -> str:
    found = next(iter(request_ids(headers).values()), "")
    return f" (request id {found})" if found else ""


def _hidden(text: str, secret: str) -> str:
    return text.replace(secret, "…") if len(secret) >= _SHORTEST_SECRET else text


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _unescaped(piece: str) -> str:
    try:
        return str(json.loads(f'"{piece}"', strict=False))
    except ValueError:
        return piece
