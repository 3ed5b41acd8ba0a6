"""What a test needs to act as a release engineer, and to arrange what the marketplace does."""

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
from sandbox import DEFAULT_TOKEN
from tests.apis.api import Api, ByHand
from workflows.messages import Progress, PublicationResult, PublishStage

Value = TypeVar("Value")
Run: TypeAlias = WorkflowHandle[Any, PublicationResult]

OFFER = "webstack-appliance"
PLAN = "webstack-lts"
STEPS = ("displaydummycertify", "displaycertify", "displayprovision", "displaypackage", "live")
SAS = "sv=2022-11-02&sr=c&sp=rl&st=2024-01-01T00%3A00%3A00Z&se=2199-01-01T00%3A00%3A00Z&sig=INVENTED"
SIGNER = Signer({"fabrikamimages": "aW52ZW50ZWQ="})
"""Holds the key of the storage account of `vhd`."""


ENDED_BADLY = ("failed", "canceled")


class TemporalClock:
    """The sandbox's clock: what time it is on the server that skips time."""

    def __init__(self, temporal: WorkflowEnvironment) -> None:
        self._temporal = temporal
        self._last = datetime.now(UTC)

    async def now(self) -> datetime:
        with suppress(RPCError):  # a sandbox that stops after the server asks for the time once more
            self._last = (await self._temporal.get_current_time()).astimezone(UTC)
        return self._last


class Recorder:
    """A webhook that keeps what it gets, and answers with ``status``."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status: int | None = 200

    async def post(self, body: str) -> int | None:
        self.bodies.append(json.loads(body))
        return self.status


class Shop(ABC):
    """A publisher's place at the marketplace: what somebody does there by hand, and the sandbox's controls."""

    def __init__(self, api: Api, http: httpx.AsyncClient, sandbox_url: str, publisher: str) -> None:
        self.api = api
        self.http = http
        self.sandbox_url = sandbox_url
        self.publisher = publisher

    def per_api(self, portal: Value, ingestion: Value) -> Value:
        """Return what is so with the API at hand."""
        return portal if self.api.name == "cloud-partner" else ingestion

    # Inputs

    def create(self, *versions: str, document: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """Make the input of `CreateOfferAndPublish`."""
        return self.api.creation(self.publisher, document or self.document(*versions or ("4.2.0",))) | more

    def images(self, *versions: str, plan: str = PLAN, **more: Any) -> dict[str, Any]:
        """Make the input of `UpdateOfferAndPublish` or `ValidateAndGoLive`."""
        images = [{"plan_id": plan, "version": version, "os_vhd_url": vhd(version)} for version in versions]
        return {"publisher_id": self.publisher, "offer_id": OFFER, "images": images} | more

    def check(self, **more: Any) -> dict[str, Any]:
        """Make the input of `CheckLastOperationStatus`."""
        return {"publisher_id": self.publisher, "offer_id": OFFER} | more

    def document(self, *versions: str) -> dict[str, Any]:
        """Make an offer that is ready to publish, of one plan, in the marketplace's own words."""
        return self.api.document(self.publisher, versions)

    # The marketplace

    async def live(self, *versions: str) -> None:
        """Bring an offer to Production by hand."""
        await self.preview(*versions)
        await self.go_live()
        await self.let_publish()

    async def preview(self, *versions: str) -> None:
        """Bring an offer to its preview by hand, as somebody without Temporal does."""
        await self.put(*versions or ("4.2.0",))
        await self.publish()
        await self.let_publish()

    @abstractmethod
    async def let_publish(self) -> None:
        """Let pass what publishing takes until the preview waits for sign-off."""

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
        """Send a request to the marketplace by hand, which has to have its effect."""
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
        """Let somebody else edit, change, publish, cancel or go live, one after the other."""
        for kind in kinds:
            address = f"{self.sandbox_url}/_control/offers/{self.publisher}/{OFFER}/stranger"
            body = {"kind": f"stranger_{kind}", **(more if kind in {"edit", "change"} else {})}
            response = await self.http.post(address, json=body)
            assert response.json() == {"refused": None}, response.text

    async def switch(self, **switches: object) -> None:
        """Change how the publisher's marketplace behaves."""
        await self._control("PUT", "switches", switches)

    async def fault(self, call: str, action: dict[str, object], **more: object) -> None:
        """Let a call of the API fail."""
        for name in self.api.calls.get(call, [call]):
            await self._control("POST", "faults", {"call": name, "action": action, **more})

    async def no_faults(self) -> None:
        """Take all faults back."""
        await self._control("DELETE", "faults")

    async def step(self, step: str, **fault: object) -> None:
        """Let a step of the operations fail, or never end."""
        await self._control("PUT", f"steps/{step}", fault)

    async def state(self) -> dict[str, Any]:
        """Return the offer as the sandbox holds it: slots, operations."""
        response = await self.http.get(f"{self.sandbox_url}/_control/offers/{self.publisher}/{OFFER}")
        response.raise_for_status()
        state: dict[str, Any] = response.json()
        return state

    async def requests(self) -> list[dict[str, Any]]:
        """Return the publisher's requests as the marketplace counted them, its calls as tests name them."""
        response = await self.http.get(f"{self.sandbox_url}/_control/requests", params={"publisher": self.publisher})
        entries: list[dict[str, Any]] = response.json()
        known = {name: call for call, names in self.api.calls.items() for name in names}
        return [entry | {"call": known.get(entry["call"], entry["call"])} for entry in entries]

    async def versions(self, slot: str, plan: int = 0) -> list[str]:
        """Return the image versions that a slot holds in a plan, the lowest first."""
        held = (await self.state())["slots"][slot]
        return list(reversed(list(held["images"].values())[plan])) if held else []

    async def operations(self) -> list[tuple[str, str | None]]:
        """Return the kind of every operation, oldest first, and how it ended if it did so badly."""
        operations = (await self.state())["operations"]
        return [(each["kind"], each["outcome"] if each["outcome"] in ENDED_BADLY else None) for each in operations]

    async def kinds(self) -> list[str]:
        """Return the kind of every operation, oldest first."""
        return [kind for kind, _ in await self.operations()]

    async def effects(self, call: str) -> int:
        """Count the requests of a call that had an effect at the marketplace."""
        return sum(1 for entry in await self.requests() if entry["call"] == call and entry["effect"])

    async def _control(self, method: str, path: str, body: object = None) -> None:
        address = f"{self.sandbox_url}/_control/publishers/{self.publisher}/{path}"
        response = await self.http.request(method, address, json=body)
        assert response.is_success, response.text


