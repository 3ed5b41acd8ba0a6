"""Connects to Temporal with the SDK's own environment variables and profiles."""

import asyncio
import logging
import os
import re
import socket
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import Runtime

from worker.encryption import EncryptionCodec
from worker.registration import create_data_converter
from worker.settings import SettingsError, SharedSettings
from worker.tls_refusals import closed, refusal

DEFAULT_ADDRESS = "localhost:7233"
PATIENCE = timedelta(seconds=30)
"""How long to wait for Temporal: a worker is often started shortly before its server."""

BETWEEN_ATTEMPTS = timedelta(seconds=1)
ONE_ATTEMPT = timedelta(seconds=10)

logger = logging.getLogger("worker")


class ConnectionFailedError(Exception):
    """Temporal does not answer. The message says where and why."""


async def connect(settings: SharedSettings, runtime: Runtime) -> Client:
    """Connect as the Temporal CLI would with the same environment.

    Raises:
        SettingsError: The ``TEMPORAL_*`` variables or the profile are wrong, or one side refuses the other's
            certificate.
        ConnectionFailedError: Temporal did not answer for `PATIENCE`.
    """
    options = read_connection()
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE.total_seconds()
    failures, is_announced = 0, False
    while True:
        try:
            async with asyncio.timeout(ONE_ATTEMPT.total_seconds()):
                return await _connect(settings, options, runtime)
        except (RuntimeError, TimeoutError) as error:
            sentence = f"Temporal does not answer at {options['target_host']}: {_reason(error, options)}"
            if loop.time() >= until:
                raise ConnectionFailedError(
                    f"{sentence}. Is it running, and are the TEMPORAL_* variables right?"
                ) from error
            failures += 1
            # The next attempt often gets the alert that the server closed this connection with.
            if not is_announced and (failures > 1 or closed(str(error), options) is None):
                logger.warning("%s. Trying for %d s", sentence, PATIENCE.total_seconds())
                is_announced = True
        await asyncio.sleep(BETWEEN_ATTEMPTS.total_seconds())


def read_connection() -> ClientConnectConfig:
    """Read address, namespace, TLS and API key.

    Raises:
        SettingsError: Something in the ``TEMPORAL_*`` variables or the profile is wrong.
    """
    path = os.environ.get("TEMPORAL_CONFIG_FILE")
    if path and not Path(path).exists():
        # The SDK would ignore it, and connect somewhere else.
        raise SettingsError("TEMPORAL_CONFIG_FILE: there is no such file")
    try:
        options = ClientConfig.load_client_connect_config()
    except Exception as error:
        # The SDK raises errors of several types here, all about the environment or the profile file. Below the first
        # line, the message quotes lines of the file, which may hold an API key.
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise SettingsError(f"{_variable(said)}: {said}") from error
    options.setdefault("target_host", DEFAULT_ADDRESS)
    if not re.fullmatch(r"[^\s/]+:\d{1,5}", options["target_host"]):
        raise SettingsError("TEMPORAL_ADDRESS, or the address in the profile: must be HOST:PORT")
    return options


async def _connect(settings: SharedSettings, options: ClientConnectConfig, runtime: Runtime) -> Client:
    keys = settings.payload_encryption_keys
    try:
        return await Client.connect(
            **options,
            data_converter=create_data_converter(EncryptionCodec(keys) if keys else None),
            runtime=runtime,
            identity=f"offer-publisher/{os.getpid()}@{socket.gethostname()}",
        )
    except ValueError as error:
        raise SettingsError(f"TEMPORAL_ADDRESS, TEMPORAL_API_KEY or TEMPORAL_TLS_*: {error}") from error
    except RuntimeError as error:
        if "ParseError" in str(error):
            raise SettingsError("TEMPORAL_TLS_*: the certificate or its key is not in PEM form") from error
        if wrong := refusal(str(error), options):
            raise SettingsError(wrong) from error
        raise


def _variable(said: str) -> str:
    """Return the variable that the SDK's message is about, as far as the message shows it."""
    if said.startswith("Profile"):
        return "TEMPORAL_PROFILE"
    if "TOML" in said:
        return "TEMPORAL_CONFIG_FILE"
    return "TEMPORAL_TLS_*" if "No such file" in said else "TEMPORAL_*"


def _reason(error: RuntimeError | TimeoutError, options: ClientConnectConfig) -> str:
    """Return the operating system's message within the SDK's error."""
    if isinstance(error, TimeoutError):
        return f"nothing came back within {ONE_ATTEMPT.total_seconds():g} s"
    if maybe := closed(str(error), options):
        return maybe
    words = re.findall(r'(?:message|error): "([^"]+)"', str(error))
    return str(words[-1]) if words else str(error)
