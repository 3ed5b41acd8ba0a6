"""The nouns of the marketplace: offers, images, slots, operations and their steps.

Shared by every layer above. Documents are not modelled here: they are edited as text, see
`marketplace.json_text`.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

SHOWN_IMAGES = 100
"""How many image versions are named where there may be any number."""

MAX_DATA_DISKS = 16
"""The documents say 15 here and 16 there; the larger is accepted."""


def _checked_version(version: str) -> str:
    if not re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18}){2}", version):
        raise ValueError("must be three whole numbers such as 4.2.1 or 2026.03.01, each of at most 18 digits")
    return version


def _checked_vhd_url(url: str) -> str:
    if any(character.isspace() for character in url):
        raise ValueError("must not contain spaces")
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError("must be an https:// address of the VHD's blob")
    if not parts.path.lower().endswith(".vhd"):
        raise ValueError("must name the blob: its path has to end in .vhd")
    return url


PublisherId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
"""No format is documented for publisher ids; this keeps out what would change the URL."""

OFFER_ID = r"^[a-z0-9]([a-z0-9_-]{0,48}[a-z0-9_])?$"
OfferId = Annotated[str, Field(pattern=OFFER_ID)]
PlanId = OfferId
"""At most 50 lower-case letters, digits, dashes and underscores, not ending with a dash."""

Version = Annotated[str, AfterValidator(_checked_version)]
"""Compared as numbers, see `marketplace.versions`, and sent as it is spelled."""

VhdUrl = Annotated[str, AfterValidator(_checked_vhd_url), Field(max_length=4096)]
Generation = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,20}$")]
Uuid = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")]
SkuId = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,50}$")]

GalleryImageId = Annotated[
    str,
    Field(
        pattern=r"(?i)^/subscriptions/[^/\s?#]+/resourceGroups/[^/\s?#]+/providers/Microsoft\.Compute"
        r"/galleries/[^/\s?#]+/images/[^/\s?#]+/versions/[^/\s?#]+$",
        max_length=500,
    ),
]
"""The resource id of an image version in an Azure Compute Gallery."""

LIVE_SUFFIX = ":live"
"""Ends the id of a go-live where the marketplace gives a publish and its go-live one number."""

JOB_PREFIX = "job:"
"""Begins the id of an operation whose request was accepted, but which the marketplace does not list yet."""


class Typed(BaseModel):
    """What a person writes: unknown members and wrong types are refused, so that a slip is found at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Fact(BaseModel):
    """What one of our parts tells another: an older reader ignores what a newer writer added."""

    # What is quoted of an input in an error may be the end of a signature.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class OfferKey(Fact):
    """An offer's address."""

    publisher_id: str
    offer_id: str

    def __str__(self) -> str:
        return f"{self.publisher_id}/{self.offer_id}"


class DataDisk(Typed):
    """A data disk of an image, at its logical unit number."""

    lun: Annotated[int, Field(ge=0, le=63)]
    vhd_url: VhdUrl


class Sku(Typed):
    """A SKU to be added to a plan that has none of an image's type."""

    id: SkuId
    security_types: Annotated[list[Literal["trusted", "confidential"]], Field(max_length=2)] = []


class Image(Typed):
    """An image version wanted in a plan, with its source: disks, or an image version of a gallery.

    ``generation`` names one of the generations, or image types, of a plan; without it the image goes into every one
    that it can be of.
    """

    plan_id: PlanId
    version: Version
    os_vhd_url: VhdUrl | None = None
    data_disks: Annotated[list[DataDisk], Field(max_length=MAX_DATA_DISKS)] = []
    gallery_image_id: GalleryImageId | None = None
    gallery_tenant_id: Uuid | None = None
    generation: Generation | None = None
    sku: Sku | None = None

    @property
    def image_version(self) -> "ImageVersion":
        """The image without its disks."""
        return ImageVersion(plan_id=self.plan_id, version=self.version, generation=self.generation)

    @model_validator(mode="after")
    def _luns_differ(self) -> Self:
        luns = [disk.lun for disk in self.data_disks]
        if len(set(luns)) != len(luns):
            raise ValueError("every data disk needs a lun of its own")
        return self

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.os_vhd_url is None) == (self.gallery_image_id is None):
            raise ValueError("exactly one of os_vhd_url and gallery_image_id is needed")
        if self.gallery_image_id is not None and self.data_disks:
            raise ValueError("data_disks: a gallery image brings its own")
        if self.gallery_image_id is None and self.gallery_tenant_id is not None:
            raise ValueError("gallery_tenant_id goes with gallery_image_id only")
        return self


