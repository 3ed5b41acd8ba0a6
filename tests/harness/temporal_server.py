"""The embedded Temporal server that tests and measurements run against."""

import asyncio
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from sandbox.demo import find_temporal
from worker.registration import data_converter
from workflows import search_attributes

SEARCH_ATTRIBUTES = tuple(
    f"{key.name}={key.indexed_value_type.name.title().replace('_', '')}" for key in search_attributes.ALL
)
READY_WITHIN = 60.0


def server_command(port: int, *more: str, file: Path | None = None) -> list[str]:
    """Return the command that starts a server without a UI and with our search attributes registered.

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
    """Return a client as soon as the server answers; ``options`` go to `Client.connect`.

    Raises:
        TimeoutError: The server did not answer within `READY_WITHIN` seconds.
    """
    async with asyncio.timeout(READY_WITHIN):
        while True:
            try:
                client = await Client.connect(address, data_converter=data_converter(), **options)
                await client.count_workflows()
            except (RuntimeError, RPCError):
                await asyncio.sleep(0.1)
            else:
                return client
