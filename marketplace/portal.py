"""The nine calls of the Cloud Partner Portal API, version 2017-10-31, over HTTP.

One method a call, one request a method. Two answers, which had no effect, are met by repeating the request once:
a 401, with a new token, and the refusal of a read or a POST for want of ``If-Match``, with ``*``. Nothing else is
retried. What answers mean is in `marketplace.answers`.

They are the whole API, as documented: the procedures need neither the list of offers, nor a version of an offer, nor
the operations of one state only.
"""

import json
import logging
import re
import time
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast
from urllib.parse import quote

import httpx

from marketplace.answers import Answer, Call, etag, failure, json_of, operation_id, unreadable, without
from marketplace.credentials import Credentials
from marketplace.errors import Refused, Unauthorized
from marketplace.model import OfferKey, Slot
from marketplace.pace import Pace
from marketplace.wording import one_line, plain_text

MARKETPLACE_URL = "https://cloudpartner.azure.com"
API_VERSION = "2017-10-31"

CONNECT_SECONDS = 10.0
READ_TIMEOUT = httpx.Timeout(20.0, connect=CONNECT_SECONDS)
WRITE_TIMEOUT = httpx.Timeout(30.0, connect=CONNECT_SECONDS)
PUT_TIMEOUT = httpx.Timeout(600.0, connect=CONNECT_SECONDS)
"""The service downloads logos and other files that a document names before it answers a PUT."""

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
"""What is read of an offer's document, unpacked; ten thousand plans take a fifth of it."""

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""What is read of any other answer: the list of the operations, an operation, the status."""

MAX_ERROR_BYTES = 256 * 1024

_GZIP = 16 + zlib.MAX_WBITS

_HEADER_SAFE = frozenset(map(chr, range(0x21, 0x7F)))

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OfferDocument:
    """An offer as it was read.

    Attributes:
        text: The JSON text of an object, exactly as the service sent it.
        etag: For ``If-Match``; ``None`` where the service sent none.
    """

    text: str
    etag: str | None


class Portal:
    """The API, call by call.

    Every method raises the errors in the table of `marketplace.answers.failure`, and ``Unreadable`` when a
    success has another body than documented. Paths are those of the API's documentation, one page a call.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        credentials: Credentials,
        *,
        url: str = MARKETPLACE_URL,
        pace: Pace | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Use what is given; nothing is sent yet, and nothing is ever closed here.

        Args:
            client: Carries the requests.
            credentials: Gives the token of each.
            url: Where the marketplace is; a path in it stays in front of the API's.
            pace: Holds requests back, where given.
            clock: The present time, for ``Retry-After`` with a date.
        """
        self._client = client
        self._credentials = credentials
        self._url = url.rstrip("/")
        self._pace = pace
        self._clock = clock

    async def list_offers(self, publisher_id: str) -> list[object]:
        """Return the summaries of a publisher's offers: ``GET …/offers``."""
        call = Call("list the offers of", publisher_id)
        answer = await self._send(call, "GET", _path(publisher_id, "offers"))
        offers = json_of(call, answer)
        if not isinstance(offers, list):
            raise unreadable(call, answer, "is not a list of offers")
        return offers

    async def read_offer(
        self, offer: OfferKey, *, slot: Slot | None = None, version: int | None = None
    ) -> OfferDocument:
        """Return the draft, or what a slot or a version holds: ``GET …/offers/{offerId}[/slot/…|/versions/…]``.

        Raises:
            NotFound: There is no such offer or version, or nothing is in that slot yet.
        """
        place: list[str] = []
        if slot is not None:
            place = ["slot", slot]
        elif version is not None:
            place = ["versions", str(version)]
        call = _call(f"read {slot} of" if slot else "read", offer)
        answer = await self._send(call, "GET", _offer_path(offer, *place), limit=MAX_DOCUMENT_BYTES)
        if not isinstance(json_of(call, answer), dict):
            raise unreadable(call, answer, "is not an offer document")
        return OfferDocument(answer.text, etag(answer.headers))

    async def put_offer(self, offer: OfferKey, document: str, *, if_match: str | None) -> None:
        """Create the offer or replace its draft: ``PUT …/offers/{offerId}``.

        Safe to repeat with the ETag of a read: a second try is answered with a conflict at worst.

        Args:
            offer: The offer.
            document: The whole document, sent to the letter: there is no partial update.
            if_match: The ETag of the draft that is replaced; ``*`` for whichever; ``None`` to create.

        Raises:
            Conflict: The draft is not the one of that ETag any more.
        """
        call = _call("put", offer)
        headers = {"If-Match": if_match} if if_match is not None else {}
        try:
            content = document.encode()
        except UnicodeEncodeError:
            raise Refused(f"{call}: the document holds half a character", call=str(call)) from None
        await self._send(call, "PUT", _offer_path(offer), content=content, headers=headers, timeout=PUT_TIMEOUT)

    async def status(self, offer: OfferKey) -> object:
        """Return the offer's status document: ``GET …/offers/{offerId}/status``."""
        call = _call("read the status of", offer)
        return json_of(call, await self._send(call, "GET", _offer_path(offer, "status")))

    async def publish(self, offer: OfferKey, notification_emails: Sequence[str] = ()) -> str | None:
        """Publish the draft; answers with the operation's id where the service named it: ``POST …/publish``.

        Publishing again while the same draft is being published is a success, says the documentation.

        Raises:
            Invalid: The draft failed validation.
        """
        return await self._start("publish", offer, "publish", _notification(notification_emails))

    async def go_live(self, offer: OfferKey) -> str | None:
        """Promote the preview; answers with the operation's id where the service named it: ``POST …/golive``."""
        return await self._start("go live with", offer, "golive", b"")

    async def cancel(self, offer: OfferKey, notification_emails: Sequence[str] = ()) -> str | None:
        """Cancel what runs on the offer: ``POST …/cancel``.

        The service answers 200 when it is cancelled, 202 when that takes a while. The id is that of the
        cancelling operation, where there is one.
        """
        return await self._start("cancel", offer, "cancel", _notification(notification_emails))

    async def submissions(self, offer: OfferKey, *, state: str | None = None) -> object:
        """Return the list of the offer's operations: ``GET …/submissions/``.

        Args:
            offer: The offer.
            state: Asks for operations in that state only, such as ``running``.
        """
        call = _call("list the operations of", offer)
        query = {"status": state} if state is not None else {}
        answer = await self._send(call, "GET", f"{_offer_path(offer, 'submissions')}/", query=query)
        listed = json_of(call, answer)
        if not isinstance(listed, list | dict | None):
            raise unreadable(call, answer, "is not a list of operations")
        return listed

    async def operation(self, offer: OfferKey, operation: str) -> object:
        """Return an operation's document, or an array of it: ``GET …/operations/{operationId}``."""
        call = _call(f"look at operation {one_line(operation, 100)} of", offer)
        answer = await self._send(call, "GET", _offer_path(offer, "operations", operation))
        document = json_of(call, answer)
        items = document if isinstance(document, list) else [document]
        if not any(isinstance(item, dict) and item for item in items):
            raise unreadable(call, answer, "is not an operation")
        return document

    async def _start(self, verb: str, offer: OfferKey, action: str, content: bytes) -> str | None:
        answer = await self._send(
            _call(verb, offer), "POST", _offer_path(offer, action), content=content, timeout=WRITE_TIMEOUT
        )
        return operation_id(answer.headers)

    async def _send(
        self,
        call: Call,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] = {},
        query: Mapping[str, str] = {},
        timeout: httpx.Timeout = READ_TIMEOUT,  # noqa: ASYNC109
        limit: int = MAX_ANSWER_BYTES,
    ) -> Answer:
        """Send a request; once more where the module's docstring says so. ``limit`` is in bytes."""
        token = await self._credentials.token()
        renewed = False
        while True:
            request = self._client.build_request(
                method,
                f"{self._url}{path}",
                params={"api-version": API_VERSION, **query},
                content=content,
                headers={**headers, **_headers(call, token, content)},
                timeout=timeout,
            )
            happened = await self._exchange(request, limit)
            if isinstance(happened, Answer):
                happened = without(happened, token)
            if not renewed and isinstance(happened, Answer) and happened.status == httpx.codes.UNAUTHORIZED:
                token, renewed = await self._credentials.renewed(), True
            elif method != "PUT" and "If-Match" not in headers and _wants_if_match(happened):
                headers = {**headers, "If-Match": "*"}
            else:
                break
        if isinstance(happened, Exception):
            raise failure(call, happened, now=self._clock(), secret=token) from happened
        failed = failure(call, happened, now=self._clock(), secret=token)
        if failed is not None:
            raise failed
        if method != "GET" and happened.text.lstrip().startswith("<"):
            raise unreadable(call, happened, f"is a page, perhaps of a gateway: {plain_text(happened.text, 120)}")
        return happened

    async def _exchange(self, request: httpx.Request, limit: int) -> Answer | Exception:
        """Return the answer to one request, or what came in its place."""
        async with AsyncExitStack() as stack:
            if self._pace is not None:
                await stack.enter_async_context(self._pace.turn())
            begun = time.monotonic()
            outcome: object = "broken off"
            try:
                response = await self._client.send(request, stream=True, follow_redirects=False)
                stack.push_async_callback(response.aclose)
                outcome = response.status_code
                return Answer(response.status_code, response.headers, await _text(request, response, limit))
            except (httpx.RequestError, httpx.InvalidURL, UnicodeError, OSError) as error:
                outcome = type(error).__name__
                return error
            finally:
                took = time.monotonic() - begun
                _log.debug("%s %s: %s in %.3f s", request.method, request.url.path, outcome, took)


