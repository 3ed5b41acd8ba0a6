"""The `temporal` CLI, run with the words that the documentation shows."""

import asyncio
import json
from typing import Any

from tests.harness.processes import CLEAN
from tests.harness.waiting import until


class Shell:
    """A shell whose environment has Temporal's address and the variables in ``more``."""

    def __init__(self, address: str, **more: str) -> None:
        self._environment = CLEAN | {"TEMPORAL_ADDRESS": address} | more

    async def status(self, *words: str) -> tuple[int, str]:
        """Run a command, and return its exit status and its output."""
        process = await asyncio.create_subprocess_exec(
            "temporal",
            *words,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return process.returncode, said.decode()

    async def run(self, *words: str) -> str:
        """Run a command that must succeed, and return its output."""
        status, said = await self.status(*words)
        assert status == 0, said
        return said

    async def json(self, *words: str) -> Any:
        """Run a command that must succeed, and return its JSON output."""
        return json.loads(await self.run(*words, "-o", "json"))

    async def progress(self, workflow_id: str) -> dict[str, Any]:
        """Return the progress of a run."""
        answer = await self.json("workflow", "query", "-w", workflow_id, "--name", "progress")
        progress: dict[str, Any] = answer["queryResult"][0]
        return progress

    async def until_stage(self, workflow_id: str, stage: str) -> None:
        """Wait until a run is in a stage."""

        async def is_in_stage() -> bool:
            return bool((await self.progress(workflow_id))["stage"] == stage)

        await until(is_in_stage, f"{workflow_id} is in stage {stage}")
