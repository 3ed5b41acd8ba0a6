"""Forwards the log of the SDK's core, and exports its metrics on a private port."""

import logging
import socket
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

LOOPBACK = "127.0.0.1"
TRIES = 5
"""Another process can take a free port before it is used."""

UP_TO_MINUTES = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 600)
UP_TO_WEEKS = (
    *(10, 60, 300, 900, 1800),
    *(hours * 3600 for hours in (1, 2, 4, 8, 16)),
    *(days * 86400 for days in (1, 2, 3, 4, 5, 7, 10, 14, 21)),
)
BUCKETS: Mapping[str, Sequence[float]] = {
    "offer_publisher_stage_seconds": UP_TO_WEEKS,
    "offer_publisher_step_seconds": UP_TO_WEEKS,
    "offer_publisher_marketplace_request_seconds": UP_TO_MINUTES,
}
"""Upper bounds of the histograms' buckets, in seconds."""


class Exporter(NamedTuple):
    """A runtime, and the URL of its metrics."""

    runtime: Runtime
    url: str


def runtime() -> Runtime:
    """Return a runtime without metrics."""
    return _runtime(None)


def exporting_runtime() -> Exporter:
    """Return a runtime that serves its metrics on a port of the loopback address.

    The SDK's server can serve nothing else, so `worker.endpoint` passes the metrics on.
    """
    for attempt in range(1, TRIES + 1):
        with socket.create_server((LOOPBACK, 0)) as found:
            address = f"{LOOPBACK}:{found.getsockname()[1]}"
        try:
            metrics = PrometheusConfig(
                bind_address=address, durations_as_seconds=True, histogram_bucket_overrides=BUCKETS
            )
            return Exporter(_runtime(metrics), f"http://{address}/metrics")
        except (RuntimeError, ValueError):
            if attempt == TRIES:
                raise
    raise AssertionError


def _runtime(metrics: PrometheusConfig | None) -> Runtime:
    telemetry = TelemetryConfig(
        logging=LoggingConfig(
            filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
            # Without this, the SDK would write to the console itself, without our format and without `redacted`.
            forwarding=LogForwardingConfig(
                logging.getLogger("temporalio.core"),
                append_target_to_name=False,
                prepend_target_on_message=False,
            ),
        ),
        metrics=metrics,
    )
    return Runtime(telemetry=telemetry, worker_heartbeat_interval=timedelta(seconds=60))
