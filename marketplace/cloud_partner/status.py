"""The status words of offers, operations and steps, and what they mean.

The documentation has several vocabularies, for offers, steps and operations. They contradict each other and the
documentation's own samples, in two letter cases. Therefore all words share one vocabulary, without regard to case,
spaces, dashes and underscores. An unknown word means "still in progress" and is reported.

Pure functions, which accept JSON of any shape.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from marketplace.model import OperationKind, OperationReport, OperationState, Step, StepState
from marketplace.wording import error_sentences, lower_keys, one_line, plain_text

MAX_STEPS = 50
"""The steps of a report. The state is derived from up to `JUDGED_STEPS`."""

JUDGED_STEPS = 1000
MAX_MESSAGES = 20
"""Messages of one step, and of all steps of a report together."""

MAX_MESSAGE = 400
"""The length of one message, in characters."""

MAX_WORD = 100
"""The length of a status word, or of the ID or name of a step, in characters. Longer text is no word."""

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
"""Words of an operation's ``cancellationRequestState``. Only ``canCancel`` is documented."""

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
class _ReadStep:
    """A step as it was read.

    Attributes:
        step: The step for a report, with its error messages.
        others: Its other messages.
        word: Its status word.
        failed: Whether it makes the operation fail.
    """

    step: Step
    others: list[str]
    word: object
    failed: bool


def meaning(word: object) -> StepState:
    """Return what a status word means, ``UNKNOWN`` if it is not a word of the vocabulary."""
    if not isinstance(word, str) or len(word) > MAX_WORD:
        return StepState.UNKNOWN
    return _VOCABULARY.get(re.sub(r"[\s_-]+", "", word).casefold(), StepState.UNKNOWN)


def single_document(body: object, operation_id: str = "") -> dict[str, object] | None:
    """Return the members of an operation or status document under lower-case names, ``None`` if there is no document.

    The documentation shows an operation as an object in one place, and as an array of one object in another. If the
    array has several, the one with the operation's ID is returned.
    """
    documents = [lower_keys(item) for item in (body if isinstance(body, list) else [body])]
    documents = [document for document in documents if document]
    named = [document for document in documents if operation_id and document.get("id") == operation_id]
    return next(iter([*named, *documents]), None)


def kind_of(document: object) -> OperationKind | None:
    """Return what an operation does, from its ``submissionType`` or else its ``slot``, ``None`` if neither says.

    The documented types are ``publish`` and ``Publish/GoLive``. With the latter, the slot decides. The documented
    slot of a publish is ``staging``.
    """
    members = lower_keys(document)
    submission = _letters(members.get("submissiontype"))
    if submission not in {"", _EITHER_KIND}:
        return _KINDS.get(submission)
    return _KINDS_BY_SLOT.get(_letters(members.get("slot")))


def is_of_another_kind(document: object) -> bool:
    """Return whether an operation is neither a publish nor a go-live, such as a cancellation."""
    return _letters(lower_keys(document).get("submissiontype")) not in {"", _EITHER_KIND, *_KINDS}


def kind_by_steps(document: object) -> OperationKind:
    """Return what an operation does, from its steps. The "live" step has started only in a go-live."""
    is_live = any(
        _is_live(item.step) and item.step.state in {StepState.IN_PROGRESS, StepState.COMPLETE}
        for item in _steps(lower_keys(document))
    )
    return OperationKind.GO_LIVE if is_live else OperationKind.PUBLISH


