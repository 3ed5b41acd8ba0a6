"""How an intent may end: every outcome needs a reason in the sights of its life."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.campaigns.model.nouns import (
    CAME_TO_NOTHING,
    Images,
    Intent,
    Operation,
    Sight,
    holds,
    of_plan,
    plan_of,
    removable,
    too_many,
    version_of,
)
from tests.campaigns.model.world import World

_WORDS = {"running": "is running", "canceling": "is being cancelled", "waits": "waits for sign-off"}


@dataclass(frozen=True)
class Life:
    """What an intent lived to see.

    Attributes:
        last: The sights of the step in which it ended.
    """

    intent: Intent
    world: World
    last: Sequence[Sight]

    @property
    def sights(self) -> Sequence[Sight]:
        """How the offer stood since it began."""
        return self.world.sights[self.intent.began :]

    @property
    def images(self) -> Images:
        """What it wants."""
        return self.intent.images

    @property
    def follows(self) -> bool:
        """Whether what becomes of a publish of its images is its own business."""
        return bool(self.images) or self.intent.workflow == "check"

    def operations(self, kind: str) -> list[Operation]:
        """Return what ran in its time, as it stands now; who only looks sees also what had ended last."""
        before = self.sights[0].operations
        before = before[:-1] if self.intent.workflow == "check" else before
        over = {each.id for each in before if each.state in {"completed", *CAME_TO_NOTHING}}
        return [each for each in self.world.now.operations if each.kind == kind and each.id not in over]


def complaints(intent: Intent, outcome: str, world: World, since: int) -> Iterator[str]:
    """Say what about an intent's end must not be.

    Args:
        intent: The intent.
        outcome: The outcome of its result, the type of its error, or ``canceled``.
        world: Everything.
        since: The first sight of the step in which it ended.
    """
    life = Life(intent, world, world.sights[since:])
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
        if operation.state == "failed" and outcome not in {"PublishFailed", "canceled"}:
            yield f"{intent} ended as {outcome} although its {operation.name} failed"


def _cannot_be_cancelled(operation: Operation, world: World) -> bool:
    ready_or_unnamed = operation.state == "waits" or operation.id in world.unanswered
    return ready_or_unnamed and not world.rules.cancels_all


def _the_images_are_there(life: Life) -> bool:
    """Return whether the preview holds the images, or Production does already."""
    slots = (slot for sight in life.last for slot in (sight.preview, sight.production))
    return life.intent.workflow in {"create", "update"} and any(holds(slot, life.images) for slot in slots)


def _production_holds_the_images(life: Life) -> bool:
    images = bool(life.images) and life.intent.edits
    return images and any(holds(sight.production, life.images) for sight in life.last)


def _production_holds_what_was_approved(life: Life) -> bool:
    if life.images or life.intent.workflow != "promote":
        return False
    approved = life.intent.decision.approves if life.intent.decision else None
    promoted = any(frozenset(sight.production or ()) == approved for sight in life.last)
    return promoted or not life.world.promoted(life.intent)


def _was_replaced(life: Life) -> bool:
    """Return whether somebody replaced the draft that an intent had put, or made room in it: the last one wins."""
    creates = [each for each in life.world.intents if each.workflow == "create"]
    others = any((each.replace or each.remove_oldest) and each is not life.intent for each in life.world.intents)
    put = next((at for at, sight in enumerate(life.sights) if holds(sight.draft, life.images)), len(life.sights))
    lost = any(not holds(sight.draft, life.images) for sight in life.sights[put:])
    return life.intent in creates and others and lost


def _joined_another(life: Life) -> bool:
    """Return whether an intent that created the offer followed a publish that another asked for.

    It takes the marketplace's word that this is a publish of its own draft, and does not look at the preview.
    """
    published = any(each.asked_by == life.intent.name for each in life.operations("publish"))
    return life.intent.workflow == "create" and not published


def _looked(*states: tuple[str, str]) -> Callable[[Life], bool]:
    """Make the reason of one who only looks: an operation of a kind that stands so."""

    def reason(life: Life) -> bool:
        seen = {(each.kind, each.state) for sight in life.last for each in sight.operations}
        return life.intent.workflow == "check" and bool(seen & set(states))

    return reason


def _was_never_published(life: Life) -> bool:
    if life.intent.workflow != "check":
        return False
    hidden = CAME_TO_NOTHING if life.world.rules.forgets else set[str]()
    closed = life.world.closed if life.world.rules.forgets else set[str]()
    return any(all(each.state in hidden or each.id in closed for each in sight.operations) for sight in life.last)


def _there_is_no_offer(life: Life) -> bool:
    return life.intent.workflow != "create" and any(sight.draft is None for sight in life.sights)


def _there_is_another_offer(life: Life) -> bool:
    another = any(sight.draft is not None and not holds(sight.draft, life.images) for sight in life.sights)
    creates = life.intent.workflow == "create" and not life.intent.replace
    return creates and (another or life.sights[0].draft is not None)


def _a_disk_differs(life: Life) -> bool:
    return life.intent.edits and any(
        slot.get(image, disk) != disk
        for sight in life.sights
        for slot in sight.slots()
        for image, disk in life.images.items()
    )


def _a_version_is_old(life: Life) -> bool:
    return (
        life.intent.edits
        and life.world.rules.versions_grow
        and any(
            image not in (sight.draft or {}) and version_of(image) < version_of(other)
            for image in life.images
            for sight in life.sights
            for slot in sight.slots()
            for other in of_plan(slot, plan_of(image))
        )
    )


def _changes_what_is_published(life: Life) -> bool:
    """Return whether a whole offer has another disk for a version that was published."""
    creates = life.intent.workflow == "create" and life.intent.replace
    return creates and any(
        slot.get(image, disk) != disk
        for sight in life.sights
        for slot in (sight.preview, sight.production)
        if slot is not None
        for image, disk in life.images.items()
    )


def _leaves_out_what_is_published(life: Life) -> bool:
    """Return whether a whole offer lacks a version that was published, where that has to be said of each."""
    creates = life.intent.workflow == "create" and life.intent.replace and not life.world.rules.versions_grow
    return creates and any(
        not set(slot) <= set(life.images)
        for sight in life.sights
        for slot in (sight.preview, sight.production)
        if slot is not None
    )


def _there_is_no_room(life: Life) -> bool:
    def none(plan: str, sight: Sight) -> bool:
        over = too_many(life.intent, plan, sight)
        could_go = removable(life.intent, plan, sight, life.world.rules)
        return over > 0 and not (life.intent.remove_oldest and len(could_go) >= over)

    plans = {plan_of(image) for image in life.images}
    return life.intent.edits and any(none(plan, sight) for plan in plans for sight in life.sights)


def _others_changed_it(life: Life) -> bool:
    willing = life.intent.edits and not life.intent.includes
    return willing and any(sight.published_words not in {None, sight.words} for sight in life.sights)


def _something_ran(life: Life) -> bool:
    willing = life.intent.edits and life.intent.if_publishing == "fail"
    return willing and any(sight.busy for sight in life.sights)


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
    idle = any(not (sight.busy or sight.waiting) for sight in life.sights)
    return life.intent.workflow == "promote" and not life.images and idle


_REASONS: Mapping[str, Sequence[Callable[[Life], bool]]] = {
    "preview": (
        _the_images_are_there,
        _was_replaced,
        _joined_another,
        _looked(("publish", "waits"), ("publish", "completed")),
    ),
    "live": (
        _production_holds_the_images,
        _production_holds_what_was_approved,
        _looked(("go_live", "completed"), ("publish", "completed")),
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
