"""Act as a release engineer in tests, and arrange what the marketplace does."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, TypeVar

import httpx
import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from marketplace.model import ImageVersion
from marketplace.sas import Signer
from sandbox import DEFAULT_TOKEN, SandboxMarketplace
from tests.apis.api import Api, ByHand
from workflows.messages import Progress, PublicationResult, PublishStage

Value = TypeVar("Value")
Run: TypeAlias = WorkflowHandle[Any, PublicationResult]

OFFER = "webstack-appliance"
PLAN = "webstack-lts"
STEPS = ("displaydummycertify", "displaycertify", "displayprovision", "displaypackage", "live")
SAS = "sv=2022-11-02&sr=c&sp=rl&st=2024-01-01T00%3A00%3A00Z&se=2199-01-01T00%3A00%3A00Z&sig=INVENTED"
SIGNER = Signer({"fabrikamimages": "aW52ZW50ZWQ="})
"""Has the key of the storage account that `vhd` names."""

UNSUCCESSFUL = ("failed", "canceled")


class TemporalClock:
    """The sandbox's clock, which shows the time of the server that skips time."""

    def __init__(self, temporal: WorkflowEnvironment) -> None:
        self._temporal = temporal
        self._last = datetime.now(UTC)

    async def now(self) -> datetime:
        with suppress(RPCError):  # the sandbox may outlive the server and still ask for the time
            self._last = (await self._temporal.get_current_time()).astimezone(UTC)
        return self._last


