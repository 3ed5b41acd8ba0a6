"""The ways in which an intent may end. Every outcome needs a reason among the observations during its life."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.campaigns.model.entities import (
    CAME_TO_NOTHING,
    Images,
    Intent,
    Observation,
    Operation,
    excess_of,
    holds,
    of_plan,
    plan_of,
    removable,
    version_of,
)
from tests.campaigns.model.world import World

_WORDS = {"running": "is running", "canceling": "is being cancelled", "waits": "waits for sign-off"}


@dataclass(frozen=True)
class Life:
    """The observations during the life of an intent.

    Attributes:
        last: The observations of the step in which it ended.
    """

    intent: Intent
    world: World
    last: Sequence[Observation]

    @property
    def observations(self) -> Sequence[Observation]:
        """The observations since the intent began."""
        return self.world.observations[self.intent.began :]

    @property
    def images(self) -> Images:
        """The images that the intent wants."""
        return self.intent.images

    @property
    def follows(self) -> bool:
        """Whether a failed or cancelled publish of its images is a reason to end."""
        return bool(self.images) or self.intent.workflow == "check"

    def operations(self, kind: str) -> list[Operation]:
        """Return the operations that ran during its life, in their current state.

        A check also sees the last operation that had ended before. If the marketplace forgets cancelled publishes, a
        check sees the last operation that is left.
        """
        before = self.observations[0].operations
        over = {each.id for each in before if each.state in {"completed", *CAME_TO_NOTHING}}
        if self.intent.workflow == "check":
            forgotten = self.world.closed if self.world.rules.forgets else set()
            left = [each for each in before if each.id not in forgotten]
            over -= {each.id for each in (*before[-1:], *left[-1:])}
        return [each for each in self.world.now.operations if each.kind == kind and each.id not in over]


def complaints(intent: Intent, outcome: str, world: World, since: int) -> Iterator[str]:
    """Yield what is wrong with the end of an intent.

    Args:
        intent: The intent.
        outcome: The outcome, the error type, or ``canceled``.
        world: The model.
        since: The number of the first observation of the step in which it ended.
    """
    life = Life(intent, world, world.observations[since:])
    published = [each for each in world.now.operations if each.kind == "publish" and each.asked_by == intent.name]
    if intent.cancelled != (outcome == "canceled"):
        yield f"{intent} {'was' if intent.cancelled else 'was not'} cancelled, and ended as {outcome}"
    elif intent.cancelled:
        for operation in published:
            if operation.state in _WORDS and not _cannot_be_cancelled(operation, world):
                yield f"{intent} was cancelled and left {operation.name}, which {_WORDS[operation.state]}"
    elif not any(reason(life) for reason in _REASONS.get(outcome, ())):
        yield f"{intent} ended as {outcome}, for which there is no reason"
    for operation in published:
        failed = operation.state == "failed" and not _is_forgotten(operation, life)
        if failed and outcome not in {"PublishFailed", "canceled"}:
            yield f"{intent} ended as {outcome} although its {operation.name} failed"


def _is_forgotten(publish: Operation, life: Life) -> bool:
    """Return whether the marketplace does not show a publish any more, because one with its images replaced it."""
    later = life.world.now.operations[life.world.now.operations.index(publish) + 1 :]
    replaced = any(each.kind == "publish" and holds(each.content, life.images) for each in later)
    return life.world.rules.forgets and replaced


def _cannot_be_cancelled(operation: Operation, world: World) -> bool:
    ready_or_unnamed = operation.state == "waits" or operation.id in world.unanswered
    return ready_or_unnamed and not world.rules.cancels_all


def _the_images_are_there(life: Life) -> bool:
    """Return whether the preview or Production holds the images."""
    slots = (slot for observation in life.last for slot in (observation.preview, observation.production))
    return life.intent.workflow in {"create", "update"} and any(holds(slot, life.images) for slot in slots)


def _production_holds_the_images(life: Life) -> bool:
    images = bool(life.images) and life.intent.edits
    return images and any(holds(observation.production, life.images) for observation in life.last)


def _production_holds_what_was_approved(life: Life) -> bool:
    if life.images or life.intent.workflow != "promote":
        return False
    approved = life.intent.decision.approves if life.intent.decision else None
    promoted = any(frozenset(observation.production or ()) == approved for observation in life.last)
    return promoted or not life.world.promoted(life.intent)


def _was_replaced(life: Life) -> bool:
    """Return whether somebody replaced the intent's draft or removed images from it to make room."""
    creates = [each for each in life.world.intents if each.workflow == "create"]
    others = any((each.replace or each.remove_oldest) and each is not life.intent for each in life.world.intents)
    put = next(
        (at for at, observation in enumerate(life.observations) if holds(observation.draft, life.images)),
        len(life.observations),
    )
    lost = any(not holds(observation.draft, life.images) for observation in life.observations[put:])
    return life.intent in creates and others and lost


def _joined_another(life: Life) -> bool:
    """Return whether `CreateOfferAndPublish` followed a publish that somebody else asked for.

    It assumes that such a publish carries its draft, and does not read the preview.
    """
    published = any(each.asked_by == life.intent.name for each in life.operations("publish"))
    return life.intent.workflow == "create" and not published


def _check_saw(*states: tuple[str, str]) -> Callable[[Life], bool]:
    """Return the reason for a check to end, which is an operation of this kind in this state."""

    def reason(life: Life) -> bool:
        seen = {(each.kind, each.state) for observation in life.last for each in observation.operations}
        return life.intent.workflow == "check" and bool(seen & set(states))

    return reason


