"""The clients that publish: two released ones and our worker. Each runs in its own process."""

import asyncio
import json
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import httpx
from temporalio.client import Client, WorkflowFailureError

from sandbox import DEFAULT_TOKEN
from tests.campaigns.released_clients import environment
from tests.campaigns.released_clients.certificates import Certificates
from tests.campaigns.released_clients.front import Front
from tests.campaigns.released_clients.offers import API, PLAN, TENANT, Offer, vhd
from tests.harness.programs import Program, Programs

Json: TypeAlias = dict[str, Any]

FIVE_MINUTES = 300.0
_LONGEST = 1_500.0
_LONGEST_ERROR = 130


@dataclass(frozen=True)
class Wanted:
    """An image to publish.

    Attributes:
        version: A date, because azure-img-utils makes versions of dates.
    """

    version: str = "2026.03.01"
    plan: str = PLAN


@dataclass(frozen=True)
class Rig:
    """What all clients share.

    Attributes:
        speed: How many times faster than real time the marketplace's clock runs.
        temporal: The address of a Temporal server and a client of it, for our worker.
    """

    programs: Programs
    http: httpx.AsyncClient
    sandbox_url: str
    speed: float
    certificates: Certificates
    temporal: tuple[str, Client] | None = None


class Attempt(ABC):
    """A started publication."""

    @abstractmethod
    async def ended(self) -> str | None:
        """Wait for the end. Return the error, or ``None`` after success."""


class Publisher(ABC):
    """A client that publishes one offer.

    Attributes:
        title: Its name and version.
        polls: How often it looks, in the marketplace's time.
        resumes: Whether the publication continues when the process is started again.
    """

    title: ClassVar[str]
    polls: ClassVar[str]
    resumes: ClassVar[bool] = False

    def __init__(self, rig: Rig, offer: Offer, stack: ExitStack) -> None:
        self.rig, self.offer = rig, offer
        self.front = stack.enter_context(Front(rig.sandbox_url, rig.certificates))

    async def open(self) -> None:  # noqa: B027 - most clients need no preparation
        """Start what the client needs before it can publish."""

    @abstractmethod
    async def publish(self, wanted: Wanted) -> Attempt:
        """Start publishing an image, until it is live."""

    @abstractmethod
    async def kill_and_start_again(self) -> Attempt:
        """Kill the process as a power failure would, and start it again with the same command."""


@dataclass
class _Process(Attempt):
    program: Program

    async def ended(self) -> str | None:
        status = await asyncio.to_thread(self.program.ended, _LONGEST)
        return None if status == 0 else _last_words(self.program.said())


class _Released(Publisher):
    driver: ClassVar[str]
    _command: Sequence[str] = ()
    _program: Program | None = None

    async def publish(self, wanted: Wanted) -> Attempt:
        task = json.dumps(self.task(wanted))
        self._command = (environment.program("python"), str(environment.DRIVERS / self.driver), task)
        return self._start()

    async def kill_and_start_again(self) -> Attempt:
        if self._program is not None:
            self._program.kill()
        return self._start()

    def _start(self) -> Attempt:
        self._program = self.rig.programs.start(*self._command, environment=self.front.environment)
        return _Process(self._program)

    @abstractmethod
    def task(self, wanted: Wanted) -> Json:
        """Return the argument of the driver."""


class Cloudpub(_Released):
    """Red Hat's library, through its only method."""

    title = f"cloudpub {environment.versions()['cloudpub']}"
    polls = "every 5 min, its default"
    driver = "with_cloudpub.py"
    more: Mapping[str, object] = {}

    def task(self, wanted: Wanted) -> Json:
        """Return the argument of the driver."""
        return {
            "interval": FIVE_MINUTES / self.rig.speed,
            "timeout": _LONGEST,
            "metadata": {
                "image_path": vhd(wanted.version, wanted.plan),
                "architecture": "x86_64",
                "destination": f"{self.offer.name}/{wanted.plan}",
                "disk_version": wanted.version,
                "support_legacy": True,
                **self.more,
            },
        }


class CloudpubModular(Cloudpub):
    """Cloudpub, set to publish only the plan that changes."""

    more = {"modular_push": True}


class AzureImgUtils(_Released):
    """SUSE's library. It waits only for the edit, so its driver polls the offer's status."""

    title = f"azure-img-utils {environment.versions()['azure-img-utils']}"
    polls = "every 5 min: the loop is ours, there is none in it"
    driver = "with_azure_img_utils.py"

    def task(self, wanted: Wanted) -> Json:
        """Return the argument of the driver."""
        return {
            "offer": self.offer.name,
            "interval": FIVE_MINUTES / self.rig.speed,
            "image": {
                "blob_name": f"{wanted.plan}.vhd",
                "image_name": f"{wanted.plan}-{wanted.version.replace('.', '')}",
                "sku": wanted.plan,
                "generation_id": f"{wanted.plan}-gen1",
                "blob_url": vhd(wanted.version, wanted.plan),
            },
        }


