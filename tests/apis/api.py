"""What the tests need to know of an API of the marketplace, behind one vocabulary."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import httpx

from marketplace.protocol import Marketplace


class ByHand(NamedTuple):
    """A request of somebody without Temporal."""

    method: str
    path: str
    body: object = None
    headers: Mapping[str, str] = {}


class Api(Protocol):
    """An API of the marketplace."""

    @property
    def name(self) -> str:
        """The value of ``MARKETPLACE_API``."""
        ...

    @property
    def calls(self) -> Mapping[str, Sequence[str]]:
        """Its names of the calls that tests speak of.

        They are put_offer, publish, go_live, cancel, look, list_operations and read_slot.
        """
        ...

    @property
    def looks_at_an_edit(self) -> int:
        """How often a worker looks at the job of an edit, which is over at once."""
        ...

    @property
    def first_step(self) -> str:
        """The name of the first step that a publish shows."""
        ...

    @property
    def go_live_step(self) -> str:
        """The name of the step that a go-live shows."""
        ...

    def marketplace(self, http: httpx.AsyncClient, sandbox_url: str) -> Marketplace:
        """Make the client of the API, as a worker has it."""
        ...

    def document(self, publisher: str, versions: Sequence[str]) -> dict[str, Any]:
        """Make an offer that is ready to publish, of one plan, in the marketplace's own words."""
        ...

    def creation(self, publisher: str, document: dict[str, Any]) -> dict[str, Any]:
        """Make of a document what the input of `CreateOfferAndPublish` says of it."""
        ...

    def writes(self, request: httpx.Request) -> bool:
        """Return whether a request is one that writes to a draft, or publishes."""
        ...

    def put(self, publisher: str, document: dict[str, Any]) -> ByHand:
        """Write a whole offer."""
        ...

    def publish(self, publisher: str) -> ByHand:
        """Publish the draft."""
        ...

    def go_live(self, publisher: str, publish_id: str) -> ByHand:
        """Promote the preview of a publish."""
        ...
