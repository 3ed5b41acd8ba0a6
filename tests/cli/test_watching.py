"""A watch shows a run on a terminal or as lines, also during outages."""

import asyncio
import re
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    StartWorkflowUpdateInput,
    WorkflowUpdateHandle,
)
from temporalio.service import RetryConfig, RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

import cli.deciding
import cli.runs
import cli.watching
from cli.deciding import decide
from cli.runs import Publication
from cli.statuses import CommandError
from tests.cli.command import Command, InProcess
from tests.cli.test_releases import FAST
from tests.desk import OFFER, Desk
from tests.harness.processes import free_port
from tests.harness.programs import Programs
from tests.harness.temporal_server import connected
from tests.harness.waiting import until

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


async def test_without_a_terminal_watch_prints_each_change_once(here: InProcess, desk: Desk) -> None:
    run = await desk.start("CreateOfferAndPublish", desk.create("4.2.0") | FAST)
    status, out, err = await here("watch", run.id)

    assert (status, err) == (0, "")
    lines = [line.partition(" ")[2] for line in out.splitlines()]
    assert lines[0].startswith(f"{run.id}: CreateOfferAndPublish, run ")
    assert lines[-1] == f"{desk.publisher}/{OFFER} has ended well: preview."
    shown = [line for line in lines if not line.startswith("Next look: ")]
    assert len(shown) == len(set(shown))
    assert "✔ Certification: complete" in lines
    assert "\x1b" not in out


async def test_watch_follows_a_run_that_continues_as_new_and_shows_how_to_approve(
    command: Command, desk: Desk
) -> None:
    await desk.preview("4.2.0")
    approval = {"approvers": ["O'Neill"]}
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.1", approval=approval) | FAST)
    async with command.begin("watch", run.id) as watching:
        await watching.until(f"To approve: python -m cli approve {run.id} --approver 'O'\"'\"'Neill'")
        assert "May approve: O'Neill, until " in watching.written()
        handle = desk.temporal.client.get_workflow_handle(run.id)
        for _ in range(3):  # the run refuses these signals, and its history grows
            for _ in range(10):
                await handle.signal("approve_go_live", {"approver": "eve"})
            await handle.signal("check_now")
            await asyncio.sleep(0.3)
        await watching.until(", continued as run ")
        await decide(desk.temporal.client, run.id, approve=True, approver="O'Neill", comment=None)
        assert await watching.ended() == 0
        assert watching.written().endswith("has ended well: live, approved by O'Neill.\n")


async def test_on_a_terminal_watch_shows_bars_the_next_look_and_the_ending(command: Command, desk: Desk) -> None:
    await desk.step("displaycertify", outcome="never")
    polling = {"polling": {"min_interval": 600, "max_interval": 600}}
    run = await desk.start("CreateOfferAndPublish", desk.create("4.2.0") | polling)
    async with command.begin("watch", run.id, terminal=True) as watching:
        await watching.until("━━━")
        await watching.until("Next look")
        shown = ANSI.sub("", watching.written())
        assert re.search(r"Next look +in (9 min \d+ s|10 min 0 s), at \d{4}-", shown)
        assert re.search(r"▶ +Validate Pre-Requisites +[━╸╺]+ +in progress", shown), shown
        assert re.search(r"· +Certification +━+ +not started", shown)
        await desk.temporal.client.get_workflow_handle(run.id).terminate(reason="seen")
        assert await watching.ended() == 8
        assert "The run was terminated: seen." in ANSI.sub("", watching.written())
        assert watching.written().endswith("\x1b[?25h")  # the cursor is back


async def test_stopping_a_watch_stops_nothing(command: Command, desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images() | FAST)
    async with command.begin("watch", run.id) as watching:
        await watching.until("To approve")
        watching.interrupt()
        assert await watching.ended() == -signal.SIGINT
        assert watching.written().endswith("Interrupted. What was started goes on.\n")
    assert (await desk.until_asked(run)).error is None
    await run.terminate()


