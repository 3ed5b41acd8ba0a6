"""What a model check runs on: a real Temporal server, a real worker and the sandbox, all moved step by step.

Nothing happens by itself: the marketplace's time stands still until it is put forward, and whoever follows an
operation looks at it when it is told to. So a step is over when the run that it moved has come to rest, and the same
steps lead to the same end. Runs continue as new all the time.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeVar
from unittest import mock

import httpx
import temporalio.client
import temporalio.worker
from pydantic import SecretStr
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig
from temporalio.service import RPCError, RPCStatusCode

from marketplace.cloud_partner.calls import Portal
from marketplace.cloud_partner.marketplace import CloudPartnerMarketplace
from marketplace.http.credentials import FixedToken
from marketplace.product_ingestion.calls import ProductIngestion
from marketplace.product_ingestion.marketplace import ProductIngestionMarketplace
from marketplace.protocol import Marketplace
from marketplace.sas import Signer
from sandbox import DEFAULT_TOKEN, SandboxMarketplace, serve
from sandbox.clock import SpeedClock
from sandbox.marketplace import LogEntry
from tests.harness.apis import APIS, CLOUD_PARTNER, Api
from tests.harness.processes import free_port, start
from tests.harness.stack import SHORT_HISTORIES
from tests.harness.temporal_server import connected, server_command
from worker.registration import worker
from workflows import calls, search_attributes
from workflows.messages import Progress
from workflows.stages import GLANCE

ACCOUNT = "modelimages"
STEP_SECONDS = 300.0
_STEPS = ("displaydummycertify", "displaycertify", "displayprovision", "displaypackage", "live")

RETRY_AFTER = timedelta(milliseconds=50)
"""In place of a second: a lost answer would otherwise cost as much as ten steps."""

BEAT_EVERY = 5.0
LOOK_EVERY = 0.01
LOOK_AT_JOB_EVERY = 0.02
REST_WITHIN = 60.0
ANSWER_WITHIN = timedelta(seconds=30)

Answer = TypeVar("Answer")

_SENDER: ContextVar[str] = ContextVar("sender", default="")
"""The run that a request is sent for."""


def queue_of(api: Api) -> str:
    """Return the task queue of the worker that speaks an API."""
    return f"model-{api.name}"


@dataclass(frozen=True)
class Rest:
    """How a run came to rest.

    Attributes:
        looker: The call that is about to look at an operation, and is held.
    """

    state: Literal["ended", "asks", "looks"]
    looker: str = ""


class Gate(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """Holds every look of a follower until it is let go, while it is shut."""

    def __init__(self) -> None:
        super().__init__()
        self.shut = True
        self.held: dict[str, asyncio.Event] = {}
        self.seen: set[tuple[str, str]] = set()

    def let_go(self, looker: str) -> None:
        """Let a look go on."""
        self.held.pop(looker).set()

    def forget(self, looker: str) -> None:
        """Hold a look until the worker hears that nobody wants it any more: its run has been cancelled."""
        self.held.pop(looker, None)

    def open(self) -> None:
        """Let all looks go on, and hold none any more."""
        self.shut = False
        for looker in list(self.held):
            self.let_go(looker)

    def intercept_activity(
        self,
        next: temporalio.worker.ActivityInboundInterceptor,  # noqa: A002 - the SDK's name
    ) -> temporalio.worker.ActivityInboundInterceptor:
        """Return the interceptor of activities."""
        return _Held(next, self)


class _Held(temporalio.worker.ActivityInboundInterceptor):
    def __init__(self, following: temporalio.worker.ActivityInboundInterceptor, gate: Gate) -> None:
        super().__init__(following)
        self._gate = gate

    async def execute_activity(self, input: temporalio.worker.ExecuteActivityInput) -> Any:  # noqa: A002
        info = activity.info()
        _SENDER.set(await _sender_of(info))
        workflow_id, run_id = info.workflow_id or "", info.workflow_run_id or ""
        self._gate.seen.add((workflow_id, run_id))
        # A glance at a preview that is ready follows nothing, and what it comes too late for is not shown.
        glances = info.schedule_to_close_timeout == GLANCE
        if info.activity_type == "look" and self._gate.shut and not glances:
            if info.is_local:
                # Nobody sees that one is pending, and it cannot be held for long: the ordinary one follows.
                raise ApplicationError("held", type="Busy", category=ApplicationErrorCategory.BENIGN)
            await self._hold(_looker(run_id, info.activity_id))
        return await super().execute_activity(input)

    async def _hold(self, looker: str) -> None:
        let_go = self._gate.held[looker] = asyncio.Event()
        while not let_go.is_set():
            try:
                await asyncio.wait_for(let_go.wait(), BEAT_EVERY)
            except TimeoutError:
                activity.heartbeat()


async def _sender_of(info: activity.Info) -> str:
    """Return the run that an activity works for: that which a person started, not an internal one."""
    workflow_id = info.workflow_id or ""
    if not workflow_id.startswith("internal/"):
        return workflow_id
    seen = await activity.client().get_workflow_handle(workflow_id, run_id=info.workflow_run_id).describe()
    return seen.raw_description.workflow_execution_info.parent_execution.workflow_id


async def _name_sender(request: httpx.Request) -> None:
    """Say for whom a request is sent, where the API does not."""
    request.headers["client-request-id"] = _SENDER.get()


def _looker(run_id: str, activity_id: str) -> str:
    return f"{run_id}/{activity_id}"


class WatchedMarketplace(SandboxMarketplace):
    """Tells of every request, right after it had its effect."""

    told: Callable[[LogEntry], None] | None = None

    def log(self, entry: LogEntry) -> None:
        """Remember a request, and tell of it."""
        super().log(entry)
        if self.told is not None:
            self.told(entry)


class Inbox:
    """The webhook of the worker; nobody reads it."""

    async def post(self, _body: str) -> int:
        """Take what is posted."""
        return 200


@dataclass
class Rig:
    """Server, workers and marketplace of a whole model check, and the loop they run on."""

    runner: asyncio.Runner
    client: Client
    marketplace: WatchedMarketplace
    clock: SpeedClock
    gate: Gate
    url: str
    http: httpx.AsyncClient

    def run(self, doing: Coroutine[Any, Any, Answer]) -> Answer:
        """Do something on the loop; between two calls everything stands still."""
        return self.runner.run(doing)

    async def rest(self, handle: WorkflowHandle[Any, Any], *, cancelled: bool = False) -> Rest:
        """Wait until a run has ended, asks a person, or is about to look at an operation.

        Args:
            handle: The run.
            cancelled: Whether it is cancelled: then it asks nobody any more.

        Raises:
            TimeoutError: It did neither.
        """
        async with asyncio.timeout(REST_WITHIN):
            while True:
                found = await self._rest(handle.id, cancelled=cancelled)
                if found is not None:
                    return found
                await asyncio.sleep(LOOK_EVERY)

    async def _rest(self, workflow_id: str, *, cancelled: bool) -> Rest | None:
        try:
            seen = await self.client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        raw = seen.raw_description
        if seen.status is not WorkflowExecutionStatus.RUNNING:
            return Rest("ended")
        # Writing to a draft it has a child. When it has continued as new, the server lets a moment pass.
        if raw.HasField("pending_workflow_task") or raw.pending_children or seen.history_length == 1:
            return None
        if raw.pending_activities:
            lookers = {_looker(seen.run_id, each.activity_id) for each in raw.pending_activities}
            held = lookers & self.gate.held.keys()
            return Rest("looks", held.pop()) if held else None
        asks = seen.typed_search_attributes.get(search_attributes.PUBLISH_STAGE) == "awaiting_approval"
        return Rest("asks") if asks and not cancelled else None


async def progress_of(handle: WorkflowHandle[Any, Any]) -> Progress:
    """Query a run."""
    progress: Progress = await handle.query("progress", result_type=Progress, rpc_timeout=ANSWER_WITHIN)
    return progress


@contextmanager
def rig() -> Iterator[Rig]:
    """Start everything; it is gone when the context is left."""
    with (
        asyncio.Runner() as runner,
        mock.patch.object(calls.PATIENTLY, "initial_interval", RETRY_AFTER),
        mock.patch.object(calls.VERIFY["retry_policy"], "initial_interval", RETRY_AFTER),
    ):
        stack = AsyncExitStack()
        try:
            yield runner.run(_enter(stack, runner))
        finally:
            runner.run(stack.aclose())


async def _enter(stack: AsyncExitStack, runner: asyncio.Runner) -> Rig:
    gate, clock = Gate(), SpeedClock()
    port = free_port()
    stack.enter_context(_server(port))
    temporal = await connected(
        f"127.0.0.1:{port}",
        interceptors=[gate],
        # It would tell of every look that was held until nobody wanted it any more.
        runtime=Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="ERROR"))),
    )
    switches = {"step_durations": dict.fromkeys(_STEPS, STEP_SECONDS)}
    marketplace = WatchedMarketplace(clock=clock, default_switches=switches)
    url = await stack.enter_async_context(serve(marketplace))
    http = await stack.enter_async_context(httpx.AsyncClient(event_hooks={"request": [_name_sender]}))
    for api in APIS.values():
        await stack.enter_async_context(_working(temporal, queue_of(api), _speaking(api, http, url)))
    return Rig(runner, temporal, marketplace, clock, gate, url, http)


@contextmanager
def _server(port: int) -> Iterator[None]:
    """Run a Temporal server that keeps nothing. One that the SDK starts would outlive us when we are killed."""
    # Else timers go off up to a second late.
    timers = ("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"')
    server = start(server_command(port, *timers, *SHORT_HISTORIES))
    try:
        yield
    finally:
        server.kill()
        server.wait()


def _speaking(api: Api, http: httpx.AsyncClient, url: str) -> Marketplace:
    token, signer = FixedToken(SecretStr(DEFAULT_TOKEN)), Signer({ACCOUNT: "aW52ZW50ZWQ="})
    if api is CLOUD_PARTNER:
        return CloudPartnerMarketplace(Portal(http, token, url=url), signer=signer)
    return ProductIngestionMarketplace(
        ProductIngestion(http, token, url=f"{url}{api.path}"), signer=signer, pause=_pause
    )


async def _pause(_time: timedelta) -> None:
    await asyncio.sleep(LOOK_AT_JOB_EVERY)


@asynccontextmanager
async def _working(client: Client, queue: str, marketplace: Marketplace) -> AsyncIterator[None]:
    """Run a worker in a task of its own: the SDK cancels the task that entered it when the worker fails."""
    working = worker(client, queue, marketplace, Inbox())
    running = asyncio.create_task(working.run())
    try:
        yield
    finally:
        await working.shutdown()
        await running
