"""The entities of the model, in plain Python that uses neither the product nor Temporal.

An *intent* is a started workflow with the decisions about it. An *observation* is the state of the offer at one
moment.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Images: TypeAlias = Mapping[str, str]
"""The disk URL of each image. An image is named by its plan and version, such as ``lts 1.0.0``."""

Workflow: TypeAlias = Literal["create", "update", "promote", "check"]
State: TypeAlias = Literal["running", "waits", "canceling", "completed", "failed", "canceled"]

BUSY = {"running", "canceling"}
CAME_TO_NOTHING = {"failed", "canceled"}


@dataclass(frozen=True)
class Operation:
    """An operation of the marketplace.

    Attributes:
        name: ``publish-1`` or ``go-live-2``, numbered among all operations of the offer.
        asked_by: The name of the intent that published, ``stranger``, or empty.
        content: The images that the operation publishes.
        listing: The description that it publishes. It stands for everything except images.
        state: ``waits`` means that its preview waits for sign-off.
    """

    id: str
    name: str
    kind: Literal["publish", "go_live"]
    asked_by: str
    content: Images
    state: State
    listing: str = ""


@dataclass(frozen=True)
class Observation:
    """The state of the offer at one moment.

    Attributes:
        draft: The images of the draft; ``None`` if there is no offer.
        operations: All operations, oldest first.
        deprecated: The deprecated images of the draft.
        listing: The description in the draft's listing.
        published_listing: The description in the preview's listing, or in Production's if there is no preview.
    """

    draft: Images | None = None
    preview: Images | None = None
    production: Images | None = None
    operations: Sequence[Operation] = ()
    deprecated: frozenset[str] = frozenset()
    listing: str = ""
    published_listing: str | None = None

    @property
    def waiting(self) -> Operation | None:
        """The publish whose preview waits for sign-off."""
        return next((each for each in self.operations if each.state == "waits"), None)

    @property
    def busy(self) -> Operation | None:
        """The running operation."""
        return next((each for each in reversed(self.operations) if each.state in BUSY), None)

    def slots(self) -> Iterator[Images]:
        """Yield the images of each slot."""
        yield from (slot for slot in (self.draft, self.preview, self.production) if slot is not None)

    def operation(self, operation_id: str | None) -> Operation | None:
        """Return an operation by its ID."""
        return next((each for each in self.operations if each.id == operation_id), None)


@dataclass(frozen=True)
class Request:
    """A request of one of our runs, as the sandbox logged it.

    Attributes:
        status: The status of the answer; ``None`` if the connection was dropped.
        effect: Whether the request changed something.
        stranger: Whether a stranger acted just before or after it.
        sender: The name of the intent, if it is known.
    """

    call: str
    status: int | None
    effect: bool
    operation_id: str | None = None
    stranger: bool = False
    sender: str = ""


@dataclass(frozen=True)
class Rules:
    """The rules in which the APIs differ.

    Attributes:
        versions_grow: Whether a new version must be above all versions of its plan.
        cancels_all: Whether every publish of a run can be cancelled. If not, only a running publish can be, and
            only if the answer to its request arrived.
        newest_of_draft_stays: Whether the newest version of the draft is never removed to make room.
        forgets: Whether the marketplace stops showing publishes that were cancelled or replaced by others.
    """

    versions_grow: bool = True
    cancels_all: bool = True
    newest_of_draft_stays: bool = False
    forgets: bool = False


@dataclass(frozen=True)
class Decision:
    """A decision of an approver.

    Attributes:
        approves: The images of the approved preview. ``None`` means any preview that holds the intent's images.
    """

    approve: bool
    by: str
    approves: frozenset[str] | None = None


@dataclass
class Intent:
    """A workflow that somebody started, and the decisions about it.

    Attributes:
        limit: The maximum number of versions in a plan, without deprecated ones.
        includes: Whether to publish changes by others that concern no image.
        modular: Whether to publish only the plans of the images.
        began: The number of the first observation of its life.
        shown: The images of the preview that approvers saw last.
        shown_publish: The ID of the publish that made this preview.
        ended: The outcome, the error type, or ``canceled``.
    """

    name: str
    workflow: Workflow
    images: Images = field(default_factory=dict)
    if_publishing: Literal["wait", "cancel", "fail"] = "wait"
    limit: int = 8
    remove_oldest: bool = False
    replace: bool = False
    includes: bool = False
    modular: bool = False
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
        """Whether it has not ended yet."""
        return self.ended is None

    @property
    def acts(self) -> bool:
        """Whether it may still send writes other than a cancel."""
        return self.open and not self.cancelled

    @property
    def edits(self) -> bool:
        """Whether it puts images into the draft."""
        return self.workflow in {"update", "promote"}

    def may_decide(self, person: str | None) -> bool:
        """Return whether this person may decide now."""
        open_question = self.workflow == "promote" and self.approval and self.decision is None
        return open_question and not self.cancelled and (not self.approvers or person in self.approvers)


def plan_of(image: str) -> str:
    """Return the plan of an image."""
    return image.partition(" ")[0]


def version_of(image: str) -> tuple[int, ...]:
    """Return the version of an image as numbers to compare."""
    return tuple(map(int, image.partition(" ")[2].split(".")))


def holds(slot: Images | None, images: Images) -> bool:
    """Return whether a slot holds these images with these disks."""
    return slot is not None and all(slot.get(image) == disk for image, disk in images.items())


def of_plan(slot: Images | None, plan: str) -> set[str]:
    """Return the images of one plan."""
    return {image for image in slot or {} if plan_of(image) == plan}


def excess_of(intent: Intent, plan: str, observation: Observation) -> int:
    """Return by how many versions a plan would exceed the limit with the images of an intent."""
    return (
        len((of_plan(observation.draft, plan) - observation.deprecated) | of_plan(intent.images, plan)) - intent.limit
    )


def removable(intent: Intent, plan: str, observation: Observation, rules: Rules) -> list[str]:
    """Return the images that may be removed to make room, oldest first.

    The images of the intent stay, and so does the newest image of each slot.
    """
    slots = [of_plan(slot, plan) for slot in (observation.preview, observation.production)]
    active = of_plan(observation.draft, plan) - observation.deprecated
    if rules.newest_of_draft_stays:
        slots.append(active | of_plan(intent.images, plan))
    newest = {max(slot, key=version_of) for slot in slots if slot}
    return sorted(active - set(intent.images) - newest, key=version_of)
