"""The nouns of the marketplace: offers, images, slots, operations and their steps.

Shared by every layer above. Documents are not modelled here: they are edited as text, see
`marketplace.json_text`.
"""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

MAX_DATA_DISKS = 16
"""The Cloud Partner Portal documents 15, Partner Center 16; the larger is accepted."""


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

OfferId = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9_-]{0,48}[a-z0-9_])?$")]
PlanId = OfferId
"""At most 50 lower-case letters, digits, dashes and underscores, not ending with a dash."""

Version = Annotated[str, AfterValidator(_checked_version)]
"""Compared as numbers, see `marketplace.versions`, and sent as it is spelled."""

VhdUrl = Annotated[str, AfterValidator(_checked_vhd_url), Field(max_length=4096)]
Generation = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,20}$")]


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


class Image(Typed):
    """An image version wanted in a plan, with its disks.

    ``generation`` names one of several disk generations of a core VM plan; without it the image goes into
    every generation of the plan.
    """

    plan_id: PlanId
    version: Version
    os_vhd_url: VhdUrl
    data_disks: Annotated[list[DataDisk], Field(max_length=MAX_DATA_DISKS)] = []
    generation: Generation | None = None

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


class ImageVersion(Fact):
    """An image version of a plan, without its disks."""

    plan_id: str
    version: str
    generation: str | None = Field(default=None, exclude_if=lambda generation: generation is None)

    def __str__(self) -> str:
        suffix = f" (generation {self.generation})" if self.generation else ""
        return f"{self.plan_id} {self.version}{suffix}"


class HeldImage(Fact):
    """An image version as a slot holds it.

    Attributes:
        disks: One entry a disk: ``"os <address>"`` or ``"<lun> <address>"``, the address without its SAS,
            so that equal disks compare equal.
    """

    plan_id: str
    version: str
    generation: str | None = None
    disks: list[str] = []


class Slot(StrEnum):
    """The three places an offer stands in."""

    DRAFT = "Draft"
    PREVIEW = "Preview"
    PRODUCTION = "Production"


class OperationKind(StrEnum):
    """What an operation does."""

    PUBLISH = "publish"
    GO_LIVE = "go_live"


class OperationState(StrEnum):
    """How far an operation is, whatever words the service uses for it.

    ``PREVIEW``: a publish whose preview waits for the publisher's sign-off. ``LIVE``: a go-live that is done.
    """

    RUNNING = "running"
    PREVIEW = "preview"
    LIVE = "live"
    FAILED = "failed"
    CANCELED = "canceled"


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

    @property
    def is_sign_off(self) -> bool:
        """Whether the publisher decides here, by the step's id or a name that looks like it."""
        return "publishersignoff" in {_letters(self.id), _letters(self.name)} or "signoff" in _letters(self.name)

    @property
    def is_live(self) -> bool:
        """Whether this step brings the offer to Production."""
        return "live" in {_letters(self.id), _letters(self.name)}


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold()


class Operation(Fact):
    """An operation as the list of operations shows it."""

    id: str
    kind: OperationKind
    state: OperationState
    changed_at: datetime | None = None


class OperationReport(Fact):
    """A look at one operation.

    Attributes:
        errors: What went wrong: ``"<step name>: <message>"`` per error message, HTML removed; empty while
            nothing failed.
        unknown_words: Status words that we do not know; they count as "still in progress".
    """

    operation_id: str
    kind: OperationKind
    state: OperationState
    steps: list[Step] = []
    errors: list[str] = []
    unknown_words: list[str] = []

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


class EditOutcome(Fact):
    """What an edit of the draft changed.

    Attributes:
        added: Image versions that were not in the draft before.
        removed: Image versions dropped to make room.
        renewed: Unpublished image versions whose SAS was of no use any more and was replaced.
        warnings: Sentences for a person, such as a SAS that expires too soon.
        operations: Ids of the newest operations after the edit, newest first: what is new after is of this draft.
    """

    added: list[ImageVersion] = []
    removed: list[ImageVersion] = []
    renewed: list[ImageVersion] = []
    warnings: list[str] = []
    operations: list[str] = []

    @property
    def changed(self) -> bool:
        """Whether anything was written."""
        return bool(self.added or self.removed or self.renewed)
