"""Looks at operations: at submissions by their numbers, and at the jobs that create them.

A publish starts as a job, and becomes a submission once that is listed. A job says more while it runs, and why it
failed. A submission outlives its job, and a go-live names it.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from marketplace.errors import NotFound, Unreadable
from marketplace.model import JOB_PREFIX, LIVE_SUFFIX, OfferKey, OperationKind, OperationReport, OperationState
from marketplace.product_ingestion import jobs, submissions
from marketplace.product_ingestion.calls import ProductIngestion
from marketplace.product_ingestion.jobs import Job, JobProgress
from marketplace.product_ingestion.reader import Reader
from marketplace.product_ingestion.references import SUBMISSION, kind_of, number_of
from marketplace.product_ingestion.submissions import Submission
from marketplace.wording import lower_keys, one_line

REMEMBERED = 1000
"""How many jobs of this process are remembered."""

GONE_AFTER = 5
"""After how many looks in a row a submission that the list lacks counts as cancelled."""

UNKNOWN_FOR = timedelta(minutes=10)
"""How long the service may not know a new job yet."""

WHERE_THE_REASON_IS = (
    "the marketplace says only that it failed; the reason is in Partner Center, on the offer's overview and in its "
    "certification report"
)


@dataclass(frozen=True)
class _Started:
    """A publish or go-live that this process started.

    Attributes:
        number: The number of the submission, if the request named it.
        before: The operations that were listed before.
    """

    kind: OperationKind
    number: str | None
    before: frozenset[str]


@dataclass(frozen=True)
class _Request:
    """What is known about the publish or go-live behind a job.

    Attributes:
        kind: ``None`` if it is not known.
        number: The number of the submission, ``None`` if it is not known.
        known: The IDs of the operations before it, newest first.
    """

    offer: OfferKey
    job_id: str
    kind: OperationKind | None
    number: str | None
    known: Sequence[str]

    @property
    def operation_id(self) -> str:
        """The ID of the operation until its submission is listed."""
        return f"{JOB_PREFIX}{self.job_id}"

    @property
    def key(self) -> tuple[str, str]:
        """The key for counting misses."""
        return str(self.offer), self.operation_id


class OperationLooks:
    """Looks at operations.

    What it remembers are hints. Without them a look has the same result, sooner or later.
    """

    def __init__(self, calls: ProductIngestion, reader: Reader, clock: Callable[[], datetime]) -> None:
        self._calls = calls
        self._reader = reader
        self._clock = clock
        self._started: OrderedDict[str, _Started] = OrderedDict()
        self._misses: OrderedDict[tuple[str, str], tuple[int, datetime]] = OrderedDict()

    def remember(self, offer: OfferKey, job_id: str, kind: OperationKind, number: str | None) -> None:
        """Remember a job that was just started."""
        self._started[job_id] = _Started(kind, number, self._reader.seen(offer))
        if len(self._started) > REMEMBERED:
            self._started.popitem(last=False)

    async def look(
        self, offer: OfferKey, operation_id: str, kind: OperationKind | None, known: Sequence[str]
    ) -> OperationReport:
        """Look at one operation. The report on a job that has ended names its submission.

        Args:
            offer: The offer.
            operation_id: The operation; see `marketplace.model`.
            kind: What an earlier look found.
            known: The IDs of the operations before it, newest first. It is none of them.
        """
        if operation_id.startswith(JOB_PREFIX):
            return await self._at_job(offer, operation_id.removeprefix(JOB_PREFIX), kind, known)
        if operation_id.endswith(LIVE_SUFFIX):
            # A read of the number may show the publish.
            return self._of_submission(offer, operation_id, await self._reader.submissions(offer))
        product = await self._reader.product(offer)
        try:
            found = submissions.read([await self._calls.submission(offer, product, operation_id)])
        except NotFound:
            found = []
        if submissions.find(found, operation_id) is None:
            found = await self._reader.submissions(offer)
        return self._of_submission(offer, operation_id, found)

    def _of_submission(self, offer: OfferKey, operation_id: str, listed: list[Submission]) -> OperationReport:
        """Return the report on a submission.

        A publish that is not listed any more was cancelled or replaced by another publish. Since the list may lag
        behind, it counts as such after `GONE_AFTER` misses in a row.

        Args:
            offer: The offer.
            operation_id: The submission's operation.
            listed: All submissions.
        """
        found = submissions.find(listed, operation_id)
        number = operation_id.removesuffix(LIVE_SUFFIX)
        kind = OperationKind.GO_LIVE if operation_id.endswith(LIVE_SUFFIX) else OperationKind.PUBLISH
        key = (str(offer), operation_id)
        if found is not None:
            self._misses.pop(key, None)
            # If the submission has become a live one, its publish has succeeded.
            now = JobProgress.SUCCEEDED if kind is not found.kind else found.progress
            return jobs.report(
                operation_id, kind, now, otherwise=WHERE_THE_REASON_IS, unknown_words=found.unknown_words
            )
        if kind is OperationKind.PUBLISH and (submissions.is_superseded(listed, number) or self._is_gone(key)):
            return jobs.report(operation_id, kind, JobProgress.CANCELED)
        raise Unreadable(
            f"look at {offer}: the marketplace does not list submission {number} at the moment",
            call=f"look at {offer}",
        )

    def _is_gone(self, key: tuple[str, str], at_least: timedelta = timedelta(0)) -> bool:
        """Count a miss. Return whether there were enough misses over enough time."""
        now = self._clock()
        times, first = self._misses.pop(key, (0, now))
        self._misses[key] = times + 1, first
        if len(self._misses) > REMEMBERED:
            self._misses.popitem(last=False)
        return times + 1 >= GONE_AFTER and now - first >= at_least

    async def _at_job(
        self, offer: OfferKey, job_id: str, kind: OperationKind | None, known: Sequence[str]
    ) -> OperationReport:
        started = self._started.get(job_id)
        kind = kind or (started.kind if started is not None else None)
        number = started.number if started is not None else None
        if number is None and kind is OperationKind.GO_LIVE:
            number = submissions.promoted(known)
        request = _Request(offer, job_id, kind, number, known)
        try:
            job = jobs.read(await self._calls.job(offer, job_id))
        except NotFound:
            return await self._at_unknown_job(request, {*known, *(started.before if started is not None else ())})
        if job.progress is JobProgress.SUCCEEDED:
            return await self._at_succeeded_job(request, job)
        return await self._at_other_job(request, job)

    async def _at_other_job(self, request: _Request, job: Job) -> OperationReport:
        """Return the report on a job that runs, has failed, or was cancelled."""
        listed: list[Submission] = []
        if request.kind is None or job.progress.has_ended:
            listed = await self._reader.submissions(request.offer)
        new = _none_of(request.known, listed)
        kind = request.kind or _likely_kind(job, new)
        made = _made_before_the_end(job, kind, request.number, new)
        return jobs.report(
            request.operation_id if made is None else _operation_id(made.number, kind),
            kind,
            job.progress,
            errors=job.errors,
            made_submission=made is not None,
            in_the_way=_is_in_the_way(listed, request.number),
            unknown_words=job.unknown_words,
        )

    async def _at_succeeded_job(self, request: _Request, job: Job) -> OperationReport:
        """Return the report on the submission that a job has created."""
        listed = await self._reader.submissions(request.offer)
        found: Submission | None = None
        if request.number is not None:
            found = submissions.find(listed, _operation_id(request.number, request.kind))
        elif request.kind is OperationKind.PUBLISH:
            found = submissions.made_between(listed, job.started_at, job.ended_at, request.known)
        if found is None:
            number, kind = await self._named(request)
            request = replace(request, number=number or request.number, kind=request.kind or kind)
            if request.number is not None:
                found = submissions.find(listed, _operation_id(request.number, request.kind))
            else:
                found = submissions.of_job(_none_of(request.known, listed), request.kind, job.started_at)
        if found is None or _is_earlier_attempt(found, request.known):
            return self._of_unlisted_submission(request, job, listed)
        self._misses.pop(request.key, None)
        return self._of_submission(request.offer, _operation_id(found.number, request.kind or found.kind), listed)

    def _of_unlisted_submission(self, request: _Request, job: Job, listed: Sequence[Submission]) -> OperationReport:
        """Return the report on a successful job whose submission is not listed."""
        kind, number = request.kind, request.number
        if kind is OperationKind.PUBLISH and number is not None and submissions.is_superseded(listed, number):
            # It was published, and another publish has replaced it.
            return jobs.report(number, kind, job.progress)
        if kind is not OperationKind.GO_LIVE and self._is_gone(request.key):
            # Somebody cancelled its preview before the first look.
            return jobs.report(number or request.operation_id, OperationKind.PUBLISH, JobProgress.CANCELED)
        if kind is OperationKind.PUBLISH and number is None and submissions.any_since(listed, job.started_at):
            # Another publish replaced it before the first look, and nothing names its number.
            return jobs.report(request.operation_id, kind, JobProgress.CANCELED)
        raise Unreadable(
            f"look at {request.offer}: job {one_line(request.job_id, 100)} has succeeded, and the marketplace does"
            " not list its submission yet",
            call=f"look at {request.offer}",
        )

    async def _named(self, request: _Request) -> tuple[str | None, OperationKind | None]:
        """Return the number and kind of the submission that a job's result names."""
        try:
            document = lower_keys(await self._calls.job_resources(request.offer, request.job_id))
        except NotFound:
            document = {}
        listed = document.get("resources")
        for item in listed if isinstance(listed, list) else []:
            members = lower_keys(item)
            if kind_of(members.get("$schema"), members.get("id")) == SUBMISSION:
                target = lower_keys(members.get("target")).get("targettype")
                kind = OperationKind.GO_LIVE if target == submissions.LIVE else OperationKind.PUBLISH
                return number_of(members.get("id")), kind
        return None, None

    async def _at_unknown_job(self, request: _Request, before: Collection[str]) -> OperationReport:
        """Return the report on a job that the service does not know yet, or any more, from the new submissions.

        A publish counts as cancelled if nothing shows of it for `UNKNOWN_FOR`.
        """
        listed = await self._reader.submissions(request.offer)
        if request.number is not None:
            # A second go-live of a submission has the same ID as the first one, which failed.
            going = {OperationState.RUNNING, OperationState.LIVE}
            wanted = _operation_id(request.number, request.kind)
            same = (each for each in submissions.operations(listed) if each.id == wanted)
            new = [each.id for each in same if each.id not in before or each.state in going]
        else:
            new = [each.id for each in submissions.newer_than(listed, before, request.kind)]
        if new:
            self._misses.pop(request.key, None)
            return self._of_submission(request.offer, new[-1], listed)
        if self._is_gone(request.key, UNKNOWN_FOR) and request.kind is OperationKind.PUBLISH:
            return jobs.report(request.operation_id, request.kind, JobProgress.CANCELED)
        raise Unreadable(
            f"look at {request.offer}: the marketplace does not know {one_line(request.operation_id, 100)}, not yet"
            " or not any more, and lists no submission that it may have made; look at the offer in Partner Center if"
            " this lasts",
            call=f"look at {request.offer}",
        )


