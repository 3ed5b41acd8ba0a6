"""The interface of every contestant: a worker, and a client that takes orders.

The client reads orders from standard input and answers on standard output. Each is one line of JSON.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias

CONCURRENT_ORDERS = 50


class Orders(Protocol):
    """What a contestant's client can do."""

    async def start(self, offer: str, *, at_sign_off: bool) -> None:
        """Start a publication. With ``at_sign_off`` its preview is ready, and it begins with the approval."""
        ...

    async def approve(self, offer: str) -> None:
        """Approve the preview of a publication."""
        ...

    async def ended(self) -> int:
        """Count the publications that succeeded."""
        ...


Client: TypeAlias = Callable[[], AbstractAsyncContextManager[Orders]]


def run(client: Client, worker: Callable[[], Awaitable[None]] | None = None) -> None:
    """Run the worker or the client of a contestant, depending on the command line."""

    async def chosen() -> None:
        if worker is not None and sys.argv[1] == "worker":
            await worker()
        else:
            async with client() as orders:
                await _take(orders)

    asyncio.run(chosen())


async def _take(orders: Orders) -> None:
    """Carry out orders until there are no more.

    An order is ``{"id": 7, "do": "start", "with": {"offer": "one", "at_sign_off": false}}``. Its answer has the same
    ``id``, and a ``result`` or an ``error``.
    """
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    slots = asyncio.Semaphore(CONCURRENT_ORDERS)
    tasks: set[asyncio.Task[None]] = set()

    async def carry_out(order: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"id": order["id"]}
        async with slots:
            try:
                answer["result"] = await getattr(orders, order["do"])(**order["with"])
            except Exception as error:  # noqa: BLE001 - the benchmark has to hear of any error
                answer["error"] = f"{type(error).__name__}: {error}"
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()

    while line := await reader.readline():
        task = asyncio.create_task(carry_out(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
