"""Which activity calls run and which are refused."""

import asyncio
import dataclasses
from typing import Any

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.operations import LookRequest
from marketplace.model import OfferKey
from worker.activity_gate import ActivityGate


class Work(ActivityInboundInterceptor):
    """The last interceptor. It waits for `go_on`, then counts the call."""

    def __init__(self) -> None:
        self.done = 0
        self.go_on = asyncio.Event()

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ARG002 - the SDK's name
        await self.go_on.wait()
        self.done += 1


def call(gate: ActivityGate, work: Work, request: object = None, **info: Any) -> asyncio.Task[Any]:
    """Call an activity from a workflow of type `Ours`, unless `info` names another."""
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, **{"workflow_type": "Ours", **info})
    sent = ExecuteActivityInput(fn=print, args=[request], executor=None, headers={})

    @activity.defn
    async def called() -> None:
        await gate.intercept_activity(work).execute_activity(sent)

    return asyncio.ensure_future(environment.run(called))


@pytest.mark.parametrize("info", [{"workflow_type": "Theirs"}, {"workflow_id": None, "workflow_type": None}])
async def test_an_activity_that_no_workflow_of_ours_started_is_refused(info: dict[str, Any]) -> None:
    work = Work()
    work.go_on.set()
    with pytest.raises(ApplicationError, match="cannot be started by itself") as refused:
        await call(ActivityGate(["Ours"], local=1), work, **info)

    assert (refused.value.type, refused.value.non_retryable, work.done) == ("NotAuthorized", True, 0)


@pytest.mark.parametrize("is_local", [True, False])
async def test_a_worker_refuses_offers_of_other_publishers(*, is_local: bool) -> None:
    gate, work = ActivityGate(["Ours"], local=1, publishers=["fabrikam"]), Work()
    work.go_on.set()
    foreign = LookRequest(offer=OfferKey(publisher_id="northwind", offer_id="webstack"))
    with pytest.raises(ApplicationError, match=r"northwind/webstack: .* acts only for fabrikam") as refused:
        await call(gate, work, foreign, is_local=is_local)
    assert (refused.value.type, refused.value.non_retryable, work.done) == ("NotAuthorized", True, 0)

    await call(
        gate, work, LookRequest(offer=OfferKey(publisher_id="Fabrikam", offer_id="webstack")), is_local=is_local
    )
    await call(gate, work, "a request that is about no offer", is_local=is_local)
    assert work.done == 2


async def test_a_limited_number_of_local_activities_run_at_once_and_ordinary_ones_do_not_count() -> None:
    gate, work = ActivityGate(["Ours"], local=2), Work()
    let_in = [call(gate, work, is_local=True) for _ in range(2)]
    ordinary = [call(gate, work) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(ApplicationError, match="too many") as refused:
        await call(gate, work, is_local=True)
    work.go_on.set()
    await asyncio.gather(*let_in, *ordinary)
    await call(gate, work, is_local=True)

    assert not refused.value.non_retryable
    assert work.done == 6


async def test_a_limit_of_zero_refuses_every_local_activity() -> None:
    with pytest.raises(ApplicationError, match="too many"):
        await call(ActivityGate(["Ours"], local=0), Work(), is_local=True)
