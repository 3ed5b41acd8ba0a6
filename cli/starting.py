"""Starts publications with an input from a file."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.common import RawValue, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from cli.runs import Publication, describe_newest
from cli.statuses import CommandError, Status
from workflows.messages import Configure


class Kind(NamedTuple):
    """The workflow that a command starts, and the prefix of its default workflow IDs."""

    workflow: str
    prefix: str


KINDS: Mapping[str, Kind] = {
    "create": Kind("CreateOfferAndPublish", "offer"),
    "publish": Kind("UpdateOfferAndPublish", "offer"),
    "go-live": Kind("ValidateAndGoLive", "go-live"),
    "check": Kind("CheckLastOperationStatus", "check"),
}

STANDARD_INPUT = "-"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_input(file: str) -> bytes:
    """Read the input of a workflow. The workflow itself validates it.

    Raises:
        CommandError: It cannot be read, or is not a JSON object.
    """
    try:
        text = sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.", Status.USAGE) from None
    text = text.removeprefix(BYTE_ORDER_MARK)
    name = "The standard input" if file == STANDARD_INPUT else file
    try:
        document = json.loads(text.decode())
    except UnicodeDecodeError:
        raise CommandError(f"{name} is not UTF-8 text.", Status.USAGE) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise CommandError(f"{name} is not JSON: {error.msg} ({where}).", Status.USAGE) from None
    except ValueError:  # Python limits the length of a number
        digits = sys.get_int_max_str_digits()
        raise CommandError(f"{name} has a number of more than {digits} digits.", Status.USAGE) from None
    except RecursionError:
        raise CommandError(f"{name} is nested too deeply.", Status.USAGE) from None
    if not isinstance(document, dict):
        raise CommandError(f"{name} must hold one JSON object, the input of the workflow.", Status.USAGE)
    return text


def default_id(command: str, text: bytes) -> str:
    """Return the workflow ID that the runbook uses for this offer.

    Raises:
        CommandError: The input names no offer.
    """
    match json.loads(text):
        case {"offer": {"publisherId": str(publisher), "id": str(offer)}}:
            pass
        case {"publisher_id": str(publisher), "offer_id": str(offer)}:
            pass
        case {"publisher_id": str(publisher), "configure": {"resources": [*resources]}} if found := _product_of(
            resources
        ):
            offer = found
        case _:
            raise CommandError(
                "The input names no offer, so there is no default workflow ID. Correct the input, or give an --id.",
                Status.USAGE,
            )
    return f"{KINDS[command].prefix}/{publisher}/{offer}"


def _product_of(resources: list[Any]) -> str | None:
    return Configure.model_construct(
        schema_="", resources=[each for each in resources if isinstance(each, dict)]
    ).offer_id


async def start(client: Client, command: str, text: bytes, workflow_id: str, task_queue: str) -> Publication:
    """Start a workflow with the bytes of the input, unchanged.

    Raises:
        CommandError: A run with the ID is running.
        RPCError: Temporal refuses the request.
    """
    try:
        handle = await client.start_workflow(
            KINDS[command].workflow,
            RawValue(Payload(metadata={"encoding": b"json/plain"}, data=text)),
            id=workflow_id,
            task_queue=task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        )
    except WorkflowAlreadyStartedError:
        raise CommandError(await _already_running(client, workflow_id)) from None
    run_id = handle.first_execution_run_id or ""
    return Publication(client, workflow_id, run_id, run_id)


async def _already_running(client: Client, workflow_id: str) -> str:
    details = ""
    try:
        running = await describe_newest(client, workflow_id)
        details = f" ({running.workflow_type}, run {running.run_id}, since {running.start_time:%Y-%m-%d %H:%M} UTC)"
    except (CommandError, RPCError):
        pass  # it has ended by now, or Temporal does not answer
    return f"{workflow_id} is running already{details}. Nothing was started. Watch that run, or give another --id."
