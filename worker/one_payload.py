"""An interceptor that keeps a start, signal or update with several payloads from failing workflow tasks forever."""

from typing import Any

from temporalio.worker import (
    ExecuteWorkflowInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from workflows.inputs import several


class OnePayloadEach(Interceptor):
    """Replaces several payloads with one that the workflow refuses."""

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002, ARG002 - the SDK's name
    ) -> type[WorkflowInboundInterceptor]:
        """Return the interceptor of workflows."""
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