async def _text(request: httpx.Request, response: httpx.Response, limit: int) -> str:
    """Return the body as text; of a success whose body is needed the whole, else what can be had of it."""
    needed = response.is_success and request.method == "GET"
    body = bytearray()
    try:
        async for piece in _unpacked(request, response, limit if needed else MAX_ERROR_BYTES):
            body += piece
    except httpx.RequestError:
        # The status has arrived, and that a publish was accepted must not be lost with the rest of the answer.
        if needed:
            raise
    try:
        return body.decode("utf-8-sig", "strict" if needed else "replace")
    except UnicodeDecodeError as error:
        raise httpx.DecodingError(f"not UTF-8 at byte {error.start}", request=request) from None


async def _unpacked(request: httpx.Request, response: httpx.Response, limit: int) -> AsyncIterator[bytes]:
    """Yield the body, and raise once more than ``limit`` bytes of it have arrived or were unpacked.

    Not left to the HTTP library, which unpacks all that has arrived at once, and what was packed several times as
    often: a few kilobytes can hold gigabytes.
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
            return  # what follows would be kept


def _wants_if_match(happened: Answer | Exception) -> bool:
    """Tell whether a call was refused because it had no ``If-Match``.

    One page of the documentation asks for it on every call, no other page lists it for any but a PUT. Sent
    always it could turn the 404 of a missing offer into a 412, so it is sent when it is asked for. A refusal
    need not have a body: one that says nothing may mean this.
    """
    if not isinstance(happened, Answer) or happened.status not in {400, 412, 428}:
        return False
    return not happened.text.strip() or re.search(r"if-?match", happened.text, re.IGNORECASE) is not None


def _headers(call: Call, token: str, content: bytes | None) -> dict[str, str]:
    if not token or not _HEADER_SAFE.issuperset(token):
        # Left to the HTTP library this becomes an error that quotes the token.
        raise Unauthorized(
            f"{call}: the token is empty or holds characters that no token has; check MARKETPLACE_ACCESS_TOKEN",
            call=str(call),
        )
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "Content-Type": "application/json",
    }
    if content is not None:
        # Said also of an empty body: without a length many servers answer 411 to a POST.
        headers["Content-Length"] = str(len(content))
    return headers


def _notification(emails: Sequence[str]) -> bytes:
    # The documentation had this body and dropped it without a word, so nobody knows whether it may be absent.
    metadata = {"notification-emails": ",".join(emails)} if emails else {}
    return json.dumps({"metadata": metadata}).encode()


def _call(verb: str, offer: OfferKey) -> Call:
    return Call(verb, offer.publisher_id, offer.offer_id)


def _offer_path(offer: OfferKey, *rest: str) -> str:
    return _path(offer.publisher_id, "offers", offer.offer_id, *rest)


def _path(*segments: str) -> str:
    return "/".join(["/api/publishers", *map(_segment, segments)])


def _segment(text: str) -> str:
    # A segment of dots would be taken for a way up, and leave the publisher.
    return text.replace(".", "%2E") if text in {".", ".."} else quote(text, safe="", errors="replace")
