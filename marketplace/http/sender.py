"""Sends requests to the marketplace and reads their answers, for both APIs.

After a 401, the request is sent again with a new token, once. An API may ask for one more attempt with other headers.
Nothing else is retried. `marketplace.http.answers` maps answers to errors.
"""

import logging
import time
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from typing import TypeAlias, cast
from urllib.parse import quote

import httpx

from marketplace.errors import Refused, Unauthorized
from marketplace.http.answers import (
    Answer,
    Call,
    Dialect,
    error_for,
    request_ids,
    retry_after,
    unreadable,
    without,
)
from marketplace.http.credentials import Credentials
from marketplace.http.exchange import Exchange, Observer, ignore
from marketplace.http.pace import ON_THE_WAY, Pace
from marketplace.timestamps import utc_now
from marketplace.wording import one_line, plain_text

CONNECT_SECONDS = ON_THE_WAY
"""The pace counts on it: a request travels no longer than it takes to connect."""

READ_TIMEOUT = httpx.Timeout(20.0, connect=CONNECT_SECONDS)
WRITE_TIMEOUT = httpx.Timeout(30.0, connect=CONNECT_SECONDS)

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
"""The limit on an offer's document, unpacked. Ten thousand plans take a fifth of it."""

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""The limit on any other answer, such as a list of operations."""

MAX_ERROR_BYTES = 256 * 1024
"""How much is read of an answer other than a successful GET. A longer one is cut off."""

_GZIP = 16 + zlib.MAX_WBITS

_HEADER_SAFE = frozenset(map(chr, range(0x21, 0x7F)))

_log = logging.getLogger(__name__)

Headers: TypeAlias = Mapping[str, str]

ResendWith: TypeAlias = Callable[[Answer | Exception, Headers], Headers | None]
"""Returns the headers for one more attempt, ``None`` if there is none."""


class Sender:
    """Sends requests with a token, at the allowed pace. Raises the errors of `marketplace.errors`."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        credentials: Credentials,
        dialect: Dialect,
        *,
        pace: Pace | None = None,
        observe: Observer = ignore,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Create the sender. The HTTP client and the credentials are closed by their owner.

        Args:
            client: Sends the requests.
            credentials: Provides a token for each request.
            dialect: How the API reports errors.
            pace: Limits the rate of requests.
            observe: Is called after each request.
            clock: The present time, for ``Retry-After`` with a date.
        """
        self._client = client
        self._credentials = credentials
        self._dialect = dialect
        self._pace = pace
        self._observe = observe
        self._clock = clock

    async def send(
        self,
        call: Call,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] = {},
        content: bytes | None = None,
        headers: Mapping[str, str] = {},
        timeout: httpx.Timeout = READ_TIMEOUT,  # noqa: ASYNC109
        limit: int = MAX_ANSWER_BYTES,
        resend_with: ResendWith | None = None,
    ) -> Answer:
        """Send a request, and send it again in the cases that the module's docstring names.

        Args:
            call: The request in a person's words.
            method: The HTTP method.
            url: The URL without its query.
            query: The query.
            content: The body.
            headers: Further headers.
            timeout: How long each part of the exchange may take.
            limit: The limit on the body of a successful GET, in bytes. See `MAX_ERROR_BYTES` for other answers.
            resend_with: Decides about one more attempt with other headers.
        """
        token = await self._credentials.token()
        renewed = False
        while True:
            request = self._client.build_request(
                method,
                url,
                params=dict(query),
                content=content,
                headers={**headers, **_headers(call, token, content)},
                timeout=timeout,
            )
            outcome = await self._exchange(call, request, limit)
            if isinstance(outcome, Answer):
                outcome = without(outcome, token)
            more = resend_with(outcome, headers) if resend_with is not None else None
            if not renewed and isinstance(outcome, Answer) and outcome.status == httpx.codes.UNAUTHORIZED:
                token, renewed = await self._credentials.renewed(token), True
            elif more is not None:
                headers = more
            else:
                break
        now = self._clock()
        if isinstance(outcome, Exception):
            # The exception may quote the token. It must not be shown as the cause.
            raise error_for(call, outcome, now=now, secret=token) from None
        failed = error_for(call, outcome, now=now, secret=token, dialect=self._dialect)
        if failed is not None:
            raise failed
        if method != "GET" and outcome.text.lstrip().startswith("<"):
            raise unreadable(call, outcome, f"is a page, perhaps of a gateway: {plain_text(outcome.text, 120)}")
        return outcome

    async def _exchange(self, call: Call, request: httpx.Request, limit: int) -> Answer | Exception:
        """Return the answer to one request, or the exception that was raised instead."""
        async with AsyncExitStack() as stack:
            asked = time.monotonic()
            if self._pace is not None:
                await stack.enter_async_context(self._pace.turn())
            started, started_at = time.monotonic(), time.time()
            status: int | None = None
            headers = httpx.Headers()
            failed: str | None = "broken off"
            try:
                response = await self._client.send(request, stream=True, follow_redirects=False)
                stack.push_async_callback(response.aclose)
                status, headers = response.status_code, response.headers
                text = await _text(request, response, limit)
                failed = None
                return Answer(status, headers, text)
            except (httpx.RequestError, httpx.InvalidURL, ValueError, OSError) as error:
                failed = type(error).__name__
                return error
            finally:
                seconds = time.monotonic() - started
                _log.debug("%s %s: %s in %.3f s", request.method, request.url.path, failed or status, seconds)
                self._observe(
                    Exchange(
                        call,
                        request.method,
                        request.url.host,
                        started_at,
                        seconds,
                        waited=started - asked,
                        status=status,
                        failure=failed,
                        retry_after=retry_after(headers, self._clock()),
                        ids=request_ids(headers),
                    )
                )


def encoded(call: Call, document: str) -> bytes:
    """Return a document as the body of a request.

    Raises:
        Refused: The document has a lone surrogate, which JSON can escape and UTF-8 cannot encode.
    """
    try:
        return document.encode()
    except UnicodeEncodeError:
        raise Refused(
            f"{call}: the document holds half a character (a lone surrogate); correct it and start the run again",
            call=str(call),
        ) from None


def segment(text: str) -> str:
    """Return an ID as one segment of a path."""
    # Dots alone would lead to the parent.
    return text.replace(".", "%2E") if text in {".", ".."} else quote(text, safe="", errors="replace")


async def _text(request: httpx.Request, response: httpx.Response, limit: int) -> str:
    """Return the body as text. Only the body of a successful GET must be complete."""
    needed = request.method == "GET" and response.is_success
    body = bytearray()
    try:
        async for piece in _unpacked(request, response, limit if needed else MAX_ERROR_BYTES):
            body += piece
    except httpx.RequestError:
        # The status has arrived. It may say that a publish was accepted, which must not be lost.
        if needed:
            raise
    try:
        return body.decode("utf-8-sig", "strict" if needed else "replace")
    except UnicodeDecodeError as error:
        raise httpx.DecodingError(f"not UTF-8 at byte {error.start}", request=request) from None


async def _unpacked(request: httpx.Request, response: httpx.Response, limit: int) -> AsyncIterator[bytes]:
    """Yield the unpacked body. Raise once more than ``limit`` bytes have arrived or were unpacked.

    The HTTP library would unpack everything that has arrived at once, and repeatedly if it was packed repeatedly. A
    few kilobytes can hold gigabytes.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        raise httpx.DecodingError(f"packed as {one_line(encoding, 40)}, not as gzip", request=request)
    unpacker = zlib.decompressobj(_GZIP) if encoding == "gzip" else None
    arrived = unpacked = 0
    stream = cast("httpx.AsyncByteStream", response.stream)  # the client's is asynchronous
    async for piece in stream:
        arrived += len(piece)
        try:
            plain = unpacker.decompress(piece, limit + 1) if unpacker else piece
        except zlib.error as error:
            raise httpx.DecodingError(str(error), request=request) from None
        unpacked += len(plain)
        yield plain
        if max(arrived, unpacked) > limit:
            raise httpx.DecodingError(f"more than {limit:,} bytes", request=request)
        if unpacker and unpacker.eof:
            return  # the unpacker would store whatever follows


def _headers(call: Call, token: str, content: bytes | None) -> dict[str, str]:
    if not token or not _HEADER_SAFE.issuperset(token):
        # The HTTP library would raise an error that quotes the token.
        raise Unauthorized(
            f"{call}: the token is empty or has characters that no token can have; check MARKETPLACE_ACCESS_TOKEN",
            call=str(call),
        )
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "Content-Type": "application/json",
    }
    if content is not None:
        # Sent for an empty body too. Many servers answer 411 to a POST without a length.
        headers["Content-Length"] = str(len(content))
    return headers
