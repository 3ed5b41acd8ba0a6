"""Errors of the Product Ingestion API, in answers and jobs. Errors are nested.

The outermost error is often generic, and its code may be misleading. A person needs the innermost errors, with the
resource of each. ``details`` may be missing, or an object instead of a list. The functions accept JSON of any shape.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from marketplace.errors import Conflict, Invalid, MarketplaceError, NotFound, Refused, Unavailable
from marketplace.http.answers import MAX_WORDS, Answer, words
from marketplace.product_ingestion.references import shown
from marketplace.wording import MAX_NAME, lower_keys, one_line, plain_text

MAX_LEAVES = 20
MAX_MESSAGE = 400
MAX_ERRORS = 1000
MAX_DEPTH = 20
MAX_STAGE = 60
"""The greatest length of a stage's name, in characters. Longer text is a sentence."""

_VALIDATION = frozenset({"schemavalidationerror", "invalidresource", "businessvalidationerror"})
FULL = "collectionlimitexceeded"
_CONTENTION = frozenset({"locked", "productlocked"})
_CONFLICT = frozenset({"conflict", "invalidstate"})
"""Codes that stand for contention, and also for other refusals."""

_CANCELED = frozenset({"operationcanceled", "operationcancelled"})
_TRANSIENT = frozenset({"internalservererror", "serviceunavailable", "requesttimeout", "toomanyrequests"})
_SAYS_CONTENTION = re.compile(
    r"\bin[- ]?progress submission\b|\bsubmission\b.{0,80}\bin[- ]?progress\b|\bnot the latest\b", re.IGNORECASE
)
_CERTIFICATION = re.compile(r"\s*certification\W*", re.IGNORECASE)


class Unexplained(MarketplaceError):
    """400 or 404 without an error of the service. It may be the answer of a gateway."""


class UnexplainedRefusal(Refused, Unexplained):
    """400 without an error."""


class UnexplainedAbsence(NotFound, Unexplained):
    """404 without an error."""


_UNEXPLAINED: Mapping[int, type[Unexplained]] = {400: UnexplainedRefusal, 404: UnexplainedAbsence}


@dataclass(frozen=True)
class Failure:
    """An error and the errors inside it.

    Attributes:
        code: The code in lower case, for comparisons.
        word: The code in the service's spelling.
        resource: The resource that the error, or the error around it, is about.
    """

    code: str
    word: str
    message: str
    resource: str
    details: tuple["Failure", ...]

    def every(self) -> Iterator["Failure"]:
        """Yield the error and all errors inside it."""
        yield self
        for one in self.details:
            yield from one.every()

    def leaves(self) -> Iterator["Failure"]:
        """Yield the innermost errors."""
        if not self.details:
            yield self
        for one in self.details:
            yield from one.leaves()

    def __str__(self) -> str:
        """Return the error for a person."""
        text = ": ".join(part for part in (self.word, self.message) if part) or "no reason given"
        return f"{text} ({self.resource})" if self.resource else text


def read(errors: object) -> list[Failure]:
    """Return the errors of a job, or in the body of an answer."""
    wrapped = lower_keys(errors).get("error")
    return _read(wrapped if wrapped is not None else errors, "", [MAX_ERRORS], 0)


def innermost(failures: Iterable[Failure]) -> list[str]:
    """Return the innermost errors for a person, without repeats."""
    found = dict.fromkeys(str(leaf) for one in failures for leaf in one.leaves())
    return list(found)[:MAX_LEAVES]


def reasons(failures: Iterable[Failure]) -> list[str]:
    """Return why a publish failed: the messages inside the failed stage, or else the innermost errors."""
    failures = list(failures)
    if stage(failures) is None:
        return innermost(failures)
    found = dict.fromkeys(leaf.message or str(leaf) for one in failures for leaf in one.leaves())
    return list(found)[:MAX_LEAVES]


def is_full(failures: Iterable[Failure]) -> bool:
    """Return whether a collection is full."""
    return FULL in _codes(failures)


