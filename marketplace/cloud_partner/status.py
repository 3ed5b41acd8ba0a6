"""The service's words for how far things are, and what they mean.

The documentation has several vocabularies (of offers, steps and operations) that contradict each other and
its own samples, in two letter cases. So every word is looked up in one vocabulary, whatever it is said of,
without regard to case, spaces, dashes and underscores; an unknown word means "still in progress" and is told.
Pure functions: none raises on JSON of any shape.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from marketplace.model import OperationKind, OperationReport, OperationState, Step, StepState
from marketplace.wording import lowered, one_line, plain_text, sayings

MAX_STEPS = 50
"""Steps that are told of; the state is judged by up to `JUDGED_STEPS`."""

JUDGED_STEPS = 1000
MAX_MESSAGES = 20
"""Of one step, and of all steps that are told of together."""

MAX_MESSAGE = 400
"""Characters of one message."""

MAX_NAME = 100
MAX_UNKNOWN_WORDS = 20

_WORDS = {
    StepState.NOT_STARTED: "notStarted neverPublished pending queued",
    StepState.IN_PROGRESS: "inProgress running publishInProgress canceling cancelling started",
    # "Sign out" is the portal's own spelling.
    StepState.WAITING_FOR_SIGN_OFF: ("waitingForPublisherReview awaitingPublisherSignOff awaitingPublisherSignOut"),
    StepState.WAITING_FOR_APPROVAL: "waitingForApproval",
    StepState.BLOCKED: "blocked",
    StepState.REJECTED: "rejected failed failure error publishFailed",
    StepState.COMPLETE: "complete completed succeeded success done",
    StepState.CANCELED: "canceled cancelled publishCanceled",
}
_VOCABULARY = {word.casefold(): state for state, listed in _WORDS.items() for word in listed.split()}

_BEING_CANCELED = frozenset({"cancelrequested", "cancellationrequested", "canceling", "cancelling"})
"""Only ``canCancel`` is documented of an operation's ``cancellationRequestState``."""

_KINDS = {"publish": OperationKind.PUBLISH, "golive": OperationKind.GO_LIVE}
_EITHER_KIND = "publishgolive"
_KINDS_BY_SLOT = {
    "production": OperationKind.GO_LIVE,
    "staging": OperationKind.PUBLISH,
    "preview": OperationKind.PUBLISH,
}

_ERROR_LEVELS = frozenset({"error", "critical", "fatal"})
_FAILED = frozenset({StepState.REJECTED, StepState.BLOCKED})


@dataclass(frozen=True)
class _Told:
    """A step as it was read, with its messages parted into errors and others."""

    step: Step
    others: list[str]
    word: object
    failed: bool


def meaning(word: object) -> StepState:
    """Return what a status word means, ``UNKNOWN`` for what is not in the vocabulary or is no word."""
    if not isinstance(word, str) or len(word) > MAX_NAME:
        return StepState.UNKNOWN
    return _VOCABULARY.get(re.sub(r"[\s_-]+", "", word).casefold(), StepState.UNKNOWN)


def the_document(body: object, operation_id: str = "") -> dict[str, object] | None:
    """Return the members of an operation or status document under lower-case names, ``None`` if it is none.

    The documentation shows an operation as an object in one place and as an array of one in another. Of
    several, the one with the operation's id is taken.
    """
    documents = [lowered(item) for item in (body if isinstance(body, list) else [body])]
    documents = [document for document in documents if document]
    named = [document for document in documents if operation_id and document.get("id") == operation_id]
    return next(iter([*named, *documents]), None)


def kind_of(document: object) -> OperationKind | None:
    """Return what an operation does: by its ``submissionType``, else by its ``slot``, else ``None``.

    Documented are ``publish`` and ``Publish/GoLive``, of which the slot tells which, and the slot ``staging`` for a
    publish.
    """
    members = lowered(document)
    submission = _letters(members.get("submissiontype"))
    if submission not in {"", _EITHER_KIND}:
        return _KINDS.get(submission)
    return _KINDS_BY_SLOT.get(_letters(members.get("slot")))


def is_of_another_kind(document: object) -> bool:
    """Return whether an operation is said to be neither a publish nor a go-live, such as one that cancels another."""
    return _letters(lowered(document).get("submissiontype")) not in {"", _EITHER_KIND, *_KINDS}


def kind_by_steps(document: object) -> OperationKind:
    """Return what an operation does where nobody names it: its "live" step has begun only in a go-live."""
    begun = any(
        _is_live(told.step) and told.step.state in {StepState.IN_PROGRESS, StepState.COMPLETE}
        for told in _steps(lowered(document))
    )
    return OperationKind.GO_LIVE if begun else OperationKind.PUBLISH


