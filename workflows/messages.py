"""The messages between people or pipelines and the workflows: inputs, decisions, results, progress.

Durations are ISO 8601 (``"PT30S"``, ``"P14D"``) or seconds. Unknown members are refused.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from marketplace.model import (
    OFFER_ID,
    Deprecation,
    ForeignEdits,
    Image,
    ImageVersion,
    OfferId,
    OfferKey,
    OperationKind,
    OperationState,
    Payload,
    PublisherId,
    Scope,
    Step,
    UserInput,
    WhenFull,
)

MAX_WAIT = timedelta(days=366)


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("must not contain control characters or invisible characters")
    return name


Interval = Annotated[timedelta, Field(ge=timedelta(seconds=0.1), le=MAX_WAIT, strict=False)]
Deadline = Annotated[timedelta, Field(gt=timedelta(0), le=MAX_WAIT, strict=False)]
Email = Annotated[str, Field(pattern=r"^[^@\s,;]+@[^@\s,;]+$", max_length=254)]
PLACEHOLDER = "YOUR NAME"
"""Stands in a shown command for the name of the approver."""


def name_to_fill_in(approvers: Sequence[str]) -> str:
    """Return the name that a shown command approves with: that of the only approver, or the placeholder."""
    return approvers[0] if len(approvers) == 1 else PLACEHOLDER


def own_name(name: str) -> str:
    """Return the name of an approver.

    Raises:
        ValueError: It is the placeholder.
    """
    if name == PLACEHOLDER:
        raise ValueError(f"replace {PLACEHOLDER} with your name")
    return name


Person = Annotated[str, AfterValidator(_printable), Field(min_length=1, max_length=254)]
Approver = Annotated[Person, AfterValidator(own_name)]
Remark = Annotated[str, Field(max_length=2000)]


class IfExists(StrEnum):
    """What to do if the offer to be created exists."""

    FAIL = "fail"
    REPLACE = "replace"


class IfPublishing(StrEnum):
    """What to do if an operation that does not carry the run's images is running on the offer."""

    WAIT = "wait"
    CANCEL = "cancel"
    FAIL = "fail"


class Polling(UserInput):
    """How often a run looks at a running operation. The intervals grow from ``min_interval`` to ``max_interval``."""

    min_interval: Interval = timedelta(minutes=1)
    max_interval: Interval = timedelta(minutes=30)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_interval > self.max_interval:
            raise ValueError("min_interval must not be longer than max_interval")
        return self


class Patience(UserInput):
    """How long and how often a run looks at the marketplace.

    ``deadline`` limits the time that a run waits for the marketplace. The time that it waits for a person does not
    count.
    """

    polling: Polling = Polling()
    deadline: Deadline = timedelta(days=21)


class Offer(BaseModel):
    """The marketplace's offer document. Members that do not address the offer are kept as they are."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    publisher_id: Annotated[PublisherId, Field(alias="publisherId")]
    offer_id: Annotated[OfferId, Field(alias="id")]
    offer_type_id: Annotated[str, Field(alias="offerTypeId", min_length=1, max_length=100)]
    definition: dict[str, Any]

    @property
    def key(self) -> OfferKey:
        """The offer's address."""
        return OfferKey(publisher_id=self.publisher_id, offer_id=self.offer_id)


