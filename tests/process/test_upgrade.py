"""Runs that an older version of the worker began are finished by the worker of today.

A run takes weeks, so what counts is the oldest worker that may have begun one: that of the commit `OLDEST`. A worker
that finishes its runs finishes those of the commits between, as long as these changed no commands but under
``workflow.patched``. Both run on the packages and the sandbox of today. ``BEFORE=HEAD~1 python -m pytest
tests/process/test_upgrade.py`` compares with any other commit.

A commit that drops a package which the oldest worker imports has to keep it for this test.
"""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState, WorkflowTaskFailedCause
from temporalio.api.workflowservice.v1 import ResetActivityRequest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import CancelledError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from tests.apis.cloud_partner import CloudPartner
from tests.desk import Desk, Recorder, Run
from tests.process.processes import Programs, lease, until, until_working, worker_environment

PROJECT = Path(__file__).parents[2]
OLDEST = "713ebc58545d020f11478f06802fedb2100c617a"
"""The commit whose runs the worker of today has to finish."""

NONE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNSPECIFIED
CAME_TOO_LATE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
LOOKS: dict[str, Any] = {"polling": {"min_interval": "PT1S", "max_interval": "PT3S"}}
PUBLISHING = timedelta(seconds=2)
REFUSED = {"kind": "respond", "status": 503, "headers": {"Retry-After": "600"}}
KEYS = {"AZURE_STORAGE_ACCOUNT_KEYS": "fabrikamimages=aW52ZW50ZWQ="}


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Check out the project as it was into a separate folder."""
    if not (PROJECT / ".git").exists():
        pytest.skip("there is no older version to begin runs with: this is not a git clone")
    revision = os.environ.get("BEFORE", OLDEST)
    archive = subprocess.run(["git", "archive", revision], cwd=PROJECT, check=False, capture_output=True)
    if archive.returncode and git("rev-parse", "--is-shallow-repository") == "true":
        pytest.skip("there is no older version to begin runs with: the clone is shallow")
    assert archive.returncode == 0, archive.stderr.decode()
    folder = tmp_path_factory.mktemp("older")
    subprocess.run(["tar", "--extract", "--directory", folder], input=archive.stdout, check=True)
    return folder


def git(*words: str) -> str:
    """Ask git about the project."""
    return subprocess.run(["git", *words], cwd=PROJECT, check=True, capture_output=True, text=True).stdout.strip()


# The places where a run waits. Each brings a run there, yields it, and after the worker was replaced brings it to its
# end.

Place: TypeAlias = Callable[[Desk], AsyncGenerator[Run]]
PLACES: list[Place] = []


def place(waits: Place) -> Place:
    """Keep a place."""
    PLACES.append(waits)
    return waits


async def until_it(run: Run, is_there: Callable[[dict[str, Any]], bool]) -> None:
    """Wait until the run's progress is as wanted."""

    async def asked() -> bool:
        await asyncio.sleep(0.2)  # each question costs the worker
        try:
            return is_there(await run.query("progress"))
        except RPCError:  # on a busy machine a worker that has just started answers late
            return False

    await until(asked)


async def until_followed(run: Run) -> None:
    """Wait until an operation's steps have been seen."""
    await until_it(run, lambda progress: bool(progress["steps"]))


async def until_refused(run: Run, activity: str) -> None:
    """Wait until an activity of a run has been refused and is to be tried again much later."""

    async def is_to_be_tried_again() -> bool:
        try:
            pending = (await run.describe()).raw_description.pending_activities
        except RPCError:  # there is no such run yet
            return False
        return any(each.activity_type.name == activity and each.HasField("last_failure") for each in pending)

    await until(is_to_be_tried_again)


async def try_again(desk: Desk, run: Run, activity: str) -> None:
    """Let an activity of a run be tried again now, as ``temporal activity reset`` does."""
    client = desk.temporal.client
    await client.workflow_service.reset_activity(
        ResetActivityRequest(
            namespace=client.namespace, execution=WorkflowExecution(workflow_id=run.id), type=activity
        )
    )


async def until_asked(run: Run) -> None:
    """Wait until approval is asked for."""
    await until_it(run, lambda progress: bool(progress["stage"] == "awaiting_approval"))


