"""What may happen to an offer between two observations, given the intents and decisions of people.

Every request, and everything that strangers and time do, makes an observation. The model knows who sent a publish but
not who sent any other request. A change is therefore correct if it suits any intent.
"""

from collections.abc import Iterator, Mapping, Sequence

from tests.campaigns.model.entities import (
    BUSY,
    CAME_TO_NOTHING,
    Images,
    Intent,
    Observation,
    Operation,
    Request,
    Rules,
    excess_of,
    holds,
    of_plan,
    plan_of,
    removable,
)


class World:
    """All intents and all observations of one offer.

    Attributes:
        rules: The rules of the API.
        closed: The IDs of cancelled publishes.
        unanswered: The IDs of publishes whose requests met a fault.
        refused: Refused requests: the number of the next observation, the call, and the status.
    """

    def __init__(self, rules: Rules = Rules()) -> None:  # noqa: B008 - it is immutable
        self.rules = rules
        self.intents: list[Intent] = []
        self.unanswered: set[str] = set()
        self.observations: list[Observation] = [Observation()]
        self.closed: set[str] = set()
        self.refused: list[tuple[int, str, int]] = []
        self._edited = False
        self._by_strangers: set[tuple[str, str]] = set()
        self._at_once: set[str] = set()
        self._go_lives: dict[str, list[Intent]] = {}
        self._has_not_listed: set[str] = set()
        self._may_repeat: set[str] = set()

    @property
    def now(self) -> Observation:
        """The last observation."""
        return self.observations[-1]

    def start(self, intent: Intent) -> None:
        """Add an intent."""
        intent.began = len(self.observations) - 1
        self.intents.append(intent)

    def promoted(self, intent: Intent) -> bool:
        """Return whether an intent may have sent one of the go-lives."""
        return any(intent in willing for willing in self._go_lives.values())

    def see(self, after: Observation, request: Request | None = None) -> Iterator[str]:
        """Take in an observation, and yield what is wrong with the change.

        Args:
            after: The observation.
            request: The request of one of our runs; ``None`` if somebody else acted, or time passed.
        """
        before, asked = self.now, request
        if request is not None and not request.effect:
            if request.status is not None:
                self.refused.append((len(self.observations), request.call, request.status))
            request = None
        call = request.call if request else None
        self._note_order(asked)
        # An edit may change things that the model does not observe.
        changed = (after.draft, after.listing) != (before.draft, before.listing)
        self._edited = self._edited or changed or call == "edit" or self._may_have_put_the_same(asked)
        if after == before:
            return
        self.observations.append(after)
        self._note_closed(before, after)
        yield from self._draft(before, after, request)
        for operation in after.operations[len(before.operations) :]:
            if operation.kind == "publish":
                by_strangers = asked is None or asked.stranger
                yield from self._publishes(before, operation, by_strangers=by_strangers)
                # A stranger published just before or just after our edit. The model does not know which.
                self._edited = call == "edit"
                self._may_repeat = self._has_not_listed - {operation.asked_by}
                if request is None and asked is not None and asked.call == "publish":
                    # It may be the stranger's publish, ours, or one that both share.
                    self._at_once.add(operation.id)
            elif request is not None and call == "go_live" and request.operation_id == operation.id:
                yield from self._goes_live(before, operation)
        if request is not None and call == "cancel":
            yield from self._cancels(before, request)

    def _note_order(self, asked: Request | None) -> None:
        """Record which intents have edited the draft and have not listed the operations since.

        A publish that begins in between may lack the edit. The intent cannot tell, so it may publish again.
        """
        if asked is not None and asked.call == "edit" and asked.effect:
            self._has_not_listed.add(asked.sender)
        elif asked is not None and asked.call == "list_operations":
            self._has_not_listed.discard(asked.sender)

    def _note_closed(self, before: Observation, after: Observation) -> None:
        """Record cancelled publishes, also those that had ended and waited for sign-off."""
        nothing_new = len(before.operations) == len(after.operations)
        for operation in after.operations:
            earlier = before.operation(operation.id)
            withdrawn = earlier is not None and (earlier.state, operation.state) == ("waits", "completed")
            if operation.state in {"canceling", "canceled"} or (withdrawn and nothing_new):
                self.closed.add(operation.id)

    def _draft(self, before: Observation, after: Observation, request: Request | None) -> Iterator[str]:
        """Check that images come and go only if somebody wants that, and that no disk changes."""
        old, new = before.draft or {}, after.draft or {}
        if request is None or request.stranger or request.call != "edit":
            self._by_strangers |= set(new.items())
        if request is None or request.call != "edit" or self._replaces(new, request):
            return
        gone = set(old) - set(new)
        for image in sorted(gone | (after.deprecated - before.deprecated)):
            if not any(self._may_remove(each, image, before, after) for each in self.intents):
                yield f"{image} is gone from the draft, and nobody asked for that"
        for image in sorted(after.deprecated - before.deprecated - set(before.production or {})):
            yield f"{image} was deprecated although it was never live"
        for image, disk in new.items():
            wanted = any(each.acts and each.images.get(image) == disk for each in self.intents)
            if image in old and old[image] != disk:
                yield f"{image} has another disk now"
            elif image not in old and not wanted and (image, disk) not in self._by_strangers:
                yield f"{image} is in the draft with {disk}, which nobody asked for"

    def _may_have_put_the_same(self, asked: Request | None) -> bool:
        """Return whether somebody may have put an identical document, as a failed put may have had its effect."""
        creates = any(each.workflow == "create" and each.replace and each.acts for each in self.intents)
        return asked is not None and asked.call == "edit" and creates

    def _may_remove(self, intent: Intent, image: str, before: Observation, after: Observation) -> bool:
        """Return whether an intent may remove an image, because it needs room and the image is among the oldest."""
        plan = plan_of(image)
        over = max(excess_of(intent, plan, before), 0)
        room = len(of_plan(after.draft, plan) - after.deprecated) >= intent.limit
        willing = intent.edits and intent.acts and intent.remove_oldest
        return willing and room and image in removable(intent, plan, before, self.rules)[:over]

    def _replaces(self, draft: Images, put: Request) -> bool:
        """Return whether an intent replaced the whole draft. A stranger may have added to it at the same moment."""
        creates = [each for each in self.intents if each.workflow == "create" and each.open]
        return any(each.images == draft or (put.stranger and holds(draft, each.images)) for each in creates)

    def _publishes(self, before: Observation, operation: Operation, *, by_strangers: bool) -> Iterator[str]:
        """Check that the intent wants to publish this, needs to, and repeats nothing."""
        publisher = next((each for each in self.intents if each.name == operation.asked_by), None)
        if publisher is None:
            return
        if publisher.workflow == "check" or not publisher.acts:
            yield f"{publisher} published {operation.name}, though it was cancelled, or only looks"
        if (
            publisher.edits
            and not holds(operation.content, publisher.images)
            and not self._may_be_overwritten(publisher)
        ):
            yield f"{publisher} published {operation.name}, which does not hold {sorted(publisher.images)}"
        foreign = before.published_listing not in {None, operation.listing}
        if publisher.edits and not publisher.includes and foreign and not by_strangers:
            yield f"{publisher} published {operation.name} with changes by others that it was not to include"
        if publisher.edits and _is_published(before, publisher):
            yield f"{publisher} published {operation.name} although its images were published already"
        last = next((each for each in reversed(before.operations) if each.kind == "publish"), None)
        repeats = last is not None and (last.content, last.listing) == (operation.content, operation.listing)
        may_repeat = self._edited or publisher.name in self._may_repeat
        if last is not None and repeats and not may_repeat and not self._came_to_nothing(last, before):
            yield f"{publisher} published {operation.name}, which repeats {last.name}"

    def _may_be_overwritten(self, intent: Intent) -> bool:
        """Return whether other intents may remove the images of this intent before they are published."""
        others = (each for each in self.intents if each is not intent)
        return any(each.remove_oldest or (each.workflow == "create" and each.replace) for each in others)

    def _came_to_nothing(self, publish: Operation, observation: Observation) -> bool:
        """Return whether a publish, or its go-live, failed or was cancelled."""
        later = observation.operations[observation.operations.index(publish) :]
        return any(each.state in CAME_TO_NOTHING or each.id in self.closed for each in later)

    def _goes_live(self, before: Observation, operation: Operation) -> Iterator[str]:
        """Check that somebody approved exactly this preview and that no intent goes live twice."""
        self._go_lives[operation.id] = [each for each in self.intents if _may_go_live(each, operation.content)]
        if not self._go_lives[operation.id]:
            yield f"{operation.name} promotes {sorted(operation.content)}, which nobody approved"
        elif not _each_has_its_own(self._go_lives):
            yield f"{operation.name} is one go-live more than there are intents: {self._go_lives}"
        if before.waiting is None or before.waiting.content != operation.content:
            yield f"{operation.name} promotes what did not wait for sign-off"

    def _cancels(self, before: Observation, request: Request) -> Iterator[str]:
        """Check that the operation belongs to a cancelled intent, or is in the way of one that may cancel it."""
        operation = before.operation(request.operation_id)
        if operation is None:
            # The request names only the offer, so it hits what a stranger began just before.
            if not request.stranger:
                yield "something was cancelled that the marketplace did not list"
            return
        owner = next((each for each in self.intents if each.name == operation.asked_by), None)
        owners = self.intents if operation.id in self._at_once else [owner] if owner else []
        withdrawn = any(each.open and each.cancelled for each in owners)
        if not withdrawn and not any(_clears_the_way(each, operation, before) for each in self.intents):
            yield f"{operation.name} of {operation.asked_by or 'somebody else'} was cancelled, which nobody asked for"


