"""Worker Deployment Versions: a run continues on the version that is current."""

import asyncio

from temporalio.client import Client

from tests.apis.cloud_partner import offer_document
from tests.desk import OFFER, PLAN, SAS, Run, vhd
from tests.harness.programs import Program, Programs
from tests.harness.runs import until_asked
from tests.harness.waiting import until
from tests.process.sandbox_publisher import Publisher
from worker.sharing import count_workers
from workflows.messages import PublicationResult


async def make_current(address: str, deployment: str, build_id: str) -> None:
    """Make a version current, as soon as the server knows its workers."""

    async def is_current() -> bool:
        process = await asyncio.create_subprocess_exec(
            *("temporal", "worker", "deployment", "set-current-version", "--yes", "--address", address),
            *("--deployment-name", deployment, "--build-id", build_id),
        )
        return await process.wait() == 0

    await until(is_current, f"the server accepts {build_id} as the current version")


async def versions_of(run: Run) -> list[str]:
    """Return the versions that completed a run's workflow tasks, in order, each once in a row."""
    versions: list[str] = []
    async for event in run.fetch_history_events():
        if event.HasField("workflow_task_completed_event_attributes"):
            version = event.workflow_task_completed_event_attributes.deployment_version.build_id
            if versions[-1:] != [version]:
                versions.append(version)
    return versions


async def test_a_run_continues_on_the_version_that_is_made_current(
    programs: Programs, client: Client, address: str, publisher: Publisher
) -> None:
    deployment = publisher.name

    def worker(**more: str) -> Program:
        return programs.worker(address, publisher.url, publisher.name, **more)

    def version(build_id: str) -> Program:
        return worker(TEMPORAL_DEPLOYMENT_NAME=deployment, TEMPORAL_DEPLOYMENT_BUILD_ID=build_id)

    async def start(workflow: str, what: dict[str, object]) -> Run:
        return await client.start_workflow(
            workflow,
            what | {"polling": {"min_interval": "PT0.3S", "max_interval": "PT0.5S"}},
            id=f"{publisher.name}/{workflow}",
            task_queue=publisher.name,
            result_type=PublicationResult,
        )

    async def three_are_counted() -> bool:
        return await count_workers(client, publisher.name) == 3

    older = version("1.0")
    await older.until_working()
    assert f"set-current-version --namespace default --deployment-name {deployment} --build-id 1.0" in older.said()
    await make_current(address, deployment, "1.0")
    created = await start("CreateOfferAndPublish", {"offer": offer_document(publisher.name, ["4.2.0"])})
    assert (await created.result()).outcome == "preview"
    image = {"plan_id": PLAN, "version": "4.2.1", "os_vhd_url": f"{vhd('4.2.1')}?{SAS}"}
    run = await start("ValidateAndGoLive", {"publisher_id": publisher.name, "offer_id": OFFER, "images": [image]})
    await until_asked(run)

    newer = version("1.1")
    await asyncio.gather(newer.until_working(), worker().until_working())
    await until(three_are_counted, "all three workers are counted")
    await make_current(address, deployment, "1.1")
    await run.execute_update("decide_go_live", {"approve": True, "approver": "dana@fabrikam.example"})

    assert (await run.result()).outcome == "live"
    assert await versions_of(created) == ["1.0"]
    assert await versions_of(run) == ["1.0", "1.1"]
