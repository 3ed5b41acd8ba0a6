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
"""Without a heartbeat for this long, an activity's worker counts as lost."""

PATIENTLY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(minutes=5),
    # A payload beyond the server's 2 MiB does not shrink on the next attempt.
    non_retryable_error_types=["PayloadsTooLarge"],
)
"""Unlimited attempts: a stage is bounded by its time instead."""

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
    # An activity that starts or cancels an operation is never interrupted: its outcome matters.
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
    return config | ActivityConfig(schedule_to_close_timeout=time, summary=short(summary), priority=fair_priority())


def fair_priority() -> Priority:
    """Return the priority of the run's activities and children.

    With fairness enabled on the server, publishers take turns when activities queue up. An internal run has the
    priority that its parent gave it.
    """
    publisher = workflow.info().typed_search_attributes.get(PUBLISHER_ID)
    return Priority(fairness_key=publisher[:MAX_FAIRNESS_KEY]) if publisher else workflow.info().priority


async def call_locally(
    method: Callable[[Any, Request], Awaitable[Answer]], request: Request, time: timedelta, summary: str | None
) -> Answer:
    """Call an activity as a local activity, within the workflow task: one attempt, which costs one event.

    Raises:
        ApplicationError: It failed, or took too long.
    """
    try:
        return await workflow.execute_local_activity_method(
            method, request, start_to_close_timeout=time, retry_policy=ONE_ATTEMPT, summary=summary
        )
    except (ActivityError, TemporalTimeoutError) as error:
        # A local activity that times out raises the first when it runs, and the second on replay.
        if is_cancelled_exception(error):
            raise
        raise ApplicationError("it took too long", type="TimedOut") from error


def short(summary: str) -> str:
    """Cut a summary to the length that the UI accepts."""
    if len(summary.encode()) <= MAX_SUMMARY:
        return summary
    return summary.encode()[: MAX_SUMMARY - 4].decode(errors="ignore") + " …"
