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

from cli.connection import PASSING, is_no_namespace
from cli.statuses import OF_ERROR, CommandError, Status
from marketplace.wording import one_line
from workflows.messages import Progress
from workflows.search_attributes import PUBLISH_STAGE

ANSWERED_WITHIN = timedelta(seconds=5)
TRY_AGAIN = 1.0
"""Seconds."""

MAX_SAID = 3000
ENCRYPTED = "is encrypted with a key that is not in PAYLOAD_ENCRYPTION_KEYS"
WAS_CANCELED = "The run was cancelled"
WAS_TERMINATED = "The run was terminated"
NO_REASON = "Workflow terminated"
"""The SDK's message for a run that was terminated without a reason."""


@dataclass(frozen=True)
class End:
    """How a publication ended.

    Attributes:
        result: The result; ``None`` if there is none or it cannot be read.
        error: Type and message of the error.
        remark: Why the result cannot be read.
        progress: The last progress of a run that ended badly, if a worker answered.
    """

    status: Status
    result: dict[str, Any] | None = None
    error: str | None = None
    remark: str | None = None
    progress: Progress | None = None


@dataclass(frozen=True)
class Look:
    """The state of a publication at one moment.

    Attributes:
        length: Events in the history. Any change makes it grow.
        stage: The search attribute, which is readable without a worker and without keys.
        progress: The run's answer to the query ``progress``.
        trouble: Why there is no answer, and which activities keep failing.
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
    """The runs of one start. Another publication may use the workflow ID later."""

    def __init__(self, client: Client, workflow_id: str, run_id: str, first_run_id: str) -> None:
        """Begin at one of its runs. Each run names the first one of its chain."""
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
        found = await described(client, workflow_id)
        return cls(client, workflow_id, found.run_id, _first(found))

    async def look(self, before: Look | None = None) -> Look:
        """Return the present state.

        Args:
            before: The last look. If nothing has happened since, the worker is not queried again.

        Raises:
            RPCError: Temporal does not answer, or refuses.
        """
        newest = await self._newest()
        length = newest.history_length
        known = before is not None and before.progress is not None and before.length == length
        if before is not None and known and before.run_id == newest.run_id:
            progress, trouble = before.progress, list[str]()
        else:
            progress, trouble = await self._progress(newest)
        trouble += [_failing(each) for each in newest.raw_description.pending_activities if _keeps_failing(each)]
        return Look(
            workflow=newest.workflow_type,
            workflow_id=self._workflow_id,
            run_id=newest.run_id,
            length=length,
            running=newest.status is WorkflowExecutionStatus.RUNNING,
            stage=newest.typed_search_attributes.get(PUBLISH_STAGE),
            progress=progress,
            trouble=tuple(filter(None, trouble)),
        )

    async def end(self, away: Callable[[str | None], None] = lambda _why: None) -> End:
        """Wait for the end, for days if need be, even while the server is away.

        Args:
            away: Called with a reason when Temporal does not answer, and with ``None`` when it answers again.

        Raises:
            RPCError: Temporal refuses.
        """
        is_away = False
        while True:
            try:
                if is_away:
                    await self._newest()
                    is_away = False
                    away(None)
                try:
                    return _ended_well(await self._handle(self._run_id).result())
                except WorkflowFailureError as failure:
                    if not isinstance(failure.cause, TerminatedError) or not await self._goes_on():
                        return ended_badly(failure.cause)
            except RPCError as error:
                if error.status not in PASSING:
                    raise
                if not is_away:
                    away(reason(error))
                is_away = True
                await asyncio.sleep(TRY_AGAIN)

    async def last_progress(self) -> Progress | None:
        """Return the progress of a run that has ended; ``None`` if no worker answers within a few seconds."""
        try:
            return (await self._progress(await self._newest()))[0]
        except RPCError:
            return None

    async def _goes_on(self) -> bool:
        """Whether a terminated run goes on in another one, because of ``temporal workflow reset``."""
        ended = self._run_id
        try:
            return (await self._newest()).run_id != ended
        except RPCError as error:
            if error.status in PASSING:
                raise
            return False

    async def _newest(self) -> WorkflowExecutionDescription:
        """Describe the newest run, and go on from it: the history of an earlier run may be deleted."""
        newest = await self._handle(None).describe(rpc_timeout=ANSWERED_WITHIN)
        if _first(newest) == self._first_run_id:
            self._run_id = newest.run_id
            return newest
        # Somebody has started another publication under this ID.
        return await self._handle(self._run_id).describe(rpc_timeout=ANSWERED_WITHIN)

    async def _progress(self, run: WorkflowExecutionDescription) -> tuple[Progress | None, list[str]]:
        """Query the run's progress. Return it, or the reason why there is none."""
        try:
            answer = await self._handle(run.run_id).query(
                "progress", result_type=RawValue, rpc_timeout=ANSWERED_WITHIN
            )
        except WorkflowQueryFailedError as error:
            return None, [f"The run does not answer the query: {one_line(str(error), MAX_SAID)}"]
        except RPCError as error:
            if error.status in {RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED}:
                raise
            return None, [f"No worker of task queue {run.task_queue} answers. The run goes on as soon as one does."]
        data = readable(answer)
        if data is None:
            return None, [f"The run's progress {ENCRYPTED}."]
        try:
            return Progress.model_validate_json(data), []
        except ValidationError:
            return None, ["The run's progress cannot be read: the worker and this command are of different versions."]

    def _handle(self, run_id: str | None) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(self._workflow_id, run_id=run_id, result_type=RawValue)


