"""How a contestant's client is told what to do: a line of JSON in, a line out when it is done."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

AT_ONCE = 50
"""How many of the client's calls may be under way."""


async def obey(actions: Mapping[str, Callable[..., Awaitable[Any]]]) -> None:
    """Do what each line says, until there is none left.

    A line is ``{"id": 7, "do": "start", "with": ["an-offer"]}``; its answer has the same id, and the result or the
    error.
    """
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    room = asyncio.Semaphore(AT_ONCE)
    tasks: set[asyncio.Task[None]] = set()

    async def do(wanted: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"id": wanted["id"]}
        async with room:
            try:
                answer["result"] = await actions[wanted["do"]](*wanted["with"])
            except Exception as error:  # noqa: BLE001 - whatever it is, the other side has to know
                answer["error"] = f"{type(error).__name__}: {error}"
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()

    while line := await reader.readline():
        task = asyncio.create_task(do(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
