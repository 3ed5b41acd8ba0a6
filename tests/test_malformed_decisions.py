"""A decision that cannot be read is refused or noted, and decides nothing."""

from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from tests.desk import Desk, failure_of, progress_of

pytestmark = pytest.mark.only("cloud-partner", "the API makes no difference to how a decision is read")


def payload(data: bytes, encoding: bytes = b"json/plain") -> RawValue:
    return RawValue(Payload(metadata={"encoding": encoding}, data=data))


MALFORMED: list[list[Any]] = [
    ["yes"],
    [True],
    [7],
    [[]],
    [{"approver": 7}],
    [{"approver": ""}],
    [{"aprover": "dana"}],
    [{"approver": "dana", "comment": "x" * 1_000_000, "reason": "x" * 1_000_000}],
    [{}, {}],
    [payload(b"\xff\x00")],
    [payload(b"{}", b"binary/plain")],
    [payload(b"{}", b"binary/encrypted")],
    [payload(b"[" * 50_000)],
    [payload(b'{"approver": "a", "approver": "b"}')],
]


@pytest.mark.parametrize("signal", ["approve_go_live", "reject_go_live"])
async def test_a_malformed_signal_is_noted_and_decides_nothing(desk: Desk, signal: str) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    for number, arguments in enumerate(MALFORMED, start=1):
        await run.signal(signal, args=arguments)
        progress = await progress_of(run)
        assert progress.approval is not None
        assert progress.approval.decision is None, arguments
        assert progress.stage == "awaiting_approval"
        refusals = [note for note in progress.notes if f"signal {signal} was refused" in note]
        assert 0 < len(refusals) <= number
        assert len(refusals[-1]) < 2200

    for reason in (
        "2 values were sent",
        "aprover: is not a known member (did you mean approver?)",
        "encrypted with a key",
        "approver: is given twice",
    ):
        assert any(reason in note for note in refusals), reason
    await run.signal("approve_go_live", {"approver": "dana"})
    assert (await run.result()).approved_by == "dana"


async def test_a_malformed_update_is_refused_with_each_wrong_member(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0", approval={"timeout": "PT1H"}))
    await desk.until_asked(run)
    refusals: list[object] = []
    malformed: list[object] = [None, [], "yes", {"approve": "yes"}, {"approve": True, "approver": 7, "aprover": "x"}]
    for argument in malformed:
        with pytest.raises(WorkflowUpdateFailedError) as failed:
            await run.execute_update("decide_go_live", argument)
        assert isinstance(failed.value.cause, ApplicationError)
        assert failed.value.cause.type == "InvalidInput"
        refusals.append(failed.value.cause.message)

    assert refusals == [
        "DecideGoLive: approve: is missing",
        "DecideGoLive: should be an object",
        "DecideGoLive: should be an object",
        "DecideGoLive: approve: should be a valid boolean",
        "DecideGoLive: approver: should be a valid string; aprover: is not a known member (did you mean approver?)",
    ]
    assert (await failure_of(run)).type == "ApprovalTimedOut"


async def test_unexpected_arguments_and_unknown_signals_are_harmless(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start(
        "ValidateAndGoLive", desk.images("4.2.0"), start_signal="check_now", start_signal_args=["x"]
    )
    await desk.until_asked(run)
    await run.signal("check_now", args=[1, 2, 3])
    await run.signal("no_such_signal", {"a": 1})
    await run.signal("approve_go_live")
    assert (await run.result()).outcome == "live"
