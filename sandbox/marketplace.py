"""The marketplace: its state, the file that keeps the state, and the log of requests."""

import time
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from sandbox.clock import Clock, SpeedClock
from sandbox.faults import Fault, StepFault
from sandbox.offers import settle, ticks_of
from sandbox.product_ingestion.jobs import settle_jobs
from sandbox.state import MarketplaceState, Publisher
from sandbox.steps import progress_of
from sandbox.switches import Switches

DEFAULT_TOKEN = "sandbox-token"
DEFAULT_ACCOUNT = "fabrikam-linux"
DEFAULT_TOKEN_LIFETIME = 4_500.0
_KEPT_REQUESTS = 20_000

LogEntry: TypeAlias = dict[str, object]


class SandboxMarketplace:
    """Publishers with their offers, on one clock.

    Attributes:
        account: The publisher that owns new products of the Product Ingestion API, because no request names one.
        account_alone: Whether only the products of that publisher are listed.
        owners: Other owners of new products, by external ID.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        state_path: Path | None = None,
        token: str = DEFAULT_TOKEN,
        token_lifetime: float = DEFAULT_TOKEN_LIFETIME,
        default_switches: Mapping[str, object] | None = None,
        requests_per_second: int | None = None,
        account: str = DEFAULT_ACCOUNT,
    ) -> None:
        """Start with the state file if there is one, else empty.

        Raises:
            ValueError: The file is not a state file.
        """
        self.account = account
        self.account_alone = False
        self.owners: dict[str, str] = {}
        self.clock = clock or SpeedClock()
        self.token = token
        self.token_lifetime = token_lifetime
        self.default_switches = Switches.model_validate(dict(default_switches or {}))
        self.requests_per_second = requests_per_second
        self._admitted: deque[float] = deque()
        self.requests: deque[LogEntry] = deque(maxlen=_KEPT_REQUESTS)
        self.request_count = 0
        self._state_path = state_path
        self.state = self._load()

    def _load(self) -> MarketplaceState:
        if self._state_path is None or not self._state_path.exists():
            return MarketplaceState()
        try:
            state = MarketplaceState.model_validate_json(self._state_path.read_text("utf-8"))
        except ValidationError as error:
            raise ValueError(
                f"{self._state_path} is not a state file of this version of the sandbox. Remove it to start anew."
            ) from error
        if state.clock and isinstance(self.clock, SpeedClock):
            self.clock.resume_at(state.clock)
        return state

    def save(self, now: datetime) -> None:
        """Write the state file, whole or not at all."""
        if self._state_path is None:
            return
        self.state.clock = now
        written = self._state_path.with_name(self._state_path.name + ".new")
        written.write_text(self.state.model_dump_json(exclude_defaults=True), "utf-8")
        written.replace(self._state_path)

    def publisher(self, publisher_id: str) -> Publisher:
        """Return a publisher, which is created if it is new."""
        known = self.state.publishers.get(publisher_id)
        if known is None:
            known = Publisher(id=publisher_id, switches=self.default_switches)
            self.state.publishers[publisher_id] = known
        return known

    def owner_of(self, external_id: str | None) -> str:
        """Return the publisher to which a new product belongs."""
        return self.owners.get(external_id or "", self.account)

    def settle(self, publisher: Publisher, now: datetime) -> bool:
        """Bring a publisher up to date with the time. Return whether that changed anything."""
        changed = False
        for offer in publisher.offers.values():
            changed = settle(offer, publisher.switches, now) or changed
        return settle_jobs(publisher, now, lambda: self.tick(now)) or changed

    def tick(self, now: datetime) -> int:
        """Return a number for a change, greater than all earlier ones even if the clock stands still."""
        self.state.last_ticks = max(ticks_of(now), self.state.last_ticks + 10)
        return self.state.last_ticks

    def add_fault(self, publisher: Publisher, fault: Fault) -> Fault:
        """Add a fault, which gets a number."""
        self.state.last_fault += 1
        fault.id = self.state.last_fault
        publisher.faults.append(fault)
        return fault

    def set_step_fault(self, publisher: Publisher, step_id: str, fault: StepFault | None, now: datetime) -> None:
        """Change how a step ends, also in running operations that have not completed it."""
        self.settle(publisher, now)
        if fault is None:
            publisher.step_faults.pop(step_id, None)
        else:
            publisher.step_faults[step_id] = fault
        for offer in publisher.offers.values():
            for operation in offer.operations:
                if not operation.running:
                    continue
                for view in progress_of(operation, now).steps:
                    if view.plan.id == step_id and view.status != "complete":
                        view.plan.fault = fault

    def retry_after(self) -> float | None:
        """Count a request. Return None if it is within the rate limit, else the seconds after which to send it again.

        A refused request does not count. If it did, clients that keep trying would never be admitted.
        """
        if self.requests_per_second is None:
            return None
        now = time.monotonic()
        while self._admitted and self._admitted[0] <= now - 1:
            self._admitted.popleft()
        if len(self._admitted) >= self.requests_per_second:
            return self._admitted[0] + 1 - now
        self._admitted.append(now)
        return None

    def log(self, entry: LogEntry) -> None:
        """Add a request to the log."""
        self.request_count += 1
        self.requests.append({"number": self.request_count, **entry})

    def requests_after(self, number: int) -> list[LogEntry]:
        """Return the logged requests that came after the one with that number."""
        return list(islice(self.requests, max(len(self.requests) - (self.request_count - number), 0), None))
