"""Runs edit the draft before they wait for a running publish. The next publish carries all their images."""

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from tests.desk import Desk, Run, failure_of, progress_of
from tests.harness.runs import until_requested
from tests.real_time.held_desk import HeldDesk
from tests.real_time.test_concurrency import plans, results, start_each, versions_by_plan

RUNS = 6
WAITS = "which is running on the offer"


async def waiting_runs(desk: HeldDesk, workflow: str = "UpdateOfferAndPublish", **more: Any) -> list[Run]:
    """Let somebody publish, start a run for each plan, and wait until all runs wait for that publish."""
    await desk.put(document=plans(desk, RUNS))
    await desk.publish()
    runs = [await desk.start(workflow, desk.images("4.2.1", plan=f"plan-{n}", **more)) for n in range(RUNS)]
    for run in runs:
        await desk.until(run, lambda progress: WAITS in (progress.waiting_for or ""))
    return runs


async def until_next_publish(desk: HeldDesk, runs: list[Run]) -> None:
    """End the publish that the runs wait for, and wait until all follow the next one."""
    first = (await desk.state())["operations"][-1]["id"]
    await desk.let_publish()
    for run in runs:
        await desk.until(
            run,
            lambda progress: (
                progress.operation is not None and progress.operation.id != first and bool(progress.steps)
            ),
        )


@pytest.mark.parametrize("etags", [True, False], ids=["with ETags", "without ETags"])
async def test_all_waiting_runs_share_one_more_publish(held_desk: HeldDesk, *, etags: bool) -> None:
    await held_desk.switch(etag_on_get=etags, etag_on_put=etags)
    runs = await waiting_runs(held_desk)
    assert await versions_by_plan(held_desk, "Draft") == [["4.2.0", "4.2.1"]] * RUNS
    await until_next_publish(held_desk, runs)
    await held_desk.let_publish()
    done = await asyncio.gather(*(run.result() for run in runs))

    assert [(result.outcome, result.changed) for result in done] == [("preview", True)] * RUNS
    assert len({result.operation_id for result in done}) == 1
    assert await versions_by_plan(held_desk, "Preview") == [["4.2.0", "4.2.1"]] * RUNS
    assert await held_desk.effects("publish") == 2


async def test_a_run_cancelled_while_it_waits_leaves_its_images_in_the_draft_and_says_so(held_desk: HeldDesk) -> None:
    runs = await waiting_runs(held_desk)
    await runs[0].cancel()
    with pytest.raises(WorkflowFailureError):
        await runs[0].result()
    assert await held_desk.effects("cancel") == 0
    assert any("The images stay in the draft" in note for note in (await progress_of(runs[0])).notes)

    await until_next_publish(held_desk, runs[1:])
    await held_desk.let_publish()
    await asyncio.gather(*(run.result() for run in runs[1:]))
    assert await versions_by_plan(held_desk, "Preview") == [["4.2.0", "4.2.1"]] * RUNS


async def test_if_the_run_that_published_for_all_is_cancelled_the_others_publish_once_more(
    held_desk: HeldDesk,
) -> None:
    runs = await waiting_runs(held_desk)
    await until_next_publish(held_desk, runs)
    operations = [(await progress_of(run)).operation for run in runs]
    [(publisher, canceled)] = [
        (run, each.id) for run, each in zip(runs, operations, strict=True) if each is not None and each.ours
    ]
    others = [run for run in runs if run is not publisher]
    await publisher.cancel()
    with pytest.raises(WorkflowFailureError):
        await publisher.result()
    for run in others:
        await held_desk.until(
            run,
            lambda progress: (
                progress.operation is not None and progress.operation.id != canceled and bool(progress.steps)
            ),
        )
    await held_desk.let_publish()
    done = await asyncio.gather(*(run.result() for run in others))

    assert {result.outcome for result in done} == {"preview"}
    assert await held_desk.effects("publish") == 3
    assert await versions_by_plan(held_desk, "Preview") == [["4.2.0", "4.2.1"]] * RUNS


