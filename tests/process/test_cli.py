"""The `temporal` commands that the documentation shows work on a real worker."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ActivityError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.apis.cloud_partner import offer_document
from tests.desk import OFFER, SAS, vhd
from tests.harness.processes import free_port
from tests.harness.programs import Programs
from tests.harness.waiting import until
from tests.process.sandbox_publisher import Publisher
from tests.process.shell import Shell

FAST = {"min_interval": "PT0.3S", "max_interval": "PT0.5S"}

QUEUE = "cli"


@pytest.fixture(scope="module")
async def shell(address: str, shared: Programs, marketplace_url: str) -> Shell:
    """A shell, beside a worker on the task queue ``cli``."""
    await shared.worker(address, marketplace_url, QUEUE).until_working()
    return Shell(address)


async def test_a_release_can_be_driven_from_the_shell_alone(
    shell: Shell, publisher: Publisher, tmp_path: Path
) -> None:
    offer = f"offer/{publisher.name}/{OFFER}"
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"offer": offer_document(publisher.name, ["4.2.0"]), "polling": FAST}))
    start = ("workflow", "start", "-t", QUEUE, "-w", offer, "--fail-existing")

    # Start. A second start is refused.
    create = (*start, "--type", "CreateOfferAndPublish", "--input-file", str(request))
    await shell.run(*create, "--static-summary", "The first version")
    assert (await shell.status(*create))[0] == 1
    result = await shell.json("workflow", "result", "-w", offer)
    assert result["result"]["outcome"] == "preview"

    # Promote, list, query.
    images = [{"plan_id": "webstack-lts", "version": "4.2.0", "os_vhd_url": f"{vhd('4.2.0')}?{SAS}"}]
    promotion = {
        "publisher_id": publisher.name,
        "offer_id": OFFER,
        "images": images,
        "polling": FAST,
        "approval": {"approvers": ["dana@fabrikam.example"]},
    }
    await shell.run(*start, "--type", "ValidateAndGoLive", "--input", json.dumps(promotion))
    await shell.until_stage(offer, "awaiting_approval")
    found = (
        f'PublishStage="awaiting_approval" AND PublisherId="{publisher.name}" AND ImageVersions="webstack-lts/4.2.0"'
    )

    async def is_found() -> bool:
        return [each["execution"]["workflowId"] for each in await shell.json("workflow", "list", "-q", found)] == [
            offer
        ]

    await until(is_found, "the search attributes of the run can be searched for")
    assert "awaiting approval" in await shell.run("workflow", "metadata", "-w", offer)

    # A refused decision exits with 1. An accepted one prints the decision.
    decide = ("workflow", "update", "execute", "-w", offer, "--name", "decide_go_live")
    for refused in ('{"approve": true, "approver": "eve"}', '{"approve": "perhaps"}', "7"):
        status, said = await shell.status(*decide, "--input", refused)
        assert status == 1, said
    await shell.run("workflow", "signal", "-w", offer, "--name", "approve_go_live", "--input", '{"approver": "eve"}')
    await shell.run("workflow", "signal", "-w", offer, "--name", "check_now")
    assert any("eve is not among" in note for note in (await shell.progress(offer))["notes"])
    good = '{"approve": true, "approver": "dana@fabrikam.example", "comment": "looks well"}'
    assert "dana@fabrikam.example" in await shell.run(*decide, "--input", good)
    result = await shell.json("workflow", "result", "-w", offer)
    assert result["result"]["outcome"] == "live"
    assert result["result"]["approved_by"] == "dana@fabrikam.example"
    assert publisher.effects("go_live") == 1


async def test_an_invalid_input_fails_and_says_what_is_wrong(shell: Shell, publisher: Publisher) -> None:
    execute = ("workflow", "execute", "-t", QUEUE, "--type", "UpdateOfferAndPublish")
    status, said = await shell.status(
        *execute, "-w", f"{publisher.name}/wrong", "--input", '{"publisher_id": "fabrikam", "offer": "typo"}'
    )

    assert status == 1
    assert "UpdateOfferAndPublishInput: offer_id: is missing" in said
    assert "; offer: is not a known member" in said


async def test_an_approval_can_be_sent_with_the_start(shell: Shell, publisher: Publisher) -> None:
    images = [{"plan_id": "webstack-lts", "version": "4.2.0", "os_vhd_url": f"{vhd('4.2.0')}?{SAS}"}]
    promotion = {"publisher_id": publisher.name, "offer_id": OFFER, "images": images, "polling": FAST}
    document = {"offer": offer_document(publisher.name, ["4.2.0"]), "polling": FAST}
    create = ("workflow", "execute", "--type", "CreateOfferAndPublish", "-t", QUEUE, "-w", f"{publisher.name}/create")
    await shell.run(*create, "--input", json.dumps(document))
    await shell.run(
        *(
            "workflow",
            "signal-with-start",
            "--type",
            "ValidateAndGoLive",
            "-t",
            QUEUE,
            "-w",
            f"{publisher.name}/live",
        ),
        *("--signal-name", "approve_go_live", "--signal-input", '{"approver": "dana"}'),
        *("--input", json.dumps(promotion)),
    )

    result = await shell.json("workflow", "result", "-w", f"{publisher.name}/live")
    assert result["result"]["approved_by"] == "dana"


async def test_a_cancelled_run_cancels_its_operation(shell: Shell, publisher: Publisher) -> None:
    run = f"{publisher.name}/cancelled"
    await publisher.control("PUT", "steps/displaycertify", {"outcome": "never"})
    document = {"offer": offer_document(publisher.name, ["4.2.0"]), "polling": FAST}
    start = ("workflow", "start", "--type", "CreateOfferAndPublish", "-t", QUEUE, "-w", run)
    await shell.run(*start, "--input", json.dumps(document))
    await until(lambda: publisher.effects("publish") == 1, "the offer is published")
    await shell.until_stage(run, "publishing")
    await shell.run("workflow", "cancel", "-w", run)
    status, _ = await shell.status("workflow", "result", "-w", run)

    assert status == 1
    described = await shell.json("workflow", "describe", "-w", run)
    assert described["workflowExecutionInfo"]["status"] == "WORKFLOW_EXECUTION_STATUS_CANCELED"
    assert publisher.effects("cancel") == 1


ACTS: dict[str, dict[str, Any]] = {
    "put_offer": {"definition": {"member": "offer", "text": "{}"}, "replace": True, "sole_writer": True},
    "edit_images": {"images": [], "sole_writer": True},
    "publish": {"known_operations": []},
    "go_live": {"known_operations": [], "approved_publish": "op-1"},
    "cancel_operation": {"operation_id": None},
    "notify": {"event": "live", "text": "All is well.", "workflow_id": "nonesuch", "run_id": "nonesuch"},
}
"""Activities that change the marketplace or notify people, each with an input that our workflows could send."""


@workflow.defn
class Stray:
    """Somebody else's workflow, on their own worker, that calls an activity of ours."""

    @workflow.run
    async def run(self, activity: str, request: dict[str, Any], task_queue: str) -> None:
        await workflow.execute_activity(
            activity, request, task_queue=task_queue, schedule_to_close_timeout=timedelta(seconds=20)
        )


