"""The nouns of the marketplace: offers, images, slots, operations and their steps.

All layers share them. Documents are not modelled here. They are edited as text; see `marketplace.json_text`.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

SHOWN_IMAGES = 100
"""How many image versions are named where there is no limit on their number."""

MAX_DATA_DISKS = 16
"""The documentation says 15 in one place and 16 in another. The larger number is accepted."""


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
"""The format of publisher IDs is not documented. This one excludes characters that would change a URL."""

OFFER_ID = r"^[a-z0-9]([a-z0-9_-]{0,48}[a-z0-9_])?$"
"""At most 50 lower-case letters, digits, dashes and underscores. The last one is not a dash."""

OfferId = Annotated[str, Field(pattern=OFFER_ID)]
PlanId = OfferId

Version = Annotated[str, AfterValidator(_checked_version)]
"""A version is compared as numbers, see `marketplace.versions`, and sent in its spelling."""

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
"""The resource ID of an image version in an Azure Compute Gallery."""

LIVE_SUFFIX = ":live"
"""The suffix of a go-live's ID, where the marketplace gives a publish and its go-live the same number."""

JOB_PREFIX = "job:"
"""The prefix of an operation's ID while the request is accepted but the operation is not listed yet."""


class UserInput(BaseModel):
    """A part of an input that a person writes. Unknown members and wrong types are refused, to catch mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Payload(BaseModel):
    """A value that workflows and activities exchange. Unknown members are ignored, since the writer may be newer."""

    # An error that quotes its input could show the end of a signature.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class OfferKey(Payload):
    """The publisher and the ID of an offer."""

    publisher_id: str
    offer_id: str

    def __str__(self) -> str:
        return f"{self.publisher_id}/{self.offer_id}"


class DataDisk(UserInput):
    """A data disk of an image, at its logical unit number."""

    lun: Annotated[int, Field(ge=0, le=63)]
    vhd_url: VhdUrl


class Sku(UserInput):
    """A SKU that is added to a plan without a SKU of the image's type."""

    id: SkuId
    security_types: Annotated[list[Literal["trusted", "confidential"]], Field(max_length=2)] = []


class Image(UserInput):
    """An image version wanted in a plan, with its source: disks, or an image version of a gallery.

    ``generation`` names one of the plan's generations or image types. Without it, the image is for all of them.
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
        """The image without its source."""
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


class ImageVersion(Payload):
    """An image version of a plan, without its source."""

    plan_id: str
    version: str
    generation: str | None = Field(default=None, exclude_if=lambda generation: generation is None)

    def __str__(self) -> str:
        suffix = f" (generation {self.generation})" if self.generation else ""
        return f"{self.plan_id} {self.version}{suffix}"


def only_in_first(first: Iterable[ImageVersion], second: Iterable[ImageVersion]) -> list[ImageVersion]:
    """Return the versions that only the first slot holds. Another spelling counts as another version."""
    held = set(second)
    return [each for each in first if each not in held]


class Slot(StrEnum):
    """The three slots of an offer."""

    DRAFT = "draft"
    PREVIEW = "preview"
    PRODUCTION = "production"


class OperationKind(StrEnum):
    """What an operation does."""

    PUBLISH = "publish"
    GO_LIVE = "go_live"


class OperationState(StrEnum):
    """The state of an operation, whatever words the service uses for it.

    Attributes:
        PREVIEW: A publish whose preview waits for the publisher's sign-off.
        LIVE: A go-live that has completed.
        TURNED_AWAY: The operation had no effect because another one runs on the offer. It may be started again.
    """

    RUNNING = "running"
    PREVIEW = "preview"
    LIVE = "live"
    FAILED = "failed"
    CANCELED = "canceled"
    TURNED_AWAY = "turned_away"


class StepState(StrEnum):
    """The state of one step of an operation."""

    NOT_STARTED = "not_started"
    IN_PROGRESS = "in_progress"
    WAITING_FOR_SIGN_OFF = "waiting_for_sign_off"
    WAITING_FOR_APPROVAL = "waiting_for_approval"
    BLOCKED = "blocked"
    REJECTED = "rejected"
    COMPLETE = "complete"
    CANCELED = "canceled"
    UNKNOWN = "unknown"


class Step(Payload):
    """One step of an operation.

    Attributes:
        percent: The progress according to the service, 0 to 100.
        errors: The error messages without HTML, each of bounded length.
    """

    id: str
    name: str
    state: StepState
    percent: int | None = None
    errors: list[str] = []


class Operation(Payload):
    """An operation in the list of operations.

    Attributes:
        id: The ID, unique within the offer. Results show it as `shown_id` returns it.
    """

    id: str
    kind: OperationKind
    state: OperationState
    changed_at: datetime | None = None


class OfferStatus(Payload):
    """The newest operations of an offer.

    Attributes:
        operations: The operations in their present states, running ones first, then newest first.
        awaits_sign_off: Whether the preview waits for the publisher's sign-off.
    """

    operations: list[Operation] = []
    awaits_sign_off: bool = False


def shown_id(operation_id: str) -> str:
    """Return an operation's ID as it is shown to people."""
    return operation_id.removesuffix(LIVE_SUFFIX)


