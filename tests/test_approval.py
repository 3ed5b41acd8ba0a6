"""Approvals and rejections: before the run asks, in time, too late, by an approver, and by anybody else."""

import json
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError

from tests.desk import Desk, Run, failure_of, numbers, progress_of
from workflows.messages import GoLiveDecision, Progress, PublicationResult
from workflows.search_attributes import IMAGE_VERSIONS, OFFER_ID, PUBLISH_STAGE, PUBLISHER_ID

DANA = "dana@fabrikam.example"
APPROVERS = {"approvers": [DANA, "lee@fabrikam.example"]}

ONE_API = pytest.mark.only("cloud-partner", "the API makes no difference to who decides, and when")

APPROVE: dict[str, Any] = {"approve": True, "approver": DANA}


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="no argument", marks=ONE_API),
        pytest.param([None], id="null", marks=ONE_API),
        pytest.param([{}], id="empty object", marks=ONE_API),
        pytest.param([{"approver": DANA, "comment": "fine"}], id="approver and comment"),
    ],
)
async def test_a_signal_approves_going_live(desk: Desk, arguments: list[object]) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    assert await desk.effects("go_live") == 0

    await run.signal("approve_go_live", args=arguments)
    result = await run.result()

    assert result.outcome == "live"
    assert result.approved_by == (DANA if arguments and arguments[0] else None)
    assert await desk.versions("Production") == ["4.2.0"]


