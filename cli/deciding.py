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

from cli.connection import PASSING, is_no_namespace
from cli.runs import ENCRYPTED, MAX_SAID, TRY_AGAIN, described, readable
from cli.statuses import CommandError
from marketplace.wording import one_line
from workflows.search_attributes import PUBLISH_STAGE

DECIDES = "ValidateAndGoLive"
PATIENCE = 60.0
"""Seconds to wait for a worker to accept the decision."""


class Answer(NamedTuple):
    """The answer to a decision.

    Attributes:
        decision: The accepted decision; ``None`` if it cannot be read.
        remark: Why it cannot be read.
    """

    decision: dict[str, Any] | None
    remark: str | None = None


async def decide(
    client: Client,
    workflow_id: str,
    *,
    approve: bool,
    approver: str | None,
    comment: str | None,
    patience: float = PATIENCE,
) -> Answer:
    """Approve or reject, and wait for the run's answer.

    Raises:
        CommandError: The run refuses the decision, there is nothing to decide, or no worker answers.
        RPCError: Temporal refuses the request.
    """
    given = {"approve": approve, "approver": approver, "comment": comment}
    decision = {name: value for name, value in given.items() if value is not None}
    update_id = str(uuid.uuid4())  # a repeated request is executed once
    try:
        async with asyncio.timeout(patience):
            answer = await _answer(client, workflow_id, decision, update_id)
    except TimeoutError:
        raise CommandError(
            f"No answer came from {workflow_id} within {patience:g} s. Is a worker running? The decision may have"
            " been accepted all the same. Send it again to find out: only the first decision counts."
        ) from None
    data = readable(answer)
    if data is None:
        verb = "Approved" if approve else "Rejected"
        return Answer(None, f"{verb}: the decision stands. The run's answer {ENCRYPTED}.")
    found: dict[str, Any] = json.loads(data)
    return Answer(found)


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
            await _heed(client, workflow_id, error)
        else:
            return answer
        await asyncio.sleep(TRY_AGAIN)


async def _heed(client: Client, workflow_id: str, error: RPCError) -> None:
    """Return if the request is worth repeating.

    Raises:
        CommandError: The run has ended, or there is none.
        RPCError: Temporal refuses the request.
    """
    if error.status in PASSING:
        return
    if error.status is not RPCStatusCode.NOT_FOUND or is_no_namespace(error):
        raise error
    try:
        newest = await described(client, workflow_id)
    except RPCError as failed:
        if failed.status in PASSING:
            return
        raise
    if newest.status is not WorkflowExecutionStatus.RUNNING:
        if newest.workflow_type != DECIDES:
            raise CommandError(_not_decided(workflow_id, newest.workflow_type))
        ended = newest.status.name.lower().replace("_", " ") if newest.status else "over"
        if newest.status is WorkflowExecutionStatus.COMPLETED:
            ended = newest.typed_search_attributes.get(PUBLISH_STAGE) or ended
        raise CommandError(
            f"{workflow_id} has ended ({ended}): there is nothing to decide any more. To see how it ended, use `wait`"
            " with the same workflow ID."
        )
    # The run has just continued as new.


async def _refusal(client: Client, workflow_id: str, cause: BaseException) -> str:
    try:
        kind = (await described(client, workflow_id)).workflow_type
    except (CommandError, RPCError):
        kind = DECIDES
    if kind != DECIDES:
        return _not_decided(workflow_id, kind)
    said = cause.message if isinstance(cause, ApplicationError) else str(cause)
    return f"{workflow_id} refuses the decision: {one_line(said, MAX_SAID)}."


def _not_decided(workflow_id: str, kind: str) -> str:
    return f"{workflow_id} is a run of {kind}, which asks for no approval. Only runs of {DECIDES} do."