def settled(kind: OperationKind, word: object) -> OperationState:
    """Return the state that a status word of an operation alone stands for, without its steps."""
    state = meaning(word)
    if state in _FAILED:
        return OperationState.FAILED
    if state is StepState.CANCELED:
        return OperationState.CANCELED
    if state is StepState.COMPLETE:
        return OperationState.PREVIEW if kind is OperationKind.PUBLISH else OperationState.LIVE
    if state is StepState.WAITING_FOR_SIGN_OFF and kind is OperationKind.PUBLISH:
        return OperationState.PREVIEW
    return OperationState.RUNNING


def awaits_sign_off(offer_status: object) -> bool:
    """Return whether an offer's status document says that the preview waits for the publisher.

    Either the offer's word says it, or the word of its sign-off step: the overall word may still be
    ``running`` then. Nothing is read into ``succeeded``, which the documentation's own sample shows with
    certification not started.
    """
    document = the_document(offer_status) or {}
    return meaning(document.get("status")) is StepState.WAITING_FOR_SIGN_OFF or any(
        _is_sign_off(told.step) and told.step.state is StepState.WAITING_FOR_SIGN_OFF for told in _steps(document)
    )


def no_publish_waits(offer_status: object) -> bool:
    """Return whether an offer's status document says that its last publish was cancelled, or that nothing has begun.

    The portal's documentation has the status fall back to the beginning when a publish is cancelled.
    """
    word = meaning((the_document(offer_status) or {}).get("status"))
    return word in {StepState.CANCELED, StepState.NOT_STARTED} and not awaits_sign_off(offer_status)


def never_published(offer_status: object) -> bool:
    """Return whether an offer's status document says that nothing was published yet."""
    document = the_document(offer_status) or {}
    return meaning(document.get("status")) is StepState.NOT_STARTED and not _steps(document)


def report(operation_id: str, kind: OperationKind, operation: object, offer_status: object = None) -> OperationReport:
    """Return how far an operation is.

    ========  ================================================================================================
    state     when (the first that holds)
    ========  ================================================================================================
    CANCELED  the operation's word says so
    FAILED    the operation's word says so, a step is rejected, or a step is blocked with an error, or blocked
              while every step before it is complete (a later step may be blocked for having to wait)
    PREVIEW   a publish that is done, or waits for the publisher: by its own word, by the sign-off step
              (waiting or complete), by any waiting step, or by ``offer_status``; unless it is being cancelled
    LIVE      a go-live that is done: by its own word, or with every step complete, "live" among them
    RUNNING   otherwise
    ========  ================================================================================================

    Args:
        operation_id: The operation.
        kind: What it does.
        operation: The operation's document as it was read.
        offer_status: The offer's status document. Give it only when the offer's last operation is this one.
    """
    document = the_document(operation, operation_id) or {}
    told = _steps(document)
    word = next((document[name] for name in ("status", "submissionstate") if document.get(name)), None)
    state = _state(kind, word, told, offer_status)
    if state is OperationState.PREVIEW and _letters(document.get("cancellationrequeststate")) in _BEING_CANCELED:
        state = OperationState.RUNNING
    return OperationReport(
        operation_id=operation_id,
        kind=kind,
        state=state,
        steps=_shown([item.step for item in told[:MAX_STEPS]]),
        errors=_errors(document, told) if state is OperationState.FAILED else [],
        unknown_words=_unknown([word, *(item.word for item in told)]),
    )


def may_wait_for_sign_off(publish: OperationReport) -> bool:
    """Return whether the offer's status may speak of this publish, which does not itself say that it waits.

    The operation's document may lack the sign-off step. But right after a publish the offer's status may
    still be of the preview before; the new operation shows it by its steps.
    """
    steps = [step for step in publish.steps if not _is_sign_off(step) and not _is_live(step)]
    return publish.state is OperationState.RUNNING and (
        not steps
        or (steps[0].state is StepState.COMPLETE and all(step.state is not StepState.IN_PROGRESS for step in steps))
    )


def _state(kind: OperationKind, word: object, told: list[_Told], offer_status: object) -> OperationState:
    state = settled(kind, word)
    if state is OperationState.CANCELED:
        return state
    if state is OperationState.FAILED or any(item.failed for item in told):
        return OperationState.FAILED
    if state is not OperationState.RUNNING:
        return state
    steps = [item.step for item in told]
    if kind is OperationKind.GO_LIVE:
        done = all(step.state is StepState.COMPLETE for step in steps) and any(_is_live(step) for step in steps)
        return OperationState.LIVE if done else OperationState.RUNNING
    waits = any(
        step.state is StepState.WAITING_FOR_SIGN_OFF or (_is_sign_off(step) and step.state is StepState.COMPLETE)
        for step in steps
    )
    return OperationState.PREVIEW if waits or awaits_sign_off(offer_status) else OperationState.RUNNING


