"""Watches a publication until its end."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from temporalio.client import Client
from temporalio.service import RPCError

from cli.connection import TRANSIENT
from cli.lines import Lines
from cli.runs import Ending, Publication, Snapshot, outage_reason

REFRESH_INTERVAL = 2.0
"""Seconds. Each refresh asks the server. The worker is queried only if something has happened."""


class View(Protocol):
    """Shows a publication."""

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Show the present state."""
        ...

    def show_outage(self, reason: str | None) -> None:
        """Show that Temporal does not answer. Without a reason, show that it answers again."""
        ...

    def show_ending(self, ending: Ending) -> None:
        """Show how the publication ended."""
        ...


@contextmanager
def view(program: str, workflow_id: str) -> Iterator[View]:
    """Draw on the terminal. If there is none, print lines."""
    if sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}:
        from cli.screen import Screen  # noqa: PLC0415 - only a terminal needs rich

        with Screen(program, workflow_id) as screen:
            yield screen
    else:
        yield Lines(sys.stdout, program, workflow_id)


async def watch(client: Client, workflow_id: str, program: str) -> Ending:
    """Show a publication until it ends.

    Raises:
        CommandError: There is none.
        RPCError: Temporal refuses.
    """
    publication = await Publication.find(client, workflow_id)
    waiting = asyncio.create_task(publication.wait())
    try:
        with view(program, workflow_id) as shown:
            await _show_until(waiting, publication, shown)
            ending = await waiting
            shown.show_ending(ending)
            return ending
    finally:
        waiting.cancel()


async def _show_until(waiting: asyncio.Task[Ending], publication: Publication, shown: View) -> None:
    last: Snapshot | None = None
    is_out = False
    while True:
        has_ended = waiting.done()
        try:
            last = await publication.snapshot(last)
        except RPCError as error:
            if error.status not in TRANSIENT:
                raise
            if not is_out:
                shown.show_outage(outage_reason(error))
            is_out = True
        else:
            if is_out:
                shown.show_outage(None)
            is_out = False
            shown.show_snapshot(last)
        if has_ended:
            return
        await asyncio.wait([waiting], timeout=REFRESH_INTERVAL)