class Desk(Shop):
    """A release engineer's desk: one publisher, the sandbox's controls, and Temporal."""

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
        self._runs = 0

    async def let_publish(self) -> None:
        """Let pass what publishing takes until the preview waits for sign-off."""
        await self.temporal.sleep(self.publishing)

    async def start(self, workflow: str, start: object, *, workflow_id: str | None = None, **options: Any) -> Run:
        """Start a workflow by name, as the CLI does, with any JSON."""
        self._runs += 1
        return await self.temporal.client.start_workflow(
            workflow,
            start,
            id=workflow_id or f"{self.publisher}/{workflow}-{self._runs}",
            task_queue=self.task_queue,
            result_type=PublicationResult,
            **options,
        )

    async def run(self, workflow: str, start: object, **options: Any) -> PublicationResult:
        """Start a workflow and skip time until it has ended."""
        return await (await self.start(workflow, start, **options)).result()

    async def failure(self, workflow: str, start: object, **options: Any) -> ApplicationError:
        """Run a workflow that fails; answers with the error that the contract promises."""
        return await failure_of(await self.start(workflow, start, **options))

    async def until(self, run: Run, ready: Callable[[Progress], bool], *, minutes: int = 120) -> Progress:
        """Let time pass, minute by minute, until the run's progress is as wanted."""
        for _ in range(minutes):
            progress = await progress_of(run)
            if ready(progress):
                return progress
            await self.temporal.sleep(timedelta(minutes=1))
        raise AssertionError(f"it never was: {progress}")

    async def until_asked(self, run: Run) -> Progress:
        """Let time pass until the run asks for approval."""
        return await self.until(run, lambda progress: progress.stage is PublishStage.AWAITING_APPROVAL)

    def told(self, run: Run) -> list[str]:
        """Return the events of a run's notifications, in order."""
        return [body["event"] for body in self.webhook.bodies if body["workflow_id"] == run.id]


async def failure_of(run: Run) -> ApplicationError:
    """Wait for a run that fails; answers with its error."""
    with pytest.raises(WorkflowFailureError) as failed:
        await run.result()
    error = failed.value.cause
    assert isinstance(error, ApplicationError), repr(error)
    return error


async def progress_of(run: Run) -> Progress:
    """Query a run."""
    progress: Progress = await run.query("progress", result_type=Progress)
    return progress


def numbers(images: Iterable[ImageVersion]) -> list[str]:
    """Return the numbers of image versions, each once: one API names a version once for each of its images."""
    return list(dict.fromkeys(image.version for image in images))


def vhd(version: str) -> str:
    """Return the address of an image's disk; the worker holds the key of its account."""
    return f"https://fabrikamimages.blob.core.windows.net/vhds/webstack-{version}.vhd"
