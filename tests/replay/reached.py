"""``python -m tests.replay.reached``: lists the lines of the workflows that no recorded history reaches.

Replay notices a change to a line only if some history reaches the line. Write a scene that does. The exit status is 1
if any line is not reached.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from coverage import Coverage
from temporalio.client import WorkflowHistory
from temporalio.worker import UnsandboxedWorkflowRunner

PROJECT = Path(__file__).parents[2]

NO_COMMANDS = {"__init__", "inputs", "measuring", "messages", "page", "publication", "search_attributes"}
"""Modules of `workflows` that issue no commands. What `inputs` or `messages` refuse fails at the first task."""

MODULES = [
    *(path for path in sorted(PROJECT.glob("workflows/*.py")) if path.stem not in NO_COMMANDS),
    PROJECT / "activities" / "offers.py",  # it has the properties of a survey
]

NEVER_IN_A_HISTORY = {
    r"@workflow\.query": "queries are not recorded",
    r"@decide_go_live\.validator": "an update that the validator refuses is not recorded",
    r"^class OfferActivities": "activities are not replayed",
    r"^def _(with|until_published)\(": "activities are not replayed",
    r"return Change\($": "activities are not replayed",
    r"return await self\._survey_once_shown\(": "somebody would have to publish while the draft is written",
    r"def _last_note": "it takes a hundred rounds",
    r"if survey.preview_of == published.operation_id": "somebody would have to publish other plans just before",
    r"!= \"OperationTimedOut\":\n\s+raise$": "Production would have to stay unreadable",
    r"changed the offer \{MAX_ROUNDS\} times": "a hundred rounds make a history of megabytes",
    r"check_now is not heeded any more": "ten thousand events make a history of megabytes",
    r"interval = max\(interval, WHEN_LONG\)": "ten thousand events make a history of megabytes",
    r"shows a preview but no operation": "the marketplace would have to forget five operations",
    r"a write needs an offer or images": "every write has one",
    r"if is_cancelled_exception\(error\):\n\s+raise\n\s+reason = application_error": "a run is cancelled once",
    r"except asyncio.CancelledError:\n\s+# The cancellation came together": "a matter of milliseconds",
    r"if operation_id is None:\n\s+return$": "an operation whose cancellation was requested has an ID",
}
"""Lines that no scene reaches, as regular expressions, each with the reason."""


async def _replay() -> None:
    # Imported here, while coverage is measured: lines that run at import count too.
    from tests.replay.test_replay import PATHS, history_in, replayer  # noqa: PLC0415

    async def histories() -> AsyncIterator[WorkflowHistory]:
        for path in PATHS.values():
            yield history_in(path)

    await replayer(UnsandboxedWorkflowRunner()).replay_workflows(histories())


def main() -> int:
    """Replay every history, print the lines that were not reached, and return the exit status."""
    measured = Coverage(data_file=None, config_file=False, include=list(map(str, MODULES)))
    for line in NEVER_IN_A_HISTORY:
        measured.exclude(line)
    with measured.collect():
        asyncio.run(_replay())
    missed = 0
    for path in MODULES:
        source = path.read_text().splitlines()
        for number in measured.analysis2(str(path))[3]:
            missed += 1
            print(f"{path.relative_to(PROJECT)}:{number}: {source[number - 1].strip()}")  # noqa: T201
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
