"""Publications: chains of runs, each of which continued the last one as new."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, CancelledError, TerminatedError
from temporalio.service import RPCError, RPCStatusCode

from cli.connection import TRANSIENT, is_no_namespace
from cli.statuses import STATUS_OF_ERROR, CommandError, Status
from marketplace.wording import one_line
from worker.encryption import ENCODING
from workflows.messages import Progress
from workflows.search_attributes import PUBLISH_STAGE

RPC_TIMEOUT = timedelta(seconds=5)
RETRY_INTERVAL = 1.0
"""Seconds."""

MAX_MESSAGE = 3000
ENCRYPTED = "is encrypted with a key that is not in PAYLOAD_ENCRYPTION_KEYS"
WAS_CANCELED = "The run was cancelled"
WAS_TERMINATED = "The run was terminated"
NO_REASON = "Workflow terminated"
"""The SDK's message for a run that was terminated without a reason."""


@dataclass(frozen=True)
class Ending:
    """How a publication ended.

    Attributes:
        result: The result; ``None`` if there is none or it cannot be read.
        error: The type and the message of the error.
        explanation: What to tell a person if the result cannot be read.
        progress: The last progress of a run that ended badly, if a worker answered.
    """

    status: Status
    result: dict[str, Any] | None = None
    error: str | None = None
    explanation: str | None = None
    progress: Progress | None = None


@dataclass(frozen=True)
class Snapshot:
    """The state of a publication at one moment.

    Attributes:
        length: The number of events in the history. It grows with every change.
        stage: The search attribute, which is readable without a worker and without keys.
        progress: The run's answer to the query ``progress``.
        trouble: Why the query was not answered, and which activities are retried.
    """

    workflow: str
    workflow_id: str
    run_id: str
    length: int
    running: bool
    stage: str | None
    progress: Progress | None
    trouble: tuple[str, ...] = ()


class Publication:
    """The chain of runs that one start began. Another publication may use the workflow ID later."""

    def __init__(self, client: Client, workflow_id: str, run_id: str, first_run_id: str) -> None:
        """Refer to a publication by one of its runs and by the first run of its chain."""
        self._client = client
        self._workflow_id = workflow_id
        self._run_id = run_id
        self._first_run_id = first_run_id

    @classmethod
    async def find(cls, client: Client, workflow_id: str) -> "Publication":
        """Return the newest publication with a workflow ID.

        Raises:
            CommandError: There is none.
        """
        found = await describe_newest(client, workflow_id)
        return cls(client, workflow_id, found.run_id, _first_run_id(found))

    async def snapshot(self, before: Snapshot | None = None) -> Snapshot:
        """Return the present state.

        Args:
            before: The last snapshot. If nothing has happened since, the worker is not queried again.

        Raises:
            RPCError: Temporal does not answer, or refuses.
        """
        newest = await self._newest()
        length = newest.history_length
        progress: Progress | None = None
        trouble: list[str] = []
        if before is not None and (before.run_id, before.length) == (newest.run_id, length):
            progress = before.progress
        if progress is None:
            progress, trouble = await self._progress(newest)
        trouble += [
            _activity_trouble(each) for each in newest.raw_description.pending_activities if _is_retried(each)
        ]
        return Snapshot(
            workflow=newest.workflow_type,
            workflow_id=self._workflow_id,
            run_id=newest.run_id,
            length=length,
            running=newest.status is WorkflowExecutionStatus.RUNNING,
            stage=newest.typed_search_attributes.get(PUBLISH_STAGE),
            progress=progress,
            trouble=tuple(filter(None, trouble)),
        )

    async def wait(self, on_outage: Callable[[str | None], None] = lambda _reason: None) -> Ending:
        """Wait until the publication has ended, through outages of the server.

        Args:
            on_outage: Called with a reason when Temporal does not answer, and with ``None`` when it answers again.

        Raises:
            RPCError: Temporal refuses.
        """
        is_out = False
        while True:
            try:
                if is_out:
                    await self._newest()
                    is_out = False
                    on_outage(None)
                try:
                    return _ending_of_result(await self._handle(self._run_id).result())
                except WorkflowFailureError as error:
                    if not isinstance(error.cause, TerminatedError) or not await self._was_reset():
                        return ending_of_failure(error.cause)
            except RPCError as error:
                if error.status not in TRANSIENT:
                    raise
                if not is_out:
                    on_outage(outage_reason(error))
                is_out = True
                await asyncio.sleep(RETRY_INTERVAL)

    async def last_progress(self) -> Progress | None:
        """Return the progress of a run that has ended; ``None`` if no worker answers within a few seconds."""
        try:
            return (await self._progress(await self._newest()))[0]
        except RPCError:
            return None

    async def _was_reset(self) -> bool:
        """Return whether another run continues the terminated one, as after ``temporal workflow reset``."""
        ended = self._run_id
        try:
            return (await self._newest()).run_id != ended
        except RPCError as error:
            if error.status in TRANSIENT:
                raise
            return False

    async def _newest(self) -> WorkflowExecutionDescription:
        """Describe the newest run, and refer to it from now on. The histories of earlier runs may be deleted."""
        newest = await self._handle(None).describe(rpc_timeout=RPC_TIMEOUT)
        if _first_run_id(newest) == self._first_run_id:
            self._run_id = newest.run_id
            return newest
        # Somebody has started another publication under this ID.
        return await self._handle(self._run_id).describe(rpc_timeout=RPC_TIMEOUT)

    async def _progress(self, run: WorkflowExecutionDescription) -> tuple[Progress | None, list[str]]:
        """Query the run's progress. Return it, or why it cannot be read."""
        try:
            answer = await self._handle(run.run_id).query("progress", result_type=RawValue, rpc_timeout=RPC_TIMEOUT)
        except WorkflowQueryFailedError as error:
            return None, [f"The run does not answer the query: {one_line(str(error), MAX_MESSAGE)}"]
        except RPCError as error:
            if error.status in {RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED}:
                raise
            return None, [f"No worker of task queue {run.task_queue} answers. The run goes on as soon as one does."]
        data = decrypted(answer)
        if data is None:
            return None, [f"The run's progress {ENCRYPTED}."]
        try:
            return Progress.model_validate_json(data), []
        except ValidationError:
            return None, ["The run's progress cannot be read: the worker and this command are of different versions."]

    def _handle(self, run_id: str | None) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(self._workflow_id, run_id=run_id, result_type=RawValue)


