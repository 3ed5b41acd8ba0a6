"""DBOS: a workflow of checkpointed steps in the application's process, on SQLite or PostgreSQL.

As its documentation writes it: asynchronous steps with retries, ``DBOS.sleep_async`` for waits, ``recv_async`` for
the approval, a web endpoint of the application that starts a workflow under an id of its own; recovery on launch.
Steps run at least once, so a step that is not safe to repeat looks first whether it was done.
"""

import asyncio
import os
import sys
import time

import aiohttp
from aiohttp import web
from dbos import DBOS, DBOSConfig, SetWorkflowID

from bench.compare.calls import Calls, time_to_next_look
from bench.compare.line import obey

A_DAY = 86_400
PORT = int(os.environ["APP_PORT"])
calls: Calls


@DBOS.step(retries_allowed=True)
async def put(offer: str) -> None:
    """Put the offer."""
    await calls.put(offer)


@DBOS.step(retries_allowed=True)
async def publish(offer: str) -> str:
    """Publish."""
    return await calls.publish_once(offer)


@DBOS.step(retries_allowed=True)
async def go_live(offer: str) -> str:
    """Go live."""
    return await calls.go_live_once(offer)


@DBOS.step(retries_allowed=True)
async def look(offer: str, operation: str) -> bool:
    """Look."""
    return await calls.look(offer, operation)


@DBOS.workflow()
async def publication(offer: str, at_sign_off: bool) -> None:  # noqa: FBT001
    """Put, publish, follow, wait for the approval, go live, follow."""
    if not at_sign_off:
        await put(offer)
        await follow(offer, await publish(offer))
    await DBOS.recv_async("approval", timeout_seconds=14 * A_DAY)
    await follow(offer, await go_live(offer))


async def follow(offer: str, operation: str) -> None:
    """Look until it has settled."""
    began = time.monotonic()
    while not await look(offer, operation):
        await DBOS.sleep_async(time_to_next_look(began))
        began = time.monotonic()


async def work() -> None:
    """Serve the application until killed."""
    global calls
    config: DBOSConfig = {
        "name": "publications",
        "system_database_url": os.environ["DBOS_SYSTEM_DATABASE_URL"],
        "log_level": "ERROR",
    }
    DBOS(config=config)
    async with Calls() as calls:
        DBOS.launch()

        async def start(request: web.Request) -> web.Response:
            offer = request.match_info["offer"]
            with SetWorkflowID(offer):
                await DBOS.start_workflow_async(publication, offer, "at_sign_off" in request.query)
            return web.Response()

        async def approve(request: web.Request) -> web.Response:
            await DBOS.send_async(request.match_info["offer"], "yes", "approval")
            return web.Response()

        async def ended(_request: web.Request) -> web.Response:
            done = await DBOS.list_workflows_async(status="SUCCESS", load_input=False, load_output=False)
            return web.json_response(len(done))

        app = web.Application()
        app.add_routes(
            [web.post("/start/{offer}", start), web.post("/approve/{offer}", approve), web.get("/ended", ended)]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", PORT).start()
        print("Working", flush=True)
        await asyncio.Event().wait()


async def take_orders() -> None:
    """Start and approve publications, patiently: the application may be down."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{PORT}", raise_for_status=True) as http:

        async def post(path: str) -> None:
            while True:
                try:
                    async with http.post(path):
                        return
                except aiohttp.ClientError:
                    await asyncio.sleep(0.02)

        async def start(offer: str, at_sign_off: bool = False) -> None:  # noqa: FBT001, FBT002
            await post(f"/start/{offer}{'?at_sign_off=1' if at_sign_off else ''}")

        async def approve(offer: str) -> None:
            await post(f"/approve/{offer}")

        async def ended() -> int:
            async with http.get("/ended") as answer:
                return int(await answer.json())

        await obey({"start": start, "approve": approve, "ended": ended})


if __name__ == "__main__":
    asyncio.run(work() if sys.argv[1] == "worker" else take_orders())
