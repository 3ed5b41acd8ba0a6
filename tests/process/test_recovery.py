"""Workers and the Temporal server are killed. Every run finishes, and nothing happens twice at the marketplace."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import CancelledError

from tests.apis.cloud_partner import offer_document
from tests.desk import PLAN, SAS, Run, vhd
from tests.harness.processes import free_port
from tests.harness.programs import Programs
from tests.harness.runs import in_flight, lease_of, until_asked, until_in_flight, until_progress
from tests.harness.temporal_server import connected
from tests.harness.waiting import until
from tests.process.sandbox_publisher import Publisher
from workflows.messages import PublicationResult


async def start(client: Client, publisher: Publisher, offer: str = "webstack") -> Run:
    return await client.start_workflow(
        "CreateOfferAndPublish",
        {
            "offer": offer_document(publisher.name, ["4.2.0"], offer),
            "polling": {"min_interval": "PT0.5S", "max_interval": "PT0.5S"},
        },
        id=f"{publisher.name}/{offer}",
        task_queue=publisher.name,
        result_type=PublicationResult,
    )


async def start_with_image(client: Client, publisher: Publisher, workflow: str, version: str, **more: object) -> Run:
    image = {"plan_id": PLAN, "version": version, "os_vhd_url": f"{vhd(version)}?{SAS}"}
    wanted: dict[str, object] = {"publisher_id": publisher.name, "offer_id": "webstack", "images": [image]}
    return await client.start_workflow(
        workflow,
        wanted | {"polling": {"min_interval": "PT1S", "max_interval": "PT1S"}} | more,
        id=f"{publisher.name}/{version}",
        task_queue=publisher.name,
        result_type=PublicationResult,
        # Temporal repeats the workflow task of a killed worker after this time, which is ten seconds by default.
        task_timeout=timedelta(seconds=3),
    )


async def shorten_attempt(client: Client, address: str, run: Run, activity: str) -> None:
    """Shorten the timeout of an attempt whose worker was killed. By default it takes minutes."""
    for each in (await run.describe()).raw_description.pending_activities:
        if each.activity_type.name == activity:
            options = ["-w", run.id, "--activity-id", each.activity_id, "--start-to-close-timeout", "2s"]
            process = await asyncio.create_subprocess_exec(
                "temporal", "activity", "update-options", *options, "--address", address
            )
            assert await process.wait() == 0


async def test_a_worker_is_killed_while_it_follows_an_operation(
    programs: Programs, client: Client, address: str, publisher: Publisher
) -> None:
    worker = programs.worker(address, publisher.url, publisher.name)
    run = await start(client, publisher)
    await worker.until(lambda: len(publisher.requests("read_operation")) > 0, "the worker looks at the operation")
    worker.kill()
    programs.worker(address, publisher.url, publisher.name)

    assert (await run.result()).outcome == "preview"
    assert publisher.effects("put_offer") == 1
    assert publisher.effects("publish") == 1


async def test_a_worker_is_killed_between_a_publish_request_and_its_answer(
    programs: Programs, client: Client, address: str, publisher: Publisher
) -> None:
    worker = programs.worker(address, publisher.url, publisher.name)
    await worker.until_working()
    await publisher.delay("publish", 2)
    run = await start(client, publisher)
    await until_in_flight(run, "publish")
    await worker.until(lambda: len(publisher.requests("list_operations")) == 1, "the worker lists the operations")
    await asyncio.sleep(0.5)  # the publish request follows at once, but is listed only once it is answered
    worker.kill()
    await until(lambda: publisher.effects("publish") == 1, "the marketplace accepts the publish")
    await shorten_attempt(client, address, run, "publish")
    programs.worker(address, publisher.url, publisher.name)

    assert (await run.result()).outcome == "preview"
    assert publisher.effects("publish") == 1
    assert len(publisher.requests("publish")) == 1


async def test_a_worker_is_killed_during_a_local_activity(
    programs: Programs, client: Client, address: str, publisher: Publisher
) -> None:
    worker = programs.worker(address, publisher.url, publisher.name)
    assert (await (await start(client, publisher)).result()).outcome == "preview"
    run = await start_with_image(client, publisher, "ValidateAndGoLive", "4.2.1", approval={"required": False})

    await until_progress(run, lambda progress: progress.next_look is not None)
    await publisher.delay("read_operation", 1.5)
    await worker.until(publisher.is_delaying, "the request to delay arrives")
    assert not (await run.describe()).raw_description.pending_activities
    worker.kill()
    programs.worker(address, publisher.url, publisher.name)

    assert (await run.result()).outcome == "live"
    assert publisher.effects("put_offer") == 2
    assert publisher.effects("publish") == 2
    assert publisher.effects("go_live") == 1


async def test_a_worker_is_killed_while_it_writes_a_draft_that_another_run_waits_for(
    programs: Programs, client: Client, address: str, publisher: Publisher
) -> None:
    await publisher.control("PUT", "switches", {"etag_on_get": False, "etag_on_put": False})
    worker = programs.worker(address, publisher.url, publisher.name)
    assert (await (await start(client, publisher)).result()).outcome == "preview"
    await publisher.delay("put_offer", 4)
    runs = [await start_with_image(client, publisher, "UpdateOfferAndPublish", "4.2.1")]
    await worker.until(publisher.is_delaying, "the request to delay arrives")
    runs.append(await start_with_image(client, publisher, "UpdateOfferAndPublish", "4.2.2"))

    await until_progress(
        runs[1], lambda progress: progress.waiting_for == "another run that is writing to the offer's draft"
    )
    worker.kill()
    await until(lambda: publisher.effects("put_offer") == 2, "the marketplace accepts the edit")
    await shorten_attempt(client, address, lease_of(client, publisher.name, "webstack"), "edit_images")
    programs.worker(address, publisher.url, publisher.name)

    results = await asyncio.gather(*(run.result() for run in runs))
    assert [result.outcome for result in results] == ["preview", "preview"]
    assert publisher.versions("webstack", "Preview") == ["4.2.0", "4.2.1", "4.2.2"]
    assert publisher.effects("put_offer") == 3


async def test_the_temporal_server_is_killed_and_continues_with_its_database(
    programs: Programs, publisher: Publisher
) -> None:
    port = free_port()
    address = f"127.0.0.1:{port}"
    server = programs.temporal(port)
    client = await connected(address)
    worker = programs.worker(address, publisher.url, publisher.name)
    run = await start(client, publisher)
    await worker.until(lambda: len(publisher.requests("read_operation")) > 0, "the worker looks at the operation")
    server.kill()
    programs.temporal(port)
    client = await connected(address)

    again = client.get_workflow_handle(run.id, result_type=PublicationResult)
    assert (await again.result()).outcome == "preview"
    assert worker.process.poll() is None
    assert publisher.effects("put_offer") == 1
    assert publisher.effects("publish") == 1


async def test_one_of_two_workers_is_killed(
    programs: Programs, client: Client, address: str, publisher: Publisher
) -> None:
    workers = [programs.worker(address, publisher.url, publisher.name) for _ in range(2)]
    for worker in workers:
        await worker.until_working()
    runs = [await start(client, publisher, f"webstack-{number}") for number in range(4)]

    async def all_are_published() -> bool:
        # A worker killed between an answer and its report keeps its run waiting until the attempt times out.
        return publisher.effects("publish") == 4 and not any([await in_flight(run, "publish") for run in runs])

    await until(all_are_published, "all four runs have published")
    workers[0].kill()

    results = await asyncio.gather(*(run.result() for run in runs))
    assert [result.outcome for result in results] == ["preview"] * 4
    assert publisher.effects("put_offer") == 4
    assert publisher.effects("publish") == 4


async def test_a_run_that_is_approved_and_cancelled_while_no_worker_runs_does_not_go_live(
    programs: Programs, client: Client, address: str, publisher: Publisher
) -> None:
    worker = programs.worker(address, publisher.url, publisher.name)
    assert (await (await start(client, publisher)).result()).outcome == "preview"
    run = await client.start_workflow(
        "ValidateAndGoLive",
        {"publisher_id": publisher.name, "offer_id": "webstack", "images": []},
        id=f"{publisher.name}/live",
        task_queue=publisher.name,
    )

    await until_asked(run)
    assert worker.stop() == 0
    await run.signal("approve_go_live", {"approver": "dana"})
    await run.cancel()
    programs.worker(address, publisher.url, publisher.name)
    with pytest.raises(WorkflowFailureError) as ended:
        await run.result()

    assert isinstance(ended.value.cause, CancelledError)
    assert not publisher.requests("go_live")