def _is_published(observation: Observation, intent: Intent) -> bool:
    """Return whether there was nothing to publish, because the images are published or on their way to Production."""
    going_live = (each for each in observation.operations if each.kind == "go_live" and each.state in BUSY)
    if any(holds(each.content, intent.images) for each in going_live):
        return True
    if observation.waiting is not None:
        return holds(observation.waiting.content, intent.images)
    live = holds(observation.production, intent.images)
    return live and (
        intent.workflow == "promote" or observation.preview is None or holds(observation.preview, intent.images)
    )


def _may_go_live(intent: Intent, content: Images) -> bool:
    if intent.workflow != "promote" or not intent.acts or not holds(content, intent.images):
        return False
    if not intent.approval:
        return True
    decision = intent.decision
    return decision is not None and decision.approve and decision.approves in {None, frozenset(content)}


def _clears_the_way(intent: Intent, operation: Operation, observation: Observation) -> bool:
    """Return whether an intent may cancel an operation that is in its way and publishes other images."""
    its_own = (
        bool(intent.images) and operation.content == observation.draft and holds(operation.content, intent.images)
    )
    willing = intent.edits and intent.acts and intent.if_publishing == "cancel"
    return willing and operation.asked_by != intent.name and not its_own


def _each_has_its_own(candidates: Mapping[str, Sequence[Intent]]) -> bool:
    """Return whether every go-live can be matched with an intent of its own."""
    matched: dict[str, str] = {}

    def match(go_live: str, tried: set[str]) -> bool:
        for intent in candidates[go_live]:
            if intent.name in tried:
                continue
            tried.add(intent.name)
            if intent.name not in matched or match(matched[intent.name], tried):
                matched[intent.name] = go_live
                return True
        return False

    return all(match(go_live, set()) for go_live in candidates)