def _likely_kind(job: Job, listed: Sequence[Submission]) -> OperationKind:
    """Return what a job does, judging by the submissions that are new since it was asked for."""
    made = submissions.of_job(listed, None, job.started_at)
    if job.progress.has_ended and made is not None:
        return made.kind
    return next((one.kind for one in listed if not one.progress.has_ended), OperationKind.PUBLISH)


def _made_before_the_end(
    job: Job, kind: OperationKind, number: str | None, listed: Sequence[Submission]
) -> Submission | None:
    """Return the submission that a failed or cancelled job had created, if any."""
    if not job.progress.has_ended or job.started_at is None:
        return None
    made = submissions.of_job(listed, kind, job.started_at)
    is_its_own = made is not None and made.progress is job.progress and number in {None, made.number}
    return made if is_its_own else None


def _is_earlier_attempt(found: Submission, known: Sequence[str]) -> bool:
    """Return whether a submission is that of an earlier attempt, which failed or was cancelled."""
    return found.operation_id in known and found.progress in {JobProgress.FAILED, JobProgress.CANCELED}


def _is_in_the_way(listed: Sequence[Submission], promoted: str | None) -> bool:
    """Return whether an operation runs, or the submission to promote does not wait for sign-off any more."""
    waits = submissions.awaits_sign_off(listed) and any(one.number == promoted for one in listed)
    return any(not one.progress.has_ended for one in listed) or (promoted is not None and not waits)


def _none_of(known: Collection[str], listed: Iterable[Submission]) -> list[Submission]:
    return [one for one in listed if one.operation_id not in known]


def _operation_id(number: str, kind: OperationKind | None) -> str:
    return number + (LIVE_SUFFIX if kind is OperationKind.GO_LIVE else "")
