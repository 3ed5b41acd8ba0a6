"""The nine calls of the Cloud Partner Portal API, version 2017-10-31, over HTTP.

One method a call, one request a method. Two answers, which had no effect, are met by repeating the request once:
a 401, with a new token, and the refusal of a read or a POST for want of ``If-Match``, with ``*``. Nothing else is
retried. What answers mean is in `marketplace.http.answers`.

They are the whole API, as documented: the procedures need neither the list of offers, nor a version of an offer, nor
the operations of one state only.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from marketplace.cloud_partner.headers import etag, operation_id
from marketplace.http.addresses import segment
from marketplace.http.answers import Answer, Call, Dialect, json_of, unreadable
from marketplace.http.credentials import Credentials
from marketplace.http.exchange import Observer, nobody
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
)
from marketplace.model import OfferKey, Slot
from marketplace.wording import one_line

MARKETPLACE_URL = "https://cloudpartner.azure.com"
MARKETPLACE_SCOPE = "https://cloudpartner.azure.com/.default"
"""The scope that equals the documented resource ``https://cloudpartner.azure.com``."""

API_VERSION = "2017-10-31"

PUT_TIMEOUT = httpx.Timeout(600.0, connect=CONNECT_SECONDS)
"""The service downloads logos and other files that a document names before it answers a PUT."""

DIALECT = Dialect(
    hints={
        401: "the token is missing, expired or for another audience; check MARKETPLACE_ACCESS_TOKEN, or the"
        " AZURE_* variables and that the token is for https://cloudpartner.azure.com",
        403: "the principal has no rights in publisher {publisher_id}; check that it was added to this publisher,"
        " with the Object ID of the enterprise application rather than that of the app registration, and that the"
        " publisher id is right",
        404: "check the publisher id and the offer id, and whether somebody deleted the offer",
        422: "mend the offer's draft and start the run again",
    }
)

