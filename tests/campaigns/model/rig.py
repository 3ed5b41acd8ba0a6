"""The rig of a model check: a real Temporal server, real workers and the sandbox, moved step by step.

Nothing happens by itself. The marketplace's clock stands still until a step advances it. A gate holds every look at a
followed operation until a step lets it go. A step is over when its run has settled. The same steps lead to the same
end. Runs continue as new after a few looks.
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
from tests.campaigns.apis import APIS, CLOUD_PARTNER, CampaignApi
from tests.campaigns.stack import SHORT_HISTORIES
from tests.harness.processes import free_port, start
from tests.harness.temporal_server import connected, server_command
from worker.registration import create_worker
from workflows import calls, search_attributes
from workflows.messages import Progress
from workflows.stages import GLANCE

ACCOUNT = "modelimages"
STEP_SECONDS = 300.0
_STEPS = ("displaydummycertify", "displaycertify", "displayprovision", "displaypackage", "live")

RETRY_AFTER = timedelta(milliseconds=50)
"""The first retry interval, instead of a second, which would take as long as ten steps."""

HEARTBEAT_EVERY = 5.0
POLL_EVERY = 0.01
POLL_JOB_EVERY = 0.02
SETTLE_WITHIN = 60.0
ANSWER_WITHIN = timedelta(seconds=30)

Answer = TypeVar("Answer")

_SENDER: ContextVar[str] = ContextVar("sender", default="")
"""The ID of the workflow that a request is sent for."""


def queue_of(api: CampaignApi) -> str:
    """Return the task queue of the worker that uses an API."""
    return f"model-{api.name}"


@dataclass(frozen=True)
class Settled:
    """The state in which a run settled.

    Attributes:
        state: Whether the run has ended, asks for an approval, or is about to look at an operation.
        looker: The activity that is about to look, and is held.
    """

    state: Literal["ended", "asks", "looks"]
    looker: str = ""


class Gate(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """While it is shut, holds every look at a followed operation until the look is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.shut = True
        self.held: dict[str, asyncio.Event] = {}
        self.seen: set[tuple[str, str]] = set()

    def let_go(self, looker: str) -> None:
        """Let a look proceed."""
        self.held.pop(looker).set()

    def forget(self, looker: str) -> None:
        """Keep holding a look whose run was cancelled. The worker gets the cancellation and cancels the look."""
        self.held.pop(looker, None)

    def open(self) -> None:
        """Let all looks proceed, and hold no more looks."""
        self.shut = False
        for looker in list(self.held):
            self.let_go(looker)

    def intercept_activity(
        self,
        next: temporalio.worker.ActivityInboundInterceptor,  # noqa: A002 - the SDK's name
    ) -> temporalio.worker.ActivityInboundInterceptor:
        """Return the interceptor of activities."""
        return _HoldLooks(next, self)


class _HoldLooks(temporalio.worker.ActivityInboundInterceptor):
    def __init__(self, following: temporalio.worker.ActivityInboundInterceptor, gate: Gate) -> None:
        super().__init__(following)
        self._gate = gate

    async def execute_activity(self, input: temporalio.worker.ExecuteActivityInput) -> Any:  # noqa: A002
        info = activity.info()
        _SENDER.set(await _sender_of(info))
        workflow_id, run_id = info.workflow_id or "", info.workflow_run_id or ""
        self._gate.seen.add((workflow_id, run_id))
        # A look at a preview follows no operation, and a run does not wait for it for long.
        glances = info.schedule_to_close_timeout == GLANCE
        if info.activity_type == "look" and self._gate.shut and not glances:
            if info.is_local:
                # A local activity is never shown as pending. The run falls back to an ordinary activity.
                raise ApplicationError("held", type="Busy", category=ApplicationErrorCategory.BENIGN)
            await self._hold(_looker(run_id, info.activity_id))
        return await super().execute_activity(input)

    async def _hold(self, looker: str) -> None:
        released = self._gate.held[looker] = asyncio.Event()
        while not released.is_set():
            try:
                await asyncio.wait_for(released.wait(), HEARTBEAT_EVERY)
            except TimeoutError:
                activity.heartbeat()


async def _sender_of(info: activity.Info) -> str:
    """Return the ID of the workflow that an activity works for. An internal workflow works for its parent."""
    workflow_id = info.workflow_id or ""
    if not workflow_id.startswith("internal/"):
        return workflow_id
    seen = await activity.client().get_workflow_handle(workflow_id, run_id=info.workflow_run_id).describe()
    return seen.raw_description.workflow_execution_info.parent_execution.workflow_id


async def _name_sender(request: httpx.Request) -> None:
    """Put the sender into a header of the request, because the API does not name one."""
    request.headers["client-request-id"] = _SENDER.get()