class AzureImgUtilsGallery(AzureImgUtils):
    """azure-img-utils with an image of a Compute Gallery, which it adds to one image type."""

    def task(self, wanted: Wanted) -> Json:
        """Return the argument of the driver."""
        image = {
            "version_number": wanted.version,
            "plan_id": wanted.plan,
            "gallery_name": "fabrikam",
            "gallery_image_name": "webstack",
        }
        kept = {name: value for name, value in super().task(wanted).items() if name != "image"}
        return kept | {"gallery_image": image}


@dataclass
class _Run(Attempt):
    client: Client
    workflow_id: str

    async def ended(self) -> str | None:
        try:
            async with asyncio.timeout(_LONGEST):
                await self.client.get_workflow_handle(self.workflow_id).result()
        except WorkflowFailureError as failure:
            return _shortened(f"{getattr(failure.cause, 'type', type(failure.cause).__name__)}: {failure.cause}")
        return None


class Ours(Publisher):
    """A worker as a user starts it, and `ValidateAndGoLive` without an approval."""

    title = "this project"
    polls = "after half of the time waited, 1 to 30 min, its default"
    resumes = True
    least, most = 60.0, 1_800.0
    _worker: Program | None = None
    _runs: Sequence[_Run] = ()

    async def open(self) -> None:
        """Start a worker on its own task queue."""
        address, _ = self._temporal()
        self._worker = self.rig.programs.start(
            *(sys.executable, "-m", "worker"),
            environment={
                "TEMPORAL_ADDRESS": address,
                "TEMPORAL_TASK_QUEUE": self.offer.name,
                "MARKETPLACE_API": "product-ingestion",
                "MARKETPLACE_URL": self.front.url + API,
                "MARKETPLACE_ACCESS_TOKEN": DEFAULT_TOKEN,
                "AZURE_TENANT_ID": TENANT,
            },
        )
        await self._worker.until_working()

    async def publish(self, wanted: Wanted) -> Attempt:
        """Start the workflow."""
        _, client = self._temporal()
        run = _Run(client, f"go-live/{self.offer.name}/{wanted.plan}/{len(self._runs)}")
        await client.start_workflow(
            "ValidateAndGoLive", self._input(wanted), id=run.workflow_id, task_queue=self.offer.name
        )
        self._runs = [*self._runs, run]
        return run

    async def kill_and_start_again(self) -> Attempt:
        """Kill the worker and start it again. The run is left alone."""
        if self._worker is not None:
            self._worker.kill()
        await self.open()
        return self._runs[-1]

    def _temporal(self) -> tuple[str, Client]:
        if self.rig.temporal is None:
            raise AssertionError("there is no Temporal server")
        return self.rig.temporal

    def _input(self, wanted: Wanted) -> Json:
        return {
            "publisher_id": self.offer.publisher,
            "offer_id": self.offer.name,
            "images": [
                {
                    "plan_id": wanted.plan,
                    "version": wanted.version,
                    "os_vhd_url": vhd(wanted.version, wanted.plan),
                }
            ],
            "approval": {"required": False},
            "polling": {"min_interval": self.least / self.rig.speed, "max_interval": self.most / self.rig.speed},
        }


class OursEveryFiveMinutes(Ours):
    """Ours, set to look as often as the others."""

    polls = "every 5 min"
    least = most = FIVE_MINUTES


def _last_words(said: str) -> str:
    """Return the last line of a log that names an error, and the lines after it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [at for at, line in enumerate(lines) if re.match(r"[\w.]*(Error|Exception|Timeout|Header)\b", line)]
    return _shortened(" ".join(lines[errors[-1] if errors else -1 :]) or "nothing said")


def _shortened(said: str) -> str:
    """Return an error in one line: the innermost message, if it holds the answer of a service."""
    plain = re.sub(r"^(\w+\.)+(?=\w+:)", "", said)
    messages = re.findall(r'"message": ?"([^"]+)"', plain)
    if messages:
        plain = f"{plain.partition(':')[0]}: {messages[-1]}"
    plain = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{19}", "…", plain).replace("|", "/").replace("`", "'")
    return plain if len(plain) <= _LONGEST_ERROR else plain[: _LONGEST_ERROR - 1] + "…"