@ONE_API
async def test_an_update_approves_and_answers_with_the_decision(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0", approval=APPROVERS))
    await desk.until_asked(run)

    answer = await run.execute_update(
        "decide_go_live",
        {"approve": True, "approver": "Dana@FABRIKAM.example", "comment": "looks good"},
        result_type=GoLiveDecision,
    )
    result = await run.result()

    assert (answer.approve, answer.approver, answer.comment) == (True, "Dana@FABRIKAM.example", "looks good")
    assert (result.outcome, result.approved_by) == ("live", "Dana@FABRIKAM.example")


async def test_a_signal_with_start_approves_before_there_is_a_preview(desk: Desk) -> None:
    await desk.live("4.2.0")
    result = await desk.run(
        "ValidateAndGoLive",
        desk.images("4.2.1", approval=APPROVERS),
        start_signal="approve_go_live",
        start_signal_args=[{"approver": DANA}],
    )

    assert (result.outcome, result.approved_by) == ("live", DANA)
    assert await desk.versions("Production") == ["4.2.0", "4.2.1"]


@ONE_API
async def test_an_update_with_start_approves_before_there_is_a_preview(desk: Desk) -> None:
    await desk.live("4.2.0")
    start: WithStartWorkflowOperation[Any, PublicationResult] = WithStartWorkflowOperation(
        "ValidateAndGoLive",
        desk.images("4.2.1", approval=APPROVERS),
        id=f"{desk.publisher}/update-with-start",
        task_queue=desk.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        result_type=PublicationResult,
    )
    answer = await desk.temporal.client.execute_update_with_start_workflow(
        "decide_go_live", APPROVE, start_workflow_operation=start, result_type=GoLiveDecision
    )
    run = await desk.start(
        "ValidateAndGoLive",
        None,
        workflow_id=f"{desk.publisher}/update-with-start",
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    result = await run.result()

    assert answer.approver == DANA
    assert (result.outcome, result.approved_by) == ("live", DANA)


async def test_an_approval_given_while_the_images_are_being_published_stands(desk: Desk) -> None:
    await desk.live("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.1"))
    await desk.until(run, lambda progress: progress.operation is not None)
    await run.execute_update("decide_go_live", APPROVE)

    result = await run.result()

    assert (result.outcome, result.approved_by) == ("live", DANA)
    assert desk.notified(run) == ["live"]


@ONE_API
async def test_a_run_with_a_wrong_input_fails_even_if_an_update_starts_it(desk: Desk) -> None:
    start: WithStartWorkflowOperation[Any, PublicationResult] = WithStartWorkflowOperation(
        "ValidateAndGoLive",
        {"publisher_id": desk.publisher},
        id=f"{desk.publisher}/wrong",
        task_queue=desk.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        result_type=PublicationResult,
    )
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await desk.temporal.client.execute_update_with_start_workflow(
            "decide_go_live", APPROVE, start_workflow_operation=start
        )
    error = await failure_of(await start.workflow_handle())

    assert isinstance(refused.value.cause, ApplicationError)
    assert error.type == "InvalidInput"


@ONE_API
async def test_a_decision_by_somebody_who_is_not_an_approver_is_noted_and_ignored(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0", approval=APPROVERS))
    await desk.until_asked(run)

    await run.signal("approve_go_live", {"approver": "mallory@fabrikam.example"})
    await run.signal("reject_go_live", {"reason": "no name"})
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await run.execute_update("decide_go_live", {"approve": True, "approver": "mallory@fabrikam.example"})
    progress = await progress_of(run)

    refusal = f"is not among those who may decide on going live: {', '.join(APPROVERS['approvers'])}"
    assert f"mallory@fabrikam.example {refusal}" in str(refused.value.cause)
    assert [note for note in progress.notes if "ignored" in note] == [
        f"an approval was ignored: mallory@fabrikam.example {refusal}",
        f"a rejection was ignored: somebody who gave no name {refusal}",
    ]
    assert progress.approval is not None
    assert progress.approval.decision is None
    assert await desk.effects("go_live") == 0

    await run.signal("approve_go_live", {"approver": "LEE@fabrikam.example"})
    assert (await run.result()).approved_by == "LEE@fabrikam.example"


@ONE_API
async def test_an_early_approval_by_somebody_who_is_not_an_approver_is_noted_and_ignored(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start(
        "ValidateAndGoLive",
        desk.images("4.2.0", approval=APPROVERS),
        start_signal="approve_go_live",
        start_signal_args=[{"approver": "mallory"}],
    )
    progress = await desk.until_asked(run)

    assert any("mallory is not among" in note for note in progress.notes)
    await run.signal("approve_go_live", {"approver": DANA})
    assert (await run.result()).approved_by == DANA


@ONE_API
async def test_the_first_decision_stands(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0", approval=APPROVERS))
    await desk.until_asked(run)
    await run.execute_update("decide_go_live", APPROVE)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await run.execute_update("decide_go_live", {"approve": False, "approver": "lee@fabrikam.example"})
    await run.signal("reject_go_live", {"approver": "lee@fabrikam.example"})
    result = await run.result()

    assert "already; lee@fabrikam.example comes too late" in str(refused.value.cause)
    assert (result.outcome, result.approved_by) == ("live", DANA)
    assert any("a rejection was ignored" in note for note in (await progress_of(run)).notes)


@pytest.mark.parametrize("early", [False, True], ids=["when asked", "before the run asks"])
async def test_a_rejection_fails_the_run_and_names_the_person_and_the_reason(desk: Desk, *, early: bool) -> None:
    await desk.live("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.1", approval=APPROVERS))
    if not early:
        await desk.until_asked(run)
    await run.signal("reject_go_live", {"approver": DANA, "reason": "the kernel panics"})
    error = await failure_of(run)

    assert error.type == "GoLiveRejected"
    assert f"rejected by {DANA}: the kernel panics" in error.message
    assert await desk.effects("go_live") == 1
    assert await desk.versions("Production") == ["4.2.0"]
    assert desk.notified(run)[-1] == "failed"


@ONE_API
async def test_an_update_that_rejects_is_answered_before_the_run_fails(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0"))
    await desk.until_asked(run)
    answer = await run.execute_update("decide_go_live", {"approve": False}, result_type=GoLiveDecision)
    error = await failure_of(run)

    assert answer.approve is False
    assert error.type == "GoLiveRejected"
    assert "somebody who gave no name" in error.message


@ONE_API
async def test_a_run_that_was_rejected_before_it_published_publishes_nothing(desk: Desk) -> None:
    await desk.live("4.2.0")
    published = await desk.effects("publish")
    error = await desk.failure("ValidateAndGoLive", desk.images("4.2.1"), start_signal="reject_go_live")

    assert error.type == "GoLiveRejected"
    assert await desk.effects("publish") == published


@ONE_API
async def test_a_run_that_nobody_decides_on_fails_when_its_approval_times_out(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0", approval={"timeout": "PT36H"}))
    asked = await desk.until_asked(run)
    error = await failure_of(run)
    described = await run.describe()

    assert error.type == "ApprovalTimedOut"
    assert asked.approval is not None
    assert asked.approval.until is not None
    assert described.close_time is not None
    assert abs(described.close_time - asked.approval.until) < timedelta(minutes=1)
    assert timedelta(hours=36) <= described.close_time - described.start_time < timedelta(hours=36, minutes=1)
    assert await desk.effects("go_live") == 0


@ONE_API
async def test_a_run_that_needs_no_approval_ignores_decisions(desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0", approval={"required": False}))
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await run.execute_update("decide_go_live", {"approve": False})
    await run.signal("reject_go_live")
    result = await run.result()

    assert "goes live without approval" in str(refused.value.cause)
    assert (result.outcome, result.approved_by) == ("live", None)


async def test_each_stage_shows_in_the_search_attributes_and_in_what_the_run_waits_for(desk: Desk) -> None:
    await desk.live("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.1", approval=APPROVERS))
    shown = [await _attributes(desk, run.id)]
    publishing = await desk.until(run, lambda progress: bool(progress.steps))
    shown.append(await _attributes(desk, run.id))
    asked = await desk.until_asked(run)
    shown.append(await _attributes(desk, run.id))
    await run.execute_update("decide_go_live", APPROVE)
    going = await desk.until(run, _is_going_live)
    shown.append(await _attributes(desk, run.id))
    await run.result()
    shown.append(await _attributes(desk, run.id))

    stages = [stage for _, _, stage, _ in shown]
    assert stages[1:] == ["publishing", "awaiting_approval", "going_live", "live"]
    assert all(
        (publisher, offer, versions) == (desk.publisher, "webstack-appliance", ["webstack-lts/4.2.1"])
        for publisher, offer, _, versions in shown[1:]
    )
    assert publishing.waiting_for is not None
    assert desk.api.first_step in publishing.waiting_for
    assert asked.waiting_for == f"approval to go live, by {DANA}, lee@fabrikam.example"
    assert asked.approval is not None
    assert numbers(asked.approval.adds) == ["4.2.1"]
    assert going.waiting_for == f"{desk.api.go_live_step} (in progress)"
    assert desk.notified(run) == ["awaiting_approval", "live"]
    notification = next(body for body in desk.webhook.bodies if body["workflow_id"] == run.id)
    assert notification["publisher_id"] == desk.publisher
    assert notification["images"] == [{"plan_id": "webstack-lts", "version": "4.2.1"}]


def _is_going_live(progress: Progress) -> bool:
    return progress.operation is not None and progress.operation.kind == "go_live" and bool(progress.steps)


async def _attributes(desk: Desk, run: str) -> tuple[object, ...]:
    found = (await desk.temporal.client.get_workflow_handle(run).describe()).typed_search_attributes
    return tuple(found.get(key) for key in (PUBLISHER_ID, OFFER_ID, PUBLISH_STAGE, IMAGE_VERSIONS))


@ONE_API
async def test_a_decision_on_a_run_that_has_failed_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0", approval={"timeout": "PT1H"}))
    refusals: list[BaseException | None] = []

    async def decide_when_the_failure_is_posted(body: str) -> int:
        if json.loads(body)["event"] != "failed":
            return 200
        # The first attempt is a local activity. Until it ends, the run answers no update.
        refusals.append(await _refusal(run) if refusals else None)
        return 200 if refusals[-1] else 503

    monkeypatch.setattr(desk.webhook, "post", decide_when_the_failure_is_posted)
    assert (await failure_of(run)).type == "ApprovalTimedOut"

    assert "this run has failed: ApprovalTimedOut" in str(refusals[-1])


async def _refusal(run: Run) -> BaseException | None:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await run.execute_update("decide_go_live", {"approve": True, "approver": "dana"})
    return refused.value.cause
