"""Play scenes, replay the histories they leave at once, and check that some history reaches every line."""

import asyncio
import json
import subprocess
import sys
import traceback
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig

import tests.replay.ingestion
import tests.replay.trouble  # noqa: F401 - both fill PLAYED
from tests.replay.player import history_of, playing
from tests.replay.stage import PLAYED
from tests.replay.test_replay import replayer
from workflows import calls


@pytest.fixture(autouse=True)
def retry_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the internal run `Notify` retry after a second instead of a minute."""
    often = ActivityConfig(retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1)))
    monkeypatch.setattr(calls, "NOTIFY_FOR_DAYS", calls.NOTIFY_FOR_DAYS | often)


@pytest.mark.timeout(240)
async def test_scenes_of_trouble_replay_without_a_difference_and_every_line_of_the_workflows_is_reached(
    tmp_path: Path,
) -> None:
    async with playing() as player:
        histories, failures = await player.play_all(PLAYED)
    assert not failures, "\n".join(
        line for failure in failures.values() for line in traceback.format_exception(failure)
    )

    for name, runs in histories.items():
        for number, events in enumerate(runs):
            await replayer().replay_workflow(history_of(events))
            (tmp_path / f"{name}-{number}.json").write_text(json.dumps({"events": events}))

    reached = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.replay.reached", tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    unreached, complaints = await reached.communicate()
    assert (reached.returncode, unreached.decode()) == (0, ""), complaints.decode()
