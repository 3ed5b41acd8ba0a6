"""What scenes are made of. A scene acts as a release engineer, lets its run end and answers with it.

Its name is that of the history's file, the folder that of the workflow. Each has a publisher of its own, and a
marketplace where publishing takes a second. Act only where the run waits for a timer or a person, as `until_followed`
and `until_asked` see to: then a scene takes the same way whenever it is recorded.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError

from tests.desk import Desk, Run, progress_of
from workflows.messages import Progress, PublicationResult, PublishStage

Scene: TypeAlias = Callable[[Desk], Awaitable[Run]]

CREATE, UPDATE, VALIDATE, CHECK = (
    "CreateOfferAndPublish",
    "UpdateOfferAndPublish",
    "ValidateAndGoLive",
    "CheckLastOperationStatus",
)
SELDOM: dict[str, Any] = {"polling": {"min_interval": "PT2S", "max_interval": "PT2S"}}
ONLY_WHEN_ASKED: dict[str, Any] = {"polling": {"min_interval": "PT1H", "max_interval": "PT1H"}}
SLOWLY = 6.0
"""Seconds."""
UNATTENDED: dict[str, Any] = {"approval": {"required": False}}
DANA = "dana@fabrikam.example"

SCENES: dict[str, dict[str, Scene]] = {CREATE: {}, UPDATE: {}, VALIDATE: {}, CHECK: {}}


def scene(workflow: str) -> Callable[[Scene], Scene]:
    """Name a function as a scene of a workflow."""

    def named(play: Scene) -> Scene:
        SCENES[workflow][play.__name__] = play
        return play

    return named


async def ended(run: Run) -> Run:
    """Let a run end, well or badly."""
    with contextlib.suppress(WorkflowFailureError):
        await run.result()
    return run


async def until(run: Run, ready: Callable[[Progress], bool]) -> Progress:
    """Wait until the run's progress is as wanted."""
    async with asyncio.timeout(60):
        while True:
            progress = await progress_of(run)
            if ready(progress):
                return progress
            await asyncio.sleep(0.1)


async def until_followed(run: Run) -> Progress:
    """Wait until the run, or the one below it, has looked at an operation and waits for the next look."""
    progress = await until(run, lambda progress: bool(progress.steps))
    if progress.operation is not None and progress.operation.followed_by is not None:
        follower: Run = run._client.get_workflow_handle(progress.operation.followed_by)

        async def waits() -> bool:
            try:
                return (await progress_of(follower)).next_look is not None
            except RPCError:  # it is only being started
                return False

        await until_so(waits)
    return progress


async def until_asked(run: Run) -> Progress:
    """Wait until the run asks for approval."""
    return await until(run, lambda progress: progress.stage is PublishStage.AWAITING_APPROVAL)


async def until_so(ready: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(60):
        while True:
            if await ready():
                return
            await asyncio.sleep(0.1)


async def checked_once_published(run: Run) -> Run:
    """Ask a run that looks only when asked to look, once what it follows has been published."""
    await until_followed(run)
    await asyncio.sleep(SLOWLY + 2)
    await run.signal("check_now")
    return await ended(run)


async def canceled(run: Run, ready: Callable[[Run], Awaitable[Progress]]) -> Run:
    """Cancel a run once it is where it should be."""
    await ready(run)
    await run.cancel()
    return await ended(run)


def child(desk: Desk, workflow_id: str) -> Run:
    """Return another run than the one that was started."""
    return desk.temporal.client.get_workflow_handle(workflow_id, result_type=PublicationResult)


async def requests(desk: Desk, call: str) -> int:
    """Count the requests of a call."""
    return [entry["call"] for entry in await desk.requests()].count(call)


async def slowly(desk: Desk) -> None:
    """Let publishing take so long that what a run meets still goes on, however busy the machine is."""
    await desk.step("displaycertify", duration_seconds=SLOWLY)


async def publishes(desk: Desk) -> None:
    """Let somebody else publish another draft of an offer that is live."""
    await desk.live("4.2.0")
    await slowly(desk)
    await desk.stranger("edit", version="4.1.9")
    await desk.stranger("publish")


async def publishes_a_new_offer(desk: Desk) -> None:
    """Let somebody publish by hand."""
    await desk.call("PUT", "", desk.document("4.2.0"), {"If-Match": "*"})
    await desk.publish()


async def many_looks(desk: Desk) -> Run:
    """Follow so often that the server suggests to continue as new."""
    await desk.step("displaycertify", outcome="never")
    await publishes_a_new_offer(desk)
    run = await desk.start(CHECK, desk.check(polling={"min_interval": "PT0.2S", "max_interval": "PT0.2S"}))
    first = run.first_execution_run_id
    async with asyncio.timeout(60):
        while True:
            if (await run.describe()).run_id != first:
                break
            await asyncio.sleep(0.2)
    await desk.stranger("cancel")
    return run
