"""Attempts that Temporal has given up while they still run."""

from typing import cast

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.operations import OperationActivities, PublishRequest, StartedOperation
from marketplace.model import OfferKey, Operation, OperationKind, OperationReport, OperationState
from marketplace.protocol import Marketplace

OFFER = OfferKey(publisher_id="fabrikam", offer_id="webstack")


class SlowMarketplace:
    """A marketplace that takes long to list operations. Meanwhile, the attempt is cancelled."""

    lists_at_once = True

    def __init__(self, environment: ActivityEnvironment, why: ActivityCancellationDetails) -> None:
        self._environment = environment
        self._why = why
        self.published = 0

    async def operations(self, _offer: OfferKey) -> list[Operation]:
        self._environment.cancel(self._why)
        return []

    async def publish(self, *_request: object, **_more: object) -> str:
        self.published += 1
        return "new"

    async def look(
        self, _offer: OfferKey, operation_id: str, kind: OperationKind, **_more: object
    ) -> OperationReport:
        return OperationReport(operation_id=operation_id, kind=kind, state=OperationState.RUNNING)


async def publish(why: ActivityCancellationDetails) -> tuple[StartedOperation | ApplicationError, int]:
    """Publish, with an attempt that is cancelled before it sends. Return its outcome, and the requests sent."""
    environment = ActivityEnvironment()
    marketplace = SlowMarketplace(environment, why)
    activity = OperationActivities(cast("Marketplace", marketplace)).publish
    try:
        return await environment.run(
            activity, PublishRequest(offer=OFFER, known_operations=[])
        ), marketplace.published
    except ApplicationError as error:
        return error, marketplace.published


@pytest.mark.parametrize(
    "why",
    [ActivityCancellationDetails(not_found=True), ActivityCancellationDetails(timed_out=True)],
    ids=["unknown to the server", "timed out"],
)
async def test_an_attempt_that_temporal_has_given_up_sends_nothing(why: ActivityCancellationDetails) -> None:
    outcome, requests = await publish(why)

    assert isinstance(outcome, ApplicationError)
    assert (outcome.type, requests) == ("AttemptGivenUp", 0)


async def test_an_attempt_that_a_person_cancels_ends_with_its_outcome_known() -> None:
    outcome, requests = await publish(ActivityCancellationDetails(cancel_requested=True))

    assert isinstance(outcome, StartedOperation)
    assert (outcome.operation_id, requests) == ("new", 1)