async def test_watch_and_wait_survive_an_outage_of_the_server_and_a_missing_worker(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.runs, "RPC_TIMEOUT", timedelta(seconds=0.7))
    monkeypatch.setattr(cli.watching, "REFRESH_INTERVAL", 0.2)
    port, both = free_port(), InProcess(capsys)
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{port}")
    with Programs(tmp_path) as programs:
        server = programs.temporal(port)
        hasty = RetryConfig(max_elapsed_time_millis=200)  # by default the SDK retries for ten seconds
        client = await connected(f"127.0.0.1:{port}", retry_config=hasty)
        run = await client.start_workflow("ValidateAndGoLive", {}, id="go-live/a/b", task_queue="nobody")
        troubles: list[str | None] = []
        ending = asyncio.create_task((await Publication.find(client, run.id)).wait(troubles.append))
        watching = asyncio.create_task(both.begin("watch", run.id))
        waiting = asyncio.create_task(both.begin("wait", run.id))
        await until(
            lambda: both.has_written(out="Trouble: No worker of task queue "),
            "the trouble with the worker is shown",
        )
        server.kill()
        await until(
            lambda: both.has_written(out="Temporal does not answer (") and len(troubles) == 1, "the outage is shown"
        )
        programs.temporal(port)
        await until(
            lambda: both.has_written(out="Temporal answers again\n") and len(troubles) > 1, "the recovery is shown"
        )
        await run.terminate(reason="enough")
        assert (await watching, await waiting, (await ending).status) == (8, 8, 8)
        assert both.has_written(out="The run was terminated: enough.\n", err="The run was terminated: enough.\n")
    assert troubles[0] is not None
    assert troubles[1] is None


async def test_a_decision_fails_after_a_while_if_no_worker_answers(server: WorkflowEnvironment) -> None:
    run = await server.client.start_workflow("ValidateAndGoLive", {}, id="go-live/no/worker", task_queue="nobody")
    with pytest.raises(
        CommandError, match=r"No answer came from go-live/no/worker within 0\.5 s\. Is a worker running"
    ):
        await decide(server.client, run.id, approve=True, approver=None, comment=None, max_wait=0.5)
    await run.terminate()


class Unreliable(Interceptor):
    """Fails the first decisions that a client sends, before or after they have reached the server."""

    def __init__(self, status: RPCStatusCode, *, times: int, reached: bool = False) -> None:
        self.status = status
        self.times = times
        self.reached = reached
        self.sent: list[str | None] = []

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 - the SDK's name
        return _Outbound(next, self)


class _Outbound(OutboundInterceptor):
    def __init__(self, following: OutboundInterceptor, outage: Unreliable) -> None:
        super().__init__(following)
        self._outage = outage

    async def start_workflow_update(self, input: StartWorkflowUpdateInput) -> WorkflowUpdateHandle[Any]:  # noqa: A002
        outage = self._outage
        outage.sent.append(input.update_id)
        fails = len(outage.sent) <= outage.times
        if fails and not outage.reached:
            raise RPCError("out of order", outage.status, b"")
        answer = await super().start_workflow_update(input)
        if fails:
            raise RPCError("out of order", outage.status, b"")
        return answer


@pytest.mark.parametrize("reached", [False, True], ids=["the request was lost", "the answer was lost"])
async def test_a_decision_is_sent_again_after_an_outage_and_counts_once(
    address: str, desk: Desk, monkeypatch: pytest.MonkeyPatch, *, reached: bool
) -> None:
    monkeypatch.setattr(cli.deciding, "RETRY_INTERVAL", 0.05)
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images() | FAST)
    await desk.until_asked(run)
    outage = Unreliable(RPCStatusCode.UNAVAILABLE, times=2, reached=reached)
    client = await Client.connect(address, interceptors=[outage])
    answer = await decide(client, run.id, approve=True, approver="dana", comment=None)

    assert answer.decision is not None
    assert answer.decision["approver"] == "dana"
    assert len(outage.sent) == 3
    assert len(set(outage.sent)) == 1  # the server executes an update ID once
    assert (await run.result()).approved_by == "dana"


async def test_a_decision_that_temporal_refuses_is_not_sent_again(address: str, desk: Desk) -> None:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images() | FAST)
    refusing = Unreliable(RPCStatusCode.PERMISSION_DENIED, times=9)
    client = await Client.connect(address, interceptors=[refusing])
    with pytest.raises(RPCError, match="out of order"):
        await decide(client, run.id, approve=True, approver="dana", comment=None)
    await run.terminate()

    assert len(refusing.sent) == 1


async def test_a_snapshot_shows_which_request_the_marketplace_keeps_refusing(
    server: WorkflowEnvironment, desk: Desk
) -> None:
    await desk.fault("list_operations", {"kind": "respond", "status": 503}, times=-1)
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.1") | FAST)
    publication = await Publication.find(server.client, run.id)

    async def is_in_trouble() -> bool:
        return bool((await publication.snapshot()).trouble)

    await until(is_in_trouble, "the publication shows its trouble")
    (trouble,) = (await publication.snapshot()).trouble
    await run.terminate()

    assert re.match(r"edit images, attempt \d+: .*503.* \(again at .* UTC\)$", trouble), trouble