def _was_never_published(life: Life) -> bool:
    if life.intent.workflow != "check":
        return False
    hidden = CAME_TO_NOTHING if life.world.rules.forgets else set[str]()
    closed = life.world.closed if life.world.rules.forgets else set[str]()
    return any(
        all(each.state in hidden or each.id in closed for each in observation.operations) for observation in life.last
    )


def _there_is_no_offer(life: Life) -> bool:
    return life.intent.workflow != "create" and any(observation.draft is None for observation in life.observations)


def _there_is_another_offer(life: Life) -> bool:
    another = any(
        observation.draft is not None and not holds(observation.draft, life.images)
        for observation in life.observations
    )
    creates = life.intent.workflow == "create" and not life.intent.replace
    return creates and (another or life.observations[0].draft is not None)


def _a_disk_differs(life: Life) -> bool:
    return life.intent.edits and any(
        slot.get(image, disk) != disk
        for observation in life.observations
        for slot in observation.slots()
        for image, disk in life.images.items()
    )


def _a_version_is_old(life: Life) -> bool:
    return (
        life.intent.edits
        and life.world.rules.versions_grow
        and any(
            image not in (observation.draft or {}) and version_of(image) < version_of(other)
            for image in life.images
            for observation in life.observations
            for slot in observation.slots()
            for other in of_plan(slot, plan_of(image))
        )
    )


def _changes_what_is_published(life: Life) -> bool:
    """Return whether a new offer document has another disk for a published version."""
    creates = life.intent.workflow == "create" and life.intent.replace
    return creates and any(
        slot.get(image, disk) != disk
        for observation in life.observations
        for slot in (observation.preview, observation.production)
        if slot is not None
        for image, disk in life.images.items()
    )


def _leaves_out_what_is_published(life: Life) -> bool:
    """Return whether a new offer document lacks a published version, which the API does not allow."""
    creates = life.intent.workflow == "create" and life.intent.replace and not life.world.rules.versions_grow
    return creates and any(
        not set(slot) <= set(life.images)
        for observation in life.observations
        for slot in (observation.preview, observation.production)
        if slot is not None
    )


def _there_is_no_room(life: Life) -> bool:
    def none(plan: str, observation: Observation) -> bool:
        over = excess_of(life.intent, plan, observation)
        could_go = removable(life.intent, plan, observation, life.world.rules)
        return over > 0 and not (life.intent.remove_oldest and len(could_go) >= over)

    plans = {plan_of(image) for image in life.images}
    return life.intent.edits and any(none(plan, observation) for plan in plans for observation in life.observations)


def _others_changed_it(life: Life) -> bool:
    willing = life.intent.edits and not life.intent.includes
    return willing and any(
        observation.published_listing not in {None, observation.listing} for observation in life.observations
    )


def _something_ran(life: Life) -> bool:
    willing = life.intent.edits and life.intent.if_publishing == "fail"
    return willing and any(observation.busy for observation in life.observations)


def _its_publish_failed(life: Life) -> bool:
    failed = (each for each in life.operations("publish") if each.state == "failed")
    return life.follows and any(holds(each.content, life.images) for each in failed)


def _its_publish_was_cancelled(life: Life) -> bool:
    cancelled = (each for each in life.operations("publish") if each.id in life.world.closed)
    return life.follows and any(holds(each.content, life.images) for each in cancelled)


def _its_go_live_failed(life: Life) -> bool:
    goes_live = life.intent.workflow in {"promote", "check"}
    return goes_live and any(each.state == "failed" for each in life.operations("go_live"))


def _it_was_rejected(life: Life) -> bool:
    return life.intent.decision is not None and not life.intent.decision.approve


def _its_draft_was_refused(life: Life) -> bool:
    return any(
        at >= life.intent.began and (call, status) == ("publish", 422) for at, call, status in life.world.refused
    )


def _there_was_nothing_to_promote(life: Life) -> bool:
    idle = any(not (observation.busy or observation.waiting) for observation in life.observations)
    return life.intent.workflow == "promote" and not life.images and idle


_REASONS: Mapping[str, Sequence[Callable[[Life], bool]]] = {
    "preview": (
        _the_images_are_there,
        _was_replaced,
        _joined_another,
        _check_saw(("publish", "waits"), ("publish", "completed")),
    ),
    "live": (
        _production_holds_the_images,
        _production_holds_what_was_approved,
        _check_saw(("go_live", "completed"), ("publish", "completed")),
    ),
    "never_published": (_was_never_published,),
    "OfferNotFound": (_there_is_no_offer,),
    "OfferExists": (_there_is_another_offer,),
    "VersionConflict": (_a_disk_differs,),
    "InvalidInput": (_a_version_is_old, _leaves_out_what_is_published),
    "ImageLimitReached": (_there_is_no_room,),
    "PublishInProgress": (_something_ran,),
    "ForeignEdits": (_others_changed_it,),
    "PublishFailed": (_its_publish_failed,),
    "OperationCanceled": (_its_publish_was_cancelled,),
    "GoLiveFailed": (_its_go_live_failed,),
    "GoLiveRejected": (_it_was_rejected,),
    "ValidationFailed": (_its_draft_was_refused, _changes_what_is_published),
    "MarketplaceError": (_there_was_nothing_to_promote,),
}
