"""Restate: a workflow whose journal the Restate server keeps, served over HTTP/2 by Hypercorn.

As its documentation writes it: ``run_typed`` around every request, ``sleep`` for waits, a durable promise for the
approval. What ``run_typed`` wraps runs at least once, so an action that is not safe to repeat looks first whether it
was done.
"""

import asyncio
import os
import sys
import time
from datetime import timedelta

import aiohttp
import hypercorn.asyncio
import restate
from hypercorn.config import Config
from restate import RunOptions, Workflow, WorkflowContext, WorkflowSharedContext

from bench.compare.calls import Calls, time_to_next_look
from bench.compare.line import obey

calls: Calls
publication = Workflow("Publication")


@publication.main()
async def run(ctx: WorkflowContext, at_sign_off: bool) -> None:  # noqa: FBT001
    """Put, publish, follow, wait for the approval, go live, follow."""
    offer = ctx.key()
    if not at_sign_off:
        await ctx.run_typed("put", calls.put, RunOptions(), offer)
        await follow(ctx, offer, await ctx.run_typed("publish", calls.publish_once, RunOptions(), offer))
    await ctx.promise("approval", type_hint=str).value()
    await follow(ctx, offer, await ctx.run_typed("go live", calls.go_live_once, RunOptions(), offer))


async def follow(ctx: WorkflowContext, offer: str, operation: str) -> None:
    """Look until it has settled."""
    # Not `ctx.time`, which costs an entry of the journal: when a sleep ends is journaled with it.
    began = time.monotonic()
    while not await ctx.run_typed("look", calls.look, RunOptions(), offer, operation):
        await ctx.sleep(timedelta(seconds=time_to_next_look(began)))
        began = time.monotonic()


@publication.handler()
async def approve(ctx: WorkflowSharedContext) -> None:
    """Approve."""
    await ctx.promise("approval", type_hint=str).resolve("yes")


async def work() -> None:
    """Serve until killed."""
    global calls
    config = Config()
    config.bind = [f"127.0.0.1:{os.environ['APP_PORT']}"]
    config.h2_max_concurrent_streams = 2147483647
    config.keep_alive_max_requests = 2147483647
    config.keep_alive_timeout = 2147483647
    async with Calls() as calls:
        await hypercorn.asyncio.serve(restate.app([publication]), config)


async def take_orders() -> None:
    """Start and approve publications through the ingress."""
    async with aiohttp.ClientSession(raise_for_status=True) as http:
        ingress = f"{os.environ['RESTATE_INGRESS']}/Publication"

        async def start(offer: str, at_sign_off: bool = False) -> None:  # noqa: FBT001, FBT002
            async with http.post(f"{ingress}/{offer}/run/send", json=at_sign_off):
                pass

        async def approve(offer: str) -> None:
            async with http.post(f"{ingress}/{offer}/approve/send", skip_auto_headers=["Content-Type"]):
                pass

        async def ended() -> int:
            query = (
                "SELECT count(*) AS n FROM sys_invocation WHERE status = 'completed'"
                " AND target_handler_name = 'run' AND completion_result = 'success'"
            )
            asked = {"query": query}
            headers = {"Accept": "application/json"}
            async with http.post(f"{os.environ['RESTATE_ADMIN']}/query", json=asked, headers=headers) as answer:
                return int((await answer.json())["rows"][0]["n"])

        await obey({"start": start, "approve": approve, "ended": ended})


if __name__ == "__main__":
    asyncio.run(work() if sys.argv[1] == "worker" else take_orders())
