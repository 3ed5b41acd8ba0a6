"""What `tests.desk` needs to know about a marketplace API."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import httpx

from marketplace.protocol import Marketplace


class ByHand(NamedTuple):
    """A request that somebody sends by hand, without Temporal."""

    method: str
    path: str
    body: object = None
    headers: Mapping[str, str] = {}


class Api(Protocol):
    """An API of the marketplace, as a desk uses it."""

    @property
    def name(self) -> str:
        """The value of ``MARKETPLACE_API``."""
        ...

    @property
    def calls(self) -> Mapping[str, Sequence[str]]:
        """The sandbox's names for calls, by the name that tests use.

        Tests use the names put_offer, publish, go_live, cancel, look, list_operations and read_slot.
        """
        ...

    @property
    def looks_at_an_edit(self) -> int:
        """How often a worker reads the job of an edit that ends at once."""
        ...

    @property
    def first_step(self) -> str:
        """The name of the first step of a publish."""
        ...

    @property
    def go_live_step(self) -> str:
        """The name of the step of a go-live."""
        ...

    def marketplace(self, http: httpx.AsyncClient, sandbox_url: str) -> Marketplace:
        """Return the marketplace that a worker on the sandbox uses."""
        ...

    def document(self, publisher: str, versions: Sequence[str]) -> dict[str, Any]:
        """Return an offer with one plan that is ready to publish, as a document of the API."""
        ...

    def creation(self, publisher: str, document: dict[str, Any]) -> dict[str, Any]:
        """Return the input of `CreateOfferAndPublish` that creates the offer of a document."""
        ...

    def writes(self, request: httpx.Request) -> bool:
        """Return whether a request may write to a draft."""
        ...

    def put(self, publisher: str, document: dict[str, Any]) -> ByHand:
        """Return the request that writes a whole offer."""
        ...

    def publish(self, publisher: str) -> ByHand:
        """Return the request that publishes the draft."""
        ...

    def go_live(self, publisher: str, publish_id: str) -> ByHand:
        """Return the request that promotes the preview of a publish."""
        ...
