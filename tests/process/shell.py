"""The real Temporal CLI, typed as the documentation shows it."""

import asyncio
import json
from typing import Any

from tests.harness.processes import CLEAN
from tests.process.processes import until


class Shell:
    """A shell in which Temporal's address, and perhaps more, is set."""

    def __init__(self, address: str, **more: str) -> None:
        self._environment = CLEAN | {"TEMPORAL_ADDRESS": address} | more

    async def status(self, *words: str) -> tuple[int, str]:
        """Run a command; return its exit status and what it wrote."""
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
        """Run a command that succeeds; return what it wrote."""
        status, said = await self.status(*words)
        assert status == 0, said
        return said

    async def json(self, *words: str) -> Any:
        """Run a command that succeeds; return the JSON that it wrote."""
        return json.loads(await self.run(*words, "-o", "json"))

    async def progress(self, workflow_id: str) -> dict[str, Any]:
        """Return the progress of a run."""
        answer = await self.json("workflow", "query", "-w", workflow_id, "--name", "progress")
        progress: dict[str, Any] = answer["queryResult"][0]
        return progress

    async def until_stage(self, workflow_id: str, stage: str) -> None:
        """Wait until a run is that far."""

        async def is_there() -> bool:
            return bool((await self.progress(workflow_id))["stage"] == stage)

        await until(is_there)
