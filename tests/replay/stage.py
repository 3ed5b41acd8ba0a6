"""What scenes are made of. A scene acts as a release engineer, lets its run end and answers with it.

Each has a separate publisher, and a marketplace where publishing takes a second. Act only where the run waits for
a timer, a person or an answer that is held back, as `until_followed` and `until_asked` see to: then a scene takes
the same way whenever it is played.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError

from tests.desk import PLAN, SAS, Desk, Run, progress_of, vhd
from tests.process.processes import in_flight
from workflows.messages import Progress, PublicationResult, PublishStage

Scene: TypeAlias = Callable[[Desk], Awaitable[Run]]

CREATE, UPDATE, VALIDATE, CHECK, WRITE, NOTIFY = (
    "CreateOfferAndPublish",
    "UpdateOfferAndPublish",
    "ValidateAndGoLive",
    "CheckLastOperationStatus",
    "WriteDraft",
    "Notify",
)
SELDOM: dict[str, Any] = {"polling": {"min_interval": "PT1S", "max_interval": "PT1S"}}
"""Whatever was followed has ended when it is looked at for the second time, unless it is held."""

OFTEN: dict[str, Any] = {"polling": {"min_interval": "PT0.2S", "max_interval": "PT0.2S"}}
ONLY_WHEN_ASKED: dict[str, Any] = {"polling": {"min_interval": "PT1H", "max_interval": "PT1H"}}
UNATTENDED: dict[str, Any] = {"approval": {"required": False}}
DANA = "dana@fabrikam.example"

RECORDED: dict[str, dict[str, Scene]] = {
    CREATE: {},
    UPDATE: {},
    VALIDATE: {},
    CHECK: {},
    WRITE: {},
    NOTIFY: {},
}
"""The scenes whose histories are kept, by workflow."""

PLAYED: dict[str, Scene] = {}
"""The scenes that are played and replayed within one test."""

THROUGH_INGESTION: set[str] = set()
"""Those of them whose marketplace is the Product Ingestion API."""


def recorded(workflow: str) -> Callable[[Scene], Scene]:
    """Keep the history that a scene leaves of a workflow, under the scene's name."""

    def named(play: Scene) -> Scene:
        RECORDED[workflow][play.__name__] = play
        return play

    return named


def played(play: Scene) -> Scene:
    """Play a scene anew with every test."""
    PLAYED[play.__name__] = play
    return play


def played_through_ingestion(play: Scene) -> Scene:
    """Play a scene anew with every test, through the Product Ingestion API."""
    THROUGH_INGESTION.add(play.__name__)
    return played(play)


# Runs


async def ended(run: Run) -> Run:
    """Let a run end, well or badly."""
    with contextlib.suppress(WorkflowFailureError):
        await run.result()
    return run


async def until_so(ready: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(60):
        while True:
            if await ready():
                return
            await asyncio.sleep(0.1)


async def until(run: Run, ready: Callable[[Progress], bool]) -> None:
    """Wait until the run's progress is as wanted."""

    async def is_ready() -> bool:
        try:
            return ready(await progress_of(run))
        except RPCError:  # on a busy machine a query may find no worker in time
            return False

    await until_so(is_ready)


async def until_followed(run: Run) -> None:
    """Wait until the run has looked at an operation and waits for the next look."""
    await until(run, lambda progress: bool(progress.steps) and progress.next_look is not None)


async def until_newest_followed(desk: Desk, run: Run) -> None:
    """Wait until the run has looked at the offer's newest operation and waits for the next look."""
    newest = (await desk.state())["operations"][-1]["id"]
    await until(
        run,
        lambda progress: (
            progress.next_look is not None and progress.operation is not None and progress.operation.id == newest
        ),
    )


async def until_asked(run: Run) -> None:
    """Wait until the run asks for approval."""
    await until(run, lambda progress: progress.stage is PublishStage.AWAITING_APPROVAL)


async def until_noted(run: Run, words: str) -> None:
    """Wait until the run has noted something."""
    await until(run, lambda progress: any(words in note for note in progress.notes))


async def until_requested(desk: Desk, call: str, times: int = 1) -> None:
    """Wait until the marketplace has answered so many requests of a call."""

    async def is_requested() -> bool:
        return [entry["call"] for entry in await desk.requests()].count(call) >= times

    await until_so(is_requested)


async def until_there(run: Run) -> None:
    """Wait until there is such a run."""

    async def is_there() -> bool:
        try:
            await run.describe()
        except RPCError:
            return False
        return True

    await until_so(is_there)


async def until_continued(run: Run) -> None:
    """Wait until the run has been continued as new."""

    async def is_continued() -> bool:
        return (await run.describe()).run_id != run.first_execution_run_id

    await until_so(is_continued)


async def canceled(run: Run, ready: Callable[[Run], Awaitable[None]] = until_followed) -> Run:
    """Cancel a run once it is where it should be."""
    await ready(run)
    await run.cancel()
    return await ended(run)


async def canceled_in(run: Run, activity: str) -> Run:
    """Cancel a run while an activity waits for the marketplace's answer."""

    async def ready(run: Run) -> None:
        await until_so(lambda: in_flight(run, activity))

    return await canceled(run, ready)


async def approved(run: Run) -> Run:
    """Approve as soon as the run asks for it."""
    await until_asked(run)
    await run.signal("approve_go_live", {"approver": DANA})
    return await ended(run)


def run_of(desk: Desk, workflow_id: str) -> Run:
    """Return another run than the one that was started."""
    return desk.temporal.client.get_workflow_handle(workflow_id, result_type=PublicationResult)


# The marketplace


async def hold(desk: Desk) -> None:
    """Let publishing come to no end until it is released."""
    await desk.step("displaycertify", outcome="never")


async def release(desk: Desk) -> None:
    """Let publishing go on."""
    await desk.step("displaycertify")


async def delay(desk: Desk, call: str, seconds: float = 2, **more: Any) -> None:
    """Let the next request of a call wait for its answer."""
    await desk.fault(call, {"kind": "delay", "seconds": seconds, **more})


async def until_held(desk: Desk) -> None:
    """Wait until the request has come that was to wait for its answer."""
    faults = f"{desk.sandbox_url}/_control/publishers/{desk.publisher}/faults"

    async def is_held() -> bool:
        return (await desk.http.get(faults)).text == "[]"

    await until_so(is_held)


async def without_etags(desk: Desk) -> None:
    """Give no ETags."""
    await desk.switch(etag_on_get=False, etag_on_put=False)


async def publishes(desk: Desk) -> None:
    """Let somebody else publish another draft of an offer that is live; it comes to no end until it is released."""
    await desk.live("4.2.0")
    await hold(desk)
    await desk.stranger("edit", version="4.1.9")
    await desk.stranger("publish")


async def put_by_hand(desk: Desk, *versions: str) -> None:
    """Let somebody put the offer by hand."""
    await desk.put(*versions)


def image(version: str, url: str) -> dict[str, Any]:
    """Make an image with a disk that no other image has."""
    return {"plan_id": PLAN, "version": version, "os_vhd_url": url}


def signed(version: str, until: str = "2199-01-01") -> str:
    """Return the address of a disk with an invented signature."""
    return f"{vhd(version)}?{SAS.replace('2199-01-01', until)}"
