"""One API call on its way through the sandbox."""

from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request

from sandbox.marketplace import SandboxMarketplace
from sandbox.refusals import RefusedError
from sandbox.state import Publisher
from sandbox.switches import Switches


@dataclass(frozen=True)
class Subject:
    """What a request is about, as far as its address and body say. None of it needs to exist.

    Attributes:
        call: The name of the call; faults and the log use it.
    """

    call: str
    publisher_id: str
    offer_id: str | None = None
    slot: str | None = None


@dataclass
class ApiCall:
    """One request, and what it led to.

    Attributes:
        now: The sandbox's time at which the call takes effect.
        arrived: The wall clock's time of arrival.
        effect: Whether the call did what it asks for.
        changed: Whether anything else has to be saved.
    """

    marketplace: SandboxMarketplace
    request: Request
    subject: Subject
    body: bytes
    now: datetime
    arrived: datetime
    effect: bool = False
    changed: bool = False
    operation_id: str | None = None
    job_id: str | None = None

    @property
    def name(self) -> str:
        """The name of the call."""
        return self.subject.call

    @property
    def publisher_id(self) -> str:
        """The publisher that the call is about."""
        return self.subject.publisher_id

    @property
    def known_publisher(self) -> Publisher | None:
        """The publisher, if it exists."""
        return self.marketplace.state.publishers.get(self.publisher_id)

    @property
    def publisher(self) -> Publisher:
        """The publisher; refuses the call if it does not exist."""
        known = self.known_publisher
        if known is None:
            raise RefusedError(404, "NotFound", f"There is no publisher '{self.publisher_id}'.")
        return known

    @property
    def switches(self) -> Switches:
        """The publisher's switches; the defaults if it does not exist."""
        known = self.known_publisher
        return known.switches if known else self.marketplace.default_switches

    @property
    def offer_id(self) -> str:
        """The offer that the call is about."""
        return str(self.subject.offer_id)

    def tick(self) -> int:
        """Return a number for a change, greater than all earlier ones."""
        return self.marketplace.tick(self.now)
