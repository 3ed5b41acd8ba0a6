"""What an answer of the marketplace means: the table from HTTP outcomes to errors, and the headers that matter.

Pure functions. According to the documentation, the body of an error is optional. Nothing here depends on its shape.
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
from marketplace.model import OfferKey
from marketplace.wording import MAX_READ, error_sentences, hide, one_line, plain_text

MAX_WORDS = 600
"""How many characters of the service's own words an error message quotes."""

LONGEST_RETRY_AFTER = timedelta(hours=1)

_REQUEST_ID_HEADERS = ("x-ms-request-id", "x-ms-correlation-id", "x-ms-requestid", "request-id", "client-request-id")

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
    """An answer that was read.

    Attributes:
        text: The body. Only the body of a successful GET is sure to be complete.
    """

    status: int
    headers: httpx.Headers
    text: str


@dataclass(frozen=True)
class Call:
    """A request about an offer.

    Attributes:
        name: The kind of call, for metrics. Contains neither an offer nor an operation.
        verb: What it does, in a person's words.
    """

    name: str
    verb: str
    offer: OfferKey

    def __str__(self) -> str:
        """Return the call in a person's words: ``"publish fabrikam-linux/webstack-appliance"``."""
        return f"{self.verb} {self.offer}"


def words(body: str) -> str:
    """Return the words of an error body for a person, in at most `MAX_WORDS` characters and without secrets.

    The body may be JSON of a shape in `marketplace.wording.error_sentences`, JSON that was cut off, HTML or plain
    text.
    """
    body = body.strip()
    try:
        return one_line("; ".join(error_sentences(json.loads(body))), MAX_WORDS)
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
    """How an API reports errors.

    Attributes:
        hints: What a person can do about a status. ``{publisher_id}`` stands for the publisher.
        words: Returns the words of an error body for a person.
        error: Returns the error that the body of a refusal stands for, ``None`` where the status decides.
    """

    hints: Mapping[int, str] = field(default_factory=dict)
    words: Callable[[str], str] = words
    error: Callable[[Answer], type[MarketplaceError] | None] = _by_status


PLAIN = Dialect()


@overload
def error_for(
    call: Call, outcome: Exception, *, now: datetime, secret: str = "", dialect: Dialect = PLAIN
) -> MarketplaceError: ...


@overload
def error_for(
    call: Call, outcome: Answer, *, now: datetime, secret: str = "", dialect: Dialect = PLAIN
) -> MarketplaceError | None: ...


def error_for(
    call: Call, outcome: Answer | Exception, *, now: datetime, secret: str = "", dialect: Dialect = PLAIN
) -> MarketplaceError | None:
    """Return the error that the outcome of a request stands for, ``None`` for a success.

    ==========================  ================  ======================================================
    outcome                     error             why
    ==========================  ================  ======================================================
    200, 201, 202, other 2xx    none
    1xx, 3xx                    ``Refused``       not documented; a redirect could leak the token
    401                         ``Unauthorized``  token missing, expired or for another audience
    403                         ``Forbidden``     the principal has no rights in the publisher
    404                         ``NotFound``      no such publisher, offer, version, operation, empty slot
    408, 429, 5xx               ``Unavailable``   with ``retry_after`` if the service gives a time
    409, 412, 423               ``Conflict``      the offer changed meanwhile, or another operation runs
    422                         ``Invalid``       the draft failed validation
    400, 411, every other 4xx   ``Refused``       a repetition would be refused too
    no answer, or a broken one  ``Unreachable``   ``httpx.TransportError``, ``OSError``, other ``ValueError``
    body cannot be decoded      ``Unreadable``    ``httpx.DecodingError``, also for a body that is too long
    an impossible redirect      ``Refused``       ``httpx.InvalidURL`` and ``UnicodeError``
    ==========================  ================  ======================================================

    Whether a success has a readable body is checked by `json_of`.

    Args:
        call: The call.
        outcome: The answer, or the exception that was raised instead.
        now: The time that a date in ``Retry-After`` is compared with, unless the answer has a ``Date``.
        secret: The token that was sent. A service may echo it, and it must not reach a message.
        dialect: How the API reports errors.
    """
    if isinstance(outcome, Exception):
        # The text of a LocalProtocolError quotes the refused header, which may be the token.
        reason = "" if isinstance(outcome, httpx.LocalProtocolError) else hide(str(outcome), secret)
        words = one_line(f"{type(outcome).__name__}: {reason}".rstrip(": "), MAX_WORDS)
        if isinstance(outcome, httpx.DecodingError):
            return Unreadable(f"{call}: the marketplace's answer cannot be read: {words}", call=str(call))
        if isinstance(outcome, httpx.InvalidURL | UnicodeError):
            # The library resolves the target of a redirect even though it must not follow it.
            return Refused(f"{call}: the marketplace redirects to an invalid address: {words}", call=str(call))
        return Unreachable(f"{call}: no answer from the marketplace: {words}", call=str(call))
    status = outcome.status
    if httpx.codes.is_success(status):
        return None
    usual = _ERRORS.get(status, Unavailable if status >= httpx.codes.INTERNAL_SERVER_ERROR else Refused)
    error = dialect.error(outcome) or usual
    return error(
        _sentence(call, outcome, secret, dialect),
        call=str(call),
        status=status,
        retry_after=retry_after(outcome.headers, now) if error is Unavailable else None,
    )


def without(answer: Answer, secret: str) -> Answer:
    """Return the answer without the token that was sent. A service may echo it in the body or a header."""
    headers = [(name, hide(value.decode("latin-1"), secret).encode("latin-1")) for name, value in answer.headers.raw]
    return replace(answer, headers=httpx.Headers(headers), text=hide(answer.text, secret))


def json_of(call: Call, answer: Answer) -> object:
    """Return the JSON value in the body of a success.

    Raises:
        Unreadable: The body is not JSON. It may be empty, cut off, or HTML.
    """
    try:
        value: object = json.loads(answer.text)
    except (ValueError, RecursionError) as error:
        start = plain_text(answer.text, 120) or "nothing"
        raise unreadable(call, answer, f"is not JSON: {start}") from error
    return value


def unreadable(call: Call, answer: Answer, what: str) -> Unreadable:
    """Return the error for a success whose body differs from the documentation."""
    return Unreadable(
        f"{call}: the marketplace answered {answer.status}, but the answer {what}{_request_id(answer.headers)}",
        call=str(call),
        status=answer.status,
    )


def retry_after(headers: httpx.Headers, now: datetime) -> timedelta | None:
    """Return how long the service asked us to wait, at most `LONGEST_RETRY_AFTER`.

    The header has seconds, with or without a fraction, or a date. Return ``None`` for anything else, and for a date
    in the past.
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
    words = dialect.words(hide(answer.text, secret))
    sentence = f"{call}: the marketplace answered {answer.status}{': ' if words else ''}{words}"
    hint = dialect.hints.get(answer.status, "").format(publisher_id=call.offer.publisher_id)
    return f"{sentence}{' - ' if hint else ''}{hint}{_request_id(answer.headers)}"


def request_ids(headers: httpx.Headers) -> dict[str, str]:
    """Return the service's IDs of a request by header, the most useful one first."""
    return {name: one_line(headers[name], 100) for name in _REQUEST_ID_HEADERS if headers.get(name)}


def _request_id(headers: httpx.Headers) -> str:
    found = next(iter(request_ids(headers).values()), "")
    return f" (request id {found})" if found else ""


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