async def test_activities_that_change_something_refuse_everything_but_the_workers_own_workflows(
    programs: Programs, client: Client, address: str, publisher: Publisher
) -> None:
    shell, port, notified = Shell(address), free_port(), list[str]()

    async def notify(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        notified.append("something")
        writer.close()

    offer = {"publisher_id": publisher.name, "offer_id": OFFER}
    async with (
        await asyncio.start_server(notify, "127.0.0.1", port),
        Worker(client, task_queue="strays", workflows=[Stray], workflow_runner=UnsandboxedWorkflowRunner()),
    ):
        hook = {"NOTIFY_WEBHOOK_URL": f"http://127.0.0.1:{port}/"}
        worker = programs.worker(address, publisher.url, publisher.name, **hook)
        await worker.until_working()
        for activity, more in ACTS.items():
            request = more if activity == "notify" else {"offer": offer} | more
            status, said = await shell.status(
                *("activity", "execute", "--type", activity, "--activity-id", f"{publisher.name}/{activity}"),
                *("-t", publisher.name, "--start-to-close-timeout", "20s", "--input", json.dumps(request)),
            )
            assert (status, f"{activity} is a part of this worker's workflows" in said) == (1, True), said
            with pytest.raises(WorkflowFailureError) as failed:
                await client.execute_workflow(
                    Stray.run,
                    args=[activity, request, publisher.name],
                    id=f"{publisher.name}/stray-{activity}",
                    task_queue="strays",
                )
            assert isinstance(failed.value.cause, ActivityError)
            assert f"{activity} is a part of this worker's workflows" in str(failed.value.cause.cause)

    assert not publisher.requests()
    assert not notified
