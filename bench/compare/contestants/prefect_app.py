"""Prefect 3: a flow of tasks against a Prefect server, all flow runs as coroutines of one process.

As its documentation writes it: tasks with retries, ``pause_flow_run`` for the approval. Results are not kept, since
nobody runs the flows of a killed process again. One thing is kinder than ``serve``, which starts a process of some
100 MB for every flow run: hundreds in flight would not fit the machine.
"""

import asyncio
import os
import sys
import time
from uuid import UUID

import aiohttp
from aiohttp import web
from prefect import flow, get_client, task
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.exceptions import NotPausedError
from prefect.flow_runs import apause_flow_run, aresume_flow_run
from prefect.runtime import flow_run

from bench.compare.calls import Calls, time_to_next_look
from bench.compare.line import obey

A_DAY = 86_400
PORT = int(os.environ["APP_PORT"])
calls: Calls
runs: dict[str, UUID] = {}
running: set[asyncio.Task[None]] = set()


@task(retries=3, retry_delay_seconds=1)
async def put(offer: str) -> None:
    """Put the offer."""
    await calls.put(offer)


@task(retries=3, retry_delay_seconds=1)
async def publish(offer: str) -> str:
    """Publish."""
    return await calls.publish_once(offer)


@task(retries=3, retry_delay_seconds=1)
async def go_live(offer: str) -> str:
    """Go live."""
    return await calls.go_live_once(offer)


@task(retries=3, retry_delay_seconds=1)
async def look(offer: str, operation: str) -> bool:
    """Look."""
    return await calls.look(offer, operation)


@flow
async def publication(offer: str, at_sign_off: bool) -> None:  # noqa: FBT001
    """Put, publish, follow, wait for the approval, go live, follow."""
    runs[offer] = UUID(flow_run.id)
    if not at_sign_off:
        await put(offer)
        await follow(offer, await publish(offer))
    await apause_flow_run(timeout=14 * A_DAY, poll_interval=1)
    await follow(offer, await go_live(offer))


async def follow(offer: str, operation: str) -> None:
    """Look until it has settled."""
    began = time.monotonic()
    while not await look(offer, operation):
        await asyncio.sleep(time_to_next_look(began))
        began = time.monotonic()


async def work() -> None:
    """Serve the application until killed."""
    global calls
    async with Calls() as calls:

        async def start(request: web.Request) -> web.Response:
            run = asyncio.create_task(publication(request.match_info["offer"], "at_sign_off" in request.query))
            running.add(run)
            run.add_done_callback(running.discard)
            return web.Response()

        async def approve(request: web.Request) -> web.Response:
            while True:
                try:
                    await aresume_flow_run(runs[request.match_info["offer"]])
                except NotPausedError:
                    await asyncio.sleep(0.1)
                else:
                    return web.Response()

        app = web.Application()
        app.add_routes([web.post("/start/{offer}", start), web.post("/approve/{offer}", approve)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", PORT).start()
        print("Working", flush=True)
        await asyncio.Event().wait()


async def take_orders() -> None:
    """Start and approve publications, patiently: the application may be down."""
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{PORT}", raise_for_status=True) as http,
        get_client() as prefect,
    ):

        async def post(path: str) -> None:
            while True:
                try:
                    async with http.post(path):
                        return
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.02)

        async def start(offer: str, at_sign_off: bool = False) -> None:  # noqa: FBT001, FBT002
            await post(f"/start/{offer}{'?at_sign_off=1' if at_sign_off else ''}")

        async def approve(offer: str) -> None:
            await post(f"/approve/{offer}")

        async def ended() -> int:
            completed = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.COMPLETED]))
            return int(await prefect.count_flow_runs(flow_run_filter=FlowRunFilter(state=completed)))

        await obey({"start": start, "approve": approve, "ended": ended})


if __name__ == "__main__":
    asyncio.run(work() if sys.argv[1] == "worker" else take_orders())
