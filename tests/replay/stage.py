"""The building blocks of scenes. A scene acts as a release engineer, lets its run end, and returns the run.

Each scene has its own publisher, and a marketplace where publishing takes a second. A scene acts only while its run
waits for a timer, a person or a delayed answer, as `until_followed`, `until_asked` and `until_delaying` make sure.
A scene therefore leaves the same history whenever it is played.
"""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError

from tests.desk import PLAN, SAS, Desk, Run, vhd
from tests.harness.runs import until_asked, until_followed, until_in_flight, until_progress
from tests.harness.waiting import until
from workflows.messages import PublicationResult

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
"""An operation has ended before the second look at it, unless it is held."""

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
"""The scenes whose histories are recorded, by workflow."""

THROUGH_INGESTION: set[str] = set()
"""The names of the scenes that are played through the Product Ingestion API."""


def recorded(workflow: str) -> Callable[[Scene], Scene]:
    """Record the history of a workflow that a scene leaves, under the scene's name."""

    def named(play: Scene) -> Scene:
        RECORDED[workflow][play.__name__] = play
        return play

    return named


def through_ingestion(play: Scene) -> Scene:
    """Play a scene through the Product Ingestion API."""
    THROUGH_INGESTION.add(play.__name__)
    return play


# Runs


async def ended(run: Run) -> Run:
    """Wait until a run has ended, whether it succeeds or fails."""
    with contextlib.suppress(WorkflowFailureError):
        await run.result()
    return run


async def until_newest_followed(desk: Desk, run: Run) -> None:
    """Wait until the run has looked at the offer's newest operation and waits for the next look."""
    newest = (await desk.state())["operations"][-1]["id"]
    await until_progress(
        run,
        lambda progress: (
            progress.next_look is not None and progress.operation is not None and progress.operation.id == newest
        ),
    )


async def until_noted(run: Run, words: str) -> None:
    """Wait until a note of a run contains some words."""
    await until_progress(run, lambda progress: any(words in note for note in progress.notes))


async def until_exists(run: Run) -> None:
    """Wait until a run exists."""

    async def exists() -> bool:
        try:
            await run.describe()
        except RPCError:
            return False
        return True

    await until(exists, f"the run {run.id} exists")


async def until_continued(run: Run) -> None:
    """Wait until a run has continued as new since its start."""

    async def is_continued() -> bool:
        return (await run.describe()).run_id != run.first_execution_run_id

    await until(is_continued, f"{run.id} continues as new")


async def canceled(run: Run, ready: Callable[[Run], Awaitable[object]] = until_followed) -> Run:
    """Cancel a run as soon as it is ready for that, and let it end."""
    await ready(run)
    await run.cancel()
    return await ended(run)


async def canceled_in(run: Run, activity: str) -> Run:
    """Cancel a run while an activity waits for the marketplace's answer, and let it end."""

    async def ready(run: Run) -> None:
        await until_in_flight(run, activity)

    return await canceled(run, ready)


async def approved(run: Run) -> Run:
    """Approve as soon as a run asks for it, and let it end."""
    await until_asked(run)
    await run.signal("approve_go_live", {"approver": DANA})
    return await ended(run)


def run_of(desk: Desk, workflow_id: str) -> Run:
    """Return the run with a workflow ID."""
    return desk.temporal.client.get_workflow_handle(workflow_id, result_type=PublicationResult)


# The marketplace


async def hold(desk: Desk) -> None:
    """Keep every publish in certification until `release`."""
    await desk.step("displaycertify", outcome="never")


async def release(desk: Desk) -> None:
    """Let the publishes that `hold` kept continue."""
    await desk.step("displaycertify")


async def delay(desk: Desk, call: str, seconds: float = 2, **more: Any) -> None:
    """Delay the answer to the next request of a call."""
    await desk.fault(call, {"kind": "delay", "seconds": seconds, **more})


async def until_delaying(desk: Desk) -> None:
    """Wait until the request that `delay` delays has arrived."""
    faults = f"{desk.sandbox_url}/_control/publishers/{desk.publisher}/faults"

    async def is_delaying() -> bool:
        return (await desk.http.get(faults)).text == "[]"

    await until(is_delaying, "the request to delay arrives")


async def without_etags(desk: Desk) -> None:
    """Let the marketplace send no ETags."""
    await desk.switch(etag_on_get=False, etag_on_put=False)


async def somebody_publishes(desk: Desk) -> None:
    """Let somebody else publish a changed draft of a live offer, and hold that publish until `release`."""
    await desk.live("4.2.0")
    await hold(desk)
    await desk.stranger("edit", version="4.1.9")
    await desk.stranger("publish")


def image(version: str, url: str) -> dict[str, Any]:
    """Return an image with the given disk."""
    return {"plan_id": PLAN, "version": version, "os_vhd_url": url}


def signed(version: str, until: str = "2199-01-01") -> str:
    """Return the URL of a disk with an invented signature."""
    return f"{vhd(version)}?{SAS.replace('2199-01-01', until)}"
