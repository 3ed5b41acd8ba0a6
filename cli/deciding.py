"""Sends decisions on going live."""

import asyncio
import json
import uuid
from typing import Any, NamedTuple

from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from cli.connection import TRANSIENT, is_no_namespace
from cli.runs import ENCRYPTED, MAX_MESSAGE, RETRY_INTERVAL, decrypted, describe_newest
from cli.statuses import CommandError
from marketplace.wording import one_line
from workflows.search_attributes import PUBLISH_STAGE

APPROVED_WORKFLOW = "ValidateAndGoLive"
"""The only workflow that asks for approval."""

MAX_WAIT = 60.0
"""Seconds to wait for a worker to accept the decision."""


class Answer(NamedTuple):
    """The answer to a decision.

    Attributes:
        decision: The accepted decision; ``None`` if it cannot be read.
        explanation: What to tell a person instead.
    """

    decision: dict[str, Any] | None
    explanation: str | None = None


async def decide(
    client: Client,
    workflow_id: str,
    *,
    approve: bool,
    approver: str | None,
    comment: str | None,
    max_wait: float = MAX_WAIT,
) -> Answer:
    """Approve or reject, and wait for the run's answer.

    Raises:
        CommandError: The run refuses the decision, there is nothing to decide, or no worker answers.
        RPCError: Temporal refuses the request.
    """
    members = {"approve": approve, "approver": approver, "comment": comment}
    decision = {name: value for name, value in members.items() if value is not None}
    update_id = str(uuid.uuid4())  # a repeated request is executed once
    try:
        async with asyncio.timeout(max_wait):
            answer = await _answer(client, workflow_id, decision, update_id)
    except TimeoutError:
        raise CommandError(
            f"No answer came from {workflow_id} within {max_wait:g} s. Is a worker running? The decision may have"
            " been accepted all the same. Send it again to find out: only the first decision counts."
        ) from None
    data = decrypted(answer)
    if data is None:
        verb = "Approved" if approve else "Rejected"
        return Answer(None, f"{verb}: the decision stands. The run's answer {ENCRYPTED}.")
    accepted: dict[str, Any] = json.loads(data)
    return Answer(accepted)


async def _answer(client: Client, workflow_id: str, decision: dict[str, Any], update_id: str) -> RawValue | None:
    handle = client.get_workflow_handle(workflow_id)
    while True:
        try:
            answer: RawValue | None = await handle.execute_update(
                "decide_go_live", decision, id=update_id, result_type=RawValue
            )
        except WorkflowUpdateFailedError as error:
            raise CommandError(await _refusal(client, workflow_id, error.cause)) from None
        except WorkflowUpdateRPCTimeoutOrCancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError from None  # the SDK reports a cancelled task as a failed request
        except RPCError as error:
            await _raise_unless_transient(client, workflow_id, error)
        else:
            return answer
        await asyncio.sleep(RETRY_INTERVAL)


async def _raise_unless_transient(client: Client, workflow_id: str, error: RPCError) -> None:
    """Return if the request may succeed when it is sent again.

    Raises:
        CommandError: The run has ended, or there is none.
        RPCError: Temporal refuses the request.
    """
    if error.status in TRANSIENT:
        return
    if error.status is not RPCStatusCode.NOT_FOUND or is_no_namespace(error):
        raise error
    try:
        newest = await describe_newest(client, workflow_id)
    except RPCError as failed:
        if failed.status in TRANSIENT:
            return
        raise
    if newest.status is not WorkflowExecutionStatus.RUNNING:
        if newest.workflow_type != APPROVED_WORKFLOW:
            raise CommandError(_needs_no_approval(workflow_id, newest.workflow_type))
        ended = newest.status.name.lower().replace("_", " ") if newest.status else "over"
        if newest.status is WorkflowExecutionStatus.COMPLETED:
            ended = newest.typed_search_attributes.get(PUBLISH_STAGE) or ended
        raise CommandError(
            f"{workflow_id} has ended ({ended}): there is nothing to decide any more. To see how it ended, use `wait`"
            " with the same workflow ID."
        )
    # Otherwise the run has just continued as new.


async def _refusal(client: Client, workflow_id: str, cause: BaseException) -> str:
    try:
        kind = (await describe_newest(client, workflow_id)).workflow_type
    except (CommandError, RPCError):
        kind = APPROVED_WORKFLOW
    if kind != APPROVED_WORKFLOW:
        return _needs_no_approval(workflow_id, kind)
    message = cause.message if isinstance(cause, ApplicationError) else str(cause)
    return f"{workflow_id} refuses the decision: {one_line(message, MAX_MESSAGE)}."


def _needs_no_approval(workflow_id: str, kind: str) -> str:
    return f"{workflow_id} is a run of {kind}, which asks for no approval. Only runs of {APPROVED_WORKFLOW} do."