def _looker(run_id: str, activity_id: str) -> str:
    return f"{run_id}/{activity_id}"


class WatchedMarketplace(SandboxMarketplace):
    """Calls back for every request, right after it had its effect."""

    on_request: Callable[[LogEntry], None] | None = None

    def log(self, entry: LogEntry) -> None:
        """Log a request, and call back."""
        super().log(entry)
        if self.on_request is not None:
            self.on_request(entry)


class Inbox:
    """A webhook that ignores what is posted."""

    async def post(self, _body: str) -> int:
        """Accept the notification."""
        return 200


@dataclass
class Rig:
    """The server, workers and sandbox of a model check, and their event loop."""

    runner: asyncio.Runner
    client: Client
    marketplace: WatchedMarketplace
    clock: SpeedClock
    gate: Gate
    url: str
    http: httpx.AsyncClient

    def run(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        """Run a coroutine on the loop. Between two calls, everything stands still."""
        return self.runner.run(coroutine)

    async def settle(self, handle: WorkflowHandle[Any, Any], *, cancelled: bool = False) -> Settled:
        """Wait until a run has ended, asks for an approval, or is about to look at an operation.

        Args:
            handle: The run.
            cancelled: Whether the run was cancelled. Its stage may then still say, wrongly, that it asks.

        Raises:
            TimeoutError: The run did none of these.
        """
        async with asyncio.timeout(SETTLE_WITHIN):
            while True:
                found = await self._settled(handle.id, cancelled=cancelled)
                if found is not None:
                    return found
                await asyncio.sleep(POLL_EVERY)

    async def _settled(self, workflow_id: str, *, cancelled: bool) -> Settled | None:
        try:
            seen = await self.client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        raw = seen.raw_description
        if seen.status is not WorkflowExecutionStatus.RUNNING:
            return Settled("ended")
        # A child writes the draft. After continue-as-new, the server takes a moment to schedule the first task.
        if raw.HasField("pending_workflow_task") or raw.pending_children or seen.history_length == 1:
            return None
        if raw.pending_activities:
            lookers = {_looker(seen.run_id, each.activity_id) for each in raw.pending_activities}
            held = lookers & self.gate.held.keys()
            return Settled("looks", held.pop()) if held else None
        asks = seen.typed_search_attributes.get(search_attributes.PUBLISH_STAGE) == "awaiting_approval"
        return Settled("asks") if asks and not cancelled else None


async def progress_of(handle: WorkflowHandle[Any, Any]) -> Progress:
    """Query the progress of a run."""
    progress: Progress = await handle.query("progress", result_type=Progress, rpc_timeout=ANSWER_WITHIN)
    return progress


@contextmanager
def rig() -> Iterator[Rig]:
    """Start everything. Leaving the context stops it."""
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
        # It would log a warning about every held look whose run was cancelled.
        runtime=Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="ERROR"))),
    )
    switches = {"step_durations": dict.fromkeys(_STEPS, STEP_SECONDS)}
    marketplace = WatchedMarketplace(clock=clock, default_switches=switches)
    url = await stack.enter_async_context(serve(marketplace))
    http = await stack.enter_async_context(httpx.AsyncClient(event_hooks={"request": [_name_sender]}))
    for api in APIS.values():
        await stack.enter_async_context(_run_worker(temporal, queue_of(api), _marketplace(api, http, url)))
    return Rig(runner, temporal, marketplace, clock, gate, url, http)


@contextmanager
def _server(port: int) -> Iterator[None]:
    """Run a Temporal server with its state in memory. The SDK's would outlive us when we are killed."""
    # Without this setting, timers fire up to a second late.
    timers = ("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"')
    server = start(server_command(port, *timers, *SHORT_HISTORIES))
    try:
        yield
    finally:
        server.kill()
        server.wait()


def _marketplace(api: CampaignApi, http: httpx.AsyncClient, url: str) -> Marketplace:
    token, signer = FixedToken(SecretStr(DEFAULT_TOKEN)), Signer({ACCOUNT: "aW52ZW50ZWQ="})
    if api is CLOUD_PARTNER:
        return CloudPartnerMarketplace(Portal(http, token, url=url), signer=signer)
    return ProductIngestionMarketplace(
        ProductIngestion(http, token, url=f"{url}{api.path}"), signer=signer, pause=_pause
    )


async def _pause(_time: timedelta) -> None:
    await asyncio.sleep(POLL_JOB_EVERY)


@asynccontextmanager
async def _run_worker(client: Client, queue: str, marketplace: Marketplace) -> AsyncIterator[None]:
    """Run a worker in its own task, because the SDK cancels the task that entered a failing worker."""
    working = create_worker(client, queue, marketplace, Inbox())
    running = asyncio.create_task(working.run())
    try:
        yield
    finally:
        await working.shutdown()
        await running
