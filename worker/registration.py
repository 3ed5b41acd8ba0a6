"""Creates workers with their workflows, activities and interceptors. Tests and the replayer use the same."""

import dataclasses
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.worker import Interceptor, PollerBehaviorAutoscaling, Worker, WorkerDeploymentConfig

from activities.notifications import Notification, NotificationActivities, Webhook, as_json
from activities.offers import OfferActivities
from activities.operations import OperationActivities
from marketplace.protocol import Marketplace
from worker.activity_gate import ActivityGate
from worker.context_free import ContextFreeRunner
from worker.failures import PlainFailures
from worker.measured_runs import MeasuredRuns
from worker.one_payload import OnePayloadEach
from workflows.check_last_operation_status import CheckLastOperationStatus
from workflows.create_offer_and_publish import CreateOfferAndPublish
from workflows.notify import Notify
from workflows.update_offer_and_publish import UpdateOfferAndPublish
from workflows.validate_and_go_live import ValidateAndGoLive
from workflows.write_draft import WriteDraft

WORKFLOWS: list[type] = [
    CreateOfferAndPublish,
    UpdateOfferAndPublish,
    ValidateAndGoLive,
    CheckLastOperationStatus,
    WriteDraft,
    Notify,
]

DRAIN = timedelta(seconds=30)
"""How long running activities may take to finish after the worker is asked to stop."""

WORKFLOW_TASKS = 40
"""Concurrent workflow tasks: those that wait for a local activity, and a few that compute. Python computes one at a
time. With many more, when thousands of runs start at once, the SDK would take the slowest for a deadlock."""

LOCAL_ACTIVITIES = 32
"""Concurrent local activities. Each holds a workflow task while it waits for the marketplace."""

AT_WORK = 3
"""Concurrent activities per request per second that the marketplace allows.

With this many, the rate is fully used even if the marketplace takes three seconds to answer. With no more than these,
each activity finishes well before its attempt times out. The others wait in the task queue, where people see them,
where publishers take turns, and where waiting uses up no attempt.
"""

MOST_AT_WORK = 100

HEARTBEAT_AT_ONCE = timedelta(milliseconds=200)
"""Heartbeats carry details such as the marketplace's ID of a request. A worker that is killed before it sends one
loses the details. By default the SDK can hold a heartbeat back for seconds."""


def create_activities(
    marketplace: Marketplace,
    webhook: Webhook | None = None,
    approvers: Sequence[str] = (),
    write: Callable[[Notification, str], str] = as_json,
) -> list[Callable[..., Any]]:
    """Create the activities, which share a marketplace client and a webhook."""
    offers = OfferActivities(marketplace, approvers)
    operations = OperationActivities(marketplace, approvers)
    return [
        offers.survey,
        offers.put_offer,
        offers.edit_images,
        operations.publish,
        operations.go_live,
        operations.cancel_operation,
        operations.look,
        operations.verify_live,
        NotificationActivities(webhook, write).notify,
    ]


def create_data_converter(codec: PayloadCodec | None = None) -> DataConverter:
    """Create the data converter: pydantic's JSON, encrypted if there is a codec."""
    return dataclasses.replace(pydantic_data_converter, payload_codec=codec, failure_converter_class=PlainFailures)


def create_interceptors() -> Sequence[Interceptor]:
    """Create the interceptors that a worker and a replayer share."""
    return [OnePayloadEach()]


def create_worker(
    client: Client,
    task_queue: str,
    marketplace: Marketplace,
    webhook: Webhook | None = None,
    *,
    requests_per_second: float | None = None,
    publishers: Sequence[str] = (),
    approvers: Sequence[str] = (),
    write: Callable[[Notification, str], str] = as_json,
    tracing: Sequence[Interceptor] = (),
    deployment_version: WorkerDeploymentVersion | None = None,
    **options: Any,
) -> Worker:
    """Create a worker.

    Args:
        client: A client with the converter of `create_data_converter`.
        task_queue: The task queue.
        marketplace: The marketplace client.
        webhook: Receives notifications.
        requests_per_second: The rate limit of all workers of the task queue together.
        publishers: The publishers whose offers may be acted on; empty for all.
        approvers: The approvers that every run requires, whatever its input says; empty for no such policy.
        write: Renders a notification for the webhook.
        tracing: Interceptors for tracing.
        deployment_version: The worker deployment version; ``None`` for an unversioned worker.
        options: Further arguments of `temporalio.worker.Worker`.
    """
    is_paced = requests_per_second is not None
    gate = ActivityGate(
        [each.__name__ for each in WORKFLOWS],
        # Local activities bypass the task queue, where publishers take turns and share the rate.
        local=0 if is_paced else LOCAL_ACTIVITIES,
        publishers=publishers,
    )
    return Worker(
        client,
        task_queue=task_queue,
        workflows=WORKFLOWS,
        activities=create_activities(marketplace, webhook, approvers, write),
        workflow_runner=ContextFreeRunner(),
        interceptors=[*tracing, *create_interceptors(), MeasuredRuns(), gate],
        graceful_shutdown_timeout=DRAIN,
        max_concurrent_workflow_tasks=WORKFLOW_TASKS,
        max_concurrent_activities=_concurrent_activities(requests_per_second),
        # Eager activities bypass the task queue, and overtake those that wait in it.
        disable_eager_activity_execution=is_paced,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        max_heartbeat_throttle_interval=HEARTBEAT_AT_ONCE,
        # After this long, another worker takes over the runs of a worker that was killed.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        deployment_config=_auto_upgrade(deployment_version),
        **options,
    )


def _concurrent_activities(requests_per_second: float | None) -> int | None:
    """Return how many activities may run at once; ``None`` for the SDK's default."""
    if requests_per_second is None:
        return None
    return min(max(round(requests_per_second * AT_WORK), 1), MOST_AT_WORK)


def _auto_upgrade(version: WorkerDeploymentVersion | None) -> WorkerDeploymentConfig | None:
    """Return a configuration under which runs move to the current version.

    New workers can replay what old workers began. Runs last for weeks. Pinned runs would keep every old worker, with
    its defects and its credentials, for as long.
    """
    if version is None:
        return None
    return WorkerDeploymentConfig(
        version=version, use_worker_versioning=True, default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE
    )
