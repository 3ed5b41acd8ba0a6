"""A reader who types the commands of a document."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from tests.desk import Desk
from tests.documents.markdown import ROOT, document
from tests.harness.processes import CLEAN, die_with_us
from tests.harness.runs import until_progress
from tests.harness.waiting import until
from workflows.messages import Progress, PublishStage

QUEUE = "offer-publishing"
OFFER_RUN = "offer/fabrikam-linux/webstack-appliance"
GO_LIVE_RUN = "go-live/fabrikam-linux/webstack-appliance"
WITHIN = 30.0


class Reader:
    """Types the commands of one section after another, in a folder with the examples of an API."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.desk = desk
        self.folder = folder
        self._left: list[str] = []
        address = desk.temporal.client.service_client.config.target_host
        examples, tools = folder / "examples", folder / "tools"
        examples.mkdir()
        for path in [*(ROOT / "examples").glob("*.json"), *(ROOT / "examples" / desk.api.name).glob("*.json")]:
            (examples / path.name).unlink(missing_ok=True)
            (examples / path.name).symlink_to(path)
        tools.mkdir()
        (tools / "offer-publisher").write_text(f'#!/bin/sh\nexec {sys.executable} -m cli "$@"\n')
        (tools / "offer-publisher").chmod(0o755)
        self._environment = CLEAN | {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "TEMPORAL_ADDRESS": address,
        }

    def open_section(self, name: str, section: str) -> None:
        """Begin a section. Its commands are typed in order."""
        self._left = [each.text for each in document(name).runnable() if each.section == section]

    async def type_next(self, hint: str, **options: str) -> str:
        """Type the next command, which must succeed, and return its output.

        Args:
            hint: A part of the command. It checks that the test and the document are in step.
            options: Values that replace the document's values, by option.
        """
        command = self._left.pop(0)
        assert hint in command
        for name, value in options.items():
            command, replaced = re.subn(
                rf"--{name.replace('_', '-')} \S+", f"--{name.replace('_', '-')} {value}", command
            )
            assert replaced == 1
        process = await asyncio.create_subprocess_exec(
            *("bash", "-eo", "pipefail", "-c", command),
            cwd=self.folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            preexec_fn=die_with_us,
        )
        said, _ = await asyncio.wait_for(process.communicate(), WITHIN)
        assert process.returncode == 0, f"{command}\n{said.decode()}"
        return said.decode()

    async def end(self) -> None:
        """End the runs, and check that every command was typed."""
        for workflow_id in (OFFER_RUN, GO_LIVE_RUN):
            with suppress(RPCError):
                await self.run(workflow_id).terminate()
        assert not self._left

    # Runs

    def run(self, workflow_id: str) -> WorkflowHandle[Any, Any]:
        """Return the newest run with a workflow ID."""
        return self.desk.temporal.client.get_workflow_handle(workflow_id)

    async def start_example(self, workflow: str, workflow_id: str, example: str) -> None:
        """Start a workflow with the input of an example, as an earlier section of the document does."""
        request = json.loads((self.folder / "examples" / example).read_text())
        await self.desk.start(workflow, request, workflow_id=workflow_id)

    async def until(self, workflow_id: str, ready: Callable[[Progress], bool]) -> Progress:
        """Wait until the progress of a run meets a condition, and return it."""
        return await until_progress(self.run(workflow_id), ready, seconds=WITHIN)

    async def until_asked(self) -> None:
        """Wait until the go-live run asks for approval and visibility shows it."""
        await self.until(GO_LIVE_RUN, lambda progress: progress.stage is PublishStage.AWAITING_APPROVAL)
        client = self.desk.temporal.client
        query = f'WorkflowId="{GO_LIVE_RUN}" AND PublishStage="awaiting_approval" AND ExecutionStatus="Running"'

        async def listed() -> bool:
            return (await client.count_workflows(query)).count == 1

        await until(listed, f"lists show that {GO_LIVE_RUN} awaits approval", seconds=WITHIN)

    async def await_approval(self) -> None:
        """Start the go-live run of the example, and wait until it asks for approval."""
        await self.desk.preview("4.2.0")
        await self.start_example("ValidateAndGoLive", GO_LIVE_RUN, "go-live.json")
        await self.until_asked()

    async def result(self, workflow_id: str) -> dict[str, Any]:
        """Wait for the result of a run."""
        handle = self.desk.temporal.client.get_workflow_handle(workflow_id, result_type=dict)
        result: dict[str, Any] = await handle.result()
        return result
