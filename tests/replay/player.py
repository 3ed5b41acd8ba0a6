"""Play scenes on a Temporal server in real time, and fetch the histories that their runs leave."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeAlias

import httpx
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.testing import WorkflowEnvironment

from sandbox import serve
from tests.apis.api import Api
from tests.apis.cloud_partner import CloudPartnerApi
from tests.apis.product_ingestion import ProductIngestionApi
from tests.desk import Desk, Recorder, publishing_time, sandbox_with
from tests.harness.temporal_server import development_server
from tests.replay.stage import DANA, THROUGH_INGESTION, Scene, ended
from worker.registration import create_worker

API: Api = CloudPartnerApi()
QUEUE = "offer-publishing"
GUARDED = "guarded"
"""The task queue of a worker whose only approver is DANA."""

IDENTITY = "recorder@fabrikam.example"
AT_A_TIME = 8
SCENE_SECONDS = 120
CONTINUE_AS_NEW_AFTER = 70
"""The number of events after which a run continues as new. The server's default of 4096 events takes a megabyte."""

STEP_SECONDS = 0.1
PUBLISHING = publishing_time(STEP_SECONDS)

Events: TypeAlias = list[dict[str, Any]]


class Webhook(Recorder):
    """A webhook that can be slow, and unavailable for the first posts.

    Attributes:
        seconds: How long it takes to answer.
        away: How many posts it still answers with 503.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.away = 0

    async def post(self, body: str) -> int | None:
        """Keep the notification, and return the status."""
        await asyncio.sleep(self.seconds)
        answered = await super().post(body)
        self.away -= 1
        return 503 if self.away >= 0 else answered


class Webhooks:
    """One webhook for each publisher. A scene can let its own webhook fail."""

    def __init__(self) -> None:
        self.of: dict[str, Webhook] = {}

    async def post(self, body: str) -> int | None:
        """Pass a notification on to the webhook of its publisher."""
        publisher = json.loads(body)["publisher_id"]
        return await self.of[publisher].post(body) if publisher else 200


class Player:
    """Plays several scenes at a time, each with its own publisher."""

    def __init__(self, temporal: WorkflowEnvironment, http: httpx.AsyncClient, url: str, webhooks: Webhooks) -> None:
        self._temporal, self._http, self._url, self._webhooks = temporal, http, url, webhooks
        self._numbers, self._room = itertools.count(1), asyncio.Semaphore(AT_A_TIME)

    async def play(self, scene: Scene) -> list[Events]:
        """Play a scene, and return the histories of its run, of all runs it continued as, and of their children."""
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
        """Start a marketplace and a worker for one scene, because the URLs of that API do not name a publisher."""
        api, queue = ProductIngestionApi(), f"ingestion-{publisher}"
        url = await stack.enter_async_context(serve(sandbox_with(STEP_SECONDS, account=publisher)))
        client, marketplace = self._temporal.client, api.marketplace(self._http, url)
        await stack.enter_async_context(create_worker(client, queue, marketplace, self._webhooks, identity=IDENTITY))
        return api, url, queue

    async def play_all(self, scenes: Mapping[str, Scene]) -> tuple[dict[str, list[Events]], dict[str, BaseException]]:
        """Play scenes. Return the histories of each that succeeded and the error of each that failed."""
        ends = await asyncio.gather(*map(self.play, scenes.values()), return_exceptions=True)
        histories: dict[str, list[Events]] = {}
        failures: dict[str, BaseException] = {}
        for name, end in zip(scenes, ends, strict=True):
            if isinstance(end, BaseException):
                failures[name] = end
            else:
                histories[name] = end
        return histories, failures


@asynccontextmanager
async def playing() -> AsyncIterator[Player]:
    """Run the server, the marketplace and the workers that scenes need."""
    webhooks = Webhooks()
    async with (
        development_server(continue_as_new_after=CONTINUE_AS_NEW_AFTER, identity=IDENTITY) as temporal,
        serve(sandbox_with(STEP_SECONDS)) as url,
        httpx.AsyncClient() as http,
        create_worker(temporal.client, QUEUE, API.marketplace(http, url), webhooks, identity=IDENTITY),
        create_worker(
            temporal.client, GUARDED, API.marketplace(http, url), webhooks, approvers=[DANA], identity=IDENTITY
        ),
    ):
        yield Player(temporal, http, url, webhooks)


async def _histories(client: Client, workflow_id: str, run_id: str | None) -> AsyncIterator[Events]:
    """Yield the histories of a run, of its children, and of the runs it continued as."""
    run: WorkflowHandle[Any, Any] = client.get_workflow_handle(workflow_id, run_id=run_id)
    events: Events = json.loads((await run.fetch_history()).to_json())["events"]
    yield events
    for event in events:
        child = event.get("childWorkflowExecutionStartedEventAttributes")
        if child is not None:
            started = child["workflowExecution"]
            await ended(client.get_workflow_handle(started["workflowId"], run_id=started["runId"]))
            async for each in _histories(client, started["workflowId"], started["runId"]):
                yield each
    continued = events[-1].get("workflowExecutionContinuedAsNewEventAttributes")
    if continued is not None:
        async for each in _histories(client, workflow_id, continued["newExecutionRunId"]):
            yield each


def workflow_of(events: Events) -> str:
    """Return the name of the workflow that left a history."""
    name: str = events[0]["workflowExecutionStartedEventAttributes"]["workflowType"]["name"]
    return name


def history_of(events: Events) -> WorkflowHistory:
    """Return a history in the form that the replayer takes."""
    started = events[0]["workflowExecutionStartedEventAttributes"]
    return WorkflowHistory.from_json(started["workflowId"], {"events": events})
