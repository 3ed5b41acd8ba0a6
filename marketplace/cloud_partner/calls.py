"""The calls of the Cloud Partner Portal API, version 2017-10-31, over HTTP.

Each method makes one request. A request that had no effect is repeated once in two cases: with a new token after a
401, and with ``If-Match: *`` after a read or POST was refused for lack of that header. Nothing else is retried.
`marketplace.http.answers` maps answers to errors.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import httpx

from marketplace.cloud_partner.headers import etag, operation_id
from marketplace.http.answers import Answer, Call, Dialect, json_of, unreadable
from marketplace.http.credentials import Credentials
from marketplace.http.exchange import Observer, ignore
from marketplace.http.pace import Pace
from marketplace.http.sender import (
    CONNECT_SECONDS,
    MAX_ANSWER_BYTES,
    MAX_DOCUMENT_BYTES,
    READ_TIMEOUT,
    WRITE_TIMEOUT,
    Headers,
    Sender,
    encoded,
    segment,
)
from marketplace.model import OfferKey, Slot
from marketplace.timestamps import utc_now
from marketplace.wording import one_line

MARKETPLACE_URL = "https://cloudpartner.azure.com"
MARKETPLACE_SCOPE = "https://cloudpartner.azure.com/.default"
"""The scope of the documented resource ``https://cloudpartner.azure.com``."""

API_VERSION = "2017-10-31"

PUT_TIMEOUT = httpx.Timeout(600.0, connect=CONNECT_SECONDS)
"""Before it answers a PUT, the service downloads the logos and other files that the document names."""

DIALECT = Dialect(
    hints={
        401: "the token is missing, expired or for another audience; check MARKETPLACE_ACCESS_TOKEN, or the"
        " AZURE_* variables and that the token is for https://cloudpartner.azure.com",
        403: "the principal has no rights in publisher {publisher_id}; check that it was added to this publisher,"
        " with the Object ID of the enterprise application rather than that of the app registration, and that the"
        " publisher id is right",
        404: "check the publisher id and the offer id, and whether somebody deleted the offer",
        422: "correct the offer's draft and start the run again",
    }
)

_PUBLISHED_SLOTS = {Slot.PREVIEW: "Preview", Slot.PRODUCTION: "Production"}


@dataclass(frozen=True)
class OfferDocument:
    """An offer document as it was read.

    Attributes:
        text: The JSON text of an object, exactly as the service sent it.
        etag: The value for ``If-Match``, ``None`` where the service sent no ETag.
    """

    text: str
    etag: str | None