@place
async def creation_is_certified(desk: Desk) -> AsyncGenerator[Run]:
    await desk.step("displaycertify", outcome="never")
    run = await desk.start("CreateOfferAndPublish", desk.create("4.2.0", **LOOKS))
    await until_followed(run)
    yield run
    await desk.step("displaycertify")
    assert (await run.result()).outcome == "preview"
    assert await desk.effects("put_offer") == await desk.effects("publish") == 1


@place
async def publish_answer_was_lost(desk: Desk) -> AsyncGenerator[Run]:
    await desk.fault("publish", REFUSED | {"kind": "respond_after"})
    run = await desk.start("CreateOfferAndPublish", desk.create("4.2.0", **LOOKS))

    await until_refused(run, "publish")
    yield run
    await try_again(desk, run, "publish")
    assert (await run.result()).outcome == "preview"
    assert await desk.effects("publish") == 1


@place
async def creation_is_to_be_put_again(desk: Desk) -> AsyncGenerator[Run]:
    await desk.fault("put_offer", REFUSED)
    run = await desk.start("CreateOfferAndPublish", desk.create("4.2.0", **LOOKS))
    await until_refused(lease(desk.temporal.client, desk.publisher), "put_offer")
    yield run
    await try_again(desk, lease(desk.temporal.client, desk.publisher), "put_offer")
    assert (await run.result()).outcome == "preview"
    assert await desk.effects("put_offer") == 1


@place
async def update_waits_for_another_writer(desk: Desk) -> AsyncGenerator[Run]:
    await desk.preview("4.2.0")
    await desk.switch(etag_on_get=False, etag_on_put=False)
    await desk.fault("put_offer", REFUSED)
    other = await desk.start("UpdateOfferAndPublish", desk.images("4.2.1", **LOOKS))
    await until_refused(lease(desk.temporal.client, desk.publisher), "edit_images")
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.2", **LOOKS))
    await until_it(run, lambda progress: "another run that is writing" in str(progress["waiting_for"]))
    yield run
    await try_again(desk, lease(desk.temporal.client, desk.publisher), "edit_images")
    assert [(await each.result()).outcome for each in (other, run)] == ["preview", "preview"]
    assert await desk.versions("Preview") == ["4.2.0", "4.2.1", "4.2.2"]


@place
async def update_waits_for_somebody_elses_publish(desk: Desk) -> AsyncGenerator[Run]:
    await desk.step("displaycertify", outcome="never")
    await desk.put("4.2.0")
    await desk.publish()
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.1", **LOOKS))
    await until_followed(run)
    yield run
    await desk.step("displaycertify")
    assert (await run.result()).outcome == "preview"
    assert await desk.versions("Preview") == ["4.2.0", "4.2.1"]
    assert await desk.effects("publish") == 2


@place
async def update_is_being_cancelled(desk: Desk) -> AsyncGenerator[Run]:
    await desk.preview("4.2.0")
    await desk.step("displaycertify", outcome="never")
    await desk.switch(cancel_window="sign_off_only")
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.1", **LOOKS))
    await until_followed(run)
    await run.cancel()
    await until_it(run, lambda progress: "asks again" in str(progress["notes"]))
    yield run
    await desk.step("displaycertify")
    await is_cancelled(run)
    assert (await desk.operations())[-1] == ("publish", "canceled")


@place
async def promotion_was_approved_early(desk: Desk) -> AsyncGenerator[Run]:
    await desk.preview("4.2.0")
    await desk.step("displaycertify", outcome="never")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.1", **LOOKS), start_signal="approve_go_live")
    await until_followed(run)
    yield run
    await desk.step("displaycertify")
    result = await run.result()
    assert (result.outcome, result.changed) == ("live", True)
    assert await desk.versions("Production") == ["4.2.0", "4.2.1"]
    assert await desk.effects("publish") == 2
    assert await desk.effects("go_live") == 1


@place
async def promotion_awaits_approval(desk: Desk) -> AsyncGenerator[Run]:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0", **LOOKS))
    await until_asked(run)
    yield run
    await run.execute_update("decide_go_live", {"approve": True, "approver": "dana"})
    result = await run.result()
    assert (result.outcome, result.approved_by) == ("live", "dana")
    assert await desk.effects("go_live") == 1


