"""Attempts of a publish that are cancelled, or given up by Temporal, while they still run."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import cast

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import errors
from activities.attempts import SENT
from activities.operations import OperationActivities, PublishRequest, StartedOperation
from marketplace.model import OfferKey, Operation, OperationKind, OperationReport, OperationState
from marketplace.protocol import Marketplace

REQUEST = PublishRequest(offer=OfferKey(publisher_id="fabrikam", offer_id="webstack"), known_operations=[])


class SlowMarketplace:
    """A marketplace where something happens while it lists operations, and where a look takes a while."""

    lists_at_once = True

    def __init__(self, meanwhile: Callable[[], None] = lambda: None, look: Callable[[], bool] = lambda: True) -> None:
        self._meanwhile = meanwhile
        self._is_looked_at = look
        self.published = 0

    async def operations(self, _offer: OfferKey) -> list[Operation]:
        self._meanwhile()
        return []

    async def publish(self, *_request: object, **_more: object) -> str:
        self.published += 1
        return "new"

    async def look(
        self, _offer: OfferKey, operation_id: str, kind: OperationKind, **_more: object
    ) -> OperationReport:
        while not self._is_looked_at():  # noqa: ASYNC110 - nothing can set an event here
            await asyncio.sleep(0.001)
        return OperationReport(operation_id=operation_id, kind=kind, state=OperationState.RUNNING)


async def publish(environment: ActivityEnvironment, marketplace: SlowMarketplace) -> StartedOperation:
    return await environment.run(OperationActivities(cast("Marketplace", marketplace)).publish, REQUEST)


@pytest.mark.parametrize(
    "why", [ActivityCancellationDetails(not_found=True), ActivityCancellationDetails(timed_out=True)]
)
async def test_an_attempt_that_temporal_has_given_up_sends_nothing(why: ActivityCancellationDetails) -> None:
    environment = ActivityEnvironment()
    marketplace = SlowMarketplace(meanwhile=lambda: environment.cancel(why))

    with pytest.raises(ApplicationError) as refused:
        await publish(environment, marketplace)
    assert (refused.value.type, marketplace.published) == ("AttemptGivenUp", 0)


async def test_an_attempt_that_a_person_cancels_ends_with_its_outcome_known() -> None:
    environment = ActivityEnvironment()
    canceled = ActivityCancellationDetails(cancel_requested=True)
    marketplace = SlowMarketplace(meanwhile=lambda: environment.cancel(canceled))

    assert (await publish(environment, marketplace)).operation_id == "new"
    assert marketplace.published == 1


async def test_a_slow_first_look_keeps_on_record_that_the_request_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "BEAT_AFTER", timedelta(milliseconds=1))
    beats: list[tuple[object, ...]] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *marks: beats.append(marks)

    assert (await publish(environment, SlowMarketplace(look=lambda: len(beats) > 4))).report is not None
    assert beats == [(SENT,)] * len(beats)
