"""Recorded histories, replayed on the workflows of today.

A run takes days, and a new version of the worker goes on with runs that an older one began: a workflow that no
longer asks for the same things in the same order breaks them.
"""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.common import RawValue
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from sandbox import DEFAULT_TOKEN
from tests.replay.record import HISTORIES
from tests.replay.scenes import SCENES
from worker.registration import WORKFLOWS, data_converter, interceptors
from workflows.check_last_operation_status import CheckLastOperationStatus
from workflows.inputs import NOTHING
from workflows.messages import PublicationResult

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


@workflow.defn(name="CheckLastOperationStatus")
class Hasty(CheckLastOperationStatus):
    """Sleeps before it looks."""

    @workflow.run
    async def run(self, request: RawValue = NOTHING) -> PublicationResult:
        await workflow.sleep(1)
        return await super().run(request)


async def test_a_workflow_that_asks_for_something_else_is_caught() -> None:
    with pytest.raises(workflow.NondeterminismError):
        await replayer(UnsandboxedWorkflowRunner(), [Hasty]).replay_workflow(
            history_of("CheckLastOperationStatus/followed_to_the_preview")
        )
