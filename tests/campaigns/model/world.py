"""What may happen to an offer: from one sight to the next, given what people want and said.

Every request that changes the offer, and whatever strangers and time do to it, makes a new sight. Which intent sent
a request is not known, but for a publish, which bears its address; so whatever suits an intent may be.
"""

from collections.abc import Iterator, Mapping, Sequence

from tests.campaigns.model.nouns import (
    BUSY,
    CAME_TO_NOTHING,
    Images,
    Intent,
    Operation,
    Request,
    Rules,
    Sight,
    holds,
    of_plan,
    plan_of,
    removable,
    too_many,
)


class World:
    """All intents and all sights of one offer.

    Attributes:
        rules: What may be through the API that is played.
        closed: Ids of the publishes that were cancelled.
        unanswered: Ids of the publishes whose request was not answered as it should be.
        refused: Requests that were refused: the number of the next sight, the call, the status.
    """

    def __init__(self, rules: Rules = Rules()) -> None:  # noqa: B008 - it never changes
        self.rules = rules
        self.intents: list[Intent] = []
        self.unanswered: set[str] = set()
        self.sights: list[Sight] = [Sight()]
        self.closed: set[str] = set()
        self.refused: list[tuple[int, str, int]] = []
        self._edited = False
        self._by_strangers: set[tuple[str, str]] = set()
        self._at_once: set[str] = set()
        self._go_lives: dict[str, list[Intent]] = {}

    @property
    def now(self) -> Sight:
        """How the offer stands."""
        return self.sights[-1]

    def starts(self, intent: Intent) -> None:
        """Let an intent begin."""
        intent.began = len(self.sights) - 1
        self.intents.append(intent)

    def promoted(self, intent: Intent) -> bool:
        """Return whether an intent may have gone live."""
        return any(intent in willing for willing in self._go_lives.values())

    def seen(self, after: Sight, request: Request | None = None) -> Iterator[str]:
        """Take in how the offer stands now, and tell what about the change must not be.

        Args:
            after: How it stands.
            request: What one of the intents asked for; ``None`` when somebody did it by hand, or time passed.
        """
        before, asked = self.now, request
        if request is not None and not request.effect:
            if request.status is not None:
                self.refused.append((len(self.sights), request.call, request.status))
            request = None
        call = request.call if request else None
        # A put may change what the model does not see.
        changed = (after.draft, after.words) != (before.draft, before.words)
        self._edited = self._edited or changed or call == "edit" or self._puts_what_is_there(asked)
        if after == before:
            return
        self.sights.append(after)
        self._note_closed(before, after)
        yield from self._draft(before, after, request)
        for operation in after.operations[len(before.operations) :]:
            if operation.kind == "publish":
                by_strangers = asked is None or asked.stranger
                yield from self._publishes(before, operation, by_strangers=by_strangers)
                # A stranger's, just before the put or just after it: nobody can tell.
                self._edited = call == "edit"
                if request is None and asked is not None and asked.call == "publish":
                    # Nobody can tell whether it was the stranger's, or was joined, or ours.
                    self._at_once.add(operation.id)
            elif request is not None and call == "go_live" and request.operation_id == operation.id:
                yield from self._goes_live(before, operation)
        if request is not None and call == "cancel":
            yield from self._cancels(before, request)

    def _note_closed(self, before: Sight, after: Sight) -> None:
        """Note which publishes were cancelled, also those that had ended and only waited for sign-off."""
        nothing_new = len(before.operations) == len(after.operations)
        for operation in after.operations:
            earlier = before.operation(operation.id)
            withdrawn = earlier is not None and (earlier.state, operation.state) == ("waits", "completed")
            if operation.state in {"canceling", "canceled"} or (withdrawn and nothing_new):
                self.closed.add(operation.id)

    def _draft(self, before: Sight, after: Sight, request: Request | None) -> Iterator[str]:
        """Nothing goes that nobody wants to go, nothing comes that nobody wants, and no disk changes."""
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

    def _puts_what_is_there(self, asked: Request | None) -> bool:
        """Return whether a put was tried: where it has failed, an offer that says the same counts as put."""
        creates = any(each.workflow == "create" and each.replace and each.acts for each in self.intents)
        return asked is not None and asked.call == "edit" and creates

    def _may_remove(self, intent: Intent, image: str, before: Sight, after: Sight) -> bool:
        """Return whether an intent may, and had to, remove an image: one of the oldest, and no more than that."""
        plan = plan_of(image)
        over = max(too_many(intent, plan, before), 0)
        room = len(of_plan(after.draft, plan) - after.deprecated) >= intent.limit
        willing = intent.edits and intent.acts and intent.remove_oldest
        return willing and room and image in removable(intent, plan, before, self.rules)[:over]

    def _replaces(self, draft: Images, put: Request) -> bool:
        """Return whether an intent put the draft as a whole; a stranger may have added to it at the same moment."""
        creates = [each for each in self.intents if each.workflow == "create" and each.open]
        return any(each.images == draft or (put.stranger and holds(draft, each.images)) for each in creates)

    def _publishes(self, before: Sight, operation: Operation, *, by_strangers: bool) -> Iterator[str]:
        """Whoever publishes wants it, has to, and does not repeat what was published."""
        who = next((each for each in self.intents if each.name == operation.asked_by), None)
        if who is None:
            return
        if who.workflow == "check" or not who.acts:
            yield f"{who} published {operation.name}, though it was cancelled, or only looks"
        if who.edits and not holds(operation.content, who.images) and not self._may_be_overwritten(who):
            yield f"{who} published {operation.name}, which does not hold {sorted(who.images)}"
        foreign = before.published_words not in {None, operation.words}
        if who.edits and not who.includes and foreign and not by_strangers:
            yield f"{who} published {operation.name} with changes by others, which it was not to include"
        if who.edits and _is_published(before, who):
            yield f"{who} published {operation.name} although its images were published already"
        last = next((each for each in reversed(before.operations) if each.kind == "publish"), None)
        repeats = last is not None and (last.content, last.words) == (operation.content, operation.words)
        if last is not None and repeats and not self._edited and not self._came_to_nothing(last, before):
            yield f"{who} published {operation.name}, which repeats {last.name}"

    def _may_be_overwritten(self, intent: Intent) -> bool:
        """Return whether others may take an intent's images out of the draft before it is published."""
        others = (each for each in self.intents if each is not intent)
        return any(each.remove_oldest or (each.workflow == "create" and each.replace) for each in others)

    def _came_to_nothing(self, publish: Operation, sight: Sight) -> bool:
        """Return whether nothing came of a publish: it, or the go-live of it, failed or was cancelled."""
        later = sight.operations[sight.operations.index(publish) :]
        return any(each.state in CAME_TO_NOTHING or each.id in self.closed for each in later)

    def _goes_live(self, before: Sight, operation: Operation) -> Iterator[str]:
        """Somebody approved exactly this, and every go-live has an intent of its own."""
        self._go_lives[operation.id] = [each for each in self.intents if _may_go_live(each, operation.content)]
        if not self._go_lives[operation.id]:
            yield f"{operation.name} promotes {sorted(operation.content)}, which nobody approved"
        elif not _each_has_its_own(self._go_lives):
            yield f"{operation.name} is one go-live more than there are intents: {self._go_lives}"
        if before.waiting is None or before.waiting.content != operation.content:
            yield f"{operation.name} promotes what did not wait for sign-off"

    def _cancels(self, before: Sight, request: Request) -> Iterator[str]:
        """What is cancelled belongs to a cancelled intent, or is in the way of one that cancels what is."""
        operation = before.operation(request.operation_id)
        if operation is None:
            # What a stranger began just before is hit in its place: the request names the offer only.
            if not request.stranger:
                yield "something was cancelled that the marketplace did not list"
            return
        owner = next((each for each in self.intents if each.name == operation.asked_by), None)
        owners = self.intents if operation.id in self._at_once else [owner] if owner else []
        taken_back = any(each.open and each.cancelled for each in owners)
        if not taken_back and not any(_clears_the_way(each, operation, before) for each in self.intents):
            yield f"{operation.name} of {operation.asked_by or 'somebody else'} was cancelled, which nobody asked for"