class ImageVersion(Fact):
    """An image version of a plan, without its disks."""

    plan_id: str
    version: str
    generation: str | None = Field(default=None, exclude_if=lambda generation: generation is None)

    def __str__(self) -> str:
        suffix = f" (generation {self.generation})" if self.generation else ""
        return f"{self.plan_id} {self.version}{suffix}"


def added(before: Iterable[ImageVersion], after: Iterable[ImageVersion]) -> list[ImageVersion]:
    """Return which versions the second of two slots holds and the first does not; another spelling is another."""
    held = set(before)
    return [each for each in after if each not in held]


class Slot(StrEnum):
    """The three places an offer stands in."""

    DRAFT = "draft"
    PREVIEW = "preview"
    PRODUCTION = "production"


class OperationKind(StrEnum):
    """What an operation does."""

    PUBLISH = "publish"
    GO_LIVE = "go_live"


class OperationState(StrEnum):
    """How far an operation is, whatever words the service uses for it.

    ``PREVIEW``: a publish whose preview waits for the publisher's sign-off. ``LIVE``: a go-live that is done.
    ``TURNED_AWAY``: it came to nothing because something else runs on the offer; it may be asked for again.
    """

    RUNNING = "running"
    PREVIEW = "preview"
    LIVE = "live"
    FAILED = "failed"
    CANCELED = "canceled"
    TURNED_AWAY = "turned_away"


class StepState(StrEnum):
    """How far one step of an operation is."""

    NOT_STARTED = "not_started"
    IN_PROGRESS = "in_progress"
    WAITING_FOR_SIGN_OFF = "waiting_for_sign_off"
    WAITING_FOR_APPROVAL = "waiting_for_approval"
    BLOCKED = "blocked"
    REJECTED = "rejected"
    COMPLETE = "complete"
    CANCELED = "canceled"
    UNKNOWN = "unknown"


class Step(Fact):
    """One step of an operation.

    Attributes:
        percent: 0 to 100, as the service says it.
        errors: Its error messages, HTML removed, each bounded in length.
    """

    id: str
    name: str
    state: StepState
    percent: int | None = None
    errors: list[str] = []


class Operation(Fact):
    """An operation as the list of operations shows it.

    Attributes:
        id: Names it among all operations of its offer; results show it as `shown_id` does.
    """

    id: str
    kind: OperationKind
    state: OperationState
    changed_at: datetime | None = None


class Standing(Fact):
    """The newest operations of an offer as they are.

    Attributes:
        operations: Newest first, a running one before all others; the states are those of now.
        awaits_sign_off: Whether the preview waits for the publisher's sign-off.
    """

    operations: list[Operation] = []
    awaits_sign_off: bool = False


def shown_id(operation_id: str) -> str:
    """Return an operation's id as people are shown it."""
    return operation_id.removesuffix(LIVE_SUFFIX)


