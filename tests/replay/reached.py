"""``python -m tests.replay.reached``: says which lines of the procedures no recorded history reaches.

A line that decides what a run does and is in no history may change what it does without any replay noticing. Play a
scene that comes by it. The exit status is 1 where there is such a line.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from coverage import Coverage
from temporalio.client import WorkflowHistory
from temporalio.worker import UnsandboxedWorkflowRunner

PROCEDURES = (
    "check_last_operation_status",
    "create_offer_and_publish",
    "logbook",
    "stages",
    "update_offer_and_publish",
    "validate_and_go_live",
)
"""What else is in `workflows` gives no commands."""

NEVER_IN_A_HISTORY = {
    r"@workflow\.query": "a query is not recorded",
    r"@decide_go_live\.validator": "an update that is refused at once is not recorded",
    r"^\s+return$": "some versions of Python count it to the line before",
    r"changed the (offer|preview) \{MAX_ROUNDS\} times": "a hundred rounds make a history of megabytes",
    r"if size > MAX_HISTORY": "forty megabytes likewise",
    r"check_now is not heeded any more.*\n.*return False": "ten thousand events likewise",
    r"shows a preview but no operation": "the marketplace would have to forget five operations",
    r"except ApplicationError as error:\s+workflow\.logger\.warning": "whoever follows ends with its parent",
    r"await running\s+raise": "cancelled at the very moment when the follower ends: no scene can meet it",
    r"raise asyncio\.CancelledError": "likewise",
}
"""Lines, as regular expressions, and why no scene comes by them."""


async def _replay() -> None:
    # Imported while it is measured, so that the lines that define things count too.
    from tests.replay.test_replay import RECORDED, history_of, replayer  # noqa: PLC0415

    async def histories() -> AsyncIterator[WorkflowHistory]:
        for name in RECORDED:
            yield history_of(name)

    await replayer(UnsandboxedWorkflowRunner()).replay_workflows(histories())


def main() -> int:
    """Replay every history and print what was not reached."""
    folder = Path(__file__).parents[2] / "workflows"
    measured = Coverage(data_file=None, config_file=False, include=[f"{folder}/*"])
    for line in NEVER_IN_A_HISTORY:
        measured.exclude(line)
    with measured.collect():
        asyncio.run(_replay())
    missed = 0
    for name in PROCEDURES:
        path = folder / f"{name}.py"
        source = path.read_text().splitlines()
        for number in measured.analysis2(str(path))[3]:
            missed += 1
            print(f"workflows/{path.name}:{number}: {source[number - 1].strip()}")  # noqa: T201
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