async def test_a_run_that_cancels_a_publish_in_its_way_does_not_fail_the_runs_that_wait_for_it(
    held_desk: HeldDesk,
) -> None:
    runs = await waiting_runs(held_desk)
    cancelling = held_desk.images("4.2.2", plan="plan-0", if_publishing="cancel")
    runs.append(await held_desk.start("UpdateOfferAndPublish", cancelling))
    ends = asyncio.gather(*(run.result() for run in runs))
    await until_requested(held_desk, "publish", times=2)
    while not ends.done():
        await held_desk.let_publish()
        await asyncio.sleep(0.3)

    assert {result.outcome for result in await ends} == {"preview"}
    assert await held_desk.operations() == [("publish", "canceled"), ("publish", None)]
    others = [["4.2.0", "4.2.1"]] * (RUNS - 1)
    assert await versions_by_plan(held_desk, "Preview") == [["4.2.0", "4.2.1", "4.2.2"], *others]


async def test_if_the_shared_publish_fails_no_run_publishes_the_same_draft_again(held_desk: HeldDesk) -> None:
    runs = await waiting_runs(held_desk)
    await held_desk.step("displaycertify", outcome="fail", messages=["No agent."])
    await until_next_publish(held_desk, runs)
    await held_desk.let_publish()
    errors = await asyncio.gather(*(failure_of(run) for run in runs))

    assert {error.type for error in errors} == {"PublishFailed"}
    assert await held_desk.effects("publish") == 2


async def test_a_run_that_may_not_wait_changes_nothing(held_desk: HeldDesk) -> None:
    await held_desk.put("4.2.0")
    await held_desk.publish()
    error = await held_desk.failure("UpdateOfferAndPublish", held_desk.images("4.2.1", if_publishing="fail"))

    assert error.type == "PublishInProgress"
    assert (await held_desk.effects("put_offer"), await held_desk.effects("publish")) == (1, 1)
    assert await held_desk.versions("Draft") == ["4.2.0"]


async def test_an_edit_refused_during_a_publish_is_repeated_once_the_publish_ends(held_desk: HeldDesk) -> None:
    await held_desk.switch(edits_while_running="refuse")
    await held_desk.put("4.2.0")
    await held_desk.publish()
    run = await held_desk.start("UpdateOfferAndPublish", held_desk.images("4.2.1"))
    await held_desk.until(run, lambda progress: WAITS in (progress.waiting_for or ""))
    assert await held_desk.versions("Draft") == ["4.2.0"]
    await held_desk.let_publish()
    await held_desk.until(run, lambda progress: progress.operation is not None and progress.operation.ours)
    await held_desk.let_publish()

    assert (await run.result()).outcome == "preview"
    assert await held_desk.versions("Preview") == ["4.2.0", "4.2.1"]


@pytest.mark.parametrize("etags", [True, False], ids=["with ETags", "without ETags"])
async def test_every_run_succeeds_though_edits_are_refused_during_a_publish(real_desk: Desk, *, etags: bool) -> None:
    await real_desk.switch(edits_while_running="refuse", etag_on_get=etags, etag_on_put=etags)
    await real_desk.put(document=plans(real_desk, 3))
    await real_desk.publish()
    done = await results(await start_each(real_desk, "UpdateOfferAndPublish", 3))

    assert {result.outcome for result in done} == {"preview"}
    assert await versions_by_plan(real_desk, "Preview") == [["4.2.0", "4.2.1"]] * 3
    assert await real_desk.effects("publish") <= 4


async def test_the_request_for_approval_lists_all_images_that_a_shared_publish_brings_live(
    held_desk: HeldDesk,
) -> None:
    runs = await waiting_runs(held_desk, "ValidateAndGoLive")
    await until_next_publish(held_desk, runs)
    await held_desk.let_publish()
    asked = await held_desk.until(runs[0], lambda progress: progress.stage == "awaiting_approval")

    assert asked.approval is not None
    assert {each.plan_id for each in asked.approval.adds if each.version == "4.2.1"} == {
        f"plan-{n}" for n in range(RUNS)
    }
    await asyncio.gather(*(run.terminate() for run in runs))
