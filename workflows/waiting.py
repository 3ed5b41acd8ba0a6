"""Waits on a durable timer, which a signal can cut short, for a person, or for an answer that changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.workflow import ActivityConfig

with workflow.unsafe.imports_passed_through():
    from workflows import history
    from workflows.calls import LOCAL_ATTEMPT, Answer, Request, call_locally, short
    from workflows.errors import final
    from workflows.inputs import NOTHING
    from workflows.logbook import Logbook

AT_LEAST = timedelta(milliseconds=1)

BETWEEN_LOOKS = timedelta(seconds=1)
"""The shortest time between two looks because of ``check_now``. A look holds the workflow task, and Temporal fails
the task when too many signals arrive meanwhile."""

MANY = 100
"""After this many signals a waiting run looks again, and may continue as new: each signal makes its history grow."""


class Waiting:
    """The waits of a run. A run continues as new only in `until`, where nothing else is in progress.

    Attributes:
        request: The run's input, which it is continued with.
        now: The time that the run decides by: ``workflow.now()`` when a timer, a signal or an ordinary activity woke
            it last. A local activity does not advance it: after one, a replay sees a later workflow time.
    """

    def __init__(self, logbook: Logbook) -> None:
        self._logbook = logbook
        self._look_now = False
        self._has_looked = False
        self._heard = 0
        self.request = NOTHING
        self.now = workflow.now()

    def heard(self) -> None:
        """Count a signal."""
        self._heard += 1
        if self._heard >= MANY and history.has_room():
            self._heard, self._look_now = 0, True

    def check_now(self) -> None:
        """Cut the wait short. A run that cannot continue as new ignores it once its history has grown long."""
        if history.has_room():
            self._look_now = True
        else:
            self._logbook.note("check_now is not heeded any more: the history of this run has grown long")

    async def until(
        self, moment: datetime, summary: str, ready: Callable[[], bool] = lambda: False, *, ends: bool = False
    ) -> bool:
        """Wait until a moment, until something is ready, or until somebody asks for a look now.

        Args:
            moment: When the wait ends at the latest.
            summary: The timer's summary in the UI.
            ready: Ends the wait when it returns true.
            ends: Whether the run ends at that moment. Otherwise it looks again, and may continue as new first.

        Returns:
            Whether the moment has come.
        """
        while not ready():
            if self._look_now and not self._has_looked:
                self._look_now, self._has_looked = False, True
                return False
            too_soon = self._look_now
            try:
                await workflow.wait_condition(
                    partial(self._is_woken, ready, self._look_now),
                    timeout=BETWEEN_LOOKS if too_soon else max(moment - workflow.now(), AT_LEAST),
                    timeout_summary=short(summary),
                )
                come = False
            except TimeoutError:
                come = not too_soon
                self._has_looked = False
            except asyncio.CancelledError:
                self.now = workflow.now()  # what is cancelled at the marketplace is followed from now on
                raise
            self.now = workflow.now()
            if history.is_long() and not ready() and not (come and ends):
                history.continue_as_new(self.request, self._logbook.publication)
            if come and not ready():
                return True
        return False

    def _is_woken(self, ready: Callable[[], bool], asked_before: bool) -> bool:  # noqa: FBT001
        """Whether the run has something to do."""
        return ready() or self._look_now != asked_before

    async def read(
        self, method: Callable[[Any, Request], Awaitable[Answer]], request: Request, config: ActivityConfig
    ) -> Answer:
        """Call an activity that changes nothing: first as a local activity, and as an ordinary one when that fails.

        The local attempt costs one event and no further workflow task. It is short: anything longer runs as an
        ordinary activity, which people see as pending and can pause or reset.

        Args:
            method: The activity.
            request: The activity's input.
            config: Options of the ordinary activity. Its time to completion includes the time that the service asks
                to stay away after the local attempt.

        Raises:
            ApplicationError: The local attempt failed for good.
            ActivityError: The ordinary activity failed.
        """
        try:
            return await call_locally(method, request, LOCAL_ATTEMPT, config.get("summary"))
        except ApplicationError as error:
            if error.non_retryable:
                raise
            asked = error.next_retry_delay
        try:
            if asked is not None:
                config = await _stay_away(asked, config)
            return await workflow.execute_activity_method(method, request, **config)
        finally:
            if workflow.in_workflow():  # not when Python disposes of a run that its worker has evicted
                self.now = workflow.now()

    def time_left(self) -> timedelta:
        """Return how long the run may still wait for the marketplace."""
        return max(self._logbook.publication.wait_until - self.now, timedelta(seconds=1))

    async def pause(self, what: str, interval: timedelta) -> None:
        """Wait for the marketplace, or for others, until the next look.

        Args:
            what: What the run is waiting for.
            interval: How long to wait.

        Raises:
            ApplicationError: ``OperationTimedOut``: the run's deadline is over.
        """
        publication = self._logbook.publication
        if self.now >= publication.wait_until:
            raise final(
                "OperationTimedOut",
                f"{publication.offer}: waited for {what} until the run's deadline was over. Nothing was cancelled:"
                " start the run again to go on waiting.",
            )
        self._logbook.waits_for(what)
        await self.until(self.now + min(interval, self.time_left()), f"Wait for {what}")


async def _stay_away(asked: timedelta, config: ActivityConfig) -> ActivityConfig:
    """Wait as long as the service asked for, but no longer than the whole call may take; return the rest of it."""
    allowed = config.get("schedule_to_close_timeout") or asked
    await workflow.sleep(min(asked, allowed), summary="The marketplace sent Retry-After")
    return config | ActivityConfig(schedule_to_close_timeout=max(allowed - asked, timedelta(seconds=1)))


async def heed_cancellation() -> None:
    """Raise if the run has been cancelled, before it starts anything new.

    A cancellation is delivered once. A run that waits for an uninterruptible activity gets the activity's result
    instead. A run that is cancelled before its first step gets the cancellation only when it waits. It waits here:
    otherwise the cancellation would interrupt the cancelling of the run's operation.
    """
    if workflow.cancellation_reason() is not None:
        await asyncio.sleep(0)
        raise asyncio.CancelledError
