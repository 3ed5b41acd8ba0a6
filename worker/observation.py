"""How a worker is watched from outside: its runtime, and what `METRICS_ADDRESS` serves."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import aiohttp
from temporalio.client import Client
from temporalio.runtime import Runtime

from worker.endpoint import Endpoint
from worker.readiness import Readiness
from worker.settings import Settings
from worker.telemetry import exporting_runtime, runtime

Observer: TypeAlias = Callable[[Client], Coroutine[Any, Any, None]]
"""Watches a worker that works, until it is cancelled."""


@asynccontextmanager
async def observed(settings: Settings) -> AsyncIterator[tuple[Runtime, Sequence[Observer]]]:
    """Serve what `METRICS_ADDRESS` promises, from before the worker is connected until it has ended.

    Raises:
        SettingsError: Nobody can listen there.
    """
    if settings.metrics_address is None:
        yield runtime(), ()
        return
    measured, exporter = exporting_runtime()
    readiness = Readiness()
    async with aiohttp.ClientSession() as session:
        endpoint = Endpoint(session, exporter, readiness.objection)
        async with endpoint.listening(settings.metrics_address):
            yield (
                measured,
                [partial(readiness.watch, task_queue=settings.temporal_task_queue, scrape=endpoint.scrape)],
            )
