"""A worker's policies hold whatever an input says: which publishers it acts for, and who approves going live."""

from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError

from tests.desk import Desk, Run, failure_of, progress_of

DANA, LEE, MALLORY = "dana@fabrikam.example", "lee@fabrikam.example", "mallory@fabrikam.example"
UNATTENDED: dict[str, Any] = {"approval": {"required": False}}

pytestmark = pytest.mark.only("cloud-partner", "the API makes no difference to a worker's policies")


@pytest.fixture
def approvers() -> list[str]:
    """The worker's approvers. A test may change them while the worker runs."""
    return [DANA, LEE]


@pytest.fixture
def policies(publisher: str, approvers: list[str]) -> dict[str, Any]:
    """Approvers, and two publishers."""
    return {"publishers": ["contoso", publisher.upper()], "approvers": approvers}


# Approvers


async def test_a_run_whose_input_needs_no_approval_waits_for_an_approver_of_the_worker(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0", **UNATTENDED))
    progress = await desk.until_asked(run)

    assert progress.approval is not None
    assert (progress.approval.required, progress.approval.approvers) == (True, [DANA, LEE])
    assert any("GO_LIVE_APPROVERS" in note for note in progress.notes)
    assert await desk.effects("go_live") == 0

    await run.execute_update("decide_go_live", {"approve": True, "approver": LEE.upper()})
    result = await run.result()
    assert (result.outcome, result.approved_by) == ("live", LEE.upper())


async def test_a_run_that_publishes_first_waits_for_an_approver_of_the_worker_too(desk: Desk) -> None:
    await desk.live("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.1", **UNATTENDED))
    await desk.until_asked(run)

    assert await desk.effects("go_live") == 1
    await run.signal("reject_go_live", {"approver": DANA})
    assert (await failure_of(run)).type == "GoLiveRejected"


async def test_a_decision_needs_an_approver_of_both_the_worker_and_the_input(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0", approval={"approvers": [MALLORY, LEE.title()]}))
    progress = await desk.until_asked(run)

    assert progress.approval is not None
    assert progress.approval.approvers == [LEE]
    for name in (MALLORY, DANA):
        await expect_refusal(run, name)
    await run.signal("approve_go_live", {"approver": LEE})
    assert (await run.result()).approved_by == LEE


async def expect_refusal(run: Run, name: str) -> None:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await run.execute_update("decide_go_live", {"approve": True, "approver": name})
    assert f"{name} is not among those who may decide" in str(refused.value.cause)


async def test_a_run_none_of_whose_approvers_the_worker_allows_fails_without_asking(desk: Desk) -> None:
    await desk.preview("4.2.0")
    error = await desk.failure("ValidateAndGoLive", desk.images("4.2.0", approval={"approvers": [MALLORY]}))

    assert error.type == "NotAuthorized"
    assert f"The worker allows only {DANA}, {LEE} (GO_LIVE_APPROVERS)" in error.message
    assert await desk.effects("go_live") == 0


@pytest.mark.parametrize("approval", [{"approver": MALLORY}, {}], ids=["another name", "no name"])
async def test_an_early_approval_by_somebody_whom_the_worker_does_not_allow_is_asked_for_again(
    desk: Desk, approval: dict[str, str]
) -> None:
    await desk.live("4.2.0")
    run = await desk.start(
        "ValidateAndGoLive", desk.images("4.2.1"), start_signal="approve_go_live", start_signal_args=[approval]
    )
    progress = await desk.until_asked(run)

    assert progress.approval is not None
    assert progress.approval.reopened is not None
    assert "is not an approver that the worker allows" in progress.approval.reopened
    assert await desk.effects("go_live") == 1
    await run.signal("approve_go_live", {"approver": DANA})
    assert (await run.result()).approved_by == DANA


async def test_an_early_approval_by_an_approver_of_the_worker_stands(desk: Desk) -> None:
    await desk.live("4.2.0")
    result = await desk.run(
        "ValidateAndGoLive",
        desk.images("4.2.1"),
        start_signal="approve_go_live",
        start_signal_args=[{"approver": DANA}],
    )

    assert (result.outcome, result.approved_by) == ("live", DANA)


async def test_an_approval_by_somebody_who_is_no_longer_an_approver_is_asked_for_again(
    desk: Desk, approvers: list[str]
) -> None:
    approvers.append(MALLORY)
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    approvers.remove(MALLORY)
    await run.signal("approve_go_live", {"approver": MALLORY})
    progress = await desk.until(run, lambda progress: bool(progress.approval and progress.approval.reopened))

    assert any(f"going live was approved by {MALLORY}, but this worker" in note for note in progress.notes)
    assert await desk.effects("go_live") == 0
    progress = await desk.until_asked(run)
    assert progress.approval is not None
    assert progress.approval.approvers == [DANA, LEE]
    await run.signal("approve_go_live", {"approver": DANA})
    assert (await run.result()).approved_by == DANA


# Publishers


@pytest.mark.parametrize(
    "workflow",
    ["CreateOfferAndPublish", "UpdateOfferAndPublish", "ValidateAndGoLive", "CheckLastOperationStatus"],
)
async def test_a_run_for_a_publisher_that_the_worker_does_not_act_for_sends_nothing(
    desk: Desk, workflow: str
) -> None:
    mine, desk.publisher = desk.publisher, "northwind"
    start = {
        "CreateOfferAndPublish": desk.create(),
        "CheckLastOperationStatus": desk.check(),
    }.get(workflow, desk.images("4.2.1"))
    error = await desk.failure(workflow, start)

    assert error.type == "NotAuthorized"
    assert f"acts only for contoso, {mine.upper()} (MARKETPLACE_PUBLISHERS)" in error.message
    assert await desk.requests() == []


async def test_a_run_for_a_publisher_of_the_worker_succeeds(desk: Desk) -> None:
    assert (await desk.run("CreateOfferAndPublish", desk.create())).outcome == "preview"
    assert (await progress_of(await desk.start("CheckLastOperationStatus", desk.check()))).error is None
