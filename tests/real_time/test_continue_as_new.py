"""A run that continues as new every few events repeats nothing, and loses nothing that arrives at that moment."""

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.service import RPCError

from tests.desk import Desk, Run, progress_of
from tests.harness.runs import until_followed
from tests.real_time.chain import until_continued
from tests.real_time.held_desk import HeldDesk
from tests.real_time.test_cancel import cancel
from workflows.messages import GoLiveDecision, Progress

DANA = {"approve": True, "approver": "dana"}
APPROVERS: dict[str, Any] = {"approval": {"approvers": ["dana"]}}


def follows_go_live(progress: Progress) -> bool:
    """Return whether a run follows a go-live."""
    return progress.operation is not None and progress.operation.kind == "go_live"


async def test_a_release_passes_from_the_first_to_the_last_run_of_the_chain(held_desk: HeldDesk) -> None:
    await held_desk.live("1.0.0", "1.0.1", "1.0.2")
    wanted = held_desk.images("4.2.1", max_versions_per_plan=3, when_full="remove_oldest", **APPROVERS)
    run = await held_desk.start("ValidateAndGoLive", wanted)
    await until_followed(run)
    await until_continued(run)
    await held_desk.let_publish()
    await held_desk.until(run, lambda progress: progress.stage == "awaiting_approval")
    await run.execute_update("decide_go_live", DANA)
    await held_desk.until(run, follows_go_live)
    await until_continued(run)
    await held_desk.let_publish()
    result = await run.result()

    assert (result.outcome, result.approved_by, result.changed) == ("live", "dana", True)
    assert [image.version for image in result.removed] == ["1.0.0"]
    assert await held_desk.versions("Production") == ["1.0.1", "1.0.2", "4.2.1"]
    assert (await held_desk.effects("publish"), await held_desk.effects("go_live")) == (2, 2)
    assert held_desk.notified(run) == ["awaiting_approval", "live"]


@pytest.mark.parametrize("if_publishing", ["wait", "cancel"])
async def test_a_run_that_continued_as_new_still_waits_for_somebody_elses_publish(
    held_desk: HeldDesk, if_publishing: str
) -> None:
    await held_desk.live("4.2.0")
    await held_desk.switch(cancel_async=True, cancel_seconds=600)
    await held_desk.stranger("edit", "publish", version="4.2.1")
    run = await held_desk.start("UpdateOfferAndPublish", held_desk.images("4.3.0", if_publishing=if_publishing))
    await until_followed(run)
    await until_continued(run)
    await held_desk.let_publish()
    await held_desk.until(run, lambda progress: progress.operation is not None and progress.operation.ours)
    await held_desk.let_publish()

    assert (await run.result()).outcome == "preview"
    assert await held_desk.versions("Preview") == ["4.2.0", "4.2.1", "4.3.0"]
    assert await held_desk.effects("publish") == 2


async def test_a_run_that_continued_as_new_still_waits_for_the_preview_to_show_its_image(real_desk: Desk) -> None:
    await real_desk.live("4.2.0")
    await real_desk.switch(preview_lag_seconds=4)
    polling = {"min_interval": 0.1, "max_interval": 0.2}
    run = await real_desk.start("UpdateOfferAndPublish", real_desk.images("4.2.1", polling=polling))

    assert (await run.result()).outcome == "preview"
    assert await real_desk.versions("Preview") == ["4.2.0", "4.2.1"]
    assert await real_desk.effects("publish") == 2


async def test_a_decision_before_the_preview_still_counts_after_continuing_as_new(held_desk: HeldDesk) -> None:
    await held_desk.live("4.2.0")
    run = await held_desk.start("ValidateAndGoLive", held_desk.images("4.2.1", **APPROVERS))
    await until_followed(run)
    await run.execute_update("decide_go_live", DANA)
    await until_continued(run)
    await held_desk.let_publish()
    await held_desk.until(run, follows_go_live)
    await held_desk.let_publish()
    result = await run.result()

    assert (result.outcome, result.approved_by) == ("live", "dana")
    assert held_desk.notified(run) == ["live"]


async def test_a_flood_of_signals_loses_no_decision_and_asks_for_approval_once(held_desk: HeldDesk) -> None:
    await held_desk.preview("4.2.0")
    run = await held_desk.start("ValidateAndGoLive", held_desk.images("4.2.0", **APPROVERS))
    await held_desk.until(run, lambda progress: progress.stage == "awaiting_approval")
    for round_ in range(10):
        mallory = {"approver": f"mallory {round_}"}
        await asyncio.gather(
            *(run.signal("check_now") for _ in range(10)),
            *(run.signal("approve_go_live", mallory) for _ in range(10)),
        )
    await approve(run)
    await held_desk.until(run, follows_go_live)
    await held_desk.let_publish()
    result = await run.result()
    notes = (await progress_of(run)).notes

    assert (await run.describe()).run_id != run.first_execution_run_id
    assert (result.outcome, result.approved_by) == ("live", "dana")
    assert [note for note in notes if "ignored" in note] == [
        f"an approval was ignored: mallory {round_} is not among those who may decide on going live: dana"
        for round_ in range(10)
    ]
    assert held_desk.notified(run) == ["awaiting_approval", "live"]
    assert await held_desk.effects("go_live") == 1


async def approve(run: Run) -> None:
    """Approve. Send the update again if the run continued as new at that moment, as the server demands."""
    for _ in range(50):
        try:
            decision = await run.execute_update("decide_go_live", DANA, result_type=GoLiveDecision)
        except RPCError:
            await asyncio.sleep(0.1)
            continue
        except WorkflowUpdateFailedError:  # an earlier approval counted, but its answer was lost
            return
        assert decision.approver == "dana"
        return
    raise AssertionError("no approval was accepted")


async def test_a_run_cancelled_while_it_continues_as_new_cancels_its_publish(held_desk: HeldDesk) -> None:
    await held_desk.live("4.2.0")
    for number in range(5):
        run = await held_desk.start("UpdateOfferAndPublish", held_desk.images(f"4.3.{number}"))
        await until_followed(run)
        await until_continued(run)
        await asyncio.sleep(number * 0.05)
        await cancel(run)
        assert (await run.describe()).status is WorkflowExecutionStatus.CANCELED
        assert (await held_desk.operations())[-1] == ("publish", "canceled")

    assert await held_desk.effects("cancel") == 5


async def test_a_look_requested_while_the_run_continues_as_new_still_happens(held_desk: HeldDesk) -> None:
    await held_desk.live("4.2.0")
    seldom = {"min_interval": "PT1H", "max_interval": "PT1H"}
    run = await held_desk.start("UpdateOfferAndPublish", held_desk.images("4.2.1", polling=seldom))
    await until_followed(run)
    for _ in range(30):
        await run.signal("check_now")
    await held_desk.let_publish()
    await run.signal("check_now")

    assert (await run.result()).outcome == "preview"
