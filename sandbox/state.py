"""What the marketplace remembers. All of it is written to the state file."""

from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, Field

from sandbox.faults import Fault, StepFault
from sandbox.switches import Switches

ApiName: TypeAlias = Literal["cloud_partner", "product_ingestion"]
Outcome: TypeAlias = Literal["completed", "failed", "canceled"]
JobResult: TypeAlias = Literal["succeeded", "failed", "cancelled"]


class Disk(NamedTuple):
    """A disk that certification copies, by the address it is given with."""

    plan_id: str
    version: str
    address: str


class Snapshot(BaseModel):
    """A document as it was put at one moment."""

    text: str
    fingerprint: str
    version: int
    changed: datetime
    publish_id: str | None = Field(default=None, description="the publish that carried it")


class StepPlan(BaseModel):
    """One step of an operation and how it is going to end."""

    id: str
    name: str
    description: str
    estimate: str
    seconds: float
    role: Literal["work", "sign_off", "live"] = "work"
    done_before: bool = False
    fault: StepFault | None = None


class Operation(BaseModel):
    """One publish, go-live or cancel run."""

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
        """Whether it has not ended."""
        return self.outcome is None


class Pending(BaseModel):
    """A snapshot on its way into a slot."""

    slot: Literal["preview", "production"]
    snapshot: Snapshot
    due: datetime


class Offer(BaseModel):
    """An offer with its three slots and all operations, oldest first."""

    id: str
    api: ApiName = Field(default="cloud_partner", description="the API whose documents it holds")
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

    def operation(self, operation_id: str) -> Operation | None:
        """The newest operation with that id: a go-live that is tried again keeps it."""
        return next((known for known in reversed(self.operations) if known.id == operation_id), None)

    def running_operation(self) -> Operation | None:
        """The publish or go-live run that has not ended."""
        return next((known for known in reversed(self.operations) if known.running and known.kind != "cancel"), None)


class Job(BaseModel):
    """A request of the Product Ingestion API that was accepted, and what became of it.

    Attributes:
        change: The resources that are still to be written into the draft, as JSON.
        operation: The publish or go-live run that the job waits for.
        applied: The resources that were written, as JSON.
        refused: Why it is going to fail, as JSON.
    """

    id: str
    offer: str
    call: str
    started: datetime
    reads: int = 0
    due: datetime | None = None
    change: str | None = None
    operation: str | None = None
    applied: str = "[]"
    refused: str | None = None
    ended: datetime | None = None
    result: JobResult | None = None


class Publisher(BaseModel):
    """A publisher's offers and the behaviour asked for by the control API."""

    id: str
    switches: Switches
    offers: dict[str, Offer] = Field(default_factory=dict)
    faults: list[Fault] = Field(default_factory=list)
    step_faults: dict[str, StepFault] = Field(default_factory=dict)
    refused_tokens: set[str] = Field(default_factory=set)
    jobs: dict[str, Job] = Field(default_factory=dict)


class MarketplaceState(BaseModel):
    """Everything."""

    publishers: dict[str, Publisher] = Field(default_factory=dict)
    issued_tokens: dict[str, float] = Field(default_factory=dict)
    last_ticks: int = 0
    last_fault: int = 0
    clock: datetime | None = None
