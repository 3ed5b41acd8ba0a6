"""Decides which calls of activities are carried out here: an interceptor of the worker.

Only this worker's workflows act. An activity that somebody starts by itself, or from a workflow of their own, would
pass by everything that a procedure checks first.

A local activity holds one of the worker's few workflow tasks while it runs. So only some are let in at a time, and
fewer where the marketplace is slow: the others are refused at once, and the run calls the ordinary activity instead.
"""

import time
from collections.abc import Collection
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

QUICK = 0.4
"""Seconds that a local activity takes on average where the marketplace is quick."""

WEIGHT = 0.2
"""Of the newest local activity in that average."""


class ActivityGate(Interceptor):
    """Lets activities in."""

    def __init__(self, workflow_types: Collection[str], *, local: int) -> None:
        """Let in what these workflows call.

        Args:
            workflow_types: Names of the workflows that may call activities.
            local: Local activities at a time; 0 for none at all.
        """
        self.workflow_types = workflow_types
        self.local = local
        self.under_way = 0
        self.average = 0.0

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Return the interceptor of each call."""
        return _Gate(next, self)

    @property
    def has_room(self) -> bool:
        """Whether one more local activity is let in; where they are slow, one at a time shows when that changes."""
        return self.under_way < (self.local if self.average <= QUICK else min(self.local, 1))

    def took(self, seconds: float) -> None:
        """Take how long a local activity took into the average."""
        self.average += WEIGHT * (seconds - self.average)


class _Gate(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, gate: ActivityGate) -> None:  # noqa: A002
        super().__init__(next)
        self._gate = gate

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        info, gate = activity.info(), self._gate
        if not info.in_workflow or info.workflow_type not in gate.workflow_types:
            raise ApplicationError(
                f"{info.activity_type} is a part of this worker's workflows and is not carried out by itself. Start"
                " one of the workflows instead.",
                type="NotAuthorized",
                non_retryable=True,
            )
        if not info.is_local:
            return await super().execute_activity(input)
        if not gate.has_room:
            raise ApplicationError(
                "too many local activities at a time", type="Busy", category=ApplicationErrorCategory.BENIGN
            )
        gate.under_way += 1
        began = time.monotonic()
        try:
            return await super().execute_activity(input)
        finally:
            gate.under_way -= 1
            gate.took(time.monotonic() - began)