def settled(kind: OperationKind, word: object) -> OperationState:
    """Return the state of an operation according to its status word alone, without its steps."""
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

    Either the offer's own word says it, or the word of its sign-off step while the offer is ``running``. The word
    ``succeeded`` says nothing: a sample in the documentation shows it with a certification that has not started.
    """
    document = single_document(offer_status) or {}
    return meaning(document.get("status")) is StepState.WAITING_FOR_SIGN_OFF or any(
        _is_sign_off(item.step) and item.step.state is StepState.WAITING_FOR_SIGN_OFF for item in _steps(document)
    )


def no_publish_waits(offer_status: object) -> bool:
    """Return whether an offer's status document says that its last publish was cancelled, or that none was started.

    According to the documentation, the status goes back to the beginning when a publish is cancelled.
    """
    word = meaning((single_document(offer_status) or {}).get("status"))
    return word in {StepState.CANCELED, StepState.NOT_STARTED} and not awaits_sign_off(offer_status)


def never_published(offer_status: object) -> bool:
    """Return whether an offer's status document says that the offer was never published."""
    document = single_document(offer_status) or {}
    return meaning(document.get("status")) is StepState.NOT_STARTED and not _steps(document)


def report(operation_id: str, kind: OperationKind, operation: object, offer_status: object = None) -> OperationReport:
    """Return a report on an operation.

    The first row that matches determines the state.

    ========  ================================================================================================
    state     condition
    ========  ================================================================================================
    CANCELED  the operation's word says so
    FAILED    the operation's word says so, or a step is rejected, or a step is blocked with an error, or a step is
              blocked while all steps before it are complete (later steps may be blocked just because they wait)
    PREVIEW   a publish is complete or waits for the publisher, according to its word, its sign-off step (waiting or
              complete), any waiting step, or ``offer_status``; a publish that is being cancelled is ``RUNNING``
    LIVE      a go-live is complete, according to its word, or because all steps including "live" are
    RUNNING   otherwise
    ========  ================================================================================================

    Args:
        operation_id: The operation.
        kind: What it does.
        operation: The operation's document.
        offer_status: The offer's status document. It must be ``None`` unless this is the offer's newest operation.
    """
    document = single_document(operation, operation_id) or {}
    items = _steps(document)
    word = next((document[name] for name in ("status", "submissionstate") if document.get(name)), None)
    state = _state(kind, word, items, offer_status)
    if state is OperationState.PREVIEW and _letters(document.get("cancellationrequeststate")) in _BEING_CANCELED:
        state = OperationState.RUNNING
    return OperationReport(
        operation_id=operation_id,
        kind=kind,
        state=state,
        steps=_shown([item.step for item in items[:MAX_STEPS]]),
        errors=_errors(document, items) if state is OperationState.FAILED else [],
        unknown_words=_unknown([word, *(item.word for item in items)]),
    )


def may_wait_for_sign_off(publish: OperationReport) -> bool:
    """Return whether only the offer's status may show that a publish waits for sign-off.

    The operation's document may lack the sign-off step. Right after the publish has started, the offer's status may
    still describe the previous preview. The steps of the new operation show when that is the case.
    """
    steps = [step for step in publish.steps if not _is_sign_off(step) and not _is_live(step)]
    return publish.state is OperationState.RUNNING and (
        not steps
        or (steps[0].state is StepState.COMPLETE and all(step.state is not StepState.IN_PROGRESS for step in steps))
    )


def _state(kind: OperationKind, word: object, items: list[_ReadStep], offer_status: object) -> OperationState:
    state = settled(kind, word)
    if state is OperationState.CANCELED:
        return state
    if state is OperationState.FAILED or any(item.failed for item in items):
        return OperationState.FAILED
    if state is not OperationState.RUNNING:
        return state
    steps = [item.step for item in items]
    if kind is OperationKind.GO_LIVE:
        done = all(step.state is StepState.COMPLETE for step in steps) and any(_is_live(step) for step in steps)
        return OperationState.LIVE if done else OperationState.RUNNING
    waits = any(
        step.state is StepState.WAITING_FOR_SIGN_OFF or (_is_sign_off(step) and step.state is StepState.COMPLETE)
        for step in steps
    )
    return OperationState.PREVIEW if waits or awaits_sign_off(offer_status) else OperationState.RUNNING


def _steps(document: dict[str, object]) -> list[_ReadStep]:
    listed = document.get("steps")
    items: list[_ReadStep] = []
    for number, item in enumerate(listed[:JUDGED_STEPS] if isinstance(listed, list) else [], start=1):
        members = lower_keys(item)
        if members:
            items.append(_step(members, number, after_complete=all(_is_complete(before) for before in items)))
    return items


