"""Replay the recorded histories on today's workflows.

A run takes days, and a new version of the worker continues runs that an older one began. A workflow that no longer
issues the same commands in the same order breaks those runs.
"""

import asyncio
import hashlib
import json
import re
import socket
import subprocess
import sys
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxRestrictions

import tests.replay.ingestion
import tests.replay.rare_scenes
import tests.replay.scenes  # noqa: F401 - all three fill RECORDED
from sandbox import DEFAULT_TOKEN
from tests.replay.player import history_of
from tests.replay.record import HISTORIES, SUMS, is_recorded, scenes
from worker.context_free import ContextFreeRunner
from worker.registration import WORKFLOWS, create_data_converter, create_interceptors

PATHS = {str(path.relative_to(HISTORIES).with_suffix("")): path for path in sorted(HISTORIES.glob("*/*/*.json"))}

NO_FORGOTTEN_IMPORTS = ContextFreeRunner(
    restrictions=SandboxRestrictions.default.with_import_notification_policy(
        workflow.SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
    )
)
"""Refuses a module that a workflow imports without passing it through, because it would be loaded for every run."""


def history_in(path: Path) -> WorkflowHistory:
    return history_of(json.loads(path.read_text())["events"])


def replayer(runner: WorkflowRunner = NO_FORGOTTEN_IMPORTS, workflows: list[type] = WORKFLOWS) -> Replayer:
    return Replayer(
        workflows=workflows,
        workflow_runner=runner,
        interceptors=create_interceptors(),
        data_converter=create_data_converter(),
    )


@pytest.mark.parametrize("name", PATHS)
async def test_a_recorded_history_replays_without_a_difference(name: str) -> None:
    await replayer().replay_workflow(history_in(PATHS[name]))


async def test_every_line_that_decides_what_a_run_does_is_reached_by_a_recorded_run() -> None:
    # In a separate process, because lines that run at import count too.
    reached = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.replay.reached"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    unreached, complaints = await reached.communicate()

    assert (reached.returncode, unreached.decode()) == (0, ""), complaints.decode()


def test_every_scene_has_a_history() -> None:
    assert [name for name in scenes() if not is_recorded(name)] == []


@pytest.mark.parametrize("closed", sorted(HISTORIES.glob(f"*/{SUMS}")), ids=lambda path: path.parent.name)
def test_the_histories_of_a_closed_version_have_not_changed(closed: Path) -> None:
    sums = {name: digest for digest, name in (line.split("  ") for line in closed.read_text().splitlines())}
    kept = {str(path.relative_to(closed.parent)): path for path in closed.parent.glob("*/*.json")}

    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in kept.items()} == sums


def test_every_workflow_has_histories() -> None:
    assert {path.parent.name for path in PATHS.values()} == {each.__name__ for each in WORKFLOWS}


@pytest.mark.parametrize("name", PATHS)
def test_a_history_shows_neither_a_host_name_nor_a_secret(name: str) -> None:
    text = PATHS[name].read_text()
    shown = "\n".join(texts_of(json.loads(text)))

    assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", shown)
    assert DEFAULT_TOKEN not in shown
    # No signature is from the worker. Those from users are invented.
    assert set(re.findall(r"sig(?:=|%3D)([^&\"\\]*)", shown)) <= {"INVENTED", "REDACTED"}
    assert len(text) < 120_000


def test_the_search_for_secrets_reads_payloads_and_their_metadata() -> None:
    [carried] = [path for name, path in PATHS.items() if name.endswith("continues_as_new_with_a_note.later")]
    texts = list(texts_of(json.loads(carried.read_text())))

    assert any("webstack-appliance" in text and "wait_until" not in text for text in texts)
    assert any("wait_until" in text for text in texts)


def texts_of(value: Any) -> Iterator[str]:
    """Yield every text in a part of a history, with payloads and their metadata decoded."""
    if isinstance(value, dict):
        for key, member in value.items():
            if key == "data" and isinstance(member, str):
                yield b64decode(member).decode()
            elif key == "metadata" and isinstance(member, dict):
                yield from (b64decode(each).decode() for each in member.values())
            else:
                yield from texts_of(member)
    elif isinstance(value, list):
        for member in value:
            yield from texts_of(member)
    elif isinstance(value, str):
        yield value


# Replay notices a command that is added anywhere


COMMANDS = (
    "execute_activity_method",
    "execute_child_workflow",
    "execute_local_activity_method",
    "sleep",
    "start_child_workflow",
    "wait_condition",
)
"""The calls with which workflows issue commands. (A `wait_condition` without a timeout issues none.)"""


class Places:
    """Records where a replayed workflow issues commands, and adds a timer before one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: set[str] = set()
        self.changed: str | None = None
        sleep = workflow.sleep
        for name in COMMANDS:
            monkeypatch.setattr(workflow, name, self._watched(getattr(workflow, name), sleep))

    def _watched(
        self, asked: Callable[..., Awaitable[Any]], sleep: Callable[[float], Awaitable[None]]
    ) -> Callable[..., Awaitable[Any]]:
        def watched(*args: Any, **options: Any) -> Awaitable[Any]:
            caller = sys._getframe(1)
            place = f"{Path(caller.f_code.co_filename).name}:{caller.f_lineno}"
            if asked.__name__ == "wait_condition" and "timeout" not in options:
                return asked(*args, **options)
            self.seen.add(place)
            return changed(*args, **options) if place == self.changed else asked(*args, **options)

        async def changed(*args: Any, **options: Any) -> Any:
            await sleep(1)
            return await asked(*args, **options)

        return watched


@pytest.mark.parametrize("name", [each.__name__ for each in WORKFLOWS])
async def test_replay_notices_a_timer_that_is_added_before_any_command(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = Places(monkeypatch)
    unguarded = replayer(UnsandboxedWorkflowRunner())
    found: dict[str, list[WorkflowHistory]] = {}
    for path in sorted(HISTORIES.glob(f"*/{name}/*.json")):
        places.seen.clear()
        await unguarded.replay_workflow(history_in(path))
        for place in places.seen:
            found.setdefault(place, []).append(history_in(path))

    assert len(found) >= (1 if name == "Notify" else 2)
    for place, histories in found.items():
        places.changed = place
        for history in histories:
            if await is_noticed(unguarded, history):
                break
        else:  # a run that was cancelled while it waited notices nothing, so one history may not be enough
            pytest.fail(f"no history notices a timer that is added at {place}")


async def is_noticed(replayer: Replayer, history: WorkflowHistory) -> bool:
    """Return whether replaying a history fails as nondeterministic."""
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    return isinstance(result.replay_failure, workflow.NondeterminismError)
