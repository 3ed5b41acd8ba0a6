"""``python -m tests.replay.reached [FOLDER …]``: says which lines of the procedures no history reaches.

A line that decides what a run does and is in no history may change what it does without any replay noticing. Play a
scene that comes by it. The histories are those that are kept, and those in the folders. The exit status is 1 where
there is such a line.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from coverage import Coverage
from temporalio.client import WorkflowHistory
from temporalio.worker import UnsandboxedWorkflowRunner

PROJECT = Path(__file__).parents[2]

NO_COMMANDS = {"__init__", "inputs", "measuring", "messages", "page", "publication", "search_attributes"}
"""What in `workflows` decides nothing."""

PROCEDURES = [
    *(path for path in sorted(PROJECT.glob("workflows/*.py")) if path.stem not in NO_COMMANDS),
    PROJECT / "activities" / "offers.py",  # what a survey says of itself
]

NEVER_IN_A_HISTORY = {
    r"@workflow\.query": "a query is not recorded",
    r"@decide_go_live\.validator": "an update that is refused at once is not recorded",
    r"^class OfferActivities": "the work of an activity is not done again",
    r"^def _(with|until_published)\(": "likewise",
    r"return Change\($": "likewise",
    r"return await self\._survey_once_shown\(wanted\)$": "somebody would have to publish while the draft is written",
    r"def _last_note": "it is told after a hundred rounds",
    r"if survey.preview_of == published.operation_id": "somebody would have to publish other plans just before us",
    r"!= \"OperationTimedOut\":\n\s+raise$": "likewise: Production would have to become unreadable for good",
    r"changed the offer \{MAX_ROUNDS\} times": "a hundred rounds make a history of megabytes",
    r"check_now is not heeded any more": "ten thousand events likewise",
    r"shows a preview but no operation": "the marketplace would have to forget five operations",
    r"interval = max\(interval, WHEN_LONG\)": "likewise",
    r"a write is of an offer or of images": "it always is",
    r"if is_cancelled_exception\(error\):\n\s+raise\n\s+reason = application_error": "a run is cancelled once",
    r"if operation_id is None:\n\s+return$": "what was asked to cancel has an id",
}
"""Lines, as regular expressions, and why no scene comes by them."""


async def _replay(folders: Sequence[Path]) -> None:
    # Imported while it is measured, so that the lines that define things count too.
    from tests.replay.test_replay import history_in, replayer  # noqa: PLC0415

    async def histories() -> AsyncIterator[WorkflowHistory]:
        for folder in folders:
            for path in sorted(folder.rglob("*.json")):
                yield history_in(path)

    await replayer(UnsandboxedWorkflowRunner()).replay_workflows(histories())


def main(folders: Sequence[str]) -> int:
    """Replay every history and print what was not reached."""
    measured = Coverage(data_file=None, config_file=False, include=list(map(str, PROCEDURES)))
    for line in NEVER_IN_A_HISTORY:
        measured.exclude(line)
    with measured.collect():
        asyncio.run(_replay([Path(__file__).parent / "histories", *map(Path, folders)]))
    missed = 0
    for path in PROCEDURES:
        source = path.read_text().splitlines()
        for number in measured.analysis2(str(path))[3]:
            missed += 1
            print(f"{path.relative_to(PROJECT)}:{number}: {source[number - 1].strip()}")  # noqa: T201
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
