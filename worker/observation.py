"""Sets up the observation of a worker: runtime, metrics endpoint, traces."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import aiohttp
from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.worker import Interceptor

from marketplace.http.exchange import Exchange, Observer, ignore
from worker.census import Census
from worker.endpoint import Endpoint
from worker.measured_requests import MeasuredRequests
from worker.readiness import Readiness
from worker.settings import Settings, SettingsError
from worker.telemetry import exporting_runtime, runtime

if TYPE_CHECKING:
    from worker.tracing import Tracing

Watcher: TypeAlias = Callable[[Client], Coroutine[Any, Any, None]]
"""Runs beside a worker until it is cancelled."""


@dataclass(frozen=True)
class Observation:
    """The parts of a worker's observation.

    Attributes:
        runtime: The runtime of the client.
        requests: Observes each request to the marketplace.
        watchers: Run beside the worker.
        interceptors: Trace runs and activities.
    """

    runtime: Runtime
    requests: Observer = ignore
    watchers: Sequence[Watcher] = ()
    interceptors: Sequence[Interceptor] = ()


@asynccontextmanager
async def observed(settings: Settings) -> AsyncIterator[Observation]:
    """Observe a worker, from before it connects until it has ended.

    Raises:
        SettingsError: `METRICS_ADDRESS` cannot be used, or the packages for tracing are not installed.
    """
    async with _measured(settings) as measured, _traced(settings) as tracing:
        if tracing is None:
            yield measured
        else:
            yield replace(
                measured, requests=both(measured.requests, tracing.requests), interceptors=[tracing.interceptor]
            )


@asynccontextmanager
async def _measured(settings: Settings) -> AsyncIterator[Observation]:
    """Serve the metrics endpoint, if `METRICS_ADDRESS` is set."""
    if settings.metrics_address is None:
        yield Observation(runtime())
        return
    measured, exporter = exporting_runtime()
    queue, meter = settings.temporal_task_queue, measured.metric_meter
    readiness = Readiness(meter)
    async with aiohttp.ClientSession() as session:
        endpoint = Endpoint(session, exporter, readiness.objection)
        async with endpoint.listening(settings.metrics_address):
            yield Observation(
                measured,
                MeasuredRequests(meter, settings.marketplace_api),
                [partial(readiness.watch, task_queue=queue, scrape=endpoint.scrape), Census(meter, queue).watch],
            )


@asynccontextmanager
async def _traced(settings: Settings) -> "AsyncIterator[Tracing | None]":
    """Trace, if OpenTelemetry's own variables name an endpoint."""
    if settings.otel_exporter_otlp_endpoint is None:
        yield None
        return
    try:
        from worker.tracing import exporting  # noqa: PLC0415 - imported only for tracing
    except ImportError as error:
        raise SettingsError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT: tracing needs a package that is not installed, {error.name}:"
            " pip install '.[tracing]' in the folder of the project"
        ) from error
    async with exporting(settings.marketplace_api) as tracing:
        yield tracing


def both(one: Observer, other: Observer) -> Observer:
    """Return an observer that calls both."""

    def observe(exchange: Exchange) -> None:
        one(exchange)
        other(exchange)

    return observe