class OperationReport(Payload):
    """A report on one operation.

    Attributes:
        errors: The errors of a failed operation without HTML, each as ``"<step name>: <message>"``.
        unknown_words: Unknown status words, which count as "still in progress".
        is_over: Whether it has ended, even successfully, and can therefore not be cancelled any more. Only the
            Product Ingestion API says so. With the Cloud Partner Portal API, a preview that waits for sign-off can
            still be cancelled.
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


class WhenFull(StrEnum):
    """What to do with a plan that holds as many versions as it may."""

    FAIL = "fail"
    REMOVE_OLDEST = "remove_oldest"


class Scope(StrEnum):
    """What a publish includes: the whole draft, or only the plans of the run's images."""

    WHOLE = "whole"
    MODULAR = "modular"


class ForeignEdits(StrEnum):
    """What to do about unpublished changes by others in the draft, apart from image versions."""

    FAIL = "fail"
    INCLUDE = "include"


class Deprecation(UserInput):
    """How a published image version is deprecated to make room.

    Attributes:
        notice: The time from the publish until the version is withdrawn. The marketplace requires 90 days.
        reason: The reason that customers are shown.
        alternative_plan_id: The plan that customers are shown as an alternative.
    """

    notice: Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(days=3660), strict=False)] = timedelta(days=90)
    reason: Literal["criticalSecurityIssue", "endOfSupport", "other"] = "other"
    alternative_plan_id: PlanId | None = None


class Change(Payload):
    """The change that a run wants to make to an offer.

    Attributes:
        limit: Versions a plan may hold, 0 for any number, ``None`` for the marketplace's limit.
        foreign_edits: ``None`` for the default of the API.
    """

    images: list[Image] = []
    when_full: WhenFull = WhenFull.FAIL
    limit: int | None = None
    scope: Scope = Scope.WHOLE
    foreign_edits: ForeignEdits | None = None
    deprecation: Deprecation = Deprecation()

    @property
    def plans(self) -> list[str]:
        """The plans of the images, without repeats."""
        return list(dict.fromkeys(image.plan_id for image in self.images))


class Promotion(Payload):
    """What going live would change.

    Attributes:
        adds: Image versions that it adds to Production, at most `SHOWN_IMAGES`.
        removes: Image versions that it removes from Production, at most `SHOWN_IMAGES`.
        deprecates: Image versions that it deprecates, at most `SHOWN_IMAGES`.
        changes: Sentences about other changes, at most `SHOWN_IMAGES`.
        evidence: A digest of the whole preview, if the API's documents can be compared.
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


class OfferDefinition(Payload):
    """The marketplace's own document of a whole offer.

    Attributes:
        member: The member of the input that has the document. It says which API the document is for.
        text: The JSON text, as the user wrote it.
    """

    member: Literal["offer", "configure"]
    text: str


class EditOutcome(Payload):
    """What an edit of the draft changed.

    Attributes:
        added: Image versions that were not in the draft before.
        removed: Image versions that were removed to make room.
        deprecated: Image versions that were deprecated to make room.
        renewed: Unpublished image versions whose SAS did not work any more and was replaced.
        warnings: Warnings for a person, such as a SAS that expires too soon.
        operations: IDs of the newest operations after the edit, newest first. A publish that starts later carries
            this draft.
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
