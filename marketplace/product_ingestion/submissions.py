"""The submissions of an offer, read as its operations.

The service lists active submissions, usually one for each target. A preview keeps its number when it is promoted.
During and after a promotion, lists of three shapes have been seen:

* The entry becomes a second live entry. One is live, and the other goes live or failed to.
* Both targets show the number.
* Only the live target shows the number.

Pure functions, which accept JSON of any shape.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from marketplace.model import LIVE_SUFFIX, OfferStatus, Operation, OperationKind, OperationState
from marketplace.product_ingestion.jobs import JobProgress, progress, state
from marketplace.product_ingestion.references import number_of
from marketplace.protocol import KNOWN_OPERATIONS
from marketplace.timestamps import timestamp
from marketplace.wording import lower_keys

PREVIEW = "preview"
LIVE = "live"


@dataclass(frozen=True)
class Submission:
    """A submission in the list.

    Attributes:
        number: Its number, of about 19 digits.
        target: ``preview`` or ``live``.
    """

    number: str
    target: str
    progress: JobProgress
    created: datetime | None
    unknown_words: tuple[str, ...] = ()

    @property
    def newness(self) -> tuple[int, str]:
        """The sort key if there are no times. Numbers grow."""
        return _newness(self.number)

    @property
    def kind(self) -> OperationKind:
        """The kind of its operation."""
        return OperationKind.GO_LIVE if self.target == LIVE else OperationKind.PUBLISH

    @property
    def operation_id(self) -> str:
        """The ID of its operation."""
        return self.number + LIVE_SUFFIX if self.target == LIVE else self.number


def read(items: Iterable[object]) -> list[Submission]:
    """Return the submissions of a list, newest first. The draft's placeholder and other targets are skipped."""
    found: dict[tuple[str, str], Submission] = {}
    for item in items:
        one = _submission(item)
        if one is not None:
            known = found.get((one.number, one.target))
            # If it is listed twice, the entry that has not ended counts.
            if known is None or (known.progress.has_ended and not one.progress.has_ended):
                found[one.number, one.target] = one
    return _newest_first(list(found.values()))


def operations(submissions: Sequence[Submission]) -> list[Operation]:
    """Return the operations of submissions, running ones first, then newest first.

    A live submission has two operations: the go-live, and the publish of its preview, which is complete.
    """
    found: dict[str, Operation] = {}
    for one in sorted(submissions, key=lambda each: each.target == LIVE):
        found[one.operation_id] = Operation(
            id=one.operation_id, kind=one.kind, state=state(one.kind, one.progress), changed_at=one.created
        )
        if one.target == LIVE:
            published_at = found[one.number].changed_at if one.number in found else one.created
            found[one.number] = Operation(
                id=one.number, kind=OperationKind.PUBLISH, state=OperationState.PREVIEW, changed_at=published_at
            )
    listed = sorted(found.values(), key=lambda each: _rank(each, submissions))
    return sorted(listed, key=lambda each: each.state is not OperationState.RUNNING)


def awaits_sign_off(submissions: Sequence[Submission]) -> bool:
    """Return whether the newest preview is ready, and was not promoted and is not being promoted."""
    newest = next((one for one in submissions if one.target == PREVIEW), None)
    promoted = {
        one.number
        for one in submissions
        if one.target == LIVE and (one.progress is JobProgress.SUCCEEDED or not one.progress.has_ended)
    }
    return newest is not None and newest.progress is JobProgress.SUCCEEDED and newest.number not in promoted


def offer_status(submissions: Sequence[Submission]) -> OfferStatus:
    """Return the newest operations, and whether the preview waits for sign-off."""
    return OfferStatus(
        operations=operations(submissions)[:KNOWN_OPERATIONS], awaits_sign_off=awaits_sign_off(submissions)
    )


def find(submissions: Iterable[Submission], operation_id: str) -> Submission | None:
    """Return the submission of an operation. The submission of a publish may be live by now."""
    number = operation_id.removesuffix(LIVE_SUFFIX)
    named = [one for one in submissions if one.number == number]
    wanted = LIVE if operation_id.endswith(LIVE_SUFFIX) else PREVIEW
    exact = next((one for one in named if one.target == wanted), None)
    return exact or (next(iter(named), None) if wanted == PREVIEW else None)


