"""The current details of a run, as the CLI shows them: its steps, and a command that approves when typed."""

import asyncio
import json
import shlex
from typing import Any

import pytest

from tests.desk import Run, progress_of
from tests.harness.processes import CLEAN
from tests.real_time.held_desk import HeldDesk

DANA = "dana@fabrikam.example"


async def shell(desk: HeldDesk, command: str) -> str:
    """Run a command in a shell that sets Temporal's address, and return its output."""
    address = desk.temporal.client.service_client.config.target_host
    process = await asyncio.create_subprocess_shell(
        command,
        env=CLEAN | {"TEMPORAL_ADDRESS": address},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, said
    return said.decode()


async def page(desk: HeldDesk, run: Run) -> str:
    """Return the current details of a run."""
    answer = json.loads(await shell(desk, f"temporal workflow metadata -w {shlex.quote(run.id)} -o json"))
    details: str = answer["queryResult"][0]["currentDetails"]
    return details


async def test_the_command_on_the_page_approves(held_desk: HeldDesk) -> None:
    await held_desk.preview("4.2.0")
    wanted = held_desk.images("4.2.0", approval={"approvers": [DANA]})
    run = await held_desk.start("ValidateAndGoLive", wanted, workflow_id=f'{held_desk.publisher}\'s "go-live" $1')
    await held_desk.until_asked(run)
    await shell(held_desk, (await page(held_desk, run)).partition("\n\n    ")[2])
    await held_desk.until(run, lambda progress: progress.stage == "going_live" and bool(progress.looks))
    await held_desk.let_publish()

    assert (await run.result()).approved_by == DANA
    assert "decide_go_live" not in await page(held_desk, run)


@pytest.mark.parametrize("switches", [{}, {"sign_off_by": "operation_completed"}], ids=["step", "operation"])
@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive"])
async def test_the_page_shows_the_steps_of_a_preview_that_was_ready_before(
    held_desk: HeldDesk, workflow: str, switches: dict[str, Any]
) -> None:
    await held_desk.switch(**switches)
    await held_desk.preview("4.2.0")
    run = await held_desk.start(workflow, held_desk.images("4.2.0"))
    if workflow == "ValidateAndGoLive":
        await held_desk.until_asked(run)
    else:
        await run.result()
    progress, written = await progress_of(run), await page(held_desk, run)
    if workflow == "ValidateAndGoLive":
        await run.terminate()

    assert progress.operation is not None
    assert (progress.operation.state, progress.operation.ours) == ("preview", False)
    assert "Certification" in [step.name for step in progress.steps]
    assert "Certification" in written


async def test_a_run_succeeds_though_the_steps_for_its_page_cannot_be_read(held_desk: HeldDesk) -> None:
    await held_desk.switch(sign_off_by="operation_completed")
    await held_desk.preview("4.2.0")
    await held_desk.fault("look", {"kind": "respond", "status": 400}, times=-1)
    run = await held_desk.start("UpdateOfferAndPublish", held_desk.images("4.2.0"))

    assert (await run.result()).outcome == "preview"
    assert (await progress_of(run)).steps == []
