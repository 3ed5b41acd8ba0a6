"""An interceptor that decides which activity calls the worker executes.

Only this worker's workflows may call activities. An activity that somebody starts directly, or from another workflow,
would bypass the checks of the procedures. With ``MARKETPLACE_PUBLISHERS``, activities act only on the offers of these
publishers.

A local activity holds a workflow task while it runs. Therefore the number of local activities is limited. The worker
refuses a further one immediately, and the run calls an ordinary activity instead.
"""

from collections.abc import Collection, Sequence
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from marketplace.model import OfferKey
from marketplace.wording import listed


class ActivityGate(Interceptor):
    """Admits activity calls."""

    def __init__(self, workflow_types: Collection[str], *, local: int, publishers: Sequence[str] = ()) -> None:
        """Create the gate.

        Args:
            workflow_types: Names of the workflows that may call activities.
            local: The number of concurrent local activities; 0 for none.
            publishers: The publishers whose offers may be acted on; empty for all.
        """
        self.workflow_types = workflow_types
        self.publishers = publishers
        self.local = local
        self.under_way = 0

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Return the interceptor of activity calls."""
        return _ActivityGate(next, self)


def _is_among(publisher: str, publishers: Sequence[str]) -> bool:
    return publisher.casefold() in map(str.casefold, publishers)


class _ActivityGate(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, gate: ActivityGate) -> None:  # noqa: A002
        super().__init__(next)
        self._gate = gate

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        info, gate = activity.info(), self._gate
        if not info.in_workflow or info.workflow_type not in gate.workflow_types:
            raise ApplicationError(
                f"{info.activity_type} is a part of this worker's workflows and cannot be started by itself. Start"
                " one of the workflows instead.",
                type="NotAuthorized",
                non_retryable=True,
            )
        offer = getattr(next(iter(input.args), None), "offer", None)
        if gate.publishers and isinstance(offer, OfferKey) and not _is_among(offer.publisher_id, gate.publishers):
            raise ApplicationError(
                f"{offer}: this worker acts only for {listed(gate.publishers)}"
                " (MARKETPLACE_PUBLISHERS). Nothing was sent. Check the publisher id, or the task queue.",
                type="NotAuthorized",
                non_retryable=True,
            )
        if not info.is_local:
            return await super().execute_activity(input)
        if gate.under_way >= gate.local:
            raise ApplicationError(
                "too many concurrent local activities", type="Busy", category=ApplicationErrorCategory.BENIGN
            )
        gate.under_way += 1
        try:
            return await super().execute_activity(input)
        finally:
            gate.under_way -= 1
