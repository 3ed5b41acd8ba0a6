"""Recorded histories, replayed on the workflows of today.

A run takes days, and a new version of the worker goes on with runs that an older one began: a workflow that no
longer asks for the same things in the same order breaks them.
"""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from sandbox import DEFAULT_TOKEN
from sandbox.faults import Action
from tests.replay.record import HISTORIES
from tests.replay.stage import SCENES
from tests.replay.trouble import STRUCK
from worker.registration import WORKFLOWS, data_converter, interceptors

README = Path(__file__).parents[2] / "README.md"
RECORDED = sorted(str(path.relative_to(HISTORIES).with_suffix("")) for path in HISTORIES.glob("*/*.json"))

NO_FORGOTTEN_IMPORTS = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_import_notification_policy(
        workflow.SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
    )
)
"""Refuses a module that a workflow imports without saying that it is passed through: it would be loaded anew for
every run."""


def text_of(name: str) -> str:
    return (HISTORIES / f"{name}.json").read_text()


def history_of(name: str) -> WorkflowHistory:
    history: dict[str, Any] = json.loads(text_of(name))
    started = history["events"][0]["workflowExecutionStartedEventAttributes"]
    return WorkflowHistory.from_json(started["workflowId"], history)


def replayer(runner: WorkflowRunner = NO_FORGOTTEN_IMPORTS, workflows: list[type] = WORKFLOWS) -> Replayer:
    return Replayer(
        workflows=workflows,
        workflow_runner=runner,
        interceptors=interceptors(),
        data_converter=data_converter(),
    )


@pytest.mark.parametrize("name", RECORDED)
async def test_a_recorded_run_takes_the_same_way_again(name: str) -> None:
    await replayer().replay_workflow(history_of(name))


def test_every_scene_is_recorded_and_nothing_else() -> None:
    assert sorted(f"{folder}/{scene}" for folder, scenes in SCENES.items() for scene in scenes) == RECORDED


def test_every_workflow_is_recorded() -> None:
    assert {Path(name).parent.name for name in RECORDED} == {each.__name__ for each in WORKFLOWS}


@pytest.mark.parametrize("name", RECORDED)
def test_a_recording_shows_neither_a_machine_nor_a_secret(name: str) -> None:
    text = text_of(name)

    assert socket.gethostname() not in text
    assert DEFAULT_TOKEN not in text
    assert "sig%3D" not in text
    assert len(text) < 120_000


def test_every_line_of_the_procedures_is_reached_by_a_recording() -> None:
    reached = subprocess.run(
        [sys.executable, "-m", "tests.replay.reached"], capture_output=True, text=True, check=False
    )

    assert (reached.returncode, reached.stdout) == (0, ""), reached.stderr


def test_every_error_that_people_are_told_of_ends_a_recorded_run() -> None:
    explained = README.read_text().split("### What the errors mean")[1].split("\n## ")[0]
    types = set(re.findall(r"`([A-Z][A-Za-z]+)`", "".join(re.findall(r"^\| (`.*?) \|", explained, re.MULTILINE))))
    ends = [
        json.loads(text_of(name))["events"][-1].get("workflowExecutionFailedEventAttributes") for name in RECORDED
    ]

    assert len(types) > 15
    assert {end["failure"]["applicationFailureInfo"]["type"] for end in ends if end} == types


def test_every_kind_of_fault_that_the_sandbox_knows_strikes_a_recorded_run() -> None:
    actions, _field = get_args(Action)
    kinds = {kind for action in get_args(actions) for kind in get_args(action.model_fields["kind"].annotation)}

    assert set(STRUCK.values()) == kinds


# A change of what a workflow asks for, at any place, is noticed


ASKS = (
    "execute_activity_method",
    "execute_child_workflow",
    "execute_local_activity_method",
    "sleep",
    "start_child_workflow",
    "wait_condition",
)
"""What procedures await that makes a command. (Waiting for a condition without a timeout makes none.)"""


class Places:
    """Watches where a replayed workflow asks for something, and starts a timer first at one place."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: set[str] = set()
        self.spoiled: str | None = None
        sleep = workflow.sleep
        for name in ASKS:
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
            return spoiled(*args, **options) if place == self.spoiled else asked(*args, **options)

        async def spoiled(*args: Any, **options: Any) -> Any:
            await sleep(1)
            return await asked(*args, **options)

        return watched


@pytest.mark.parametrize("name", [each.__name__ for each in WORKFLOWS])
async def test_a_timer_more_is_noticed_wherever_it_is_started(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    places = Places(monkeypatch)
    unguarded = replayer(UnsandboxedWorkflowRunner())
    found: dict[str, str] = {}
    for recorded in (each for each in RECORDED if each.startswith(name)):
        await unguarded.replay_workflow(history_of(recorded))
        found |= dict.fromkeys(places.seen - found.keys(), recorded)

    assert len(found) >= 2
    for place, recorded in found.items():
        places.spoiled = place
        with pytest.raises(workflow.NondeterminismError):
            await unguarded.replay_workflow(history_of(recorded))
