"""A whole campaign through one API: all kinds of faults, several at a time."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from rich.console import Console
from temporalio.client import Client

from tests.campaigns.apis import CampaignApi
from tests.campaigns.chaos.evidence import gather, keep
from tests.campaigns.chaos.faults import Kind, plan
from tests.campaigns.chaos.invariants import Finding, secrets_in
from tests.campaigns.chaos.play import Batch, play
from tests.campaigns.chaos.report import Row, row_of
from tests.campaigns.chaos.scenarios import Scenario
from tests.campaigns.chaos.trouble import trouble_for
from tests.campaigns.stack import Stack, stack_in

SHARED_QUEUE = "shared"
"""The task queue that all kinds of faults share if they do not strike workers."""

SHARED_WORKERS = 2


@dataclass(frozen=True)
class Campaign:
    """A campaign through one API.

    Attributes:
        runs: The minimum number of runs.
        kinds: The kinds of faults. Those that the API does not have are left out.
        jobs: How many kinds to play at a time.
        folder: Where the programs' logs go, and the evidence of findings.
    """

    api: CampaignApi
    seed: int
    runs: int
    kinds: Sequence[Kind]
    jobs: int
    folder: Path
    console: Console

    async def run(self) -> list[Row]:
        """Play and judge all scenarios. Return a row for each kind, in their order."""
        kinds = [kind for kind in self.kinds if self.api in kind.apis]
        scenarios = plan(self.seed, self.runs, kinds, self.api)
        shared = [kind for kind in kinds if not kind.own_stack]
        rows = await self._on_one_stack("shared", shared, scenarios) if shared else []
        for number, kind in enumerate(kind for kind in kinds if kind.own_stack):
            rows += await self._on_one_stack(f"own-{number}", [kind], scenarios)
        names = [kind.name for kind in kinds]
        return sorted(rows, key=lambda row: names.index(row.kind))

    async def _on_one_stack(
        self, name: str, kinds: Sequence[Kind], scenarios: dict[str, list[Scenario]]
    ) -> list[Row]:
        folder = self.folder / self.api.name / name
        folder.mkdir(parents=True)
        slots = asyncio.Semaphore(self.jobs)
        async with stack_in(folder) as stack:
            client = await stack.client()
            if not all(kind.own_workers for kind in kinds):
                for _ in range(SHARED_WORKERS):
                    stack.start_worker(SHARED_QUEUE, self.api)
            rows = await asyncio.gather(
                *(self._play(kind, scenarios[kind.name], stack, client, slots) for kind in kinds)
            )
            shown = _secrets_in_logs(stack)
        return [*rows[:-1], _with_findings(rows[-1], shown)] if shown else rows

    async def _play(
        self, kind: Kind, scenarios: list[Scenario], stack: Stack, client: Client, slots: asyncio.Semaphore
    ) -> Row:
        async with slots:
            began = time.monotonic()
            queue = kind.name.replace(" ", "-") if kind.own_workers else SHARED_QUEUE
            batch = Batch(kind, self.api, scenarios, stack, client, queue)
            async with trouble_for(batch, Random(f"{self.seed} {kind.name} trouble")):  # noqa: S311 - repeatable
                await asyncio.gather(*(play(batch, scenario) for scenario in scenarios))
            took = time.monotonic() - began
            await asyncio.sleep(kind.held_for)
            evidence = await gather(batch)
            row = row_of(kind, evidence, took)
            for each in evidence:
                if any(finding.where == each.scenario.publisher for finding in row.findings):
                    keep(each, stack.folder)
            state = "ok" if not row.findings else f"{len(row.findings)} findings"
            line = f"{self.api.name}: {kind.name}: {row.runs} runs, {row.hits} hits, {took:.0f} s: {state}"
            self.console.print(line, markup=False)
            return row


def _secrets_in_logs(stack: Stack) -> list[Finding]:
    """Search the logs of all programs."""
    return [
        Finding("logs", "secret", program.log.name, f"shows {shown}")
        for program in stack.started
        if program.log.is_file() and (shown := secrets_in(program.log.read_bytes()))
    ]


def _with_findings(row: Row, more: Sequence[Finding]) -> Row:
    return Row(row.kind, row.runs, row.hits, row.survived, row.restarted, [*row.findings, *more], row.recoveries)
