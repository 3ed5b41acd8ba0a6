"""Scenes in which a run takes another path with the Product Ingestion API than with the other API."""

from tests.desk import Desk, Run
from tests.harness.runs import until_asked, until_requested
from tests.replay.stage import (
    SELDOM,
    UNATTENDED,
    UPDATE,
    VALIDATE,
    WRITE,
    canceled,
    ended,
    recorded,
    through_ingestion,
)


@recorded(WRITE)
@recorded(UPDATE)
@through_ingestion
async def some_plans_are_published(desk: Desk) -> Run:
    await desk.live("4.2.0")
    return await ended(await desk.start(UPDATE, desk.images("4.2.1", publish="modular", **SELDOM)))


@recorded(VALIDATE)
@through_ingestion
async def publish_is_refused_because_of_another(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await desk.switch(contention="job")
    await desk.fault("publish", {"kind": "stranger_publish"})
    return await ended(await desk.start(VALIDATE, desk.images("4.2.1", **UNATTENDED, **SELDOM)))


@recorded(VALIDATE)
@through_ingestion
async def canceled_where_a_preview_cannot_be_canceled(desk: Desk) -> Run:
    await desk.live("4.2.0")
    return await canceled(await desk.start(VALIDATE, desk.images("4.2.1", **SELDOM)), until_asked)


@recorded(UPDATE)
@through_ingestion
async def canceled_while_its_publish_is_unknown(desk: Desk) -> Run:
    await desk.live("4.2.0")
    await desk.fault("publish", {"kind": "drop"}, times=-1)
    run = await desk.start(UPDATE, desk.images("4.2.1", **SELDOM))
    await until_requested(desk, "publish")
    await run.cancel()
    return await ended(run)