class Recorder:
    """A webhook that keeps what is posted to it, and answers with ``status``."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status: int | None = 200

    async def post(self, body: str) -> int | None:
        self.bodies.append(json.loads(body))
        return self.status


class Shop(ABC):
    """A publisher at the marketplace: inputs for it, what people do there by hand, and the sandbox's controls."""

    def __init__(self, api: Api, http: httpx.AsyncClient, sandbox_url: str, publisher: str) -> None:
        self.api = api
        self.http = http
        self.sandbox_url = sandbox_url
        self.publisher = publisher

    def per_api(self, portal: Value, ingestion: Value) -> Value:
        """Return the value for the API under test."""
        return portal if self.api.name == "cloud-partner" else ingestion

    # Inputs

    def create(self, *versions: str, document: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """Return an input of `CreateOfferAndPublish`."""
        return self.api.creation(self.publisher, document or self.document(*versions or ("4.2.0",))) | more

    def images(self, *versions: str, plan: str = PLAN, **more: Any) -> dict[str, Any]:
        """Return an input of `UpdateOfferAndPublish` or `ValidateAndGoLive`."""
        images = [{"plan_id": plan, "version": version, "os_vhd_url": vhd(version)} for version in versions]
        return {"publisher_id": self.publisher, "offer_id": OFFER, "images": images} | more

    def check(self, **more: Any) -> dict[str, Any]:
        """Return an input of `CheckLastOperationStatus`."""
        return {"publisher_id": self.publisher, "offer_id": OFFER} | more

    def document(self, *versions: str) -> dict[str, Any]:
        """Return an offer with one plan that is ready to publish, as a document of the API."""
        return self.api.document(self.publisher, versions)

    # The marketplace

    async def live(self, *versions: str) -> None:
        """Bring an offer to Production by hand."""
        await self.preview(*versions)
        await self.go_live()
        await self.let_publish()

    async def preview(self, *versions: str) -> None:
        """Bring an offer to its preview by hand, without Temporal."""
        await self.put(*versions or ("4.2.0",))
        await self.publish()
        await self.let_publish()

    @abstractmethod
    async def let_publish(self) -> None:
        """Wait until a publish has become a preview that waits for sign-off."""

    async def put(self, *versions: str, document: dict[str, Any] | None = None) -> None:
        """Write a whole offer by hand."""
        await self.send(self.api.put(self.publisher, document or self.document(*versions)))

    async def publish(self) -> None:
        """Publish the draft by hand."""
        await self.send(self.api.publish(self.publisher))

    async def go_live(self) -> None:
        """Promote the preview by hand."""
        published = next(each for each in reversed((await self.state())["operations"]) if each["kind"] == "publish")
        await self.send(self.api.go_live(self.publisher, published["id"]))

    async def send(self, sent: ByHand) -> None:
        """Send a request by hand, and check that it changed something at the marketplace."""
        response = await self.http.request(
            sent.method,
            f"{self.sandbox_url}{sent.path}",
            headers={"Authorization": f"Bearer {DEFAULT_TOKEN}", **sent.headers},
            json=sent.body,
        )
        assert response.is_success, response.text
        answered = next(each for each in reversed(await self.requests()) if each["method"] == sent.method)
        assert answered["effect"], response.text

    async def stranger(self, *kinds: str, **more: object) -> None:
        """Let somebody else edit, change, publish, cancel or go live, in the given order."""
        for kind in kinds:
            address = f"{self.sandbox_url}/_control/offers/{self.publisher}/{OFFER}/stranger"
            body = {"kind": f"stranger_{kind}", **(more if kind in {"edit", "change"} else {})}
            response = await self.http.post(address, json=body)
            assert response.json() == {"refused": None}, response.text

    async def switch(self, **switches: object) -> None:
        """Change how the marketplace behaves towards the publisher."""
        await self._control("PUT", "switches", switches)

    async def fault(self, call: str, action: dict[str, object], **more: object) -> None:
        """Make requests of a call fail."""
        for name in self.api.calls.get(call, [call]):
            await self._control("POST", "faults", {"call": name, "action": action, **more})

    async def no_faults(self) -> None:
        """Remove all faults."""
        await self._control("DELETE", "faults")

    async def step(self, step: str, **fault: object) -> None:
        """Make a step of the operations fail or never end; without options, let it succeed again."""
        await self._control("PUT", f"steps/{step}", fault)

    async def state(self) -> dict[str, Any]:
        """Return the offer as the sandbox holds it, with its slots and operations."""
        response = await self.http.get(f"{self.sandbox_url}/_control/offers/{self.publisher}/{OFFER}")
        response.raise_for_status()
        state: dict[str, Any] = response.json()
        return state

    async def requests(self) -> list[dict[str, Any]]:
        """Return the publisher's requests in the order of their answers, with the calls named as tests name them."""
        response = await self.http.get(f"{self.sandbox_url}/_control/requests", params={"publisher": self.publisher})
        entries: list[dict[str, Any]] = response.json()
        known = {name: call for call, names in self.api.calls.items() for name in names}
        return [entry | {"call": known.get(entry["call"], entry["call"])} for entry in entries]

    async def versions(self, slot: str, plan: int = 0) -> list[str]:
        """Return the image versions in a plan of a slot, lowest first."""
        held = (await self.state())["slots"][slot]
        return list(reversed(list(held["images"].values())[plan])) if held else []

    async def operations(self) -> list[tuple[str, str | None]]:
        """Return the kind of every operation, oldest first, and its outcome if it failed or was canceled."""
        operations = (await self.state())["operations"]
        return [(each["kind"], each["outcome"] if each["outcome"] in UNSUCCESSFUL else None) for each in operations]

    async def kinds(self) -> list[str]:
        """Return the kind of every operation, oldest first."""
        return [kind for kind, _ in await self.operations()]

    async def effects(self, call: str) -> int:
        """Count the requests of a call that changed something at the marketplace."""
        return sum(1 for entry in await self.requests() if entry["call"] == call and entry["effect"])

    async def _control(self, method: str, path: str, body: object = None) -> None:
        address = f"{self.sandbox_url}/_control/publishers/{self.publisher}/{path}"
        response = await self.http.request(method, address, json=body)
        assert response.is_success, response.text


class Desk(Shop):
    """A release engineer's desk: a publisher at the marketplace, and Temporal."""

    def __init__(
        self,
        api: Api,
        temporal: WorkflowEnvironment,
        http: httpx.AsyncClient,
        sandbox_url: str,
        task_queue: str,
        publisher: str,
        webhook: Recorder,
        publishing: timedelta = timedelta(minutes=21),
    ) -> None:
        super().__init__(api, http, sandbox_url, publisher)
        self.publishing = publishing
        self.temporal = temporal
        self.task_queue = task_queue
        self.webhook = webhook
        self._runs: list[Run] = []

    async def let_publish(self) -> None:
        """Wait until a publish has become a preview that waits for sign-off."""
        await self.temporal.sleep(self.publishing)

    async def start(self, workflow: str, start: object, *, workflow_id: str | None = None, **options: Any) -> Run:
        """Start a workflow by name with any JSON, as the CLI does."""
        run = await self.temporal.client.start_workflow(
            workflow,
            start,
            id=workflow_id or f"{self.publisher}/{workflow}-{len(self._runs) + 1}",
            task_queue=self.task_queue,
            result_type=PublicationResult,
            **options,
        )
        self._runs.append(run)
        return run

    async def end_runs(self) -> None:
        """Terminate the runs that have not ended."""
        for run in self._runs:
            with suppress(RPCError):  # it has ended
                await run.terminate()

    async def run(self, workflow: str, start: object, **options: Any) -> PublicationResult:
        """Run a workflow, and return its result."""
        return await (await self.start(workflow, start, **options)).result()

    async def failure(self, workflow: str, start: object, **options: Any) -> ApplicationError:
        """Run a workflow that fails, and return its error."""
        return await failure_of(await self.start(workflow, start, **options))

    async def until(self, run: Run, ready: Callable[[Progress], bool], *, minutes: int = 120) -> Progress:
        """Skip time, minute by minute, until the progress of a run meets a condition, and return it."""
        for _ in range(minutes):
            progress = await progress_of(run)
            if ready(progress):
                return progress
            await self.temporal.sleep(timedelta(minutes=1))
        raise AssertionError(
            f"the progress of {run.id} is not what the test waits for after {minutes} min: {progress}"
        )

    async def until_asked(self, run: Run) -> Progress:
        """Wait until a run asks for approval."""
        return await self.until(run, lambda progress: progress.stage is PublishStage.AWAITING_APPROVAL)

    def notified(self, run: Run) -> list[str]:
        """Return the events of a run's notifications, in order."""
        return [body["event"] for body in self.webhook.bodies if body["workflow_id"] == run.id]


async def failure_of(run: Run) -> ApplicationError:
    """Wait for a run that fails, and return its error."""
    with pytest.raises(WorkflowFailureError) as failed:
        await run.result()
    error = failed.value.cause
    assert isinstance(error, ApplicationError), repr(error)
    return error


async def progress_of(run: Run) -> Progress:
    """Query the progress of a run."""
    progress: Progress = await run.query("progress", result_type=Progress)
    return progress


def numbers(images: Iterable[ImageVersion]) -> list[str]:
    """Return the version numbers of images, each once. One API lists a version once for each image type."""
    return list(dict.fromkeys(image.version for image in images))


def vhd(version: str) -> str:
    """Return the URL of an image's disk. The worker has the key of its storage account."""
    return f"https://fabrikamimages.blob.core.windows.net/vhds/webstack-{version}.vhd"


def sandbox_with(step_seconds: float, **options: Any) -> SandboxMarketplace:
    """Return a marketplace where every step of an operation takes the same time."""
    return SandboxMarketplace(default_switches={"step_durations": dict.fromkeys(STEPS, step_seconds)}, **options)


def publishing_time(step_seconds: float) -> timedelta:
    """Return how long such a marketplace takes to publish up to the preview, with a margin."""
    return timedelta(seconds=4 * step_seconds + 0.2)