_SLOTS = {Slot.PREVIEW: "Preview", Slot.PRODUCTION: "Production"}


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

    Every method raises the errors in the table of `marketplace.http.answers.failure`, and ``Unreadable`` when a
    success has another body than documented. Paths are those of the API's documentation, one page a call.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        credentials: Credentials,
        *,
        url: str = MARKETPLACE_URL,
        pace: Pace | None = None,
        observe: Observer = nobody,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Use what is given; nothing is sent yet, and nothing is ever closed here.

        Args:
            client: Carries the requests.
            credentials: Gives the token of each.
            url: Where the marketplace is; a path in it stays in front of the API's.
            pace: Holds requests back, where given.
            observe: Is told of each request.
            clock: The present time, for ``Retry-After`` with a date.
        """
        self._sender = Sender(client, credentials, DIALECT, pace=pace, observe=observe, clock=clock)
        self._url = url.rstrip("/")

    async def list_offers(self, publisher_id: str) -> list[object]:
        """Return the summaries of a publisher's offers: ``GET …/offers``."""
        call = Call("list the offers of", publisher_id, name="list_offers")
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
            place = ["slot", _SLOTS[slot]]
        elif version is not None:
            place = ["versions", str(version)]
        call = _call("read_offer", f"read {_SLOTS[slot]} of" if slot else "read", offer)
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
        call = _call("put_offer", "put", offer)
        headers = {"If-Match": if_match} if if_match is not None else {}
        content = encoded(call, document)
        await self._send(call, "PUT", _offer_path(offer), content=content, headers=headers, timeout=PUT_TIMEOUT)

    async def status(self, offer: OfferKey) -> object:
        """Return the offer's status document: ``GET …/offers/{offerId}/status``."""
        call = _call("read_status", "read the status of", offer)
        return json_of(call, await self._send(call, "GET", _offer_path(offer, "status")))

    async def publish(self, offer: OfferKey, notification_emails: Sequence[str] = ()) -> str | None:
        """Publish the draft; answers with the operation's id where the service named it: ``POST …/publish``.

        Publishing again while the same draft is being published is a success, says the documentation.

        Raises:
            Invalid: The draft failed validation.
        """
        return await self._start("publish", "publish", offer, "publish", _notification(notification_emails))

    async def go_live(self, offer: OfferKey) -> str | None:
        """Promote the preview; answers with the operation's id where the service named it: ``POST …/golive``."""
        return await self._start("go_live", "go live with", offer, "golive", b"")

    async def cancel(self, offer: OfferKey, notification_emails: Sequence[str] = ()) -> str | None:
        """Cancel what runs on the offer: ``POST …/cancel``.

        The service answers 200 when it is cancelled, 202 when that takes a while. The id is that of the
        cancelling operation, where there is one.
        """
        return await self._start("cancel", "cancel", offer, "cancel", _notification(notification_emails))

    async def submissions(self, offer: OfferKey, *, state: str | None = None) -> object:
        """Return the list of the offer's operations: ``GET …/submissions/``.

        Args:
            offer: The offer.
            state: Asks for operations in that state only, such as ``running``.
        """
        call = _call("list_operations", "list the operations of", offer)
        query = {"status": state} if state is not None else {}
        answer = await self._send(call, "GET", f"{_offer_path(offer, 'submissions')}/", query=query)
        listed = json_of(call, answer)
        if not isinstance(listed, list | dict | None):
            raise unreadable(call, answer, "is not a list of operations")
        return listed

    async def operation(self, offer: OfferKey, operation: str) -> object:
        """Return an operation's document, or an array of it: ``GET …/operations/{operationId}``."""
        call = _call("read_operation", f"look at operation {one_line(operation, 100)} of", offer)
        answer = await self._send(call, "GET", _offer_path(offer, "operations", operation))
        document = json_of(call, answer)
        items = document if isinstance(document, list) else [document]
        if not any(isinstance(item, dict) and item for item in items):
            raise unreadable(call, answer, "is not an operation")
        return document

    async def _start(self, name: str, verb: str, offer: OfferKey, action: str, content: bytes) -> str | None:
        answer = await self._send(
            _call(name, verb, offer), "POST", _offer_path(offer, action), content=content, timeout=WRITE_TIMEOUT
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
        return await self._sender.send(
            call,
            method,
            f"{self._url}{path}",
            query={"api-version": API_VERSION, **query},
            content=content,
            headers=headers,
            timeout=timeout,
            limit=limit,
            amended=None if method == "PUT" else _with_if_match,
        )


def _with_if_match(happened: Answer | Exception, headers: Headers) -> Headers | None:
    wanted = "If-Match" not in headers and _wants_if_match(happened)
    return {**headers, "If-Match": "*"} if wanted else None


def _wants_if_match(happened: Answer | Exception) -> bool:
    """Return whether a call was refused because it had no ``If-Match``.

    One page of the documentation asks for it on every call, no other page lists it for any but a PUT. Sent
    always it could turn the 404 of a missing offer into a 412, so it is sent when it is asked for. A refusal
    need not have a body: one that says nothing may mean this.
    """
    if not isinstance(happened, Answer) or happened.status not in {400, 412, 428}:
        return False
    return not happened.text.strip() or re.search(r"if-?match", happened.text, re.IGNORECASE) is not None


def _notification(emails: Sequence[str]) -> bytes:
    # The documentation had this body and dropped it without a word, so nobody knows whether it may be absent.
    metadata = {"notification-emails": ",".join(emails)} if emails else {}
    return json.dumps({"metadata": metadata}).encode()


def _call(name: str, verb: str, offer: OfferKey) -> Call:
    return Call(verb, offer.publisher_id, offer.offer_id, name)


def _offer_path(offer: OfferKey, *rest: str) -> str:
    return _path(offer.publisher_id, "offers", offer.offer_id, *rest)


def _path(*segments: str) -> str:
    return "/".join(["/api/publishers", *map(segment, segments)])