class Portal:
    """Makes the calls of the API.

    Every method raises the errors in the table of `marketplace.http.answers.error_for`, and ``Unreadable`` when the
    body of a success differs from the documentation.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        credentials: Credentials,
        *,
        url: str = MARKETPLACE_URL,
        pace: Pace | None = None,
        observe: Observer = ignore,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Create the client. The HTTP client and the credentials are closed by their owner.

        Args:
            client: Sends the requests.
            credentials: Provides a token for each request.
            url: The base URL. Its path is kept.
            pace: Limits the rate of requests.
            observe: Is called after each request.
            clock: The present time, for ``Retry-After`` with a date.
        """
        self._sender = Sender(client, credentials, DIALECT, pace=pace, observe=observe, clock=clock)
        self._url = url.rstrip("/")

    async def read_offer(self, offer: OfferKey, slot: Slot = Slot.DRAFT) -> OfferDocument:
        """Return what a slot holds: ``GET …/offers/{offerId}`` for the draft, else ``GET …/offers/{offerId}/slot/…``.

        Raises:
            NotFound: There is no such offer, or the slot is empty.
        """
        published = _PUBLISHED_SLOTS.get(slot)
        place = ["slot", published] if published is not None else []
        call = Call("read_offer", f"read {published} of" if published is not None else "read", offer)
        answer = await self._send(call, "GET", _offer_path(offer, *place), limit=MAX_DOCUMENT_BYTES)
        if not isinstance(json_of(call, answer), dict):
            raise unreadable(call, answer, "is not an offer document")
        return OfferDocument(answer.text, etag(answer.headers))

    async def put_offer(self, offer: OfferKey, document: str, *, if_match: str | None) -> None:
        """Create the offer or replace its draft: ``PUT …/offers/{offerId}``.

        Safe to repeat with the ETag of a read. At worst, a second attempt is refused with a conflict.

        Args:
            offer: The offer.
            document: The whole document, sent as it is. The API has no partial update.
            if_match: The ETag of the draft to replace, ``*`` for any draft, ``None`` to create the offer.

        Raises:
            Conflict: The draft has another ETag by now.
        """
        call = Call("put_offer", "put", offer)
        headers = {"If-Match": if_match} if if_match is not None else {}
        content = encoded(call, document)
        await self._send(call, "PUT", _offer_path(offer), content=content, headers=headers, timeout=PUT_TIMEOUT)

    async def status(self, offer: OfferKey) -> object:
        """Return the offer's status document: ``GET …/offers/{offerId}/status``."""
        call = Call("read_status", "read the status of", offer)
        return json_of(call, await self._send(call, "GET", _offer_path(offer, "status")))

    async def publish(self, offer: OfferKey, notification_emails: Sequence[str] = ()) -> str | None:
        """Publish the draft: ``POST …/publish``. Return the operation's ID where the service names it.

        According to the documentation, publishing a draft that is being published already succeeds.

        Raises:
            Invalid: The draft failed validation.
        """
        return await self._start("publish", "publish", offer, "publish", _notification(notification_emails))

    async def go_live(self, offer: OfferKey) -> str | None:
        """Promote the preview: ``POST …/golive``. Return the operation's ID where the service names it."""
        return await self._start("go_live", "go live with", offer, "golive", b"")

    async def cancel(self, offer: OfferKey, notification_emails: Sequence[str] = ()) -> None:
        """Cancel the running operation: ``POST …/cancel``. The cancellation may take a while after the answer."""
        await self._start("cancel", "cancel", offer, "cancel", _notification(notification_emails))

    async def submissions(self, offer: OfferKey) -> object:
        """Return the list of the offer's operations: ``GET …/submissions/``."""
        call = Call("list_operations", "list the operations of", offer)
        answer = await self._send(call, "GET", f"{_offer_path(offer, 'submissions')}/")
        listed = json_of(call, answer)
        if not isinstance(listed, list | dict | None):
            raise unreadable(call, answer, "is not a list of operations")
        return listed

    async def operation(self, offer: OfferKey, operation: str) -> object:
        """Return an operation's document, or an array with it: ``GET …/operations/{operationId}``."""
        call = Call("read_operation", f"look at operation {one_line(operation, 100)} of", offer)
        answer = await self._send(call, "GET", _offer_path(offer, "operations", operation))
        document = json_of(call, answer)
        items = document if isinstance(document, list) else [document]
        if not any(isinstance(item, dict) and item for item in items):
            raise unreadable(call, answer, "is not an operation")
        return document

    async def _start(self, name: str, verb: str, offer: OfferKey, action: str, content: bytes) -> str | None:
        answer = await self._send(
            Call(name, verb, offer), "POST", _offer_path(offer, action), content=content, timeout=WRITE_TIMEOUT
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
        timeout: httpx.Timeout = READ_TIMEOUT,  # noqa: ASYNC109
        limit: int = MAX_ANSWER_BYTES,
    ) -> Answer:
        return await self._sender.send(
            call,
            method,
            f"{self._url}{path}",
            query={"api-version": API_VERSION},
            content=content,
            headers=headers,
            timeout=timeout,
            limit=limit,
            resend_with=None if method == "PUT" else _with_if_match,
        )


def _with_if_match(outcome: Answer | Exception, headers: Headers) -> Headers | None:
    wanted = "If-Match" not in headers and _wants_if_match(outcome)
    return {**headers, "If-Match": "*"} if wanted else None


def _wants_if_match(outcome: Answer | Exception) -> bool:
    """Return whether a call was refused because it had no ``If-Match``.

    One page of the documentation requires the header on every call. The other pages list it for PUT only. If it were
    always sent, it could turn the 404 of a missing offer into a 412. A refusal without a body may mean a missing
    header.
    """
    if not isinstance(outcome, Answer) or outcome.status not in {400, 412, 428}:
        return False
    return not outcome.text.strip() or re.search(r"if-?match", outcome.text, re.IGNORECASE) is not None


def _notification(emails: Sequence[str]) -> bytes:
    # The documentation used to list this body and dropped it without comment. It may still be required.
    metadata = {"notification-emails": ",".join(emails)} if emails else {}
    return json.dumps({"metadata": metadata}).encode()


def _offer_path(offer: OfferKey, *rest: str) -> str:
    return "/".join(["/api/publishers", *map(segment, [offer.publisher_id, "offers", offer.offer_id, *rest])])
