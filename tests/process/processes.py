"""Real processes for tests: server, sandbox and workers, none of which outlives the test."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from sandbox import DEFAULT_TOKEN
from tests.apis.cloud_partner import IMAGES
from tests.desk import OFFER
from tests.harness.processes import start
from tests.harness.temporal_server import server_command


@dataclass
class Program:
    """A running program and the file that it writes to."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        """Return what it wrote, on either stream."""
        return self.log.read_text()

    def kill(self) -> None:
        """End it as a power failure would."""
        self.process.kill()
        self.process.wait()

    def ended(self, within: float = 60) -> int:
        """Wait for its end; answers with the exit status."""
        return self.process.wait(within)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; answers with the exit status."""
        self.process.send_signal(number)
        return self.ended()


class Programs:
    """Starts programs; leaving the context kills those that still run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[Program] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program in reversed(self._running):
            program.kill()

    def start(self, *command: str, environment: Mapping[str, str] = {}, folder: Path | None = None) -> Program:
        """Start a program in the project's folder, or in another version of it."""
        log = self.folder / f"{len(self._running)}.log"
        with log.open("wb") as written:
            process = start(command, written, environment, folder)
        self._running.append(Program(process, log))
        return self._running[-1]

    def python(self, *words: str, environment: Mapping[str, str] = {}, folder: Path | None = None) -> Program:
        """Start Python."""
        return self.start(sys.executable, *words, environment=environment, folder=folder)

    def temporal(self, port: int) -> Program:
        """Start a Temporal server that keeps its runs in a file: a second one goes on where the first stopped."""
        return self.start(*server_command(port, file=self.folder / f"temporal-{port}.db"))

    def worker(self, address: str, sandbox_url: str, task_queue: str, **more: str) -> Program:
        """Start a worker as a user does, on the sandbox."""
        return self.python("-m", "worker", environment=worker_environment(address, sandbox_url, task_queue) | more)


def worker_environment(address: str, sandbox_url: str, task_queue: str) -> dict[str, str]:
    """Return what a worker on the sandbox needs."""
    return {
        "TEMPORAL_ADDRESS": address,
        "TEMPORAL_TASK_QUEUE": task_queue,
        "MARKETPLACE_URL": sandbox_url,
        "MARKETPLACE_ACCESS_TOKEN": DEFAULT_TOKEN,
    }


async def until(
    ready: Callable[[], bool | Awaitable[bool]], program: Program | None = None, *, within: float = 60
) -> None:
    """Wait until something is so, but not for ever, nor longer than the program lives that brings it about."""
    try:
        async with asyncio.timeout(within):
            while True:
                answer = ready()
                if answer if isinstance(answer, bool) else await answer:
                    return
                if program is not None and program.process.poll() is not None:
                    raise AssertionError(f"it ended with {program.process.returncode}: {program.said()}")
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {within:g} s: {program.said() if program else ready}") from None


async def until_working(worker: Program) -> None:
    """Wait until a worker has started."""
    await until(lambda: "Working on task queue" in worker.said(), worker)


async def in_flight(run: WorkflowHandle[Any, Any], activity: str) -> bool:
    """Return whether a worker has begun with an activity and not ended it; none has where there is no run yet."""
    try:
        pending = (await run.describe()).raw_description.pending_activities
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return any(each.activity_type.name == activity and each.HasField("last_started_time") for each in pending)


def lease(client: Client, publisher: str, offer: str = OFFER) -> WorkflowHandle[Any, Any]:
    """Return the internal run that writes to an offer's draft."""
    return client.get_workflow_handle(f"internal/draft/{publisher}/{offer}")


@dataclass(frozen=True)
class Publisher:
    """A publisher in the sandbox process: what is asked of the sandbox, and what it was asked."""

    name: str
    url: str

    async def control(self, method: str, path: str, body: object = None) -> None:
        """Change how the publisher's marketplace behaves."""
        async with httpx.AsyncClient(base_url=self.url) as http:
            (await http.request(method, f"/_control/publishers/{self.name}/{path}", json=body)).raise_for_status()

    async def delay(self, call: str, seconds: float) -> None:
        """Let the next request of a call take its time."""
        await self.control("POST", "faults", {"call": call, "action": {"kind": "delay", "seconds": seconds}})

    def is_delaying(self) -> bool:
        """Return whether the request that was to take its time has come."""
        return httpx.get(f"{self.url}/_control/publishers/{self.name}/faults").text == "[]"

    def requests(self, call: str | None = None) -> list[dict[str, Any]]:
        """Return the answered requests, or those of a call."""
        asked = {"publisher": self.name} | ({"call": call} if call else {})
        entries: list[dict[str, Any]] = httpx.get(f"{self.url}/_control/requests", params=asked).json()
        return entries

    def versions(self, offer: str, slot: str) -> list[str]:
        """Return the image versions that a slot of an offer holds in its first plan."""
        held = httpx.get(f"{self.url}/_control/offers/{self.name}/{offer}").json()["slots"][slot]
        return list(held["document"]["definition"]["plans"][0][IMAGES])

    def effects(self, call: str) -> int:
        """Count the requests of a call that had an effect."""
        return sum(bool(entry["effect"]) for entry in self.requests(call))