class OperationReport(Fact):
    """A look at one operation.

    Attributes:
        errors: What went wrong: ``"<step name>: <message>"`` per error message, HTML removed; empty while
            nothing failed.
        unknown_words: Status words that we do not know; they count as "still in progress".
        is_over: Whether nothing more will become of it and it cannot be cancelled any more, though it ended well.
    """

    operation_id: str
    kind: OperationKind
    state: OperationState
    steps: list[Step] = []
    errors: list[str] = []
    unknown_words: list[str] = []
    is_over: bool = False

    @property
    def step(self) -> Step | None:
        """The first step that is not complete."""
        return next((step for step in self.steps if step.state is not StepState.COMPLETE), None)

    @property
    def states(self) -> dict[str, StepState]:
        """The state of each step, by its id."""
        return {step.id: step.state for step in self.steps}


class WhenFull(StrEnum):
    """What to do with a plan that holds as many versions as it may."""

    FAIL = "fail"
    REMOVE_OLDEST = "remove_oldest"


class Scope(StrEnum):
    """What a publish takes from the draft: all of it, or the plans of the run's images only."""

    WHOLE = "whole"
    MODULAR = "modular"


class ForeignEdits(StrEnum):
    """What to do about changes in the draft that are nobody's image versions and were never published."""

    FAIL = "fail"
    INCLUDE = "include"


class Deprecation(Typed):
    """How a published image version is deprecated when room is made.

    Attributes:
        notice: From the publish until the version is withdrawn; the marketplace asks for 90 days.
        reason: Why, as customers are told.
        alternative_plan_id: The plan that customers are shown in its place.
    """

    notice: Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(days=3660), strict=False)] = timedelta(days=90)
    reason: Literal["criticalSecurityIssue", "endOfSupport", "other"] = "other"
    alternative_plan_id: PlanId | None = None


class Change(Fact):
    """What a run wants of an offer.

    Attributes:
        limit: Versions a plan may hold, 0 for any number, ``None`` for what the marketplace allows.
        foreign_edits: ``None`` for the marketplace's own default.
    """

    images: list[Image] = []
    when_full: WhenFull = WhenFull.FAIL
    limit: int | None = None
    scope: Scope = Scope.WHOLE
    foreign_edits: ForeignEdits | None = None
    deprecation: Deprecation = Deprecation()

    @property
    def plans(self) -> list[str]:
        """The plans of the images, each once."""
        return list(dict.fromkeys(image.plan_id for image in self.images))


class Promotion(Fact):
    """What going live would do.

    Attributes:
        adds: Image versions that it adds to Production, at most `SHOWN_IMAGES`.
        removes: Image versions that it takes from Production, at most `SHOWN_IMAGES`.
        deprecates: Image versions that it deprecates, at most `SHOWN_IMAGES`.
        changes: What else it changes, for a person, at most `SHOWN_IMAGES`.
        evidence: A digest of the whole preview, where the marketplace's documents can be compared.
    """

    adds: list[ImageVersion] = []
    removes: list[ImageVersion] = []
    deprecates: list[ImageVersion] = []
    changes: list[str] = []
    evidence: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change."""
        return not (self.adds or self.removes or self.deprecates or self.changes)


class OfferDefinition(Fact):
    """A whole offer in the marketplace's own words.

    Attributes:
        member: The member of the input that it stands in, which says how the offer is described.
        text: JSON text, as the user wrote it.
    """

    member: Literal["offer", "configure"]
    text: str


class EditOutcome(Fact):
    """What an edit of the draft changed.

    Attributes:
        added: Image versions that were not in the draft before.
        removed: Image versions dropped to make room.
        deprecated: Image versions deprecated to make room.
        renewed: Unpublished image versions whose SAS was of no use any more and was replaced.
        warnings: Sentences for a person, such as a SAS that expires too soon.
        operations: Ids of the newest operations after the edit, newest first: what is new after is of this draft.
    """

    added: list[ImageVersion] = []
    removed: list[ImageVersion] = []
    deprecated: list[ImageVersion] = []
    renewed: list[ImageVersion] = []
    warnings: list[str] = []
    operations: list[str] = []

    @property
    def changed(self) -> bool:
        """Whether anything was written."""
        return bool(self.added or self.removed or self.deprecated or self.renewed)
