"""Workflow histories for the campaigns, and one rule that holds for every history."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecutionStatus


@dataclass(frozen=True)
class History:
    """The history of one workflow run, up to its end or its continue-as-new."""

    workflow_id: str
    run_id: str
    status: WorkflowExecutionStatus | None
    events: Sequence[HistoryEvent]

    @property
    def first_run_id(self) -> str:
        """The first run of the chain that this run belongs to."""
        started = self.events[0].workflow_execution_started_event_attributes
        return started.first_execution_run_id or self.run_id


_HARMLESS = {
    # A signal arrived while the worker reported the end of the run. The server repeats the task with the signal.
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
    # The worker shut down while it held the task.
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_STICKY_TASK_QUEUE,
    # The run was terminated while a worker held its task.
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND,
}


def failing_tasks(history: History) -> Iterator[str]:
    """Yield the workflow tasks that our code failed. Temporal retries such a task forever."""
    for event in history.events:
        if event.event_type != EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            continue
        failed = event.workflow_task_failed_event_attributes
        if failed.cause in _HARMLESS:
            continue
        yield f"{history.workflow_id}: {WorkflowTaskFailedCause.Name(failed.cause)}: {failed.failure.message}"
