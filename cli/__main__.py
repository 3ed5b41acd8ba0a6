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
from cli.connection import connected, explained, read_settings
from cli.deciding import decide
from cli.rows import ending
from cli.runs import End, Publication
from cli.starting import KINDS, default_id, read_input, start
from cli.statuses import CommandError, Status
from cli.summary import append, summary
from cli.watching import watch
from worker.connection import ConnectionFailedError
from worker.settings import Settings, SettingsError

INTERRUPTED = 128 + signal.SIGINT


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line. Return the exit status."""
    program = program_of(sys.argv[0])
    arguments = read_arguments(program, words)
    try:
        return asyncio.run(_Command(arguments, read_settings(), program).run())
    except KeyboardInterrupt:
        _remark("Interrupted. What was started goes on.")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of the output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Status.ELSE
    except Exception as error:  # noqa: BLE001 - a traceback helps only where the command itself is wrong
        failure = _failure(error)
        _remark(str(failure))
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

    def __init__(self, arguments: argparse.Namespace, settings: Settings, program: str) -> None:
        self._arguments = arguments
        self._settings = settings
        self._program = program

    async def run(self) -> int:
        arguments = self._arguments
        text = read_input(arguments.file) if arguments.command in KINDS else b""
        workflow_id = arguments.id or default_id(arguments.command, text)
        if arguments.command == "wait" and arguments.summary is not None:
            append(arguments.summary, "")  # fail now, not after days, if the file cannot be written
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
            raise explained(error, client.namespace) from None

    async def _start(self, client: Client, workflow_id: str, text: bytes) -> int:
        arguments = self._arguments
        queue = self._settings.temporal_task_queue
        publication = await start(client, arguments.command, text, workflow_id, queue)
        _say(workflow_id)
        if arguments.wait:
            return (await _end_of(publication, workflow_id)).status
        _remark(f"Started. Follow it: {self._program} {shlex.join(['watch', workflow_id])}")
        return Status.WELL

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
            _say(_json(answer.decision))
        if answer.remark is not None:
            _remark(answer.remark)
        return Status.WELL

    async def _wait(self, client: Client, workflow_id: str) -> int:
        file = self._arguments.summary
        end = await _end_of(await Publication.find(client, workflow_id), workflow_id)
        if file is not None:
            append(file, summary(workflow_id, end))
        return end.status


async def _end_of(publication: Publication, workflow_id: str) -> End:
    """Wait for the end, and print the result or the error."""
    end = await publication.end(_away)
    if end.status is not Status.WELL:
        end = replace(end, progress=await publication.last_progress())
    if end.result is not None:
        _say(_json(end.result))
    else:
        _remark(ending(workflow_id, end))
    return end


def _away(why: str | None) -> None:
    _remark("Temporal answers again." if why is None else f"Temporal does not answer ({why}): trying again.")


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _say(text: str) -> None:
    """Print to standard output."""
    print(text, flush=True)


def _remark(text: str) -> None:
    """Print to standard error."""
    print(text, file=sys.stderr, flush=True)


def run() -> NoReturn:
    """Run the command and end the process with its status, without Python's finalization.

    Threads of the SDK may still call into Python. During finalization, such a call would crash the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # for terminals with another encoding
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
