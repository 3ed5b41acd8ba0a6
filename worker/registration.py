"""What the worker runs, in one place, so that worker, tests and replayer cannot drift apart."""

import dataclasses
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.worker import (
    ExecuteWorkflowInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    PollerBehaviorAutoscaling,
    Worker,
    WorkerDeploymentConfig,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from activities.notifications import Notification, NotificationActivities, Webhook, as_json
from activities.offers import OfferActivities
from activities.operations import OperationActivities
from marketplace.protocol import Marketplace
from worker.activity_gate import ActivityGate
from worker.context_free import ContextFreeRunner
from worker.failures import PlainFailures
from worker.measured_runs import MeasuredRuns
from workflows.check_last_operation_status import CheckLastOperationStatus
from workflows.create_offer_and_publish import CreateOfferAndPublish
from workflows.inputs import several
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
"""How long running activities may go on after the worker was told to stop."""

WORKFLOW_TASKS = 40
"""Workflow tasks at a time: those that wait for a local activity, and some that compute. Python computes one at a
time, and with many more, when thousands of runs are started at once, the SDK takes the slowest for a deadlock."""

LOCAL_ACTIVITIES = 32
"""Local activities at a time. Each holds a workflow task while it waits for the marketplace."""

AT_WORK = 3
"""Activities at work at a time for each request that is allowed a second.

So many that the marketplace may take three seconds to answer and all that is allowed is used. So few that none waits
long for its turns: each is done well before its try is over. The others wait in the task queue, where they are seen,
where publishers take turns, and where waiting costs no try.
"""

MOST_AT_WORK = 100

HEARTBEAT_AT_ONCE = timedelta(milliseconds=200)
"""What a heartbeat remembers, such as the marketplace's name of a request, is lost with a worker that is killed
before it is sent. By default the SDK may keep it for seconds."""


def activities(
    marketplace: Marketplace,
    webhook: Webhook | None = None,
    approvers: Sequence[str] = (),
    write: Callable[[Notification, str], str] = as_json,
) -> list[Callable[..., Any]]:
    """Return the activities, on one marketplace client and one webhook."""
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


def data_converter(codec: PayloadCodec | None = None) -> DataConverter:
    """Return how payloads and failures are written: pydantic's JSON, encrypted where there is a codec."""
    return dataclasses.replace(pydantic_data_converter, payload_codec=codec, failure_converter_class=PlainFailures)


def interceptors() -> Sequence[Interceptor]:
    """Return the interceptors of worker and replayer."""
    return [OnePayloadEach()]


def worker(
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
    """Make a worker.

    Args:
        client: Connected with `data_converter`.
        task_queue: Where to take tasks from.
        marketplace: The marketplace to act on.
        webhook: Where to tell people.
        requests_per_second: What the marketplace is asked at most, by all workers of the task queue together.
        publishers: Whose offers are acted on; empty: everybody's.
        approvers: Without one of them nothing goes live, whatever the input of a run says; empty: the input counts.
        write: Returns what the webhook gets.
        tracing: Interceptors that trace.
        deployment_version: The version of a worker deployment that this worker is of; ``None``: it is of none.
        options: More of `temporalio.worker.Worker`.
    """
    rate: dict[str, Any] = {}
    if requests_per_second is not None:
        rate = {
            "max_concurrent_activities": min(max(round(requests_per_second * AT_WORK), 1), MOST_AT_WORK),
            # Eager activities pass the task queue by, and with it those that wait there.
            "disable_eager_activity_execution": True,
        }
    versioning: dict[str, Any] = {}
    if deployment_version is not None:
        # Runs move to the current version. They last for weeks, and new workers replay what old ones began. Pinned
        # to the version that began them they would keep every old worker, its defects and its credentials, for weeks.
        versioning = {
            "deployment_config": WorkerDeploymentConfig(
                version=deployment_version,
                use_worker_versioning=True,
                default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
            )
        }
    return Worker(
        client,
        task_queue=task_queue,
        workflows=WORKFLOWS,
        activities=activities(marketplace, webhook, approvers, write),
        workflow_runner=ContextFreeRunner(),
        interceptors=[
            *tracing,
            *interceptors(),
            MeasuredRuns(),
            # Local activities pass the task queue by, where publishers take turns and its rate is shared.
            ActivityGate(
                [each.__name__ for each in WORKFLOWS],
                local=LOCAL_ACTIVITIES if requests_per_second is None else 0,
                publishers=publishers,
            ),
        ],
        graceful_shutdown_timeout=DRAIN,
        max_concurrent_workflow_tasks=WORKFLOW_TASKS,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        max_heartbeat_throttle_interval=HEARTBEAT_AT_ONCE,
        # After a worker was killed its runs are taken over this soon.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        **rate,
        **versioning,
        **options,
    )


class OnePayloadEach(Interceptor):
    """Keeps a start, signal or update with several payloads from being an endless task failure."""

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002, ARG002 - the SDK's name
    ) -> type[WorkflowInboundInterceptor]:
        """Return the interceptor of each workflow."""
        return _OnePayloadEach


class _OnePayloadEach(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002
        _one_payload(input)
        return await super().execute_workflow(input)

    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002
        _one_payload(input)
        await super().handle_signal(input)

    def handle_update_validator(self, input: HandleUpdateInput) -> None:  # noqa: A002
        _one_payload(input)
        super().handle_update_validator(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: A002
        _one_payload(input)
        return await super().handle_update_handler(input)


def _one_payload(call: ExecuteWorkflowInput | HandleSignalInput | HandleUpdateInput) -> None:
    if len(call.args) > 1:
        call.args = [several(len(call.args))]