def is_cancellation(failures: Iterable[Failure]) -> bool:
    """Return whether somebody cancelled the job."""
    return not _CANCELED.isdisjoint(_codes(failures))


def stage(failures: Iterable[Failure]) -> str | None:
    """Return the stage of a publish that failed, such as Certification. The errors inside it are the reasons."""
    named = (
        each.message
        for one in failures
        for each in one.every()
        if each.code == "invalidstate" and each.details and each.message and len(each.message) <= MAX_STAGE
    )
    return next(named, None)


def is_certification(failures: Iterable[Failure]) -> bool:
    """Return whether certification found issues. They are permanent, whatever the outermost code is."""
    return any(_CERTIFICATION.fullmatch(each.message) for one in failures for each in one.every())


def is_contention(failures: Iterable[Failure]) -> bool:
    """Return whether another operation runs on the offer, or has replaced the preview that was to go live."""
    failures = list(failures)
    if _is_permanent(failures):
        return False
    messages = (each.message for one in failures for each in one.every())
    return not _CONTENTION.isdisjoint(_codes(failures)) or any(map(_SAYS_CONTENTION.search, messages))


def may_be_contention(failures: Iterable[Failure]) -> bool:
    """Return whether the errors are contention, provided that the submissions show what was in the way."""
    failures = list(failures)
    return not _is_permanent(failures) and not _CONFLICT.isdisjoint(_codes(failures))


def _is_permanent(failures: Sequence[Failure]) -> bool:
    codes = _codes(failures)
    return FULL in codes or not _VALIDATION.isdisjoint(codes) or is_certification(failures)


def error_of(failures: Iterable[Failure]) -> type[MarketplaceError]:
    """Return the error class for the failures of a write."""
    failures = list(failures)
    codes = _codes(failures)
    if is_contention(failures):
        return Conflict
    if FULL in codes or not _VALIDATION.isdisjoint(codes):
        return Invalid
    inner = {leaf.code for one in failures for leaf in one.leaves()}
    return Unavailable if inner <= _TRANSIENT and not is_certification(failures) else Refused


def words_of(body: str) -> str:
    """Return the words in the body of a refusal, for a person."""
    failures = _in_body(body)
    if not any(leaf.message for one in failures for leaf in one.leaves()):
        return words(body)
    return one_line("; ".join(innermost(failures)), MAX_WORDS)


def error_of_answer(answer: Answer) -> type[MarketplaceError] | None:
    """Return the error class for the body of a refusal, ``None`` if the status decides."""
    failures = _in_body(answer.text)
    if answer.status in _UNEXPLAINED and not any(one.code for one in failures):
        return _UNEXPLAINED[answer.status]
    if answer.status not in {400, 409, 422, 423}:
        return None
    if is_contention(failures):
        return Conflict
    if not _VALIDATION.isdisjoint(_codes(failures)) or is_full(failures):
        return Invalid
    return None


def _in_body(body: str) -> list[Failure]:
    try:
        return read(json.loads(body))
    except (ValueError, RecursionError):
        return []


def _codes(failures: Iterable[Failure]) -> set[str]:
    return {each.code for one in failures for each in one.every()}


def _read(errors: object, resource: str, left: list[int], depth: int) -> list[Failure]:
    found: list[Failure] = []
    for item in errors if isinstance(errors, list) else [errors]:
        members = lower_keys(item)
        if not (members.get("code") or members.get("message")) or left[0] <= 0 or depth > MAX_DEPTH:
            continue
        left[0] -= 1
        about = one_line(shown(members.get("resourceid")), 2 * MAX_NAME) or resource
        word = one_line(str(members.get("code") or ""), MAX_NAME)
        message = members.get("message")
        found.append(
            Failure(
                code=word.casefold(),
                word=word,
                message=plain_text(message, MAX_MESSAGE) if isinstance(message, str) else "",
                resource=about,
                details=tuple(_read(members.get("details"), about, left, depth + 1)),
            )
        )
    return found