async def described(client: Client, workflow_id: str) -> WorkflowExecutionDescription:
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


def readable(value: RawValue | None) -> bytes | None:
    """Return the JSON of a payload; ``None`` if it could not be decrypted."""
    if value is None:
        return b"null"
    encoding = value.payload.metadata.get("encoding", b"")
    return None if encoding == b"binary/encrypted" else value.payload.data or b"null"


def reason(error: RPCError) -> str:
    """Return briefly why Temporal did not answer."""
    return one_line(error.message.rstrip("."), 200) or error.status.name.lower().replace("_", " ")


def ended_badly(cause: BaseException) -> End:
    """Return the end of a run that failed, was cancelled or terminated."""
    if isinstance(cause, ApplicationError):
        kind = cause.type or "ApplicationError"
        return End(OF_ERROR.get(kind, Status.ELSE), error=one_line(f"{kind}: {cause.message}", MAX_SAID))
    if isinstance(cause, CancelledError):
        return End(Status.CANCELED, error=f"{WAS_CANCELED}.")
    if isinstance(cause, TerminatedError):
        why = f": {cause.message}" if cause.message not in {"", NO_REASON} else ""
        return End(Status.CANCELED, error=one_line(f"{WAS_TERMINATED}{why}.", MAX_SAID))
    return End(Status.ELSE, error=one_line(f"The run ended otherwise: {cause}", MAX_SAID))


def _ended_well(value: RawValue | None) -> End:
    data = readable(value)
    if data is None:
        return End(Status.WELL, remark=f"The run ended well. Its result {ENCRYPTED}.")
    result = json.loads(data)
    return End(Status.WELL, result=result if isinstance(result, dict) else {"result": result})


def _first(description: WorkflowExecutionDescription) -> str:
    return description.raw_description.workflow_execution_info.first_run_id or description.run_id


def _keeps_failing(activity: PendingActivityInfo) -> bool:
    return activity.attempt > 1 and activity.HasField("last_failure")


def _failing(activity: PendingActivityInfo) -> str:
    """Describe an activity that keeps failing, and when its next attempt is due."""
    name = activity.activity_type.name.replace("_", " ")
    tried = f"{name}, attempt {activity.attempt - 1}: {one_line(activity.last_failure.message, 300)}"
    if activity.paused:
        return f"{tried} (paused)"
    if activity.HasField("next_attempt_schedule_time"):
        moment = activity.next_attempt_schedule_time.ToDatetime()
        return f"{tried} (again at {moment:%Y-%m-%d %H:%M:%S} UTC)"
    return tried
