"""A run's control state: what the run knows and the marketplace does not show.

A run bases every decision on this and on a survey of the offer. Progress, page and search attributes are rendered
from it. A run that continues as new passes it on, whole.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from marketplace.model import ImageVersion, OfferKey, OperationKind, OperationReport, Payload, Promotion
from workflows.messages import GoLiveDecision, PublishStage


class Purpose(StrEnum):
    """What an operation is followed for.

    ``TO_PREVIEW``: it carries the run's draft to the preview. ``TO_PRODUCTION``: it brings the approved preview to
    Production. ``OUT_OF_THE_WAY``: it has to end before the run can go on. ``CANCELED``: it was asked to cancel.
    ``STATUS``: somebody wants to know how it ends.
    """

    TO_PREVIEW = "to_preview"
    TO_PRODUCTION = "to_production"
    OUT_OF_THE_WAY = "out_of_the_way"
    CANCELED = "canceled"
    STATUS = "status"


class State(BaseModel):
    """A part of the control state. It is mutable, and an older worker ignores members that a newer one added."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class Following(State):
    """The operation that a run follows.

    Attributes:
        operation_id: ``None`` for the offer's last operation, until a look has named it.
        ours: Whether this run's request started it.
        known_operations: IDs of the operations that existed before it was requested.
        since: When the run began to follow it.
        until: When the run gives up.
        looks: The number of looks at it.
        looked_at: Time of a first look that came with the request. It is cleared once it has been used.
        steps_since: When each running step was first seen running, by step ID.
    """

    purpose: Purpose
    operation_id: str | None = None
    kind: OperationKind | None = None
    ours: bool = False
    known_operations: list[str] = []
    since: datetime
    until: datetime
    looks: int = 0
    looked_at: datetime | None = None
    steps_since: dict[str, datetime] = {}


class Published(Payload):
    """A publish that reached the preview with the run's images."""

    operation_id: str
    ours: bool


class SignOff(State):
    """How the decision on going live stands.

    Attributes:
        decision: The decision that holds.
        shown: ID of the publish whose preview was shown for approval.
        approved: ID of the publish that the decision is about; ``None`` if there was no preview yet.
        until: When the run gives up waiting for a decision.
        reminders: The number of reminders sent.
        reopened: Why an earlier approval no longer holds.
        promotion: What going live would do, as it was last shown.
    """

    required: bool = False
    approvers: list[str] = []
    decision: GoLiveDecision | None = None
    shown: str | None = None
    approved: str | None = None
    until: datetime | None = None
    reminders: int = 0
    reopened: str | None = None
    promotion: Promotion = Promotion()


class Publication(State):
    """The control state of a run.

    Attributes:
        since: When the run entered its stage.
        waiting_for: What the run is waiting for, for people.
        next_look: When the run looks at the operation next, for people.
        wait_until: When the run gives up waiting for the marketplace.
        rounds: How often the run has surveyed the offer to do the next thing.
        report: The last look at an operation.
        ours: Whether this run's request started that operation.
        slot_since: When a slot was first seen to lag behind its operation.
        writer_since: When another run was first seen writing to the draft.
        unguarded: Whether the draft has no ETag: then only one run at a time may write to it.
        known_operations: Set once the draft holds the images: IDs of the operations at that moment, newest first. Any
            publish that begins later carries the images. ``None`` while it is not known to hold them.
        asked_to_join: ID of the running publish that the run asked to join.
        changed: Whether anything that the run sent had an effect.
        publish_requested: Whether a publish was requested and its outcome is still unknown.
        own_publish: ID of the publish that this run started, while it can be cancelled.
        published: The publish that brought the images to the preview.
        go_live_requested: Whether going live was requested. It cannot be cancelled.
        gone_live: ID of the completed go-live.
    """

    offer: OfferKey | None = None
    images: list[ImageVersion] = []
    stage: PublishStage = PublishStage.PREPARING
    since: datetime
    waiting_for: str | None = None
    next_look: datetime | None = None
    error: str | None = None
    notes: list[str] = []

    wait_until: datetime
    rounds: int = 0
    following: Following | None = None
    report: OperationReport | None = None
    ours: bool = False
    slot_since: datetime | None = None
    writer_since: datetime | None = None

    unguarded: bool = False
    known_operations: list[str] | None = None
    asked_to_join: str | None = None
    changed: bool = False
    removed: list[ImageVersion] = []
    deprecated: list[ImageVersion] = []

    publish_requested: bool = False
    own_publish: str | None = None
    published: Published | None = None
    sign_off: SignOff | None = None
    go_live_requested: bool = False
    gone_live: str | None = None
