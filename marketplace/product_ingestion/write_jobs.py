"""Writes to a draft. Each is a job of the service, which is followed to its end."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import timedelta

from marketplace.errors import Conflict, Invalid, NotFound, PlanFull, Unavailable, Unreadable
from marketplace.model import JOB_PREFIX, OfferKey
from marketplace.product_ingestion import failures, jobs
from marketplace.product_ingestion.calls import ProductIngestion
from marketplace.product_ingestion.jobs import Job, JobProgress
from marketplace.protocol import Attempt
from marketplace.wording import one_line

FIRST_PAUSE = timedelta(seconds=0.2)
LONGEST_PAUSE = timedelta(seconds=15)
PATIENCE = timedelta(minutes=2)
"""How long a job is followed in one call. The next attempt continues."""

MAX_WORDS = 1500

_CONFLICT = 409

IsDone = Callable[[], Awaitable[bool]]
"""Returns whether the draft shows the effect of a write."""


async def sleep(time: timedelta) -> None:
    """Pause for some time."""
    await asyncio.sleep(time.total_seconds())


class WriteJobs:
    """Sends writes and follows their jobs."""

    def __init__(self, calls: ProductIngestion, pause: Callable[[timedelta], Awaitable[None]]) -> None:
        self._calls = calls
        self._pause = pause

    async def write(self, offer: OfferKey, document: str, verb: str, attempt: Attempt, is_done: IsDone) -> Job | None:
        """Send a write and follow its job to the end. Return ``None`` if the job's outcome is unknown.

        Raises:
            PlanFull: The service says that a plan is full.
            Invalid: The service refuses the document.
            Unavailable: The job has not ended within `PATIENCE`.
        """
        attempt.before_send()
        try:
            job_id = await self._calls.configure(offer, document, verb=verb)
        except Invalid as refusal:
            if failures.FULL in str(refusal).casefold():
                raise PlanFull(str(refusal)) from refusal
            raise
        if job_id is None:
            return None
        attempt.accepted(f"{JOB_PREFIX}{job_id}")
        return await self._follow(offer, job_id, verb, attempt.settle, is_done)

    async def finish_earlier(self, offer: OfferKey, verb: str, attempt: Attempt, is_done: IsDone) -> Job | None:
        """Follow the job of an earlier attempt to its end. If the job is unknown, wait until its effect shows."""
        if attempt.handle is not None:
            job_id = attempt.handle.removeprefix(JOB_PREFIX)
            return await self._follow(offer, job_id, verb, attempt.settle, is_done)
        if attempt.may_have_sent:
            await self.shows(is_done, attempt.settle)
        return None

    async def shows(self, is_done: IsDone, time: timedelta) -> bool:
        """Wait until the effect of a write without a known job shows. Return whether it does."""
        for pause in _pauses(min(time, PATIENCE)):
            if await is_done():
                return True
            await self._pause(pause)
        return await is_done()

    async def _follow(
        self, offer: OfferKey, job_id: str, verb: str, settle: timedelta, is_done: IsDone
    ) -> Job | None:
        """Follow a job to its end. Return ``None`` if the service does not know the job.

        Args:
            offer: The offer.
            job_id: The job.
            verb: What the job is for, in a person's words.
            settle: How long the service may not know the job yet.
            is_done: Ends the wait for an unknown job.

        Raises:
            Unavailable: The job has not ended within `PATIENCE`.
        """
        job: Job | None = None
        unknown = timedelta(0)
        for pause in _pauses(PATIENCE):
            job = None
            with suppress(NotFound):
                job = jobs.read(await self._calls.job(offer, job_id))
            if job is not None and job.progress.has_ended:
                return job
            if job is None:
                if unknown >= settle or await is_done():
                    return None
                unknown += pause
            await self._pause(pause)
        if job is None:
            return None
        call = f"{verb} {offer}"
        raise Unavailable(
            f"{call}: the marketplace's job {one_line(job_id, 100)} has not ended after {PATIENCE}; the next attempt"
            " follows it",
            call=call,
        )


def warnings_of(job: Job | None) -> list[str]:
    """Return a warning for a job that failed or was cancelled and had its effect all the same."""
    if job is None or job.progress is JobProgress.SUCCEEDED:
        return []
    ended = "was cancelled" if job.progress is JobProgress.CANCELED else "failed"
    return [f"The marketplace's job {ended}, yet the draft holds what was asked for: {_reason(job)}"]


def write_error(offer: OfferKey, verb: str, job: Job | None) -> Exception:
    """Return the error of a write that did not have its effect."""
    call = f"{verb} {offer}"
    if job is None:
        return Unreadable(
            f"{call}: the marketplace accepted the request, does not say what became of it, and does not show it yet",
            call=call,
        )
    if job.progress is JobProgress.CANCELED:
        return Conflict(f"{call}: somebody cancelled the job in between: {_reason(job)}", call=call, status=_CONFLICT)
    sentence = f"{call}: the marketplace's job failed: {_reason(job)}"
    if failures.is_full(job.errors):
        return PlanFull(f'{sentence} - deprecate versions in Partner Center, or set when_full to "remove_oldest"')
    error = failures.error_of(job.errors)
    if error is Invalid:
        sentence += " - correct the offer's draft or the input, and start the run again"
    return error(sentence, call=call, status=_CONFLICT if error is Conflict else None)


def _reason(job: Job) -> str:
    return one_line("; ".join(failures.innermost(job.errors)) or "no reason given", MAX_WORDS)


def _pauses(time: timedelta) -> Iterator[timedelta]:
    """Yield increasing pauses until their sum reaches ``time``."""
    waited, pause = timedelta(0), FIRST_PAUSE
    while waited < time:
        yield pause
        waited, pause = waited + pause, min(2 * pause, LONGEST_PAUSE)