def _steps(document: dict[str, object]) -> list[_Told]:
    listed = document.get("steps")
    told: list[_Told] = []
    for number, item in enumerate(listed[:JUDGED_STEPS] if isinstance(listed, list) else [], start=1):
        members = lowered(item)
        if members:
            told.append(_step(members, number, after_complete=all(_is_complete(before) for before in told)))
    return told


def _shown(steps: list[Step]) -> list[Step]:
    """Keep the first messages: a run is told of every step whenever one moves."""
    shown: list[Step] = []
    left = MAX_MESSAGES
    for step in steps:
        shown.append(step.model_copy(update={"errors": step.errors[:left]}))
        left -= min(left, len(step.errors))
    return shown


def _step(members: dict[str, object], number: int, *, after_complete: bool) -> _Told:
    step_id = _text(members.get("id"), MAX_NAME)
    state = meaning(members.get("status"))
    errors, others = _messages(members.get("messages"))
    failed = state is StepState.REJECTED or (state is StepState.BLOCKED and (bool(errors) or after_complete))
    names = [_text(members.get(name), MAX_NAME) for name in ("stepname", "name")]
    step = Step(
        id=step_id,
        name=next((name for name in [*names, step_id] if name), f"step {number}"),
        state=state,
        percent=_percent(members),
        # A failed step without an error-level message has said why in some other message, if at all.
        errors=errors or (others if failed else []),
    )
    return _Told(step, others, members.get("status"), failed)


def _messages(messages: object) -> tuple[list[str], list[str]]:
    """Return the error-level messages and the others; messages are objects, or bare strings."""
    parted: tuple[list[str], list[str]] = ([], [])
    for message in messages if isinstance(messages, list) else [messages]:
        members = lowered(message)
        level = _letters(members.get("level"))
        found = parted[level not in _ERROR_LEVELS]
        if len(found) < MAX_MESSAGES:
            said = (
                message
                if isinstance(message, str)
                else next(
                    (
                        members[name]
                        for name in ("messagehtml", "message", "text", "description")
                        if isinstance(members.get(name), str)
                    ),
                    "",
                )
            )
            text = plain_text(str(said), MAX_MESSAGE)
            if text:
                found.append(text)
    return parted


def _errors(document: dict[str, object], told: list[_Told]) -> list[str]:
    """Return what went wrong, of the steps that failed, and of the operation as a whole."""
    errors: list[str] = []
    blamed = [item for item in told if item.failed or item.step.errors]
    for item in blamed or [item for item in told if item.step.state in _FAILED]:
        said = item.step.errors or item.others
        word = _text(item.word, MAX_NAME)
        errors += [f"{item.step.name}: {message}" for message in said] or [
            f"{item.step.name}: {word}, without a message from the service"
        ]
    own, others = _messages(document.get("messages"))
    errors += own or ([] if errors else others)
    errors += [plain_text(saying, MAX_MESSAGE) for saying in sayings(document.get("error"))]
    unique = list(dict.fromkeys(errors))[:MAX_STEPS]
    return unique or ["the operation failed, without a message from the service"]


def _percent(members: dict[str, object]) -> int | None:
    """Return the progress: the documentation's table calls it processPercentage, its sample progress..."""
    for name in ("progresspercentage", "processpercentage"):
        value = members.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            continue
        found = re.match(r"\s*(-?\d{1,6})(?![\d])", str(value)[:20], re.ASCII)
        if found:
            return min(max(int(found[1]), 0), 100)
    return None


def _unknown(words: Iterable[object]) -> list[str]:
    unknown = {
        (_text(word, MAX_NAME) if isinstance(word, str) else f"a {type(word).__name__}"): None
        for word in words
        if word not in (None, "") and meaning(word) is StepState.UNKNOWN
    }
    return [word for word in unknown if word][:MAX_UNKNOWN_WORDS]


def _is_complete(told: _Told) -> bool:
    return told.step.state is StepState.COMPLETE


def _is_sign_off(step: Step) -> bool:
    """Return whether the publisher decides here, by the step's id or a name that looks like it."""
    return "publishersignoff" in {_letters(step.id), _letters(step.name)} or "signoff" in _letters(step.name)


def _is_live(step: Step) -> bool:
    """Return whether this step brings the offer to Production."""
    return "live" in {_letters(step.id), _letters(step.name)}


def _letters(text: object) -> str:
    return re.sub(r"[\W_]+", "", text).casefold() if isinstance(text, str) and len(text) <= MAX_NAME else ""


def _text(value: object, limit: int) -> str:
    return one_line(value, limit) if isinstance(value, str) else ""
