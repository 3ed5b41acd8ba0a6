"""``python -m tests.replay.record [WORKFLOW/SCENE …]``: records the histories that `test_replay` replays.

Record again what a change of a workflow was meant to change, and look at the difference before it is committed.
Needs the `temporal` binary; takes a minute.
"""

import asyncio
import itertools
import json
import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from temporalio.testing import WorkflowEnvironment

from marketplace.cloud_partner_portal import CloudPartnerPortal
from marketplace.credentials import FixedToken
from marketplace.portal import Portal
from marketplace.sas import Signer
from sandbox import DEFAULT_TOKEN, SandboxMarketplace, serve
from tests.desk import STEPS, Desk, Recorder
from tests.replay.scenes import SCENES
from worker.__main__ import end
from worker.registration import data_converter, worker
from workflows import search_attributes

HISTORIES = Path(__file__).parent / "histories"
QUEUE = "offer-publishing"
IDENTITY = "recorder@fabrikam.example"
AT_A_TIME = 8
CONTINUE_AS_NEW_AFTER = 90
"""Events; the server's own limit of 4096 would make a file of a megabyte."""


def path_of(workflow: str, scene: str) -> Path:
    """Say where a scene's history is."""
    return HISTORIES / workflow / f"{scene}.json"


async def record(wanted: Sequence[str]) -> None:
    """Play the scenes and write their histories."""
    suggestion = f"limit.historyCount.suggestContinueAsNew={CONTINUE_AS_NEW_AFTER}"
    marketplace = SandboxMarketplace(default_switches={"step_durations": dict.fromkeys(STEPS, 0.4)})
    async with (
        await WorkflowEnvironment.start_local(
            data_converter=data_converter(),
            identity=IDENTITY,
            search_attributes=search_attributes.ALL,
            dev_server_existing_path=shutil.which("temporal"),
            dev_server_extra_args=["--dynamic-config-value", suggestion],
        ) as temporal,
        serve(marketplace) as url,
        httpx.AsyncClient() as http,
        worker(
            temporal.client,
            QUEUE,
            CloudPartnerPortal(
                Portal(http, FixedToken(SecretStr(DEFAULT_TOKEN)), url=url),
                signer=Signer({"fabrikamimages": "aW52ZW50ZWQ="}),
            ),
            Recorder(),
            identity=IDENTITY,
        ),
    ):
        numbers, room = itertools.count(1), asyncio.Semaphore(AT_A_TIME)

        async def play(workflow: str, scene: str) -> None:
            async with room:
                desk = Desk(temporal, http, url, QUEUE, f"fabrikam-{next(numbers)}", Recorder())
                run = await asyncio.wait_for(SCENES[workflow][scene](desk), 120)
                history = json.loads((await run.fetch_history()).to_json())
                write(path_of(workflow, scene), history["events"])

        async with asyncio.TaskGroup() as scenes:
            for workflow, each in SCENES.items():
                for scene in each:
                    if not wanted or f"{workflow}/{scene}" in wanted:
                        scenes.create_task(play(workflow, scene), name=f"{workflow}/{scene}")


def write(path: Path, events: list[dict[str, Any]]) -> None:
    """Write a history, an event a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(event, separators=(",", ":")) for event in events)
    path.write_text(f'{{"events":[\n{lines}\n]}}\n')


def forget_old_scenes() -> None:
    """Remove the histories of scenes that are not played any more."""
    played = {path_of(workflow, scene) for workflow, scenes in SCENES.items() for scene in scenes}
    for path in set(HISTORIES.glob("*/*.json")) - played:
        path.unlink()


if __name__ == "__main__":
    logging.getLogger("temporalio").setLevel(logging.ERROR)
    asyncio.run(record(sys.argv[1:]))
    forget_old_scenes()
    end(0)
