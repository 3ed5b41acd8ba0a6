"""How activities are run: how long a try may take, how often it is tried, what the UI calls it."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig, LocalActivityConfig

with workflow.unsafe.imports_passed_through():
    from workflows.search_attributes import PUBLISHER_ID

PATIENTLY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(minutes=5),
    # A fact of more than the server's 2 MiB will not shrink by trying again.
    non_retryable_error_types=["PayloadsTooLarge"],
)
"""Without end: the time that a stage is given bounds it, not a number of tries."""

READ = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=timedelta(seconds=20),
    retry_policy=PATIENTLY,
)

EDIT = ActivityConfig(
    # The service downloads artifacts before it answers a put.
    start_to_close_timeout=timedelta(minutes=30),
    heartbeat_timeout=timedelta(seconds=20),
    retry_policy=PATIENTLY,
)

START = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=timedelta(seconds=20),
    # What starts or cancels an operation is never broken off: its outcome is waited for.
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry_policy=PATIENTLY,
)

VERIFY = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=timedelta(seconds=20),
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


def at_once(summary: str) -> LocalActivityConfig:
    """Give an activity one short try within the workflow task.

    As long as it takes it keeps the run's queries and updates waiting, and one of the few workflow tasks at a time.
    """
    return LocalActivityConfig(
        start_to_close_timeout=timedelta(seconds=1),
        retry_policy=RetryPolicy(maximum_attempts=1),
        summary=short(summary),
    )


def short(summary: str) -> str:
    """Cut a summary to what the UI takes."""
    if len(summary.encode()) <= MAX_SUMMARY:
        return summary
    return summary.encode()[: MAX_SUMMARY - 4].decode(errors="ignore") + " …"
