"""An interceptor that counts ended publications by outcome."""

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from workflows import measuring
from workflows.messages import PublicationResult
from workflows.notify import Notify
from workflows.write_draft import WriteDraft

INTERNAL = {WriteDraft.__name__, Notify.__name__}


class MeasuredRuns(Interceptor):
    """Counts publications. Internal workflows do not count."""

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002, ARG002 - the SDK's name
    ) -> type[WorkflowInboundInterceptor]:
        """Return the interceptor of workflows."""
        return _MeasuredRuns


class _MeasuredRuns(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002
        if workflow.info().workflow_type in INTERNAL:
            return await super().execute_workflow(input)
        try:
            result = await super().execute_workflow(input)
        except ApplicationError as error:
            measuring.ended(error.type or "other")
            raise
        except (FailureError, asyncio.CancelledError) as error:
            # A cancellation that reached the run inside an activity is an `ActivityError`.
            if is_cancelled_exception(error):
                measuring.ended("canceled")
            raise
        if isinstance(result, PublicationResult):
            measuring.ended(str(result.outcome))
        return result
