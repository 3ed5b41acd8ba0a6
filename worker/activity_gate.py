"""Decides which calls of activities are carried out here: an interceptor of the worker.

Only this worker's workflows act. An activity that somebody starts by itself, or from a workflow of their own, would
pass by everything that a procedure checks first. And they act on the offers of certain publishers only, where it is
said which.

A local activity holds one of the worker's workflow tasks while it runs. So only some are let in at a time: the others
are refused at once, and the run calls the ordinary activity instead.
"""

from collections.abc import Collection, Sequence
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from marketplace.model import OfferKey
from marketplace.wording import listed


class ActivityGate(Interceptor):
    """Lets activities in."""

    def __init__(self, workflow_types: Collection[str], *, local: int, publishers: Sequence[str] = ()) -> None:
        """Let in what these workflows call.

        Args:
            workflow_types: Names of the workflows that may call activities.
            local: Local activities at a time; 0 for none at all.
            publishers: Whose offers may be acted on; empty: everybody's.
        """
        self.workflow_types = workflow_types
        self.publishers = publishers
        self.local = local
        self.under_way = 0

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Return the interceptor of each call."""
        return _Gate(next, self)


def _is_among(publisher: str, publishers: Sequence[str]) -> bool:
    return publisher.casefold() in map(str.casefold, publishers)


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
        offer = getattr(next(iter(input.args), None), "offer", None)
        if gate.publishers and isinstance(offer, OfferKey) and not _is_among(offer.publisher_id, gate.publishers):
            raise ApplicationError(
                f"{offer}: this worker has the credentials of {listed(gate.publishers)} only"
                " (MARKETPLACE_PUBLISHERS). Nothing was sent. Check the publisher id, or the task queue.",
                type="NotAuthorized",
                non_retryable=True,
            )
        if not info.is_local:
            return await super().execute_activity(input)
        if gate.under_way >= gate.local:
            raise ApplicationError(
                "too many local activities at a time", type="Busy", category=ApplicationErrorCategory.BENIGN
            )
        gate.under_way += 1
        try:
            return await super().execute_activity(input)
        finally:
            gate.under_way -= 1