class Configure(BaseModel):
    """The Product Ingestion API's ``configure`` document. Its resources are kept as they are."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    schema_: Annotated[str, Field(alias="$schema", min_length=1, max_length=500)]
    resources: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=10_000)]

    @property
    def offer_id(self) -> str | None:
        """The external id of its product."""
        products = [each for each in self.resources if _type_of(each) == "product"]
        identity = products[0].get("identity") if len(products) == 1 else None
        offer_id = identity.get("externalId", identity.get("externalID")) if isinstance(identity, dict) else None
        return offer_id if isinstance(offer_id, str) else None

    @model_validator(mode="after")
    def _resources_fit(self) -> Self:
        if any(_type_of(each) == "submission" for each in self.resources):
            raise ValueError("resources: a submission is not part of an offer; the run publishes by itself")
        if self.offer_id is None:
            raise ValueError("resources: exactly one product with identity.externalId is needed")
        return self


def _type_of(resource: dict[str, Any]) -> str:
    """Return the type of a resource: the second to last part of its ``$schema``, or the first part of its ID."""
    schema, resource_id = resource.get("$schema"), resource.get("id")
    if isinstance(schema, str) and schema.count("/") > 1:
        return schema.split("/")[-2]
    return resource_id.partition("/")[0] if isinstance(resource_id, str) else ""


class CreateOfferAndPublishInput(Patience):
    """Input of `CreateOfferAndPublish`: ``offer``, or ``publisher_id`` and ``configure``.

    ``offer`` is a document of the Cloud Partner Portal API, ``configure`` one of the Product Ingestion API. A worker
    uses one of the two APIs.
    """

    offer: Offer | None = None
    publisher_id: PublisherId | None = None
    configure: Configure | None = None
    if_exists: IfExists = IfExists.FAIL
    notification_emails: Annotated[list[Email], Field(max_length=50)] = []

    @property
    def member(self) -> Literal["offer", "configure"]:
        """The member that holds the offer."""
        return "offer" if self.offer is not None else "configure"

    @property
    def key(self) -> OfferKey:
        """The offer's address."""
        if self.offer is not None:
            return self.offer.key
        offer_id = self.configure.offer_id if self.configure is not None else None
        return OfferKey(publisher_id=self.publisher_id or "", offer_id=str(offer_id))

    @model_validator(mode="after")
    def _one_document(self) -> Self:
        if (self.offer is None) == (self.configure is None):
            raise ValueError("exactly one of offer and configure is needed")
        if (self.configure is None) != (self.publisher_id is None):
            raise ValueError("publisher_id belongs to configure; an offer names its publisher as publisherId")
        if self.configure is not None and not re.fullmatch(OFFER_ID, self.key.offer_id):
            raise ValueError(f"configure: the external id of the product must match {OFFER_ID}")
        return self


class ExistingOffer(Patience):
    """The offer that a run is about."""

    publisher_id: PublisherId
    offer_id: OfferId

    @property
    def key(self) -> OfferKey:
        """The offer's address."""
        return OfferKey(publisher_id=self.publisher_id, offer_id=self.offer_id)


class WantedImages(ExistingOffer):
    """The images that an offer shall hold, and what to do about obstacles.

    Attributes:
        max_versions_per_plan: 0 for any number; ``null`` for the marketplace's own limit. With the Cloud Partner
            Portal API that is 8 for virtual machine offers and none for core VM offers. With the Product Ingestion
            API it is 100 active versions.
        publish: What is published: the whole draft, or only the plans of the images.
        foreign_edits: What to do about unpublished changes by others in the draft, other than image versions.
            ``null``: fail with the Product Ingestion API, include them with the Cloud Partner Portal API.
        deprecation: How ``when_full: remove_oldest`` deprecates versions that were published.
    """

    images: Annotated[list[Image], Field(max_length=1000)]
    when_full: WhenFull = WhenFull.FAIL
    max_versions_per_plan: Annotated[int, Field(ge=0, le=100_000)] | None = None
    if_publishing: IfPublishing = IfPublishing.WAIT
    publish: Scope = Scope.WHOLE
    foreign_edits: ForeignEdits | None = None
    deprecation: Deprecation = Deprecation()
    notification_emails: Annotated[list[Email], Field(max_length=50)] = []

    @property
    def image_versions(self) -> list[ImageVersion]:
        """The images without their disks."""
        return [image.image_version for image in self.images]

    @model_validator(mode="after")
    def _each_image_once(self) -> Self:
        wanted = [(image.plan_id, image.version, image.generation) for image in self.images]
        if len(set(wanted)) != len(wanted):
            raise ValueError("images: a version of a plan is named twice")
        return self


class UpdateOfferAndPublishInput(WantedImages):
    """Input of `UpdateOfferAndPublish`."""

    images: Annotated[list[Image], Field(min_length=1, max_length=1000)]


class Approval(UserInput):
    """Who may approve going live, and how long they may take. Without ``approvers``, anyone may."""

    required: bool = True
    timeout: Deadline = timedelta(days=14)
    approvers: Annotated[list[Person], Field(max_length=100)] = []


