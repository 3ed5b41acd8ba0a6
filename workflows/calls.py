"""How activities are called: how long an attempt may take, how often it is repeated, what the UI shows."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.exceptions import TimeoutError as TemporalTimeoutError
from temporalio.workflow import ActivityCancellationType, ActivityConfig

with workflow.unsafe.imports_passed_through():
    from workflows.search_attributes import PUBLISHER_ID

Request = TypeVar("Request")
Answer = TypeVar("Answer")

LOST_AFTER = timedelta(seconds=10)
"""How long nothing may be heard of an activity until its worker counts as lost."""

PATIENTLY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(minutes=5),
    # A fact of more than the server's 2 MiB does not shrink when it is sent again.
    non_retryable_error_types=["PayloadsTooLarge"],
)
"""Without end: the time that a stage is given bounds it, not a number of attempts."""

READ = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=LOST_AFTER,
    retry_policy=PATIENTLY,
)

EDIT = ActivityConfig(
    # The service downloads artifacts before it answers a put.
    start_to_close_timeout=timedelta(minutes=30),
    heartbeat_timeout=LOST_AFTER,
    retry_policy=PATIENTLY,
)

START = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=LOST_AFTER,
    # What starts or cancels an operation is never broken off: its outcome is waited for.
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry_policy=PATIENTLY,
)

VERIFY = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=LOST_AFTER,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        backoff_coefficient=1.5,
        maximum_interval=timedelta(minutes=10),
    ),
)

NOTIFY = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=20),
    retry_policy=RetryPolicy(maximum_attempts=5),
)

NOTIFY_FOR_DAYS = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=20),
    retry_policy=RetryPolicy(initial_interval=timedelta(minutes=1), maximum_interval=timedelta(hours=1)),
)

ONE_ATTEMPT = RetryPolicy(maximum_attempts=1)

LOCAL_ATTEMPT = timedelta(seconds=2)
"""How long a call may hold its run's workflow task, and with it the run's queries and updates."""

MAX_FAIRNESS_KEY = 64
"""Characters; the server's limit, in bytes, and publisher ids are ASCII."""

MAX_SUMMARY = 200
"""Bytes; the documented limit of a summary."""


def within(time: timedelta, config: ActivityConfig, summary: str) -> ActivityConfig:
    """Give an activity its share of the run's time, and a summary that a person can read."""
    publisher = workflow.info().typed_search_attributes.get(PUBLISHER_ID, "")
    return config | ActivityConfig(
        schedule_to_close_timeout=time,
        summary=short(summary),
        # Publishers take turns where activities wait, on a server whose fairness is on; on others it does nothing.
        priority=Priority(fairness_key=publisher[:MAX_FAIRNESS_KEY]),
    )


async def read(
    method: Callable[[Any, Request], Awaitable[Answer]], request: Request, config: ActivityConfig
) -> Answer:
    """Call an activity that changes nothing: first as a local activity, and as an ordinary one when that fails.

    The local attempt costs one event and no workflow task of its own. It is one short attempt: all that takes
    longer happens where people see it as pending and can pause or reset it.

    Args:
        method: The activity.
        request: Its input.
        config: How the ordinary activity is run.

    Raises:
        ApplicationError: The local attempt failed for good.
        ActivityError: The ordinary activity failed.
    """
    try:
        return await at_once(method, request, LOCAL_ATTEMPT, config.get("summary"))
    except ApplicationError as error:
        if error.non_retryable:
            raise
        if error.next_retry_delay is not None:
            await _stay_away(error.next_retry_delay, config)
    return await workflow.execute_activity_method(method, request, **config)


async def at_once(
    method: Callable[[Any, Request], Awaitable[Answer]], request: Request, time: timedelta, summary: str | None
) -> Answer:
    """Call an activity as a local one, within the workflow task: one attempt, which costs one event.

    Raises:
        ApplicationError: It failed, or took too long.
    """
    try:
        return await workflow.execute_local_activity_method(
            method, request, start_to_close_timeout=time, retry_policy=ONE_ATTEMPT, summary=summary
        )
    except (ActivityError, TemporalTimeoutError) as error:
        # What took too long raises the first when it happens, and the second when it is replayed.
        if is_cancelled_exception(error):
            raise
        raise ApplicationError("it took too long", type="TimedOut") from error


async def _stay_away(asked: timedelta, config: ActivityConfig) -> None:
    """Wait as long as the service asked for, but no longer than the call may take altogether."""
    allowed = config.get("schedule_to_close_timeout")
    await workflow.sleep(min(asked, allowed) if allowed else asked, summary="The marketplace asked for patience")


def short(summary: str) -> str:
    """Cut a summary to what the UI takes."""
    if len(summary.encode()) <= MAX_SUMMARY:
        return summary
    return summary.encode()[: MAX_SUMMARY - 4].decode(errors="ignore") + " …"
