"""How a worker is watched from outside: its runtime, and what `METRICS_ADDRESS` serves."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import aiohttp
from temporalio.client import Client
from temporalio.runtime import Runtime

from marketplace.http.exchange import Observer, nobody
from worker.census import Census
from worker.endpoint import Endpoint
from worker.measured_requests import MeasuredRequests
from worker.readiness import Readiness
from worker.settings import Settings
from worker.telemetry import exporting_runtime, runtime

Watcher: TypeAlias = Callable[[Client], Coroutine[Any, Any, None]]
"""Watches a worker that works, until it is cancelled."""


@dataclass(frozen=True)
class Observation:
    """What watches a worker.

    Attributes:
        runtime: What the client is connected with.
        requests: Is told of each request to the marketplace.
        watchers: Run beside the worker.
    """

    runtime: Runtime
    requests: Observer = nobody
    watchers: Sequence[Watcher] = ()


@asynccontextmanager
async def observed(settings: Settings) -> AsyncIterator[Observation]:
    """Serve what `METRICS_ADDRESS` promises, from before the worker is connected until it has ended.

    Raises:
        SettingsError: Nobody can listen there.
    """
    if settings.metrics_address is None:
        yield Observation(runtime())
        return
    measured, exporter = exporting_runtime()
    queue, meter = settings.temporal_task_queue, measured.metric_meter
    readiness = Readiness()
    async with aiohttp.ClientSession() as session:
        endpoint = Endpoint(session, exporter, readiness.objection)
        async with endpoint.listening(settings.metrics_address):
            yield Observation(
                measured,
                MeasuredRequests(meter, settings.marketplace_api),
                [partial(readiness.watch, task_queue=queue, scrape=endpoint.scrape), Census(meter, queue).watch],
            )