def _is_published(sight: Sight, intent: Intent) -> bool:
    """Return whether there was nothing to publish: the images are there, or on their way to Production."""
    going_live = (each for each in sight.operations if each.kind == "go_live" and each.state in BUSY)
    if any(holds(each.content, intent.images) for each in going_live):
        return True
    if sight.waiting is not None:
        return holds(sight.waiting.content, intent.images)
    live = holds(sight.production, intent.images)
    return live and (intent.workflow == "promote" or sight.preview is None or holds(sight.preview, intent.images))


def _may_go_live(intent: Intent, content: Images) -> bool:
    if intent.workflow != "promote" or not intent.acts or not holds(content, intent.images):
        return False
    if not intent.approval:
        return True
    said = intent.decision
    return said is not None and said.approve and said.approves in {None, frozenset(content)}


def _clears_the_way(intent: Intent, operation: Operation, sight: Sight) -> bool:
    """Return whether an intent may cancel what is in its way: never what is a publish of its own images."""
    its_own = bool(intent.images) and operation.content == sight.draft and holds(operation.content, intent.images)
    willing = intent.edits and intent.acts and intent.if_publishing == "cancel"
    return willing and operation.asked_by != intent.name and not its_own


def _each_has_its_own(wishes: Mapping[str, Sequence[Intent]]) -> bool:
    """Return whether every go-live can be given an intent that no other has."""
    given: dict[str, str] = {}

    def give(go_live: str, tried: set[str]) -> bool:
        for intent in wishes[go_live]:
            if intent.name in tried:
                continue
            tried.add(intent.name)
            if intent.name not in given or give(given[intent.name], tried):
                given[intent.name] = go_live
                return True
        return False

    return all(give(go_live, set()) for go_live in wishes)
