"""The worker of today finishes the runs that an older worker began.

A run can take weeks. The test begins with the oldest worker whose runs may still be open, which is the commit
`OLDEST`. A worker that finishes its runs also finishes the runs of every commit between, as long as those commits
changed commands only under ``workflow.patched``. Both workers run on today's packages and sandbox. ``BEFORE=HEAD~1
python -m pytest tests/process/test_upgrade.py`` compares with any other commit.

A commit that drops a package which the oldest worker imports must keep it installed for this test.
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
from temporalio.api.enums.v1 import PendingActivityState, WorkflowTaskFailedCause
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import CancelledError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from tests.apis.cloud_partner import CloudPartnerApi
from tests.desk import Desk, Recorder, Run
from tests.harness.programs import Programs, worker_environment
from tests.harness.runs import lease_of, reset_activity, until_failed_once
from tests.harness.waiting import until

PROJECT = Path(__file__).parents[2]
OLDEST = "27691a7e71349c3f68e61c6f2b150bd704a8e21d"
"""The commit whose runs the worker of today must finish."""

NONE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNSPECIFIED
CAME_TOO_LATE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
LOOKS: dict[str, Any] = {"polling": {"min_interval": "PT1S", "max_interval": "PT3S"}}
PUBLISHING = timedelta(seconds=2)
REFUSED = {"kind": "respond", "status": 503, "headers": {"Retry-After": "600"}}
KEYS = {"AZURE_STORAGE_ACCOUNT_KEYS": "fabrikamimages=aW52ZW50ZWQ="}


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the project at the older commit."""
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
    """Run a git command in the project, and return its output."""
    return subprocess.run(["git", *words], cwd=PROJECT, check=True, capture_output=True, text=True).stdout.strip()


# Places where a run waits while its worker is replaced. Each starts a run, yields it once it waits, and then lets it
# finish.

Place: TypeAlias = Callable[[Desk], AsyncGenerator[Run]]
PLACES: list[Place] = []


def place(waits: Place) -> Place:
    """Add a place to `PLACES`."""
    PLACES.append(waits)
    return waits


async def until_progress(run: Run, ready: Callable[[dict[str, Any]], bool]) -> None:
    """Wait until the progress of a run meets a condition. Read it as JSON, because either worker may answer."""

    async def is_ready() -> bool:
        await asyncio.sleep(0.2)  # every query takes the worker's time
        try:
            return ready(await run.query("progress"))
        except RPCError:  # on a busy machine a worker that has just started answers late
            return False

    await until(is_ready, f"the progress of {run.id} is what the test waits for")


async def until_followed(run: Run) -> None:
    """Wait until a run has seen the steps of an operation."""
    await until_progress(run, lambda progress: bool(progress["steps"]))


async def until_asked(run: Run) -> None:
    """Wait until a run asks for approval."""
    await until_progress(run, lambda progress: bool(progress["stage"] == "awaiting_approval"))


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

    await until_failed_once(run, "publish")
    yield run
    await reset_activity(desk.temporal.client, run, "publish")
    assert (await run.result()).outcome == "preview"
    assert await desk.effects("publish") == 1


@place
async def creation_retries_its_write(desk: Desk) -> AsyncGenerator[Run]:
    await desk.fault("put_offer", REFUSED)
    run = await desk.start("CreateOfferAndPublish", desk.create("4.2.0", **LOOKS))
    await until_failed_once(lease_of(desk.temporal.client, desk.publisher), "put_offer")
    yield run
    await reset_activity(desk.temporal.client, lease_of(desk.temporal.client, desk.publisher), "put_offer")
    assert (await run.result()).outcome == "preview"
    assert await desk.effects("put_offer") == 1


@place
async def update_waits_for_another_writer(desk: Desk) -> AsyncGenerator[Run]:
    await desk.preview("4.2.0")
    await desk.switch(etag_on_get=False, etag_on_put=False)
    await desk.fault("put_offer", REFUSED)
    other = await desk.start("UpdateOfferAndPublish", desk.images("4.2.1", **LOOKS))
    await until_failed_once(lease_of(desk.temporal.client, desk.publisher), "edit_images")
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.2", **LOOKS))
    await until_progress(run, lambda progress: "another run that is writing" in str(progress["waiting_for"]))
    yield run
    await reset_activity(desk.temporal.client, lease_of(desk.temporal.client, desk.publisher), "edit_images")
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
    await until_progress(run, lambda progress: "asks again" in str(progress["notes"]))
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
    """Wait until a run has ended as cancelled."""
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
async def test_the_worker_of_today_finishes_the_runs_of_an_older_worker(
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
    await before.until_working()
    async with httpx.AsyncClient() as http:
        temporal = WorkflowEnvironment.from_client(client)
        stays = [
            waits(
                Desk(
                    CloudPartnerApi(),
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
        # Otherwise the test would wait 20 s for the heartbeat timeout of an activity whose worker was killed.
        await until(lambda: nothing_is_in_flight(client, queue), "all runs wait, and no activity runs")
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
    """Return whether all runs of a task queue wait, with no task at a worker."""
    async for run in client.list_workflows(f'TaskQueue="{queue}" AND ExecutionStatus="Running"'):
        described = (await client.get_workflow_handle(run.id).describe()).raw_description
        started = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
        if described.HasField("pending_workflow_task") or any(
            each.state == started for each in described.pending_activities
        ):
            return False
    return True


async def watch(client: Client, queue: str) -> None:
    """Check that no workflow task fails. Temporal retries a failed one forever, and its run makes no progress."""
    while True:
        await asyncio.sleep(2)
        async for run in client.list_workflows(f'TaskQueue="{queue}" AND ExecutionStatus="Running"'):
            history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
            for event in history.events:
                failed = event.workflow_task_failed_event_attributes
                assert failed.cause in {NONE, CAME_TOO_LATE}, (
                    f"the worker of today cannot continue {run.id}: {failed.failure.message} Put the change of its"
                    " commands under workflow.patched"
                )
