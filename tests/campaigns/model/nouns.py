"""The nouns of the model, in plain Python: images, operations, sights, intents.

An *intent* is what somebody started, with what people said about it since; a *sight* is how the offer stands at one
moment. Nothing here knows of the product, nor of Temporal.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Images: TypeAlias = Mapping[str, str]
"""The address of the disk of each image, by plan and version."""

Workflow: TypeAlias = Literal["create", "update", "promote", "check"]
State: TypeAlias = Literal["running", "waits", "canceling", "completed", "failed", "canceled"]

BUSY = {"running", "canceling"}
CAME_TO_NOTHING = {"failed", "canceled"}
STRANGER = "stranger"


@dataclass(frozen=True)
class Operation:
    """An operation as the marketplace has it.

    Attributes:
        name: ``publish-1`` or ``go-live-2``, by its place among the offer's operations.
        asked_by: The intent that published, ``stranger``, or nobody.
        content: What is published.
        words: What its listing says, which stands for all that is no image.
        state: ``waits`` is a preview that waits for sign-off.
    """

    id: str
    name: str
    kind: Literal["publish", "go_live"]
    asked_by: str
    content: Images
    state: State
    words: str = ""


@dataclass(frozen=True)
class Sight:
    """How the offer stands; no draft means that there is no such offer. Operations are oldest first.

    Attributes:
        deprecated: Which images of the draft are deprecated.
        words: What the draft's listing says.
        published_words: What that of the preview says, or else that of Production.
    """

    draft: Images | None = None
    preview: Images | None = None
    production: Images | None = None
    operations: Sequence[Operation] = ()
    deprecated: frozenset[str] = frozenset()
    words: str = ""
    published_words: str | None = None

    @property
    def waiting(self) -> Operation | None:
        """The publish whose preview waits for sign-off."""
        return next((each for each in self.operations if each.state == "waits"), None)

    @property
    def busy(self) -> Operation | None:
        """The operation that the marketplace works on."""
        return next((each for each in reversed(self.operations) if each.state in BUSY), None)

    def slots(self) -> Iterator[Images]:
        """Yield what is in each slot."""
        yield from (slot for slot in (self.draft, self.preview, self.production) if slot is not None)

    def operation(self, operation_id: str | None) -> Operation | None:
        """Find an operation."""
        return next((each for each in self.operations if each.id == operation_id), None)


@dataclass(frozen=True)
class Request:
    """A request that an intent sent to the marketplace, as the marketplace logged it.

    Attributes:
        stranger: Whether somebody else acted at the same moment.
    """

    call: str
    status: int | None
    effect: bool
    operation_id: str | None = None
    stranger: bool = False


@dataclass(frozen=True)
class Rules:
    """What may be through one API and not through the other.

    Attributes:
        versions_grow: Whether a new version has to be above all that its plan has.
        cancels_all: Whether all that a run published can be cancelled; else only what still runs, if the answer to
            its request was not lost.
        newest_of_draft_stays: Whether the newest in the draft is never removed to make room.
        forgets: Whether the marketplace shows nothing of what has been cancelled or was followed by another.
    """

    versions_grow: bool = True
    cancels_all: bool = True
    newest_of_draft_stays: bool = False
    forgets: bool = False


@dataclass(frozen=True)
class Decision:
    """What an approver said.

    Attributes:
        approves: Nothing said of images: whatever holds them. Otherwise the one preview that was approved.
    """

    approve: bool
    by: str
    approves: frozenset[str] | None = None


@dataclass
class Intent:
    """What somebody started, and what people said about it since.

    Attributes:
        limit: Versions that a plan may hold, those that are deprecated not counted.
        includes: Whether it publishes what others changed besides images.
        alone: Whether it publishes the plans of its images only.
        began: The first sight of its life.
        shown: The preview that its approvers were shown last.
        shown_publish: The publish that made it.
    """

    name: str
    workflow: Workflow
    images: Images = field(default_factory=dict)
    if_publishing: Literal["wait", "cancel", "fail"] = "wait"
    limit: int = 8
    remove_oldest: bool = False
    replace: bool = False
    includes: bool = False
    alone: bool = False
    approval: bool = True
    approvers: Sequence[str] = ()
    began: int = 0
    cancelled: bool = False
    shown: frozenset[str] | None = None
    shown_publish: str | None = None
    decision: Decision | None = None
    ended: str | None = None

    def __repr__(self) -> str:
        return self.name

    @property
    def open(self) -> bool:
        """Whether it has not ended."""
        return self.ended is None

    @property
    def acts(self) -> bool:
        """Whether it may still send anything but cancel requests."""
        return self.open and not self.cancelled

    @property
    def edits(self) -> bool:
        """Whether it puts images into the draft."""
        return self.workflow in {"update", "promote"}

    def may_decide(self, who: str | None) -> bool:
        """Return whether this person may decide, now."""
        asked = self.workflow == "promote" and self.approval and self.decision is None
        return asked and not self.cancelled and (not self.approvers or who in self.approvers)


def plan_of(image: str) -> str:
    """Return an image's plan."""
    return image.partition(" ")[0]


def version_of(image: str) -> tuple[int, ...]:
    """Return an image's version, to be compared."""
    return tuple(map(int, image.partition(" ")[2].split(".")))


def holds(slot: Images | None, images: Images) -> bool:
    """Return whether a slot holds images, with their own disks."""
    return slot is not None and all(slot.get(image) == disk for image, disk in images.items())


def of_plan(slot: Images | None, plan: str) -> set[str]:
    """Return the images of one plan."""
    return {image for image in slot or {} if plan_of(image) == plan}


def too_many(intent: Intent, plan: str, sight: Sight) -> int:
    """Return by how many versions a plan would hold more than it may, with those that an intent wants."""
    return len((of_plan(sight.draft, plan) - sight.deprecated) | of_plan(intent.images, plan)) - intent.limit


def removable(intent: Intent, plan: str, sight: Sight, rules: Rules) -> list[str]:
    """Return what may be removed for an intent, oldest first: nothing it wants, and not the newest of a slot."""
    slots = [of_plan(slot, plan) for slot in (sight.preview, sight.production)]
    active = of_plan(sight.draft, plan) - sight.deprecated
    if rules.newest_of_draft_stays:
        slots.append(active | of_plan(intent.images, plan))
    newest = {max(slot, key=version_of) for slot in slots if slot}
    return sorted(active - set(intent.images) - newest, key=version_of)
