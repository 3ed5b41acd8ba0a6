"""``python -m tests.replay.record [WORKFLOW/SCENE …]``: records the histories that `test_replay` replays.

Record again what a change of a workflow was meant to change, and look at the difference before it is committed.
Needs the `temporal` binary; takes a minute.
"""

import asyncio
import json
import logging
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import tests.replay.scenes  # noqa: F401 - fills RECORDED
from tests.replay.player import Events, playing, workflow_of
from tests.replay.stage import RECORDED
from worker.__main__ import end

HISTORIES = Path(__file__).parent / "histories"


def paths_of(workflow: str, scene: str) -> tuple[Path, Path]:
    """Say where a scene's history is; and that of the last run, where the first was continued as new."""
    folder = HISTORIES / workflow
    return folder / f"{scene}.json", folder / f"{scene}.later.json"


async def record(wanted: Sequence[str]) -> dict[str, BaseException]:
    """Play the scenes and write their histories; answers with what went wrong in which scene."""
    scenes = {f"{workflow}/{name}": play for workflow, each in RECORDED.items() for name, play in each.items()}
    async with playing() as player:
        histories, failures = await player.play_all(
            {name: play for name, play in scenes.items() if not wanted or name in wanted}
        )
    for name, runs in histories.items():
        workflow, scene = name.split("/")
        first, *later = [events for events in runs if workflow_of(events) == workflow]
        path, path_of_later = paths_of(workflow, scene)
        write(path, first)
        path_of_later.unlink(missing_ok=True)
        if later:
            write(path_of_later, later[-1])
    return failures


def write(path: Path, events: Events) -> None:
    """Write a history, an event a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(event, separators=(",", ":")) for event in events)
    path.write_text(f'{{"events":[\n{lines}\n]}}\n')


def forget_old_scenes() -> None:
    """Remove the histories of scenes that are not recorded any more."""
    kept = {path for workflow, each in RECORDED.items() for scene in each for path in paths_of(workflow, scene)}
    for path in set(HISTORIES.glob("*/*.json")) - kept:
        path.unlink()


if __name__ == "__main__":
    logging.getLogger("temporalio").setLevel(logging.ERROR)
    failed = asyncio.run(record(sys.argv[1:]))
    forget_old_scenes()
    for name, why in failed.items():
        print(f"{name} was not recorded:", *traceback.format_exception(why), file=sys.stderr)  # noqa: T201
    end(1 if failed else 0)
