"""The floor: one asyncio process that sleeps and looks again, and forgets everything when it ends."""

import asyncio
import os

import httpx

from bench.compare.calls import CONNECTIONS, PUBLISHER, TOKEN, WAIT, has_settled
from bench.compare.line import obey
from bench.compare.offers import document

VERSION = {"api-version": "2017-10-31"}
JSON = {"Content-Type": "application/json"}

approved: dict[str, asyncio.Event] = {}
running: set[asyncio.Task[None]] = set()
ended = 0


async def publication(http: httpx.AsyncClient, offer: str, *, at_sign_off: bool) -> None:
    """Put, publish, follow, wait for the approval, go live, follow."""
    if not at_sign_off:
        put = await http.put(
            offer, content=document(offer, new=True), headers=JSON | {"If-Match": "*"}, params=VERSION
        )
        put.raise_for_status()
        await start_and_follow(http, offer, "publish")
    await approved[offer].wait()
    await start_and_follow(http, offer, "golive")


async def start_and_follow(http: httpx.AsyncClient, offer: str, action: str) -> None:
    """Start an operation and look at it until it has settled."""
    started = await http.post(f"{offer}/{action}", json={"metadata": {}}, params=VERSION)
    started.raise_for_status()
    operation = started.headers["Location"].partition("?")[0].rpartition("/")[2]
    while True:
        look = await http.get(f"{offer}/operations/{operation}", params=VERSION)
        look.raise_for_status()
        if has_settled(look.json()):
            return
        await asyncio.sleep(WAIT)


async def main() -> None:
    """Take orders until there are none left."""
    async with httpx.AsyncClient(
        base_url=f"{os.environ['MARKETPLACE_URL']}/api/publishers/{PUBLISHER}/offers/",
        headers={"Authorization": f"Bearer {TOKEN}"},
        limits=httpx.Limits(max_connections=CONNECTIONS),
        timeout=60,
    ) as http:

        async def start(offer: str, at_sign_off: bool = False) -> None:  # noqa: FBT001, FBT002
            approved[offer] = asyncio.Event()
            task = asyncio.create_task(publication(http, offer, at_sign_off=at_sign_off))
            running.add(task)
            task.add_done_callback(end)

        def end(task: asyncio.Task[None]) -> None:
            global ended  # noqa: PLW0603
            running.discard(task)
            ended += task.exception() is None

        async def approve(offer: str) -> None:
            approved[offer].set()

        async def count_ended() -> int:
            return ended

        await obey({"start": start, "approve": approve, "ended": count_ended})


if __name__ == "__main__":
    asyncio.run(main())