class ValidateAndGoLiveInput(WantedImages):
    """Input of `ValidateAndGoLive`. ``images: []`` promotes whatever the preview holds when it is approved."""

    approval: Approval = Approval()

    @model_validator(mode="after")
    def _something_to_promote(self) -> Self:
        if not self.approval.required and not self.images:
            raise ValueError("images: at least one is needed where approval.required is false")
        if self.if_publishing is IfPublishing.CANCEL and not self.images:
            raise ValueError(
                "if_publishing: cancel needs images, because without images the run promotes what is being"
                " published; use wait or fail"
            )
        return self


class CheckLastOperationStatusInput(ExistingOffer):
    """Input of `CheckLastOperationStatus`.

    Attributes:
        wait: Whether to follow the operation until it settles, or to look once.
    """

    wait: bool = True


class Outcome(StrEnum):
    """How a run ended."""

    PREVIEW = "preview"
    LIVE = "live"
    RUNNING = "running"
    NEVER_PUBLISHED = "never_published"


class PublicationResult(Payload):
    """Result of all four workflows.

    Attributes:
        removed: Image versions that were removed to make room.
        deprecated: Image versions that were deprecated to make room.
        changed: Whether the run changed anything; ``False`` if everything was as requested already.
    """

    publisher_id: str
    offer_id: str
    outcome: Outcome
    operation_id: str | None = None
    images: list[ImageVersion] = []
    removed: list[ImageVersion] = []
    deprecated: list[ImageVersion] = []
    changed: bool = False
    approved_by: str | None = None


class ApproveGoLive(UserInput):
    """Payload of the signal ``approve_go_live``."""

    approver: Approver | None = None
    comment: Remark | None = None


class RejectGoLive(UserInput):
    """Payload of the signal ``reject_go_live``."""

    approver: Approver | None = None
    reason: Remark | None = None


class DecideGoLive(UserInput):
    """Payload of the update ``decide_go_live``."""

    approve: bool
    approver: Approver | None = None
    comment: Remark | None = None


class GoLiveDecision(Payload):
    """A decision on going live; the answer of ``decide_go_live``."""

    approve: bool
    approver: str | None = None
    comment: str | None = None
    decided_at: datetime


class PublishStage(StrEnum):
    """The stage of a run; the search attribute ``PublishStage``."""

    PREPARING = "preparing"
    PUBLISHING = "publishing"
    AWAITING_APPROVAL = "awaiting_approval"
    GOING_LIVE = "going_live"
    LIVE = "live"
    PREVIEW = "preview"
    FAILED = "failed"
    CANCELED = "canceled"


class FollowedOperation(Payload):
    """The operation that a run follows, or followed last.

    Attributes:
        ours: Whether this run started it.
    """

    id: str
    kind: OperationKind
    state: OperationState
    ours: bool = False


class ApprovalProgress(Payload):
    """How the decision on going live stands.

    Attributes:
        adds: Image versions that going live adds to Production, at most 100.
        removes: Image versions that going live takes from Production, at most 100.
        deprecates: Image versions that going live deprecates, at most 100.
        changes: What else going live changes, at most 100 sentences.
        until: When the run gives up waiting for a decision.
        reopened: Why an earlier approval no longer holds.
    """

    required: bool
    approvers: list[str] = []
    decision: GoLiveDecision | None = None
    adds: list[ImageVersion] = []
    removes: list[ImageVersion] = []
    deprecates: list[ImageVersion] = []
    changes: list[str] = []
    until: datetime | None = None
    reopened: str | None = None


class Progress(Payload):
    """Answer of the query ``progress``.

    Attributes:
        waiting_for: What the run is waiting for at this moment.
        next_look: When the run looks at the operation next.
        notes: Warnings, unknown status words, refused messages; newest last, at most 50.
    """

    publisher_id: str | None = None
    offer_id: str | None = None
    stage: PublishStage = PublishStage.PREPARING
    since: datetime
    waiting_for: str | None = None
    operation: FollowedOperation | None = None
    steps: list[Step] = []
    images: list[ImageVersion] = []
    looks: int = 0
    next_look: datetime | None = None
    approval: ApprovalProgress | None = None
    error: str | None = None
    notes: list[str] = []