def is_superseded(submissions: Iterable[Submission], number: str) -> bool:
    """Return whether the offer was published again after a submission, which then may not be listed any more."""
    return any(one.newness > _newness(number) for one in submissions)


def any_since(submissions: Iterable[Submission], moment: datetime | None) -> bool:
    """Return whether a submission was created at or after a moment."""
    return bool(_created_since(submissions, moment))


def newer_than(
    submissions: Sequence[Submission], known: Collection[str], kind: OperationKind | None
) -> list[Operation]:
    """Return the operations of a kind that are newer than all known ones, newest first."""
    listed = operations(submissions)
    running = [one for one in listed if one.state is OperationState.RUNNING]
    ended = [one for one in listed if one.state is not OperationState.RUNNING]
    newest_known = next((at for at, one in enumerate(ended) if one.id in known), len(ended))
    newer = [one for one in running if one.id not in known] + ended[:newest_known]
    return [one for one in newer if kind is None or one.kind is kind]


def promoted(known: Iterable[str]) -> str | None:
    """Return the number of the submission that a go-live promotes: the newest publish among the known operations."""
    return next((one for one in known if not one.endswith(LIVE_SUFFIX)), None)


def made_between(
    submissions: Iterable[Submission], start: datetime | None, end: datetime | None, known: Collection[str]
) -> Submission | None:
    """Return the preview of a publish that ran between two moments. Nobody else can publish meanwhile."""
    if start is None or end is None:
        return None
    found = [
        one
        for one in _created_since(submissions, start)
        if one.target == PREVIEW and one.number not in known and one.created is not None and one.created <= end
    ]
    return found[0] if len(found) == 1 else None


def of_job(
    submissions: Sequence[Submission], kind: OperationKind | None, since: datetime | None
) -> Submission | None:
    """Return the submission of a job, if nothing names it: the first of its kind created after the job started.

    A promoted submission may keep the time of its publish. Then the running one counts, or else the newest.
    """
    of_kind = [one for one in submissions if kind is None or one.kind is kind]
    after = _created_since(of_kind, since)
    if after:
        return min(after, key=lambda one: one.created or datetime.max.replace(tzinfo=UTC))
    if kind is OperationKind.PUBLISH and since is not None:
        return None
    return next((one for one in of_kind if not one.progress.has_ended), next(iter(of_kind), None))


def _created_since(submissions: Iterable[Submission], moment: datetime | None) -> list[Submission]:
    """Return the submissions created at or after a moment, none if the moment is unknown."""
    if moment is None:
        return []
    whole_second = moment.replace(microsecond=0)  # "created" may have whole seconds
    return [one for one in submissions if one.created is not None and one.created >= whole_second]


def _newness(number: str) -> tuple[int, str]:
    digits = number.lstrip("0")
    return len(digits), digits


def _submission(item: object) -> Submission | None:
    members = lower_keys(item)
    number = number_of(members.get("id"))
    target = lower_keys(members.get("target")).get("targettype")
    where = target.casefold() if isinstance(target, str) else ""
    if number is None or where not in {PREVIEW, LIVE}:
        return None
    now, unknown = progress(members.get("status"), members.get("result"))
    return Submission(
        number=number,
        target=where,
        progress=now,
        created=timestamp(members.get("created")),
        unknown_words=tuple(unknown),
    )


def _newest_first(listed: list[Submission]) -> list[Submission]:
    by_number = sorted(listed, key=lambda one: (one.newness, one.target == LIVE), reverse=True)
    # A submission without a time takes the time of the one before it, to stay next to it.
    times: list[tuple[datetime, Submission]] = []
    before = datetime.max.replace(tzinfo=UTC)
    for one in by_number:
        before = one.created or before
        times.append((before, one))
    return [one for _, one in sorted(times, key=lambda each: each[0], reverse=True)]


def _rank(operation: Operation, submissions: Sequence[Submission]) -> tuple[int, bool]:
    number = operation.id.removesuffix(LIVE_SUFFIX)
    place = next(at for at, one in enumerate(submissions) if one.number == number)
    return place, operation.kind is not OperationKind.GO_LIVE
