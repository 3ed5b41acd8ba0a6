"""Restate: a workflow with its journal in the Restate server, served over HTTP/2 by Hypercorn.

It follows the documentation: ``run_typed`` around every request, ``sleep`` for waits, and a durable promise for the
approval. An action in ``run_typed`` runs at least once. An action that is not safe to repeat first checks whether it
was done.
"""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import hypercorn.asyncio
import restate
from hypercorn.config import Config
from restate import RunOptions, Workflow, WorkflowContext, WorkflowSharedContext

from bench.compare.calls import Calls, time_to_next_look
from bench.compare.orders import run

calls: Calls
publication = Workflow("Publication")


@publication.main("run")
async def publish(ctx: WorkflowContext, at_sign_off: bool) -> None:  # noqa: FBT001
    """Put, publish, follow, wait for the approval, go live, follow."""
    offer = ctx.key()
    if not at_sign_off:
        await ctx.run_typed("put", calls.put, RunOptions(), offer)
        await follow(ctx, offer, await ctx.run_typed("publish", calls.publish_once, RunOptions(), offer))
    await ctx.promise("approval", type_hint=str).value()
    await follow(ctx, offer, await ctx.run_typed("go live", calls.go_live_once, RunOptions(), offer))


async def follow(ctx: WorkflowContext, offer: str, operation: str) -> None:
    """Look until the operation has settled."""
    # `ctx.time` would cost a journal entry, and the journal records the end of a sleep anyway.
    began = time.monotonic()
    while not await ctx.run_typed("look", calls.look, RunOptions(), offer, operation):
        await ctx.sleep(timedelta(seconds=time_to_next_look(began)))
        began = time.monotonic()


@publication.handler()
async def approve(ctx: WorkflowSharedContext) -> None:
    """Approve."""
    await ctx.promise("approval", type_hint=str).resolve("yes")


async def work() -> None:
    """Serve the workflow until it is killed."""
    global calls
    config = Config()
    config.bind = [f"127.0.0.1:{os.environ['APP_PORT']}"]
    config.h2_max_concurrent_streams = 2147483647
    config.keep_alive_max_requests = 2147483647
    config.keep_alive_timeout = 2147483647
    async with Calls() as calls:
        await hypercorn.asyncio.serve(restate.app([publication]), config)


class Ingress:
    """Starts and approves publications through the ingress of the Restate server."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._url = f"{os.environ['RESTATE_INGRESS']}/Publication"

    async def start(self, offer: str, *, at_sign_off: bool) -> None:
        """Start a publication."""
        async with self._http.post(f"{self._url}/{offer}/run/send", json=at_sign_off):
            pass

    async def approve(self, offer: str) -> None:
        """Approve a publication."""
        async with self._http.post(f"{self._url}/{offer}/approve/send", skip_auto_headers=["Content-Type"]):
            pass

    async def ended(self) -> int:
        """Count the publications that succeeded."""
        query = (
            "SELECT count(*) AS n FROM sys_invocation WHERE status = 'completed'"
            " AND target_handler_name = 'run' AND completion_result = 'success'"
        )
        url, headers = f"{os.environ['RESTATE_ADMIN']}/query", {"Accept": "application/json"}
        async with self._http.post(url, json={"query": query}, headers=headers) as answer:
            return int((await answer.json())["rows"][0]["n"])


@asynccontextmanager
async def client() -> AsyncIterator[Ingress]:
    """Open a session."""
    async with aiohttp.ClientSession(raise_for_status=True) as http:
        yield Ingress(http)


if __name__ == "__main__":
    run(client, work)
