"""DBOS: a workflow of checkpointed steps in the application's process, on SQLite.

It follows the documentation: asynchronous steps with retries, ``DBOS.sleep_async`` for waits, ``recv_async`` for the
approval, and an HTTP endpoint of the application that starts a workflow with a given ID. Launching recovers
workflows. A step runs at least once. A step that is not safe to repeat first checks whether it was done.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from dbos import DBOS, DBOSConfig, SetWorkflowID

from bench.compare.calls import Calls, time_to_next_look
from bench.compare.orders import run

APPROVAL_WITHIN = 14 * 86_400
PORT = int(os.environ["APP_PORT"])
calls: Calls


@DBOS.step(retries_allowed=True)
async def put(offer: str) -> None:
    await calls.put(offer)


@DBOS.step(retries_allowed=True)
async def publish(offer: str) -> str:
    return await calls.publish_once(offer)


@DBOS.step(retries_allowed=True)
async def go_live(offer: str) -> str:
    return await calls.go_live_once(offer)


@DBOS.step(retries_allowed=True)
async def look(offer: str, operation: str) -> bool:
    return await calls.look(offer, operation)


@DBOS.workflow()
async def publication(offer: str, at_sign_off: bool) -> None:  # noqa: FBT001
    """Put, publish, follow, wait for the approval, go live, follow."""
    if not at_sign_off:
        await put(offer)
        await follow(offer, await publish(offer))
    await DBOS.recv_async("approval", timeout_seconds=APPROVAL_WITHIN)
    await follow(offer, await go_live(offer))


async def follow(offer: str, operation: str) -> None:
    """Look until the operation has settled."""
    began = time.monotonic()
    while not await look(offer, operation):
        await DBOS.sleep_async(time_to_next_look(began))
        began = time.monotonic()


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


async def work() -> None:
    """Serve the application until it is killed."""
    global calls
    config: DBOSConfig = {
        "name": "publications",
        "system_database_url": os.environ["DBOS_SYSTEM_DATABASE_URL"],
        "log_level": "ERROR",
    }
    DBOS(config=config)
    async with Calls() as calls:
        DBOS.launch()
        app = web.Application()
        app.add_routes(
            [web.post("/start/{offer}", start), web.post("/approve/{offer}", approve), web.get("/ended", ended)]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", PORT).start()
        print("Working", flush=True)
        await asyncio.Event().wait()


class Application:
    """Starts and approves publications over HTTP. It repeats requests while the application is down."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def start(self, offer: str, *, at_sign_off: bool) -> None:
        """Start a publication."""
        await self._post(f"/start/{offer}{'?at_sign_off=1' if at_sign_off else ''}")

    async def approve(self, offer: str) -> None:
        """Approve a publication."""
        await self._post(f"/approve/{offer}")

    async def ended(self) -> int:
        """Count the publications that succeeded."""
        async with self._http.get("/ended") as answer:
            return int(await answer.json())

    async def _post(self, path: str) -> None:
        while True:
            try:
                async with self._http.post(path):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def client() -> AsyncIterator[Application]:
    """Open a session."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{PORT}", raise_for_status=True) as http:
        yield Application(http)


if __name__ == "__main__":
    run(client, work)
