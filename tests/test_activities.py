"""Activities whose requests fail at the same time as others, or because of others."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.offers import OfferActivities, SurveyRequest
from activities.operations import OperationActivities, PublishRequest
from marketplace.errors import Conflict, Unavailable
from marketplace.model import OfferKey, OfferStatus, Operation, OperationKind, OperationReport, OperationState, Slot
from marketplace.protocol import Marketplace

OFFER = OfferKey(publisher_id="fabrikam", offer_id="webstack")
RUNNING, PREVIEW, CANCELED = OperationState.RUNNING, OperationState.PREVIEW, OperationState.CANCELED


class BusyMarketplace:
    """A marketplace that refuses to publish. Its operation is in one state before that, and in another one after it.

    Attributes:
        states: The states of the operation, one for each time that the operations are listed.
    """

    lists_at_once = True
    joins_publishes = True

    def __init__(self, *states: OperationState | None) -> None:
        self.states = list(states)
        self._state: OperationState | None = None

    async def operations(self, _offer: OfferKey) -> list[Operation]:
        self._state = self.states.pop(0)
        return [Operation(id="op-1", kind=OperationKind.GO_LIVE, state=self._state)] if self._state else []

    async def look(self, _offer: OfferKey, operation_id: str, kind: OperationKind, **_more: Any) -> OperationReport:
        assert self._state is not None
        return OperationReport(operation_id=operation_id, kind=kind, state=self._state)

    async def publish(self, *_request: object, **_more: object) -> str:
        raise Conflict("publish fabrikam/webstack: the marketplace answered 409: Busy.", call="publish", status=409)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (None, RUNNING, "operation op-1 is running, and the marketplace publishes nothing else meanwhile"),
        (RUNNING, RUNNING, "operation op-1 is running, and the marketplace publishes nothing else meanwhile"),
        (RUNNING, CANCELED, "perhaps because of operation op-1, which is not running any more"),
        (None, CANCELED, "perhaps because of operation op-1, which is not running any more"),
    ],
)
async def test_a_refused_publish_says_whether_the_other_operation_is_still_running(
    before: OperationState | None, after: OperationState, why: str
) -> None:
    marketplace = BusyMarketplace(before, after)
    publish = OperationActivities(cast("Marketplace", marketplace)).publish
    request = PublishRequest(offer=OFFER, known_operations=[], ask_to_join=True)

    with pytest.raises(ApplicationError) as refused:
        await ActivityEnvironment().run(publish, request)
    assert refused.value.type == "PublishInProgress"
    assert why in refused.value.message
    assert "said: publish fabrikam/webstack: the marketplace answered 409: Busy." in refused.value.message


class BrokenMarketplace:
    """A marketplace where every read of a slot fails, one after the other."""

    def __init__(self, first: Slot) -> None:
        self._first = first

    def check(self, _change: object) -> None:
        pass

    async def status(self, _offer: OfferKey) -> OfferStatus:
        return OfferStatus()

    async def read_slot(self, _offer: OfferKey, slot: Slot) -> None:
        await asyncio.sleep(0 if slot is self._first else 0.01)
        raise Unavailable(f"read {slot}", call="read", status=503)


@pytest.fixture
async def logged() -> AsyncIterator[list[dict[str, Any]]]:
    """Return the errors that the event loop, which all tests share, would log during the test."""
    errors: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: errors.append(context))
    yield errors
    loop.set_exception_handler(before)


@pytest.mark.parametrize("first", [Slot.PREVIEW, Slot.PRODUCTION])
async def test_a_survey_whose_reads_all_fail_reports_one_error_and_logs_none(
    first: Slot, logged: list[dict[str, Any]]
) -> None:
    survey = OfferActivities(cast("Marketplace", BrokenMarketplace(first))).survey

    with pytest.raises(ApplicationError, match=f"read {first}"):
        await ActivityEnvironment().run(survey, SurveyRequest(offer=OFFER))
    await asyncio.sleep(0.05)
    gc.collect()
    assert logged == []
