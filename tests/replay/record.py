"""``python -m tests.replay.record [WORKFLOW/SCENE …]``: records the histories that `test_replay` replays.

It records the scenes that have no history yet, under the version in pyproject.toml. It never replaces a history,
because a run that left it may still be running. It needs the `temporal` binary and takes a minute.
"""

import asyncio
import json
import logging
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import tests.replay.ingestion
import tests.replay.rare_scenes
import tests.replay.scenes  # noqa: F401 - all three fill RECORDED
from tests.replay.player import Events, playing, workflow_of
from tests.replay.stage import RECORDED
from worker.__main__ import end

PROJECT = Path(__file__).parents[2]
HISTORIES = Path(__file__).parent / "histories"
VERSION: str = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]

log = logging.getLogger("record")

SUMS = "SHA256SUMS"
"""The file that closes a version, whose histories must not change from then on."""


def recorded_in(version: str, name: str) -> tuple[Path, Path]:
    """Return the paths of a scene's history, and of the last run's if the first run continued as new."""
    folder = HISTORIES / version
    return folder / f"{name}.json", folder / f"{name}.later.json"


def scenes() -> Sequence[str]:
    """Return the scenes whose histories are recorded, as WORKFLOW/SCENE."""
    return [f"{workflow}/{name}" for workflow, each in RECORDED.items() for name in each]


def is_recorded(name: str) -> bool:
    """Return whether any version has a history of a scene."""
    return any(HISTORIES.glob(f"*/{name}.json"))


async def record(wanted: Sequence[str]) -> dict[str, BaseException]:
    """Play scenes and write their histories. Return the scenes that failed, with the errors."""
    plays = {f"{workflow}/{name}": play for workflow, each in RECORDED.items() for name, play in each.items()}
    async with playing() as player:
        histories, failures = await player.play_all({name: plays[name] for name in wanted})
    for name, runs in histories.items():
        workflow = name.split("/")[0]
        first, *later = [events for events in runs if workflow_of(events) == workflow]
        path, path_of_later = recorded_in(VERSION, name)
        write(path, first)
        if later:
            write(path_of_later, later[-1])
    return failures


def write(path: Path, events: Events) -> None:
    """Write a history, one event per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(event, separators=(",", ":")) for event in events)
    path.write_text(f'{{"events":[\n{lines}\n]}}\n')


def main(wanted: Sequence[str]) -> int:
    """Record the wanted scenes, or else all that are missing. Return the exit status."""
    missing = [name for name in scenes() if not is_recorded(name)]
    kept = [name for name in wanted if name not in missing]
    if kept:
        log.error("Recorded already, and kept: %s", ", ".join(kept))
        return 1
    names = wanted or missing
    if names and (HISTORIES / VERSION / SUMS).exists():
        log.error("%s is closed. Set the next version in pyproject.toml, then record.", VERSION)
        return 1
    failed = asyncio.run(record(names)) if names else {}
    for name, why in failed.items():
        log.error("%s was not recorded", name, exc_info=why)
    return 1 if failed else 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", level=logging.ERROR)
    end(main(sys.argv[1:]))
