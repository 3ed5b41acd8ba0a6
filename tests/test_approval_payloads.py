"""A signal whose payload cannot be read is noted and changes nothing."""

from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from tests.desk import Desk, progress_of

pytestmark = pytest.mark.only("cloud-partner", "what is sent to a run is read alike, whatever it is about")


def payload(data: bytes, encoding: bytes = b"json/plain") -> RawValue:
    return RawValue(Payload(metadata={"encoding": encoding}, data=data))


GARBAGE: list[list[Any]] = [
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
async def test_an_unreadable_payload_is_noted_and_decides_nothing(desk: Desk, signal: str) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    for number, sent in enumerate(GARBAGE, start=1):
        await run.signal(signal, args=sent)
        progress = await progress_of(run)
        assert progress.approval is not None
        assert progress.approval.decision is None, sent
        assert progress.stage == "awaiting_approval"
        refused = [note for note in progress.notes if f"signal {signal} was refused" in note]
        assert 0 < len(refused) <= number
        assert len(refused[-1]) < 2200

    for said in (
        "2 values were sent",
        "aprover: is not a known member",
        "encrypted with a key",
        "approver: is given twice",
    ):
        assert any(said in note for note in refused), said
    await run.signal("approve_go_live", {"approver": "dana"})
    assert (await run.result()).approved_by == "dana"


async def test_garbage_to_signals_without_payload_is_harmless(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start(
        "ValidateAndGoLive", desk.images("4.2.0"), start_signal="check_now", start_signal_args=["x"]
    )
    await desk.until_asked(run)
    await run.signal("check_now", args=[1, 2, 3])
    await run.signal("nobody_knows_this", {"a": 1})
    await run.signal("approve_go_live")
    assert (await run.result()).outcome == "live"
