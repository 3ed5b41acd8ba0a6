"""What a run knows that the marketplace cannot tell it: its control state, in one place.

Everything that a run decides, it decides from this and from a survey of the offer. Progress, page and search
attributes are rendered from it. A run that continues as new hands it on, whole.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from marketplace.model import Fact, ImageVersion, OfferKey, OperationKind, OperationReport, Promotion
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
    """A part of the control state: it changes, and what a newer worker added is ignored by an older one."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class Following(State):
    """The operation that a run follows.

    Attributes:
        operation_id: ``None`` for the offer's last operation, until a look has named it.
        ours: Whether it began with a request of this run.
        known_operations: Ids of the operations that were there before it was asked for.
        since: When the run began to follow it.
        until: When the run gives up.
        looks: How often it was looked at.
        looked_at: When it was looked at with the request that began it; ``None`` when it has to be looked at now.
        steps_since: Since when each step that has not ended is known to run, by its id.
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


class Published(Fact):
    """A publish that reached the preview with the run's images."""

    operation_id: str
    ours: bool


class SignOff(State):
    """How the decision on going live stands.

    Attributes:
        decision: The decision that stands.
        shown: Id of the publish whose preview people were asked about.
        approved: Id of the publish that the decision is on; ``None`` for an approval before there was a preview.
        preview_awaited: Whether the run had to wait for a preview that it did not publish itself.
        until: When the run gives up waiting for a decision.
        reminders: How often people were reminded that it is awaited.
        reopened: Why an approval that was given does not hold any more.
        promotion: What going live would do, as it was shown last.
    """

    required: bool = False
    approvers: list[str] = []
    decision: GoLiveDecision | None = None
    shown: str | None = None
    approved: str | None = None
    preview_awaited: bool = False
    until: datetime | None = None
    reminders: int = 0
    reopened: str | None = None
    promotion: Promotion = Promotion()


class Publication(State):
    """The control state of a run.

    Attributes:
        since: When the run entered its stage.
        waiting_for: What the run is waiting for, for people.
        next_look: When the run looks next, for people.
        wait_until: When the run gives up waiting for the marketplace.
        rounds: How often the run has surveyed the offer to do the next thing.
        report: The last look at an operation.
        slot_since: Since when a slot has been lagging behind its operation.
        writer_since: Since when another run has been writing to the draft.
        unguarded: Whether the draft has no ETag, so that one run at a time may write to it.
        known_operations: Ids of the newest operations when the draft held the images, newest first: a publish that
            is new since carries them. ``None`` while the draft is not known to hold them.
        asked_to_join: Id of the running publish that the marketplace was asked to let the run join.
        changed: Whether the run sent anything that had an effect.
        publish_requested: Whether a publish request is out whose outcome is not known.
        own_publish: Id of the publish that began with this run's request, as long as it can be taken back.
        published: The publish that brought the images to the preview.
        go_live_requested: Whether going live was requested, which cannot be taken back.
        gone_live: Id of the go-live that is done.
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
