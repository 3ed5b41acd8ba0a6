"""The calls of the Product Ingestion API over HTTP.

Each method makes one request, or one for each page of a list. After a 401, which had no effect, the request is
repeated once with a new token. Nothing else is retried. `marketplace.http.answers` maps answers to errors, and
`failures` reads the bodies of refusals.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

import httpx

from marketplace.http.answers import Answer, Call, Dialect, json_of, unreadable
from marketplace.http.credentials import Credentials
from marketplace.http.exchange import Observer, ignore
from marketplace.http.pace import Pace
from marketplace.http.sender import (
    MAX_ANSWER_BYTES,
    MAX_DOCUMENT_BYTES,
    READ_TIMEOUT,
    WRITE_TIMEOUT,
    Sender,
    encoded,
    segment,
)
from marketplace.model import OfferKey
from marketplace.product_ingestion import failures
from marketplace.timestamps import utc_now
from marketplace.wording import lower_keys, one_line

MARKETPLACE_URL = "https://graph.microsoft.com/rp/product-ingestion"
MARKETPLACE_SCOPE = "https://graph.microsoft.com/.default"

SCHEMA_VERSION = "2026-04-01-preview1"
"""The newest version of any resource of a virtual machine offer. Answers have no newer version than the request.

With an older version, the service shows some technical configurations without their image versions.
"""

MAX_PAGES = 100

DIALECT = Dialect(
    hints={
        401: "the token is missing, expired or for another audience; check MARKETPLACE_ACCESS_TOKEN, or the"
        " AZURE_* variables and that the token is for https://graph.microsoft.com",
        403: "the application has no rights in the Partner Center account of publisher {publisher_id}; add it in"
        " Account settings > User management > Microsoft Entra applications, with the Manager role",
        404: "check the offer id, and that these credentials belong to the account of publisher {publisher_id}",
    },
    words=failures.words_of,
    error=failures.error_of_answer,
)

_JOB = re.compile(r'"jobId"\s*:\s*"([0-9A-Za-z-]{1,100})"', re.IGNORECASE)
_NEXT = ("@nextlink", "@odata.nextlink", "nextlink")
_CONTINUATION = "continuationtoken"


class ProductIngestion:
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
        schema_version: str = SCHEMA_VERSION,
        pace: Pace | None = None,
        observe: Observer = ignore,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Create the client. The HTTP client and the credentials are closed by their owner.

        Args:
            client: Sends the requests.
            credentials: Provides a token for each request.
            url: The base URL.
            schema_version: The newest version of resources that answers may have.
            pace: Limits the rate of requests.
            observe: Is called after each request.
            clock: The present time, for ``Retry-After`` with a date.
        """
        self._sender = Sender(client, credentials, DIALECT, pace=pace, observe=observe, clock=clock)
        self._url = url.rstrip("/")
        self._schema_version = schema_version

    async def products(self, offer: OfferKey) -> list[object]:
        """Return the products with the offer's external ID: ``GET product``."""
        return await self._list(Call("find_product", "find", offer), "product", {"externalId": offer.offer_id})

    async def tree(self, offer: OfferKey, product: str, target: str) -> str:
        """Return the text of all resources of a target: ``GET resource-tree/…``.

        The targets are ``draft``, ``preview`` and ``live``. For an empty target, the service answers 400 or 404.
        """
        call = Call("read_tree", f"read the {target} of", offer)
        query = {"targetType": target}
        answer = await self._send(
            call, "GET", f"resource-tree/product/{segment(product)}", query=query, limit=MAX_DOCUMENT_BYTES
        )
        if not isinstance(json_of(call, answer), dict):
            raise unreadable(call, answer, "is not a tree of resources")
        return answer.text

    async def resource(self, offer: OfferKey, durable_id: str) -> object:
        """Return a resource of the draft: ``GET <durable id>``.

        Raises:
            NotFound: There is no such resource, or no draft.
        """
        call = Call("read_resource", f"read {one_line(durable_id, 300)} of", offer)
        path = "/".join(segment(part) for part in durable_id.split("/"))
        return await self._object(call, path, limit=MAX_DOCUMENT_BYTES)

    async def submissions(self, offer: OfferKey, product: str) -> list[object]:
        """Return the active submissions from all pages: ``GET submission/…``."""
        call = Call("list_submissions", "list the submissions of", offer)
        return await self._list(call, f"submission/{segment(product)}", {})

    async def submission(self, offer: OfferKey, product: str, number: str) -> object:
        """Return a submission: ``GET submission/…/<number>``."""
        call = Call("read_submission", f"look at submission {one_line(number, 100)} of", offer)
        return await self._object(call, f"submission/{segment(product)}/{segment(number)}")

    async def configure(self, offer: OfferKey, document: str, *, verb: str) -> str | None:
        """Write the resources of a document, which may include a submission: ``POST configure``.

        Not safe to repeat, since the service does not recognise repeated requests.

        Args:
            offer: The offer.
            document: The JSON text, sent as it is.
            verb: The purpose, in a person's words.

        Returns:
            The job's ID, ``None`` if the request was accepted and the answer was cut off.
        """
        call = Call("configure", verb, offer)
        content = encoded(call, document)
        answer = await self._send(call, "POST", "configure", content=content, timeout=WRITE_TIMEOUT)
        found = _JOB.search(answer.text)
        return found[1] if found else None

    async def job(self, offer: OfferKey, job: str) -> object:
        """Return a job's status document: ``GET configure/<job>/status``."""
        call = Call("read_job", f"look at job {one_line(job, 100)} of", offer)
        return await self._object(call, f"configure/{segment(job)}/status")

    async def job_resources(self, offer: OfferKey, job: str) -> object:
        """Return the resources that a successful job has written: ``GET configure/<job>``.

        Raises:
            NotFound: The job has not ended, or has failed.
        """
        call = Call("read_job_resources", f"read the outcome of job {one_line(job, 100)} of", offer)
        return await self._object(call, f"configure/{segment(job)}", limit=MAX_DOCUMENT_BYTES)

    async def cancel(self, offer: OfferKey, job: str) -> None:
        """Ask for cancellation of a job: ``POST configure/<job>/cancel``.

        Raises:
            Refused: The job has ended, or is too far along.
        """
        call = Call("cancel_job", f"cancel job {one_line(job, 100)} of", offer)
        await self._send(call, "POST", f"configure/{segment(job)}/cancel", content=b"", timeout=WRITE_TIMEOUT)

    async def _object(self, call: Call, path: str, limit: int = MAX_ANSWER_BYTES) -> object:
        answer = await self._send(call, "GET", path, limit=limit)
        document = json_of(call, answer)
        if not isinstance(document, dict):
            raise unreadable(call, answer, "is not an object")
        return document

    async def _list(self, call: Call, path: str, query: Mapping[str, str]) -> list[object]:
        """Return the items of a list from all pages.

        Only the query of a link to the next page is used, never its host, since the request carries the token.
        """
        found: list[object] = []
        asked: list[Mapping[str, str]] = []
        for _ in range(MAX_PAGES):
            answer = await self._send(call, "GET", path, query=query)
            page = lower_keys(json_of(call, answer))
            items = page.get("value")
            if not isinstance(items, list):
                raise unreadable(call, answer, "is not a list")
            found += items
            asked.append(query)
            try:
                more = _next_page(page, query)
            except ValueError:
                raise unreadable(call, answer, "has an unreadable link to its next page") from None
            if more is None:
                return found
            if more in asked:
                raise unreadable(call, answer, "names a page that was read before")
            query = more
        raise unreadable(call, answer, f"has more than {MAX_PAGES} pages")

    async def _send(
        self,
        call: Call,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = {},
        content: bytes | None = None,
        timeout: httpx.Timeout = READ_TIMEOUT,  # noqa: ASYNC109
        limit: int = MAX_ANSWER_BYTES,
    ) -> Answer:
        return await self._sender.send(
            call,
            method,
            f"{self._url}/{path}",
            query={"$version": self._schema_version, **query},
            content=content,
            timeout=timeout,
            limit=limit,
        )


def _next_page(page: Mapping[str, object], query: Mapping[str, str]) -> Mapping[str, str] | None:
    """Return the query of the next page, ``None`` after the last page.

    Raises:
        ValueError: There is a next page, and its link or token cannot be read.
    """
    link = next((page[name] for name in _NEXT if page.get(name)), None)
    token = page.get(_CONTINUATION)
    if not all(isinstance(each, str) for each in (link, token) if each):
        raise ValueError("not a string")
    if isinstance(link, str):
        asked = dict(parse_qsl(urlsplit(link).query))
        more = {name: value for name, value in asked.items() if name.lstrip("$").lower() != "version"}
        return {**query, **more}
    return {**query, "continuationToken": token} if isinstance(token, str) and token else None
