"""Celery with Redis: a chain of tasks up to the preview, another one from the approval on.

As its documentation writes it: tasks acknowledged late and given back when a worker is lost, ``retry`` with a
countdown to look again, retries with backoff; a pool of threads, since tasks wait for the network. The visibility
timeout has to exceed the longest countdown: here it is 10 s for waits of a second, in earnest it would be hours, and
a killed worker's tasks are taken up again no sooner. Tasks run at least once, so one that is not
safe to repeat looks first whether it was done.
"""

import asyncio
import importlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3
from celery import Celery, Task, chain

from bench.compare.line import AT_ONCE, obey
from bench.compare.offers import document

WAIT = float(os.environ.get("BENCH_WAIT", "1"))
OFFERS = f"{os.environ['MARKETPLACE_URL']}/api/publishers/fabrikam-linux/offers"
VERSION = "api-version=2017-10-31"
TIMEOUT = 60
THREADS = 100

app = Celery("publications", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    # A killed worker's tasks are looked for every second, not every hundred as by default.
    broker_transport_options={
        "visibility_timeout": 10,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    },
    broker_connection_retry_on_startup=True,
    # As many as there are threads, as its documentation advises, not ten.
    broker_pool_limit=THREADS,
)
http = urllib3.PoolManager(maxsize=THREADS, block=True)


class RefusedError(Exception):
    """The marketplace did not do it."""


PATIENTLY = {
    "autoretry_for": (urllib3.exceptions.HTTPError, RefusedError),
    "retry_backoff": True,
    "max_retries": None,
}


def ask(method: str, path: str, body: str | None = None, **headers: str) -> urllib3.BaseHTTPResponse:
    """Send a request; whatever goes wrong is Celery's to try again."""
    answer = http.request(
        method,
        f"{OFFERS}/{path}?{VERSION}",
        body=body,
        headers={"Authorization": "Bearer sandbox-token", "Content-Type": "application/json"} | headers,
        timeout=TIMEOUT,
        retries=False,
    )
    if answer.status >= 400:
        raise RefusedError(f"{method} {path}: {answer.status}")
    return answer


@app.task(**PATIENTLY)
def put(offer: str) -> None:
    """Put the offer."""
    ask("PUT", offer, document(offer, new=True), **{"If-Match": "*"})


@app.task(**PATIENTLY)
def start(offer: str, action: str, kind: str) -> str:
    """Publish or go live, unless it was done already."""
    for each in ask("GET", f"{offer}/submissions/").json():
        if each["submissionType"] == kind and each["submissionState"] == "running":
            return str(each["id"])
    started = ask("POST", f"{offer}/{action}", '{"metadata": {}}')
    return started.headers["Location"].partition("?")[0].rpartition("/")[2]


@app.task(bind=True, **PATIENTLY)
def follow(self: "Task[Any, Any]", operation: str, offer: str) -> None:
    """Look; again after a while where it has not settled."""
    began = time.monotonic()
    shown = ask("GET", f"{offer}/operations/{operation}").json()
    waits = any(step["status"] == "waitingForPublisherReview" for step in shown["steps"])
    if shown["status"] != "completed" and not waits:
        raise self.retry(countdown=max(WAIT - (time.monotonic() - began), 0), max_retries=None)


async def take_orders() -> None:
    """Start and approve publications."""
    # Else there are six on two cores.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(AT_ONCE))

    async def begin(offer: str, at_sign_off: bool = False) -> None:  # noqa: FBT001, FBT002
        if not at_sign_off:
            todo = chain(put.si(offer), start.si(offer, "publish", "publish"), follow.s(offer))
            await asyncio.to_thread(todo.apply_async)

    async def approve(offer: str) -> None:
        todo = chain(start.si(offer, "golive", "goLive"), follow.s(offer))
        await asyncio.to_thread(todo.apply_async)

    async def ended() -> None:
        """Celery keeps no account of chains."""

    await obey({"start": begin, "approve": approve, "ended": ended})


if __name__ == "__main__":
    # Under its own name, which the names of the tasks begin with.
    asyncio.run(importlib.import_module("bench.compare.contestants.celery_app").take_orders())
