"""The command ``offer-publisher``, also ``python -m cli``. ``--help`` lists its commands and exit statuses."""

import argparse
import asyncio
import io
import json
import logging
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

from temporalio.client import Client
from temporalio.service import RPCError

from cli.arguments import program_of, read_arguments
from cli.connection import command_error, connected
from cli.deciding import decide
from cli.rows import ending_text
from cli.runs import Ending, Publication
from cli.starting import KINDS, default_id, read_input, start
from cli.statuses import CommandError, Status
from cli.summary import append, summary
from cli.watching import watch
from worker.connection import ConnectionFailedError
from worker.settings import SettingsError, SharedSettings, read_settings

INTERRUPTED = 128 + signal.SIGINT


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line. Return the exit status."""
    program = program_of(sys.argv[0])
    arguments = read_arguments(program, words)
    try:
        return asyncio.run(_Command(arguments, read_settings(SharedSettings), program).run())
    except KeyboardInterrupt:
        _print_message("Interrupted. What was started goes on.")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of the output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Status.OTHER
    except Exception as error:  # noqa: BLE001 - only a defect of the command shows a traceback
        failure = _failure(error)
        _print_message(str(failure))
        return failure.status


def _failure(error: Exception) -> CommandError:
    match error:
        case CommandError():
            return error
        case SettingsError():
            return CommandError(f"Wrong configuration: {error}", Status.USAGE)
        case ConnectionFailedError():
            return CommandError(str(error))
        case _:
            trace = "".join(traceback.format_exception(error))
            return CommandError(
                f"{trace}This is a defect of the command. Report it with the lines above. What was started goes on."
            )


class _Command:
    """One invocation of the command."""

    def __init__(self, arguments: argparse.Namespace, settings: SharedSettings, program: str) -> None:
        self._arguments = arguments
        self._settings = settings
        self._program = program

    async def run(self) -> int:
        arguments = self._arguments
        text = read_input(arguments.file) if arguments.command in KINDS else b""
        workflow_id = arguments.id or default_id(arguments.command, text)
        if arguments.command == "wait" and arguments.summary is not None:
            append(arguments.summary, "")  # if the file cannot be written, fail now and not after days
        client = await connected(self._settings)
        try:
            match arguments.command:
                case "approve" | "reject":
                    return await self._decide(client, workflow_id)
                case "watch":
                    return (await watch(client, workflow_id, self._program)).status
                case "wait":
                    return await self._wait(client, workflow_id)
                case _:
                    return await self._start(client, workflow_id, text)
        except RPCError as error:
            raise command_error(error, client.namespace) from None

    async def _start(self, client: Client, workflow_id: str, text: bytes) -> int:
        arguments = self._arguments
        queue = self._settings.temporal_task_queue
        publication = await start(client, arguments.command, text, workflow_id, queue)
        _print_result(workflow_id)
        if arguments.wait:
            return (await self._wait_and_print(publication, workflow_id)).status
        _print_message(f"Started. Follow it: {self._program} {shlex.join(['watch', workflow_id])}")
        return Status.OK

    async def _decide(self, client: Client, workflow_id: str) -> int:
        arguments = self._arguments
        answer = await decide(
            client,
            workflow_id,
            approve=arguments.command == "approve",
            approver=arguments.approver,
            comment=arguments.comment,
        )
        if answer.decision is not None:
            _print_result(_json(answer.decision))
        if answer.explanation is not None:
            _print_message(answer.explanation)
        return Status.OK

    async def _wait(self, client: Client, workflow_id: str) -> int:
        file = self._arguments.summary
        ending = await self._wait_and_print(await Publication.find(client, workflow_id), workflow_id)
        if file is not None:
            append(file, summary(workflow_id, ending, self._program))
        return ending.status

    async def _wait_and_print(self, publication: Publication, workflow_id: str) -> Ending:
        """Wait for a publication to end. Print its result, or its error."""
        ending = await publication.wait(_print_outage)
        if ending.status is not Status.OK:
            ending = replace(ending, progress=await publication.last_progress())
        if ending.result is not None:
            _print_result(_json(ending.result))
        else:
            _print_message(ending_text(workflow_id, ending, self._program))
        return ending


def _print_outage(reason: str | None) -> None:
    _print_message(
        "Temporal answers again." if reason is None else f"Temporal does not answer ({reason}): trying again."
    )


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _print_result(text: str) -> None:
    """Print to standard output."""
    print(text, flush=True)


def _print_message(text: str) -> None:
    """Print to standard error."""
    print(text, file=sys.stderr, flush=True)


def run() -> NoReturn:
    """Run the command and end the process with its status, without Python's finalization.

    The SDK's threads may still call into Python. During finalization, such a call would crash the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # the terminal may have another encoding
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    if status == INTERRUPTED:
        # Die of the signal, so that a calling script stops as well.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(status)


if __name__ == "__main__":
    run()
