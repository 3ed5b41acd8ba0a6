"""One request on its way through the sandbox."""

from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request

from sandbox.marketplace import SandboxMarketplace
from sandbox.refusals import RefusedError
from sandbox.state import Publisher
from sandbox.switches import Switches


@dataclass(frozen=True)
class Place:
    """What a request is about, as far as that can be told before it is looked at."""

    call: str
    publisher_id: str
    offer_id: str | None = None
    slot: str | None = None


@dataclass
class Visit:
    """One request on its way through the sandbox, and what it led to."""

    marketplace: SandboxMarketplace
    request: Request
    place: Place
    body: bytes
    now: datetime
    arrived: datetime
    effect: bool = False
    changed: bool = False
    operation_id: str | None = None
    job_id: str | None = None

    @property
    def call(self) -> str:
        """The name of the call."""
        return self.place.call

    @property
    def publisher_id(self) -> str:
        """The publisher asked about."""
        return self.place.publisher_id

    @property
    def publisher(self) -> Publisher:
        """The publisher; refuses when there is none."""
        known = self.marketplace.state.publishers.get(self.publisher_id)
        if known is None:
            raise RefusedError(404, "NotFound", f"There is no publisher '{self.publisher_id}'.")
        return known

    @property
    def switches(self) -> Switches:
        """The switches of the publisher."""
        known = self.marketplace.state.publishers.get(self.publisher_id)
        return known.switches if known else self.marketplace.default_switches

    @property
    def offer_id(self) -> str:
        """The offer asked about."""
        return str(self.place.offer_id)

    def tick(self) -> int:
        """A number for a change."""
        return self.marketplace.tick(self.now)
