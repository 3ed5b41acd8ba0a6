"""Looks at operations: at submissions by their numbers, and at the jobs that are to make them.

A publish begins as a job, and is a submission once that is listed. A job says more while it runs, and why it failed;
a submission outlives it, and is what going live names.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from marketplace.errors import NotFound, Refused, Unreadable
from marketplace.model import JOB_PREFIX, LIVE_SUFFIX, OfferKey, OperationKind, OperationReport
from marketplace.product_ingestion import jobs, submissions
from marketplace.product_ingestion.calls import ProductIngestion
from marketplace.product_ingestion.jobs import Job, Progress
from marketplace.product_ingestion.reading import Reader
from marketplace.product_ingestion.references import SUBMISSION, kind_of, number_of
from marketplace.product_ingestion.submissions import Submission
from marketplace.wording import lowered, one_line

REMEMBERED = 1000
"""How many of the jobs that this process began are remembered."""

MISSED_AT_MOST = 5
"""How often in a row a submission may be missing from the list until it counts as cancelled."""

JUST_NOW = timedelta(minutes=2)
"""How long a job that the service does not know may be one that it does not know yet."""

WHERE_THE_REASON_IS = (
    "the marketplace says only that it failed; the reason is in Partner Center, on the offer's overview and in its "
    "certification report"
)


@dataclass(frozen=True)
class _Begun:
    """A publish or go-live that this process asked for.

    Attributes:
        number: The submission, where the request named it.
        before: The operations that were there before.
    """

    kind: OperationKind
    at: datetime
    number: str | None
    before: frozenset[str]


class Looks:
    """Looks at operations. What is remembered are hints: without them a look says the same, sooner or later."""

    def __init__(self, calls: ProductIngestion, reader: Reader, clock: Callable[[], datetime]) -> None:
        self._calls = calls
        self._reader = reader
        self._clock = clock
        self._begun: OrderedDict[str, _Begun] = OrderedDict()
        self._missed: OrderedDict[tuple[str, str], int] = OrderedDict()

    def remember(self, offer: OfferKey, job: str, kind: OperationKind, number: str | None) -> None:
        """Remember a job that has just begun."""
        self._begun[job] = _Begun(kind, self._clock(), number, self._reader.seen(offer))
        if len(self._begun) > REMEMBERED:
            self._begun.popitem(last=False)

    async def at(self, offer: OfferKey, operation_id: str, kind: OperationKind | None) -> OperationReport:
        """Look at one operation; the report on a job that has ended is of its submission, by its number.

        Args:
            offer: The offer.
            operation_id: As `marketplace.model` describes it.
            kind: What an earlier look found.
        """
        if operation_id.startswith(JOB_PREFIX):
            return await self._at_job(offer, operation_id, kind)
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

    def _is_gone(self, key: tuple[str, str]) -> bool:
        """Count that something is missing from the list, and return whether it has been for long enough."""
        times = self._missed[key] = self._missed.pop(key, 0) + 1
        if len(self._missed) > REMEMBERED:
            self._missed.popitem(last=False)
        return times >= MISSED_AT_MOST

    async def _at_job(self, offer: OfferKey, operation_id: str, kind: OperationKind | None) -> OperationReport:
        job_id = operation_id.removeprefix(JOB_PREFIX)
        begun = self._begun.get(job_id)
        kind = kind or (begun.kind if begun is not None else None)
        try:
            job = jobs.read(await self._calls.job(offer, job_id))
        except NotFound:
            return await self._at_forgotten_job(offer, operation_id, kind)
        if job.progress is Progress.SUCCEEDED:
            return await self._at_made(offer, job_id, job, kind)
        listed: list[Submission] = []
        if kind is None or job.progress.has_ended:
            listed = await self._reader.submissions(offer)
        if kind is None:
            running = next((one.kind for one in listed if not one.progress.has_ended), OperationKind.PUBLISH)
            begun_now = submissions.begun_by(listed, None, job.started_at)
            kind = begun_now.kind if job.progress.has_ended and begun_now is not None else running
        has_made = False
        if job.progress.has_ended and job.started_at is not None:
            made = submissions.begun_by(listed, kind, job.started_at)
            if made is not None and made.progress is job.progress:
                operation_id, has_made = _name(made, kind), True
        return jobs.report(
            operation_id,
            kind,
            job.progress,
            errors=job.errors,
            made_submission=has_made,
            unknown_words=job.unknown_words,
        )

    async def _at_made(self, offer: OfferKey, job_id: str, job: Job, kind: OperationKind | None) -> OperationReport:
        """Look at the submission that a job has made: the job names it, or else the list and the times tell."""
        number, said = await self._named(offer, job_id)
        kind = kind or said
        listed = await self._reader.submissions(offer)
        found = submissions.begun_by(listed, kind, job.started_at) if number is None else None
        if number is not None:
            suffix = LIVE_SUFFIX if kind is OperationKind.GO_LIVE else ""
            found = submissions.find(listed, number + suffix)
            if found is None and kind is OperationKind.PUBLISH and submissions.is_superseded(listed, number):
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
        begun = self._begun.get(job_id)
        try:
            document = lowered(await self._calls.job_resources(offer, job_id))
        except NotFound:
            document = {}
        listed = document.get("resources")
        for item in listed if isinstance(listed, list) else []:
            members = lowered(item)
            if kind_of(members.get("$schema"), members.get("id")) == SUBMISSION:
                target = lowered(members.get("target")).get("targettype")
                kind = OperationKind.GO_LIVE if target == submissions.LIVE else OperationKind.PUBLISH
                return number_of(members.get("id")), kind
        return (begun.number if begun is not None else None), None

    async def _at_forgotten_job(
        self, offer: OfferKey, operation_id: str, kind: OperationKind | None
    ) -> OperationReport:
        """Answer for a job that the service does not know (any more) from the submissions."""
        begun = self._begun.get(operation_id.removeprefix(JOB_PREFIX))
        listed = await self._reader.submissions(offer)
        before = begun.before if begun is not None else frozenset()
        of_kind = [each.id for each in submissions.operations(listed) if kind is None or each.kind is kind]
        found = next((each for each in of_kind if each not in before), None)
        if found is None and begun is not None and self._clock() - begun.at < JUST_NOW:
            raise Unreadable(
                f"look at {offer}: the marketplace does not know {one_line(operation_id, 100)} yet; it is new",
                call=f"look at {offer}",
            )
        if found is None:
            raise Refused(
                f"look at {offer}: the marketplace does not know {one_line(operation_id, 100)} any more, and lists no"
                " submission that it may have made; look at the offer in Partner Center, and run again",
                call=f"look at {offer}",
            )
        return self._of_submission(offer, found, listed)


def _name(submission: Submission, kind: OperationKind) -> str:
    """Return the id of the operation of a kind that a submission stands for."""
    return submission.number + (LIVE_SUFFIX if kind is OperationKind.GO_LIVE else "")
