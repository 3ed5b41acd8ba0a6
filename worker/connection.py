"""The connection to Temporal, from the SDK's own environment variables and profiles."""

import os
import socket
from datetime import timedelta

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.runtime import LoggingConfig, PrometheusConfig, Runtime, TelemetryConfig, TelemetryFilter

from worker.encryption import EncryptionCodec
from worker.registration import data_converter
from worker.settings import Settings, SettingsError

DEFAULT_ADDRESS = "localhost:7233"


async def connect(settings: Settings) -> Client:
    """Connect as the Temporal CLI would with the same environment.

    Raises:
        SettingsError: The ``TEMPORAL_*`` variables or the profile are wrong.
        RuntimeError: Temporal does not answer.
    """
    try:
        options = ClientConfig.load_client_connect_config()
    except Exception as error:
        # The SDK raises plain errors of several types here; all are about the environment or the profile file.
        raise SettingsError(f"TEMPORAL_* or the profile of TEMPORAL_CONFIG_FILE: {error}") from error
    options.setdefault("target_host", DEFAULT_ADDRESS)
    keys = settings.encryption_keys()
    return await Client.connect(
        **options,
        data_converter=data_converter(EncryptionCodec(keys) if keys else None),
        runtime=_runtime(settings),
        identity=f"offer-publisher/{os.getpid()}@{socket.gethostname()}",
    )


def _runtime(settings: Settings) -> Runtime:
    metrics = None
    if settings.metrics_address is not None:
        metrics = PrometheusConfig(bind_address=settings.metrics_address, durations_as_seconds=True)
    return Runtime(
        telemetry=TelemetryConfig(
            logging=LoggingConfig(filter=TelemetryFilter(core_level="WARN", other_level="ERROR")),
            metrics=metrics,
        ),
        worker_heartbeat_interval=timedelta(seconds=60),
    )