def _shown(steps: list[Step]) -> list[Step]:
    """Keep the first messages, because every report carries all steps."""
    shown: list[Step] = []
    left = MAX_MESSAGES
    for step in steps:
        shown.append(step.model_copy(update={"errors": step.errors[:left]}))
        left -= min(left, len(step.errors))
    return shown


def _step(members: dict[str, object], number: int, *, after_complete: bool) -> _ReadStep:
    step_id = _text(members.get("id"), MAX_WORD)
    state = meaning(members.get("status"))
    errors, others = _messages(members.get("messages"))
    failed = state is StepState.REJECTED or (state is StepState.BLOCKED and (bool(errors) or after_complete))
    names = [_text(members.get(name), MAX_WORD) for name in ("stepname", "name")]
    step = Step(
        id=step_id,
        name=next((name for name in [*names, step_id] if name), f"step {number}"),
        state=state,
        percent=_percent(members),
        # Where a failed step has no error-level message, its other messages may give the reason.
        errors=errors or (others if failed else []),
    )
    return _ReadStep(step, others, members.get("status"), failed)


def _messages(messages: object) -> tuple[list[str], list[str]]:
    """Return the error-level messages, and the others. A message is an object or a string."""
    parted: tuple[list[str], list[str]] = ([], [])
    for message in messages if isinstance(messages, list) else [messages]:
        members = lower_keys(message)
        level = _letters(members.get("level"))
        found = parted[level not in _ERROR_LEVELS]
        if len(found) < MAX_MESSAGES:
            text = plain_text(message if isinstance(message, str) else _message_text(members), MAX_MESSAGE)
            if text:
                found.append(text)
    return parted


def _message_text(members: dict[str, object]) -> str:
    texts = (members.get(name) for name in ("messagehtml", "message", "text", "description"))
    return next((text for text in texts if isinstance(text, str)), "")


def _errors(document: dict[str, object], items: list[_ReadStep]) -> list[str]:
    """Return the errors of the failed steps and of the operation as a whole."""
    errors: list[str] = []
    blamed = [item for item in items if item.failed or item.step.errors]
    for item in blamed or [item for item in items if item.step.state in _FAILED]:
        messages = item.step.errors or item.others
        word = _text(item.word, MAX_WORD)
        errors += [f"{item.step.name}: {message}" for message in messages] or [
            f"{item.step.name}: {word}, without a message from the service"
        ]
    own, others = _messages(document.get("messages"))
    errors += own or ([] if errors else others)
    errors += [plain_text(sentence, MAX_MESSAGE) for sentence in error_sentences(document.get("error"))]
    unique = list(dict.fromkeys(errors))[:MAX_STEPS]
    return unique or ["the operation failed, without a message from the service"]


def _percent(members: dict[str, object]) -> int | None:
    """Return the progress. The documentation calls it ``processPercentage`` in a table, ``progress…`` in a sample."""
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
        (_text(word, MAX_WORD) if isinstance(word, str) else f"a {type(word).__name__}"): None
        for word in words
        if word not in (None, "") and meaning(word) is StepState.UNKNOWN
    }
    return [word for word in unknown if word][:MAX_UNKNOWN_WORDS]


def _is_complete(item: _ReadStep) -> bool:
    return item.step.state is StepState.COMPLETE


def _is_sign_off(step: Step) -> bool:
    """Return whether a step is the publisher's sign-off, judging by its ID or name."""
    return "publishersignoff" in {_letters(step.id), _letters(step.name)} or "signoff" in _letters(step.name)


def _is_live(step: Step) -> bool:
    """Return whether a step brings the offer to Production."""
    return "live" in {_letters(step.id), _letters(step.name)}


def _letters(text: object) -> str:
    return re.sub(r"[\W_]+", "", text).casefold() if isinstance(text, str) and len(text) <= MAX_WORD else ""


def _text(value: object, limit: int) -> str:
    return one_line(value, limit) if isinstance(value, str) else ""