@place
async def promotion_is_rejected_while_no_worker_runs(desk: Desk) -> AsyncGenerator[Run]:
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", desk.images(**LOOKS))
    await until_asked(run)
    yield run
    await run.signal("reject_go_live", {"approver": "dana"})
    with pytest.raises(WorkflowFailureError) as failed:
        await run.result()
    assert "rejected by dana" in str(failed.value.cause)
    assert not await desk.effects("go_live")


@place
async def promotion_goes_live(desk: Desk) -> AsyncGenerator[Run]:
    await desk.preview("4.2.0")
    await desk.step("live", outcome="never")
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0", approval={"required": False}, **LOOKS))
    await until_followed(run)
    yield run
    await desk.step("live")
    assert (await run.result()).outcome == "live"
    assert await desk.effects("go_live") == 1


@place
async def check_follows(desk: Desk) -> AsyncGenerator[Run]:
    await desk.step("displaycertify", outcome="never")
    await desk.put("4.2.0")
    await desk.publish()
    run = await desk.start("CheckLastOperationStatus", desk.check(**LOOKS))
    await until_followed(run)
    yield run
    await desk.step("displaycertify")
    assert (await run.result()).outcome == "preview"


async def is_cancelled(run: Run) -> None:
    """Wait until the run has ended as cancelled."""
    with pytest.raises(WorkflowFailureError) as ended:
        await run.result()
    assert isinstance(ended.value.cause, CancelledError)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("end", "places"),
    [
        (signal.SIGTERM, [update_waits_for_another_writer, update_is_being_cancelled, promotion_awaits_approval]),
        (signal.SIGKILL, PLACES),
    ],
    ids=["stopped", "killed"],
)
async def test_runs_that_an_older_worker_began_are_finished_by_the_worker_of_today(
    end: signal.Signals,
    places: list[Place],
    older: Path,
    programs: Programs,
    client: Client,
    address: str,
    marketplace_url: str,
) -> None:
    queue = f"upgrade-{end.name.lower()}"
    environment = worker_environment(address, marketplace_url, queue) | KEYS
    before = programs.python("-m", "worker", environment=environment, folder=older)
    await until_working(before)
    async with httpx.AsyncClient() as http:
        temporal = WorkflowEnvironment.from_client(client)
        stays = [
            waits(
                Desk(
                    CloudPartner(),
                    temporal,
                    http,
                    marketplace_url,
                    queue,
                    f"{queue}-{number}",
                    Recorder(),
                    PUBLISHING,
                )
            )
            for number, waits in enumerate(places)
        ]
        runs = await asyncio.gather(*(anext(each) for each in stays))
        # Temporal waits 20 s for the heartbeat of a worker that was killed in an activity.
        await until(lambda: nothing_is_in_flight(client, queue))
        assert before.stop(end) == (0 if end is signal.SIGTERM else -end)
        now = programs.python("-m", "worker", environment=environment)
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch(client, queue))
            await asyncio.gather(*(anext(each, None) for each in stays))
            watching.cancel()

    began, finished = (f"offer-publisher/{worker.process.pid}@{socket.gethostname()}" for worker in (before, now))
    for run in runs:
        history = await client.get_workflow_handle(run.id).fetch_history()
        worked = {event.workflow_task_completed_event_attributes.identity for event in history.events}
        assert {began, finished} <= worked, run.id


async def nothing_is_in_flight(client: Client, queue: str) -> bool:
    """Return whether the worker waits, like all of its runs."""
    async for run in client.list_workflows(f'TaskQueue="{queue}" AND ExecutionStatus="Running"'):
        described = (await client.get_workflow_handle(run.id).describe()).raw_description
        started = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
        if described.HasField("pending_workflow_task") or any(
            each.state == started for each in described.pending_activities
        ):
            return False
    return True


async def watch(client: Client, queue: str) -> None:
    """Check that no workflow task of any run fails: one that does is tried for ever, and the run stands still."""
    while True:
        await asyncio.sleep(2)
        async for run in client.list_workflows(f'TaskQueue="{queue}" AND ExecutionStatus="Running"'):
            history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
            for event in history.events:
                failed = event.workflow_task_failed_event_attributes
                assert failed.cause in {NONE, CAME_TOO_LATE}, (
                    f"the worker of today cannot go on with {run.id}: {failed.failure.message} Put the change of its"
                    " commands under workflow.patched, or do as the beginning of this file says"
                )
