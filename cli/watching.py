"""Watches a publication until its end."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from temporalio.client import Client
from temporalio.service import RPCError

from cli.connection import PASSING
from cli.lines import Lines
from cli.runs import End, Look, Publication, reason

LOOK_EVERY = 2.0
"""Seconds. Each look asks the server. The worker is queried only if something has happened."""


class View(Protocol):
    """Shows a publication."""

    def look(self, look: Look) -> None:
        """Show a look."""
        ...

    def away(self, why: str | None) -> None:
        """Show that Temporal does not answer, or answers again."""
        ...

    def end(self, end: End) -> None:
        """Show the end."""
        ...


@contextmanager
def view(program: str, workflow_id: str) -> Iterator[View]:
    """Show on a terminal if there is one, otherwise as lines."""
    if sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}:
        from cli.screen import Screen  # noqa: PLC0415 - rich is imported only for a terminal

        with Screen(program, workflow_id) as screen:
            yield screen
    else:
        yield Lines(sys.stdout, program, workflow_id)


async def watch(client: Client, workflow_id: str, program: str) -> End:
    """Show a publication until it ends.

    Raises:
        CommandError: There is none.
        RPCError: Temporal refuses.
    """
    publication = await Publication.find(client, workflow_id)
    ending = asyncio.create_task(publication.end())
    try:
        with view(program, workflow_id) as shown:
            await _show(publication, ending, shown)
            end = await ending
            shown.end(end)
            return end
    finally:
        ending.cancel()


async def _show(publication: Publication, ending: asyncio.Task[End], shown: View) -> None:
    last: Look | None = None
    is_away = False
    while True:
        over = ending.done()
        try:
            last = await publication.look(last)
        except RPCError as error:
            if error.status not in PASSING:
                raise
            if not is_away:
                shown.away(reason(error))
            is_away = True
        else:
            if is_away:
                shown.away(None)
            is_away = False
            shown.look(last)
        if over:
            return
        await asyncio.wait([ending], timeout=LOOK_EVERY)
