"""``python -m tests.replay.record [WORKFLOW/SCENE …]``: records the histories that `test_replay` replays.

Record again what a change of a workflow was meant to change, and look at the difference before it is committed.
Needs the `temporal` binary; takes a minute. `python -m tests.replay.reached` says what no history reaches.
"""

import asyncio
import itertools
import json
import logging
import shutil
import socket
import sys
import traceback
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from temporalio.testing import WorkflowEnvironment

import tests.replay.scenes
import tests.replay.trouble  # noqa: F401 - both fill SCENES
from marketplace.cloud_partner_portal import CloudPartnerPortal
from marketplace.credentials import FixedToken
from marketplace.portal import Portal
from marketplace.sas import Signer
from sandbox import DEFAULT_TOKEN, SandboxMarketplace, serve
from tests.desk import STEPS, Desk, Recorder
from tests.replay.stage import SCENES
from worker.__main__ import end
from worker.registration import data_converter, worker
from workflows import search_attributes

HISTORIES = Path(__file__).parent / "histories"
QUEUE = "offer-publishing"
IDENTITY = "recorder@fabrikam.example"
AT_A_TIME = 8
CONTINUE_AS_NEW_AFTER = 90
"""Events; the server's own limit of 4096 would make a file of a megabyte."""

STEP_SECONDS = 0.2
PUBLISHING = timedelta(seconds=4 * STEP_SECONDS + 0.2)


class Webhooks:
    """A webhook a publisher, so that one scene's may fail."""

    def __init__(self) -> None:
        self.of: dict[str, Recorder] = {}

    async def post(self, body: str) -> int | None:
        """Pass on what a run tells."""
        publisher = json.loads(body)["publisher_id"]
        return await self.of[publisher].post(body) if publisher else 200


def path_of(workflow: str, scene: str) -> Path:
    """Say where a scene's history is."""
    return HISTORIES / workflow / f"{scene}.json"


async def record(wanted: Sequence[str]) -> dict[str, BaseException]:
    """Play the scenes and write their histories; answers with what went wrong in which scene."""
    marketplace = SandboxMarketplace(default_switches={"step_durations": dict.fromkeys(STEPS, STEP_SECONDS)})
    webhooks = Webhooks()
    async with (
        await WorkflowEnvironment.start_local(
            data_converter=data_converter(),
            identity=IDENTITY,
            search_attributes=search_attributes.ALL,
            dev_server_existing_path=shutil.which("temporal"),
            dev_server_extra_args=[
                *("--dynamic-config-value", f"limit.historyCount.suggestContinueAsNew={CONTINUE_AS_NEW_AFTER}"),
                # Else timers go off up to a second late.
                *("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"'),
            ],
            dev_server_log_level="error",
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
            webhooks,
            identity=IDENTITY,
        ),
    ):
        numbers, room = itertools.count(1), asyncio.Semaphore(AT_A_TIME)

        async def play(workflow: str, scene: str) -> None:
            async with room:
                publisher = f"fabrikam-{next(numbers)}"
                webhooks.of[publisher] = Recorder()
                desk = Desk(temporal, http, url, QUEUE, publisher, webhooks.of[publisher], PUBLISHING)
                run = await asyncio.wait_for(SCENES[workflow][scene](desk), 120)
                history = json.loads((await run.fetch_history()).to_json())
                write(path_of(workflow, scene), history["events"])

        scenes = [(workflow, scene) for workflow, each in SCENES.items() for scene in each]
        played = [each for each in scenes if not wanted or "/".join(each) in wanted]
        ends = await asyncio.gather(*(play(*each) for each in played), return_exceptions=True)
    return {"/".join(each): end for each, end in zip(played, ends, strict=True) if end is not None}


def write(path: Path, events: list[dict[str, Any]]) -> None:
    """Write a history, an event a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(event, separators=(",", ":")) for event in events)
    lines = lines.replace(socket.gethostname(), "worker.fabrikam.example")
    path.write_text(f'{{"events":[\n{lines}\n]}}\n')


def forget_old_scenes() -> None:
    """Remove the histories of scenes that are not played any more."""
    played = {path_of(workflow, scene) for workflow, each in SCENES.items() for scene in each}
    for path in set(HISTORIES.glob("*/*.json")) - played:
        path.unlink()


if __name__ == "__main__":
    logging.getLogger("temporalio").setLevel(logging.ERROR)
    failed = asyncio.run(record(sys.argv[1:]))
    forget_old_scenes()
    for name, why in failed.items():
        print(f"{name} was not recorded:", *traceback.format_exception(why), file=sys.stderr)  # noqa: T201
    end(1 if failed else 0)
