"""Plays scenes on a development server, and takes the histories that their runs leave."""

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, TypeAlias

import httpx
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.testing import WorkflowEnvironment

from sandbox import SandboxMarketplace, serve
from tests.apis.api import Api
from tests.apis.cloud_partner import CloudPartner
from tests.apis.product_ingestion import ProductIngestionApi
from tests.desk import STEPS, Desk, Recorder
from tests.replay.stage import DANA, THROUGH_INGESTION, Scene, ended
from worker.registration import data_converter, worker
from workflows import search_attributes

API: Api = CloudPartner()
QUEUE = "offer-publishing"
GUARDED = "guarded"
"""The task queue of a worker that lets nothing go live without DANA."""

IDENTITY = "recorder@fabrikam.example"
AT_A_TIME = 8
SCENE_SECONDS = 120
CONTINUE_AS_NEW_AFTER = 70
"""Events; the server's own limit of 4096 would make a history of a megabyte."""

STEP_SECONDS = 0.1
PUBLISHING = timedelta(seconds=4 * STEP_SECONDS + 0.2)

Events: TypeAlias = list[dict[str, Any]]


class Webhook(Recorder):
    """A webhook that takes its time, and is away at first for some posts."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.away = 0

    async def post(self, body: str) -> int | None:
        """Keep what it gets."""
        await asyncio.sleep(self.seconds)
        answered = await super().post(body)
        self.away -= 1
        return 503 if self.away >= 0 else answered


class Webhooks:
    """A webhook a publisher, so that one scene's may fail."""

    def __init__(self) -> None:
        self.of: dict[str, Webhook] = {}

    async def post(self, body: str) -> int | None:
        """Pass on what a run tells."""
        publisher = json.loads(body)["publisher_id"]
        return await self.of[publisher].post(body) if publisher else 200


class Player:
    """Plays several scenes at a time, each with a separate publisher."""

    def __init__(self, temporal: WorkflowEnvironment, http: httpx.AsyncClient, url: str, webhooks: Webhooks) -> None:
        self._temporal, self._http, self._url, self._webhooks = temporal, http, url, webhooks
        self._numbers, self._room = itertools.count(1), asyncio.Semaphore(AT_A_TIME)

    async def play(self, scene: Scene) -> list[Events]:
        """Play a scene; answers with the histories of its run, all that it was continued as, and those below."""
        async with self._room, asyncio.timeout(SCENE_SECONDS):
            publisher = f"fabrikam-{next(self._numbers)}"
            self._webhooks.of[publisher] = Webhook()
            webhook = self._webhooks.of[publisher]
            async with AsyncExitStack() as stack:
                api, url, queue = API, self._url, QUEUE
                if scene.__name__ in THROUGH_INGESTION:
                    api, url, queue = await self._ingestion(stack, publisher)
                desk = Desk(api, self._temporal, self._http, url, queue, publisher, webhook, PUBLISHING)
                run = await scene(desk)
            return [each async for each in _histories(self._temporal.client, run.id, run.first_execution_run_id)]

    async def _ingestion(self, stack: AsyncExitStack, publisher: str) -> tuple[Api, str, str]:
        """Start a marketplace and a worker of the scene's own: no address of that API names a publisher."""
        api, queue = ProductIngestionApi(), f"ingestion-{publisher}"
        url = await stack.enter_async_context(serve(sandbox(account=publisher)))
        client, marketplace = self._temporal.client, api.marketplace(self._http, url)
        await stack.enter_async_context(worker(client, queue, marketplace, self._webhooks, identity=IDENTITY))
        return api, url, queue

    async def play_all(self, scenes: Mapping[str, Scene]) -> tuple[dict[str, list[Events]], dict[str, BaseException]]:
        """Play scenes; answers with the histories of each, and with what went wrong in which."""
        ends = await asyncio.gather(*map(self.play, scenes.values()), return_exceptions=True)
        histories: dict[str, list[Events]] = {}
        failures: dict[str, BaseException] = {}
        for name, end in zip(scenes, ends, strict=True):
            if isinstance(end, BaseException):
                failures[name] = end
            else:
                histories[name] = end
        return histories, failures


def sandbox(**options: Any) -> SandboxMarketplace:
    """Make a marketplace where publishing takes a second."""
    return SandboxMarketplace(default_switches={"step_durations": dict.fromkeys(STEPS, STEP_SECONDS)}, **options)


@asynccontextmanager
async def playing() -> AsyncIterator[Player]:
    """Start what scenes are played on: a server, a marketplace, a worker."""
    marketplace = sandbox()
    webhooks = Webhooks()
    async with (
        await WorkflowEnvironment.start_local(
            data_converter=data_converter(),
            identity=IDENTITY,
            search_attributes=search_attributes.ALL,
            dev_server_existing_path=shutil.which("temporal"),
            dev_server_extra_args=[
                *("--dynamic-config-value", f"limit.historyCount.suggestContinueAsNew={CONTINUE_AS_NEW_AFTER}"),
                # Else timers go off up to a second late.
                *("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"'),
            ],
            dev_server_log_level="error",
        ) as temporal,
        serve(marketplace) as url,
        httpx.AsyncClient() as http,
        worker(temporal.client, QUEUE, API.marketplace(http, url), webhooks, identity=IDENTITY),
        worker(temporal.client, GUARDED, API.marketplace(http, url), webhooks, approvers=[DANA], identity=IDENTITY),
    ):
        yield Player(temporal, http, url, webhooks)


async def _histories(client: Client, workflow_id: str, run_id: str | None) -> AsyncIterator[Events]:
    """Read a run's history, those of what it was continued as, and those of the runs below."""
    run: WorkflowHandle[Any, Any] = client.get_workflow_handle(workflow_id, run_id=run_id)
    events: Events = json.loads((await run.fetch_history()).to_json())["events"]
    yield events
    for event in events:
        below = event.get("childWorkflowExecutionStartedEventAttributes")
        if below is not None:
            lease = below["workflowExecution"]
            await ended(client.get_workflow_handle(lease["workflowId"], run_id=lease["runId"]))
            async for each in _histories(client, lease["workflowId"], lease["runId"]):
                yield each
    continued = events[-1].get("workflowExecutionContinuedAsNewEventAttributes")
    if continued is not None:
        async for each in _histories(client, workflow_id, continued["newExecutionRunId"]):
            yield each


def workflow_of(events: Events) -> str:
    """Say which workflow left a history."""
    name: str = events[0]["workflowExecutionStartedEventAttributes"]["workflowType"]["name"]
    return name


def history_of(events: Events) -> WorkflowHistory:
    """Return a history as the replayer takes it."""
    started = events[0]["workflowExecutionStartedEventAttributes"]
    return WorkflowHistory.from_json(started["workflowId"], {"events": events})
