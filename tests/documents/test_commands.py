"""The commands in the README and the runbook do what the documents say, typed as written."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetActivityRequest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from tests.documents.markdown import document
from tests.documents.reader import GO_LIVE_RUN, OFFER_RUN, Reader
from tests.harness.waiting import until
from workflows.messages import PublishStage

Scene: TypeAlias = Callable[[Reader], Awaitable[None]]

README, RUNBOOK = "README.md", "docs/runbook.md"
AS_WITH_ONE = pytest.mark.only("cloud-partner", "none of these commands depends on the API")

SCENES: dict[tuple[str, str], Scene] = {}
PLAYED: list[Any] = []


def scene(name: str, section: str, *marks: pytest.MarkDecorator) -> Callable[[Scene], Scene]:
    """Register the scene that types the commands of a section."""

    def kept(play: Scene) -> Scene:
        SCENES[name, section] = play
        PLAYED.append(pytest.param(name, section, marks=marks, id=play.__name__))
        return play

    return kept


@scene(README, "Two commands", AS_WITH_ONE)
async def approves_the_demo(reader: Reader) -> None:
    await reader.await_approval()
    await reader.type_next("decide_go_live")
    assert '"outcome":"live"' in (await reader.type_next("workflow result")).replace(" ", "")


@scene(README, "A release day")
async def releases(reader: Reader) -> None:
    await reader.desk.preview("4.2.0")
    await reader.type_next("ValidateAndGoLive")
    await reader.until_asked()
    page = await reader.type_next("metadata")
    assert "Going live adds" in page
    await reader.type_next("decide_go_live")
    assert '"outcome":"live"' in (await reader.type_next("workflow result")).replace(" ", "")
    await start_endless_publish(reader, "ValidateAndGoLive", GO_LIVE_RUN)
    await reader.type_next("workflow cancel")
    await assert_canceled(reader, GO_LIVE_RUN)


async def start_endless_publish(reader: Reader, workflow: str, workflow_id: str) -> None:
    """Start a run whose publish never ends by itself."""
    await reader.desk.step("displaycertify", outcome="never")
    await reader.start_example(workflow, workflow_id, "update.json")
    await reader.until(workflow_id, lambda progress: progress.operation is not None)


async def assert_canceled(reader: Reader, workflow_id: str) -> None:
    with pytest.raises(WorkflowFailureError) as ended:
        await reader.result(workflow_id)
    assert isinstance(ended.value.cause, CancelledError)
    assert await reader.desk.effects("cancel") == 1


@scene(RUNBOOK, "Create an offer")
async def creates(reader: Reader) -> None:
    await reader.type_next("CreateOfferAndPublish")
    assert (await reader.result("offer/fabrikam-linux/another-appliance"))["outcome"] == "preview"


@scene(RUNBOOK, "Publish new images", AS_WITH_ONE)
async def updates(reader: Reader) -> None:
    await reader.desk.preview("4.2.0")
    await reader.type_next("UpdateOfferAndPublish")
    assert (await reader.result(OFFER_RUN))["outcome"] == "preview"
    assert await reader.desk.versions("Preview") == ["4.2.0", "4.3.0"]


@scene(RUNBOOK, "Go live", AS_WITH_ONE)
async def asks_for_approval(reader: Reader) -> None:
    await reader.desk.preview("4.2.0")
    await reader.type_next("ValidateAndGoLive")
    await reader.until_asked()


@scene(RUNBOOK, "Approve or reject", AS_WITH_ONE)
async def decides(reader: Reader) -> None:
    await reader.await_approval()
    assert "4.2.1" in await reader.type_next("progress")
    assert "wrong kernel" in await reader.type_next("decide_go_live")
    with pytest.raises(WorkflowFailureError) as ended:
        await reader.result(GO_LIVE_RUN)
    assert isinstance(ended.value.cause, ApplicationError)
    assert ended.value.cause.type == "GoLiveRejected"
    await reader.start_example("ValidateAndGoLive", GO_LIVE_RUN, "go-live.json")
    await reader.until_asked()
    await reader.type_next("signal --query")
    assert (await reader.result(GO_LIVE_RUN))["approved_by"] == "dana@fabrikam.example"
    await reader.type_next("signal-with-start")
    assert (await reader.result(GO_LIVE_RUN))["outcome"] == "live"


@scene(RUNBOOK, "Follow what somebody started elsewhere", AS_WITH_ONE)
async def follows(reader: Reader) -> None:
    await reader.desk.preview("4.2.0")
    assert '"outcome":"preview"' in (await reader.type_next("CheckLastOperationStatus")).replace(" ", "")


@scene(RUNBOOK, "See what runs", AS_WITH_ONE)
async def lists(reader: Reader) -> None:
    await reader.await_approval()
    for attribute in ("PublishStage", "OfferId", "ImageVersions"):
        assert GO_LIVE_RUN in await reader.type_next(attribute)
    assert "decide_go_live" in await reader.type_next("metadata")
    before = len(await reader.desk.requests())
    await reader.type_next("check_now")

    async def has_looked() -> bool:
        return len(await reader.desk.requests()) > before

    await until(has_looked, "the run looks at the operation again")


@scene(RUNBOOK, "Cancel", AS_WITH_ONE)
async def cancels(reader: Reader) -> None:
    await reader.desk.preview("4.2.0")
    await start_endless_publish(reader, "UpdateOfferAndPublish", OFFER_RUN)
    await reader.type_next("workflow cancel")
    await assert_canceled(reader, OFFER_RUN)


@scene(RUNBOOK, "When something is stuck", AS_WITH_ONE)
async def repairs(reader: Reader) -> None:
    await reader.desk.preview("4.2.0")
    await reader.desk.fault("publish", {"kind": "respond", "status": 503}, times=100)
    await reader.start_example("UpdateOfferAndPublish", OFFER_RUN, "update.json")

    async def refused() -> list[str]:
        pending = (await reader.run(OFFER_RUN).describe()).raw_description.pending_activities
        return [each.activity_id for each in pending if each.HasField("last_failure")]

    async def is_refused() -> bool:
        return bool(await refused())

    await until(is_refused, "the marketplace refuses the write")
    [activity_id] = await refused()
    assert "503" in await reader.type_next("describe")
    for command in ("reset", "pause", "unpause", "update-options"):
        await reader.type_next(f"activity {command} ", activity_id=activity_id)
    await reader.desk.no_faults()
    await reader.desk.temporal.client.workflow_service.reset_activity(  # the next attempt would be seconds away
        ResetActivityRequest(namespace="default", execution=WorkflowExecution(workflow_id=OFFER_RUN), id=activity_id)
    )
    assert (await reader.result(OFFER_RUN))["outcome"] == "preview"
    await reader.start_example("ValidateAndGoLive", GO_LIVE_RUN, "update.json")
    await reader.until_asked()
    await reader.type_next("workflow reset")
    await reader.until_asked()


@scene(RUNBOOK, "When a newer build arrives")
async def replaces_a_release(reader: Reader) -> None:
    newer = f"{GO_LIVE_RUN}/4.3.0"
    await reader.await_approval()
    assert newer in (await reader.type_next("go-live -")).splitlines()
    asked = await reader.until(newer, lambda progress: progress.stage is PublishStage.AWAITING_APPROVAL)
    assert asked.approval is not None
    assert {each.version for each in asked.approval.adds} == {"4.2.0", "4.2.1", "4.3.0"}
    assert "see 4.3.0" in await reader.type_next("reject")
    await reader.type_next("approve")
    assert (await reader.result(newer))["outcome"] == "live"
    assert await reader.desk.versions("Production") == ["4.2.0", "4.2.1", "4.3.0"]


@scene(RUNBOOK, "The command", AS_WITH_ONE)
async def needs_less_typing(reader: Reader) -> None:
    await reader.await_approval()
    watching = asyncio.create_task(reader.type_next("watch go-live/"))
    await asyncio.sleep(0)
    await reader.type_next("approve")
    await reader.type_next("wait")
    assert "is live" in (reader.folder / "summary.md").read_text()
    await watching
    assert OFFER_RUN in (await reader.type_next("publish")).splitlines()
    await reader.type_next("watch offer/")
    assert GO_LIVE_RUN in (await reader.type_next("go-live -")).splitlines()
    assert "wrong kernel" in await reader.type_next("reject")
    assert '"outcome": "preview"' in await reader.type_next("check")


def test_every_section_with_commands_has_a_scene() -> None:
    sections = {(name, each.section) for name in (README, RUNBOOK) for each in document(name).runnable()}
    assert sections == set(SCENES)


@pytest.mark.parametrize(("name", "section"), PLAYED)
async def test_the_commands_of_a_section_do_what_it_says(reader: Reader, name: str, section: str) -> None:
    reader.open_section(name, section)
    await SCENES[name, section](reader)