async def describe_newest(client: Client, workflow_id: str) -> WorkflowExecutionDescription:
    """Describe the newest run with a workflow ID.

    Raises:
        CommandError: There is none.
    """
    try:
        return await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND and not is_no_namespace(error):
            raise CommandError(
                f"There is no run with the ID {workflow_id} in namespace {client.namespace}."
            ) from None
        raise


def decrypted(value: RawValue | None) -> bytes | None:
    """Return the JSON of a payload; ``None`` if no key decrypts it."""
    if value is None:
        return b"null"
    encoding = value.payload.metadata.get("encoding", b"")
    return None if encoding == ENCODING else value.payload.data or b"null"


def outage_reason(error: RPCError) -> str:
    """Return in a few words why Temporal does not answer."""
    return one_line(error.message.rstrip("."), 200) or error.status.name.lower().replace("_", " ")


def ending_of_failure(cause: BaseException) -> Ending:
    """Return how a run ended that failed, or was cancelled or terminated."""
    if isinstance(cause, ApplicationError):
        kind = cause.type or "ApplicationError"
        return Ending(
            STATUS_OF_ERROR.get(kind, Status.OTHER), error=one_line(f"{kind}: {cause.message}", MAX_MESSAGE)
        )
    if isinstance(cause, CancelledError):
        return Ending(Status.CANCELED, error=f"{WAS_CANCELED}.")
    if isinstance(cause, TerminatedError):
        why = f": {cause.message}" if cause.message not in {"", NO_REASON} else ""
        return Ending(Status.CANCELED, error=one_line(f"{WAS_TERMINATED}{why}.", MAX_MESSAGE))
    return Ending(Status.OTHER, error=one_line(f"The run ended with an unexpected error: {cause}", MAX_MESSAGE))


def _ending_of_result(value: RawValue | None) -> Ending:
    data = decrypted(value)
    if data is None:
        return Ending(Status.OK, explanation=f"The run ended well. Its result {ENCRYPTED}.")
    result = json.loads(data)
    return Ending(Status.OK, result=result if isinstance(result, dict) else {"result": result})


def _first_run_id(description: WorkflowExecutionDescription) -> str:
    return description.raw_description.workflow_execution_info.first_run_id or description.run_id


def _is_retried(activity: PendingActivityInfo) -> bool:
    return activity.attempt > 1 and activity.HasField("last_failure")


def _activity_trouble(activity: PendingActivityInfo) -> str:
    """Describe the last failure of an activity, and when its next attempt is due."""
    name = activity.activity_type.name.replace("_", " ")
    failure = f"{name}, attempt {activity.attempt - 1}: {one_line(activity.last_failure.message, 300)}"
    if activity.paused:
        return f"{failure} (paused)"
    if activity.HasField("next_attempt_schedule_time"):
        moment = activity.next_attempt_schedule_time.ToDatetime()
        return f"{failure} (again at {moment:%Y-%m-%d %H:%M:%S} UTC)"
    return failure
