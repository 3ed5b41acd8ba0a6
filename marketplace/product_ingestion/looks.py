"""Looks at operations: at submissions by their numbers, and at the jobs that are to make them.

A publish begins as a job, and is a submission once that is listed. A job says more while it runs, and why it failed;
a submission outlives it, and is what going live names.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from marketplace.errors import NotFound, Unreadable
from marketplace.model import JOB_PREFIX, LIVE_SUFFIX, OfferKey, OperationKind, OperationReport, OperationState
from marketplace.product_ingestion import jobs, submissions
from marketplace.product_ingestion.calls import ProductIngestion
from marketplace.product_ingestion.jobs import Job, Progress
from marketplace.product_ingestion.reading import Reader
from marketplace.product_ingestion.references import SUBMISSION, kind_of, number_of
from marketplace.product_ingestion.submissions import Submission
from marketplace.wording import lower_keys, one_line

REMEMBERED = 1000
"""How many of the jobs that this process began are remembered."""

MISSED_AT_MOST = 5
"""How often in a row a submission may be missing from the list until it counts as cancelled."""

UNKNOWN_FOR = timedelta(minutes=10)
"""How long a job that the service does not know may be one that it does not know yet."""

WHERE_THE_REASON_IS = (
    "the marketplace says only that it failed; the reason is in Partner Center, on the offer's overview and in its "
    "certification report"
)


_CAME_TO_NOTHING = frozenset({Progress.FAILED, Progress.CANCELED})


@dataclass(frozen=True)
class _Begun:
    """A publish or go-live that this process asked for.

    Attributes:
        number: The submission, where the request named it.
        before: The operations that were there before.
    """

    kind: OperationKind
    number: str | None
    before: frozenset[str]


class Looks:
    """Looks at operations. What is remembered are hints: without them a look says the same, sooner or later."""

    def __init__(self, calls: ProductIngestion, reader: Reader, clock: Callable[[], datetime]) -> None:
        self._calls = calls
        self._reader = reader
        self._clock = clock
        self._begun: OrderedDict[str, _Begun] = OrderedDict()
        self._missed: OrderedDict[tuple[str, str], tuple[int, datetime]] = OrderedDict()

    def remember(self, offer: OfferKey, job: str, kind: OperationKind, number: str | None) -> None:
        """Remember a job that has just begun."""
        self._begun[job] = _Begun(kind, number, self._reader.seen(offer))
        if len(self._begun) > REMEMBERED:
            self._begun.popitem(last=False)

    async def at(
        self, offer: OfferKey, operation_id: str, kind: OperationKind | None, known: Sequence[str]
    ) -> OperationReport:
        """Look at one operation; the report on a job that has ended is of its submission, by its number.

        Args:
            offer: The offer.
            operation_id: As `marketplace.model` describes it.
            kind: What an earlier look found.
            known: Ids of the operations before it, newest first: what a job has made is none of them.
        """
        if operation_id.startswith(JOB_PREFIX):
            return await self._at_job(offer, operation_id, kind, known)
        if operation_id.endswith(LIVE_SUFFIX):
            # What the service shows of the number alone may be the publish.
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
        """Return how a submission stands. One that is not listed any more was cancelled, or published over.

        Args:
            offer: The offer.
            operation_id: The submission's operation.
            listed: All submissions; the list may lag behind, so one may be missing `MISSED_AT_MOST` times.
        """
        found = submissions.find(listed, operation_id)
        number = operation_id.removesuffix(LIVE_SUFFIX)
        kind = OperationKind.GO_LIVE if operation_id.endswith(LIVE_SUFFIX) else OperationKind.PUBLISH
        key = (str(offer), operation_id)
        if found is not None:
            self._missed.pop(key, None)
            # What is live, or on its way there, has been a preview before.
            now = Progress.SUCCEEDED if kind is not found.kind else found.progress
            return jobs.report(
                operation_id, kind, now, otherwise=WHERE_THE_REASON_IS, unknown_words=found.unknown_words
            )
        if kind is OperationKind.PUBLISH and (submissions.is_superseded(listed, number) or self._is_gone(key)):
            return jobs.report(operation_id, kind, Progress.CANCELED)
        raise Unreadable(
            f"look at {offer}: the marketplace does not list submission {number} at the moment",
            call=f"look at {offer}",
        )

    def _is_gone(self, key: tuple[str, str], at_least: timedelta = timedelta(0)) -> bool:
        """Count that something is missing, and return whether it has been often and for long enough."""
        now = self._clock()
        times, first = self._missed.pop(key, (0, now))
        self._missed[key] = times + 1, first
        if len(self._missed) > REMEMBERED:
            self._missed.popitem(last=False)
        return times + 1 >= MISSED_AT_MOST and now - first >= at_least

    async def _at_job(
        self, offer: OfferKey, operation_id: str, kind: OperationKind | None, known: Sequence[str]
    ) -> OperationReport:
        job_id = operation_id.removeprefix(JOB_PREFIX)
        begun = self._begun.get(job_id)
        kind = kind or (begun.kind if begun is not None else None)
        number = begun.number if begun is not None else None
        if number is None and kind is OperationKind.GO_LIVE:
            number = submissions.promoted(known)
        try:
            job = jobs.read(await self._calls.job(offer, job_id))
        except NotFound:
            before = {*known, *(begun.before if begun is not None else ())}
            return await self._at_unknown_job(offer, operation_id, kind, number, before)
        if job.progress is Progress.SUCCEEDED:
            return await self._at_made(offer, job_id, job, kind, number, known)
        everything: list[Submission] = []
        if kind is None or job.progress.has_ended:
            everything = await self._reader.submissions(offer)
        listed = _none_of(known, everything)
        if kind is None:
            running = next((one.kind for one in listed if not one.progress.has_ended), OperationKind.PUBLISH)
            begun_now = submissions.begun_by(listed, None, job.started_at)
            kind = begun_now.kind if job.progress.has_ended and begun_now is not None else running
        has_made = False
        if job.progress.has_ended and job.started_at is not None:
            made = submissions.begun_by(listed, kind, job.started_at)
            if made is not None and made.progress is job.progress and number in {None, made.number}:
                operation_id, has_made = _name(made, kind), True
        return jobs.report(
            operation_id,
            kind,
            job.progress,
            errors=job.errors,
            made_submission=has_made,
            in_the_way=_is_in_the_way(everything, number),
            unknown_words=job.unknown_words,
        )

    async def _at_made(
        self,
        offer: OfferKey,
        job_id: str,
        job: Job,
        kind: OperationKind | None,
        number: str | None,
        known: Sequence[str],
    ) -> OperationReport:
        """Look at the submission that a job has made: the request named it, or the times tell, or the job does."""
        listed = await self._reader.submissions(offer)
        found: Submission | None = None
        if number is not None:
            found = submissions.find(listed, _operation_id(number, kind))
        elif kind is OperationKind.PUBLISH:
            found = submissions.made_between(listed, job.started_at, job.ended_at, known)
        if found is None:
            named, said = await self._named(offer, job_id)
            number, kind = named or number, kind or said
            if number is not None:
                found = submissions.find(listed, _operation_id(number, kind))
            else:
                found = submissions.begun_by(_none_of(known, listed), kind, job.started_at)
        if found is not None and found.operation_id in known and found.progress in _CAME_TO_NOTHING:
            found = None  # It was tried before, and what is listed is that try.
        superseded = number is not None and submissions.is_superseded(listed, number)
        if found is None and number is not None and kind is OperationKind.PUBLISH and superseded:
            # That it came so far is what its job says.
            return jobs.report(number, kind, job.progress)
        if found is None and kind is not OperationKind.GO_LIVE and self._is_gone((str(offer), job_id)):
            # Somebody cancelled its preview before anybody looked.
            return jobs.report(number or f"{JOB_PREFIX}{job_id}", OperationKind.PUBLISH, Progress.CANCELED)
        unnamed = found is None and number is None
        if unnamed and kind is OperationKind.PUBLISH and submissions.is_any_since(listed, job.started_at):
            # It was published over before anybody looked, and nothing says which number it had.
            return jobs.report(JOB_PREFIX + job_id, kind, Progress.CANCELED)
        if found is None:
            raise Unreadable(
                f"look at {offer}: job {one_line(job_id, 100)} has succeeded, and the marketplace does not list its"
                " submission yet",
                call=f"look at {offer}",
            )
        self._missed.pop((str(offer), job_id), None)
        return self._of_submission(offer, _name(found, kind or found.kind), listed)

    async def _named(self, offer: OfferKey, job_id: str) -> tuple[str | None, OperationKind | None]:
        """Return the submission that a job's outcome names, and what it is."""
        try:
            document = lower_keys(await self._calls.job_resources(offer, job_id))
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

    async def _at_unknown_job(
        self,
        offer: OfferKey,
        operation_id: str,
        kind: OperationKind | None,
        number: str | None,
        before: Collection[str],
    ) -> OperationReport:
        """Answer for a job that the service does not know yet, or any more, from the submissions that are new.

        A publish that nothing shows of for long counts as cancelled: who wants it looks at the offer anew.
        """
        listed = await self._reader.submissions(offer)
        if number is not None:
            # After one that has failed the next has the same id.
            going = {OperationState.RUNNING, OperationState.LIVE}
            wanted = _operation_id(number, kind)
            named = (each for each in submissions.operations(listed) if each.id == wanted)
            new = [each.id for each in named if each.id not in before or each.state in going]
        else:
            new = [each.id for each in submissions.since(listed, before, kind)]
        key = (str(offer), operation_id)
        if new:
            self._missed.pop(key, None)
            return self._of_submission(offer, new[-1], listed)
        if self._is_gone(key, UNKNOWN_FOR) and kind is OperationKind.PUBLISH:
            return jobs.report(operation_id, kind, Progress.CANCELED)
        raise Unreadable(
            f"look at {offer}: the marketplace does not know {one_line(operation_id, 100)}, not yet or not any more,"
            " and lists no submission that it may have made; look at the offer in Partner Center if this lasts",
            call=f"look at {offer}",
        )


def _is_in_the_way(listed: Sequence[Submission], promoted: str | None) -> bool:
    """Return whether something runs, or what was to be promoted does not wait for it any more."""
    waits = submissions.awaits_sign_off(listed) and any(one.number == promoted for one in listed)
    return any(not one.progress.has_ended for one in listed) or (promoted is not None and not waits)


def _none_of(known: Collection[str], listed: Iterable[Submission]) -> list[Submission]:
    return [one for one in listed if one.operation_id not in known]


def _operation_id(number: str, kind: OperationKind | None) -> str:
    return number + (LIVE_SUFFIX if kind is OperationKind.GO_LIVE else "")


def _name(submission: Submission, kind: OperationKind) -> str:
    """Return the id of the operation of a kind that a submission stands for."""
    return _operation_id(submission.number, kind)
