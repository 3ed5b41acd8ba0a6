"""Connects to Temporal with the worker's variables and profiles, and explains its errors."""

import getpass
import os
import socket

from temporalio.client import Client
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.service import RPCError, RPCStatusCode

from cli.statuses import CommandError, Status
from worker.connection import connect
from worker.settings import SharedSettings

TRANSIENT = {
    RPCStatusCode.CANCELLED,
    RPCStatusCode.UNKNOWN,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.ABORTED,
    RPCStatusCode.INTERNAL,
    RPCStatusCode.UNAVAILABLE,
}
"""After these statuses, the next request may succeed."""


async def connected(settings: SharedSettings) -> Client:
    """Connect to Temporal. Histories name the person who runs the command.

    Raises:
        SettingsError: The ``TEMPORAL_*`` variables or the profile are wrong.
        ConnectionFailedError: Temporal did not answer.
    """
    # The SDK's log would mix with this command's own messages.
    runtime = Runtime(telemetry=TelemetryConfig(logging=None), worker_heartbeat_interval=None)
    client = await connect(settings, runtime)
    client.service_client.config.identity = f"offer-publisher:{_person()}"
    return client


def _person() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"


def is_no_namespace(error: RPCError) -> bool:
    """Return whether the namespace does not exist. If a run does not exist, the server sends the same status."""
    return error.status is RPCStatusCode.NOT_FOUND and error.message.startswith("Namespace")


def command_error(error: RPCError, namespace: str) -> CommandError:
    """Return an error of Temporal as an error of this command."""
    message = error.message.rstrip(".")
    match error.status:
        case RPCStatusCode.UNAUTHENTICATED | RPCStatusCode.PERMISSION_DENIED:
            return CommandError(
                f"Temporal refuses: {message}. Check TEMPORAL_API_KEY or TEMPORAL_TLS_*, and their permissions in"
                f" namespace {namespace}."
            )
        case RPCStatusCode.NOT_FOUND if is_no_namespace(error):
            return CommandError(f"There is no namespace {namespace}. Check TEMPORAL_NAMESPACE.", Status.USAGE)
        case status if status in TRANSIENT:
            return CommandError(f"Temporal does not answer: {message or status.name.lower()}. Try again later.")
        case _:
            return CommandError(f"Temporal refuses: {message}.")
