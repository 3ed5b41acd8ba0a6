"""The state of the marketplace, all of which is written to the state file."""

from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, Field

from sandbox.faults import Fault, SlotName, StepFault
from sandbox.switches import Switches

ApiName: TypeAlias = Literal["cloud_partner", "product_ingestion"]
Outcome: TypeAlias = Literal["completed", "failed", "canceled"]
JobResult: TypeAlias = Literal["succeeded", "failed", "cancelled"]


class Disk(NamedTuple):
    """A disk that certification copies from an address with a SAS."""

    plan_id: str
    version: str
    address: str


class Snapshot(BaseModel):
    """A document as it was at one moment.

    Attributes:
        fingerprint: A digest that is the same for equal drafts.
        version: The version of the offer.
        publish_id: The ID of the publish that took it from the draft.
    """

    text: str
    fingerprint: str
    version: int
    changed: datetime
    publish_id: str | None = None


class StepPlan(BaseModel):
    """A step of an operation, and how it is going to end.

    Attributes:
        estimate: How long the documentation says it takes.
        seconds: How long it takes.
        done_before: Whether an earlier operation has completed it.
    """

    id: str
    name: str
    description: str
    estimate: str
    seconds: float
    role: Literal["work", "sign_off", "live"] = "work"
    done_before: bool = False
    fault: StepFault | None = None


class Operation(BaseModel):
    """A publish, a go-live or, if a cancel has its own operation, a cancel.

    Attributes:
        publishing_version: How often the offer had been published.
        ticks: The number of the change that started it.
        changed: When it last changed.
        sign_off_reached: When its preview began to wait for sign-off.
        signed_off: Whether its preview was approved, replaced or cancelled.
        cancel_at: When a requested cancel takes effect.
    """

    id: str
    kind: Literal["publish", "goLive", "cancel"]
    snapshot: Snapshot
    publishing_version: int
    ticks: int
    emails: str
    started: datetime
    changed: datetime
    steps: list[StepPlan]
    sign_off_reached: datetime | None = None
    signed_off: bool = False
    cancel_at: datetime | None = None
    ended: datetime | None = None
    outcome: Outcome | None = None

    @property
    def running(self) -> bool:
        """Whether the operation has not ended."""
        return self.outcome is None


class Pending(BaseModel):
    """A snapshot that will be in a slot when it is due."""

    slot: Literal["preview", "production"]
    snapshot: Snapshot
    due: datetime


class Offer(BaseModel):
    """An offer with its three slots and all its operations, oldest first.

    Attributes:
        publishings: How often it was published.
        pending: Snapshots that will be in a slot later.
        versions: Earlier versions, as they were published.
        waiting_operation: The ID of the publish whose preview waits for sign-off.
    """

    id: str
    api: ApiName = Field(default="cloud_partner", description="the API through which it was created")
    offer_type: str
    status: str = "neverPublished"
    version: int = 1
    publishings: int = 0
    etag: str
    draft: Snapshot
    preview: Snapshot | None = None
    production: Snapshot | None = None
    pending: list[Pending] = Field(default_factory=list)
    versions: dict[int, Snapshot] = Field(default_factory=dict)
    operations: list[Operation] = Field(default_factory=list)
    waiting_operation: str | None = None

    @property
    def slots(self) -> dict[SlotName, Snapshot | None]:
        """The snapshot in each slot."""
        return {"Draft": self.draft, "Preview": self.preview, "Production": self.production}

    @property
    def waiting(self) -> Operation | None:
        """The publish whose preview waits for sign-off."""
        return self.operation(self.waiting_operation) if self.waiting_operation else None

    def operation(self, operation_id: str) -> Operation | None:
        """Return the newest operation with that ID. A go-live that is repeated has the ID of the first."""
        return next((known for known in reversed(self.operations) if known.id == operation_id), None)

    def running_operation(self) -> Operation | None:
        """Return the publish or go-live that has not ended."""
        return next((known for known in reversed(self.operations) if known.running and known.kind != "cancel"), None)


class Job(BaseModel):
    """An accepted request of the Product Ingestion API, and what became of it.

    Attributes:
        reads: How often its status was read.
        due: When it ends, if a switch sets a duration.
        change: The resources that the draft gets when the job ends, as JSON.
        operation: The ID of the publish or go-live that the job waits for.
        applied: The resources that were written, as JSON.
        errors: The errors with which it is going to fail, as JSON.
    """

    id: str
    offer: str
    started: datetime
    reads: int = 0
    due: datetime | None = None
    change: str | None = None
    operation: str | None = None
    applied: str = "[]"
    errors: str | None = None
    ended: datetime | None = None
    result: JobResult | None = None


class Publisher(BaseModel):
    """A publisher's offers and jobs, and its switches and faults."""

    id: str
    switches: Switches
    offers: dict[str, Offer] = Field(default_factory=dict)
    faults: list[Fault] = Field(default_factory=list)
    step_faults: dict[str, StepFault] = Field(default_factory=dict)
    refused_tokens: set[str] = Field(default_factory=set)
    jobs: dict[str, Job] = Field(default_factory=dict)


class MarketplaceState(BaseModel):
    """All that the marketplace remembers."""

    publishers: dict[str, Publisher] = Field(default_factory=dict)
    issued_tokens: dict[str, float] = Field(default_factory=dict)
    last_ticks: int = 0
    last_fault: int = 0
    clock: datetime | None = None
