"""The exit status says how a run ended."""

import asyncio
import io
import re
import shlex
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.testing import WorkflowEnvironment

from cli.runs import Publication, ending_of_failure
from cli.statuses import Status
from tests.cli.command import InProcess
from tests.cli.test_releases import FAST
from tests.desk import OFFER, Desk, Run
from tests.harness.runs import until_asked, until_progress
from tests.harness.waiting import until
from workflows.messages import PublishStage


async def refused(desk: Desk) -> Run:
    return await desk.start("CheckLastOperationStatus", {"publisher_id": 7})


async def failed(desk: Desk) -> Run:
    await desk.step("displaycertify", outcome="fail", messages=["No agent"])
    return await desk.start("CreateOfferAndPublish", desk.create() | FAST)


async def forbidden(desk: Desk) -> Run:
    await desk.switch(forbidden=True)
    return await desk.start("UpdateOfferAndPublish", desk.images("4.2.1") | FAST)


async def too_late(desk: Desk) -> Run:
    await desk.step("displaycertify", outcome="never")
    return await desk.start("CreateOfferAndPublish", desk.create() | FAST | {"deadline": 0.5})


async def publishing(desk: Desk) -> Run:
    await desk.step("displaycertify", outcome="never")
    run = await desk.start("CreateOfferAndPublish", desk.create() | FAST)
    await until_publishing(run)
    return run


async def until_publishing(run: Run) -> None:
    await until_progress(run, lambda progress: progress.stage is PublishStage.PUBLISHING)


async def canceled(desk: Desk) -> Run:
    run = await publishing(desk)
    await run.cancel()
    return run


async def terminated(desk: Desk) -> Run:
    run = await publishing(desk)
    await run.terminate(reason="out of time")
    return run


@pytest.mark.parametrize(
    ("begin", "status", "error"),
    [
        (refused, 3, "InvalidInput: CheckLastOperationStatusInput: "),
        (failed, 4, "PublishFailed: "),
        (forbidden, 6, "NotAuthorized: "),
        (too_late, 7, "OperationTimedOut: "),
        (canceled, 8, "The run was cancelled."),
        (terminated, 8, "The run was terminated: out of time."),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
async def test_wait_exits_with_the_status_of_the_error_and_prints_the_error(
    here: InProcess, desk: Desk, begin: Callable[[Desk], Awaitable[Run]], status: int, error: str
) -> None:
    run = await begin(desk)

    ended = await here("wait", run.id)
    assert (ended.status, ended.out) == (status, "")
    assert ended.err.startswith(error)
    assert (f"Offer: {desk.publisher}/" in ended.err) is (status != 3)


async def test_wait_says_how_to_follow_an_offer_that_may_still_go_live_though_its_run_was_cancelled(
    here: InProcess, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.preview("4.2.0")
    await desk.step("live", outcome="never")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0") | FAST)
    await until_asked(run)
    assert (await here("approve", run.id, "--approver", "dana")).status == 0
    await until_progress(run, lambda progress: progress.stage is PublishStage.GOING_LIVE and bool(progress.steps))
    await run.cancel()

    summary = tmp_path / "summary.md"
    ended = await here("wait", run.id, "--summary", str(summary))
    assert (ended.status, ended.out) == (8, "")
    assert ended.err.startswith("The run was cancelled.\n")
    assert f"🛑 {run.id} was cancelled; the offer may still go live\n" in summary.read_text()
    for text in (ended.err, summary.read_text()):
        assert f"{desk.publisher}/{OFFER}" in text
        assert "dana" in text
        assert "Going live had been requested. It cannot be cancelled" in text
        assert "The offer may still go live. Follow it: echo " in text
    found = re.search("Follow it: (echo .*) [|] .* (check - --wait)$", ended.err, re.MULTILINE)
    assert found is not None
    request, words = shlex.split(found[1])[1], found[2].split()
    assert (await desk.operations())[-1] == ("goLive", None)

    await desk.step("live")

    async def is_live() -> bool:
        return await desk.versions("Production") == ["4.2.0"]

    await until(is_live, "Production holds the image")  # otherwise the check looks again a minute later
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(request.encode())))
    checked = await here(*words)
    assert checked.status == 0
    assert '"outcome": "live"' in checked.out


def test_an_error_of_an_unknown_type_exits_with_1() -> None:
    assert ending_of_failure(RuntimeError("gone")).status is Status.OTHER


async def test_wait_follows_a_run_that_is_reset(server: WorkflowEnvironment, desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.step("displaycertify", outcome="never")
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.1") | FAST)
    await until_publishing(run)
    publication = await Publication.find(server.client, run.id)
    waiting = asyncio.create_task(publication.wait())
    await asyncio.sleep(0.2)
    execution = WorkflowExecution(workflow_id=run.id)
    reset = await server.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=server.client.namespace,
            workflow_execution=execution,
            reason="survey anew",
            workflow_task_finish_event_id=4,
            request_id=run.id,
        )
    )
    assert (await server.client.get_workflow_handle(run.id).describe()).run_id == reset.run_id
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await server.client.get_workflow_handle(run.id).terminate(reason="enough")

    assert (await waiting).error == "The run was terminated: enough."


async def test_wait_returns_the_ending_of_its_own_publication_though_the_id_is_used_again(
    server: WorkflowEnvironment, desk: Desk
) -> None:
    first = await desk.start("CheckLastOperationStatus", {"publisher_id": 7}, workflow_id=f"{desk.publisher}/twice")
    publication = await Publication.find(server.client, first.id)
    assert (await publication.wait()).status is Status.REFUSED
    await desk.preview("4.2.0")
    second = await desk.start("CheckLastOperationStatus", desk.check(), workflow_id=first.id)
    assert (await second.result()).outcome == "preview"

    assert (await publication.wait()).status is Status.REFUSED
    assert (await (await Publication.find(server.client, first.id)).wait()).status is Status.OK
