"""A whole campaign: every kind of fault with its stories, several kinds at a time."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from rich.console import Console
from temporalio.client import Client

from tests.campaigns.chaos.evidence import gather, keep
from tests.campaigns.chaos.faults import Kind, plan
from tests.campaigns.chaos.invariants import Finding, secrets_in
from tests.campaigns.chaos.play import Cell, play
from tests.campaigns.chaos.report import Row, row_of
from tests.campaigns.chaos.scenarios import Story
from tests.campaigns.chaos.trouble import trouble_for
from tests.harness.apis import Api
from tests.harness.stack import Stack, stack_in

CALM = "calm"
"""The task queue of the kinds that strike the marketplace only; two workers serve them all."""

CALM_WORKERS = 2


@dataclass(frozen=True)
class Campaign:
    """What a campaign through one API is made of.

    Attributes:
        kinds: The kinds of faults; those that the API does not know are left out.
        jobs: How many kinds at a time.
    """

    api: Api
    seed: int
    runs: int
    kinds: Sequence[Kind]
    jobs: int
    folder: Path
    console: Console

    async def run(self) -> list[Row]:
        """Play all stories and judge them; the rows are in the order of the kinds."""
        kinds = [kind for kind in self.kinds if self.api in kind.apis]
        stories = plan(self.seed, self.runs, kinds, self.api)
        shared = [kind for kind in kinds if not kind.own_stack]
        rows = await self._on_one_stack("shared", shared, stories) if shared else []
        for number, kind in enumerate(kind for kind in kinds if kind.own_stack):
            rows += await self._on_one_stack(f"own-{number}", [kind], stories)
        names = [kind.name for kind in kinds]
        return sorted(rows, key=lambda row: names.index(row.kind))

    async def _on_one_stack(self, name: str, kinds: Sequence[Kind], stories: dict[str, list[Story]]) -> list[Row]:
        folder = self.folder / self.api.name / name
        folder.mkdir(parents=True)
        turns = asyncio.Semaphore(self.jobs)
        async with stack_in(folder) as stack:
            client = await stack.client()
            if not all(kind.own_workers for kind in kinds):
                for _ in range(CALM_WORKERS):
                    stack.start_worker(CALM, self.api)
            rows = await asyncio.gather(
                *(self._play(kind, stories[kind.name], stack, client, turns) for kind in kinds)
            )
            shown = _secrets_in_logs(stack)
        return [*rows[:-1], _with(rows[-1], shown)] if shown else rows

    async def _play(
        self, kind: Kind, stories: list[Story], stack: Stack, client: Client, turns: asyncio.Semaphore
    ) -> Row:
        async with turns:
            began = time.monotonic()
            queue = kind.name.replace(" ", "-") if kind.own_workers else CALM
            cell = Cell(kind, self.api, stories, stack, client, queue)
            async with trouble_for(cell, Random(f"{self.seed} {kind.name} trouble")):  # noqa: S311 - repeatable
                await asyncio.gather(*(play(cell, story) for story in stories))
            took = time.monotonic() - began
            await asyncio.sleep(kind.held_for)
            evidence = await gather(cell)
            row = row_of(kind, evidence, took)
            for each in evidence:
                if any(finding.where == each.story.publisher for finding in row.findings):
                    keep(each, stack.folder)
            state = "ok" if not row.findings else f"{len(row.findings)} findings"
            said = f"{self.api.name}: {kind.name}: {row.runs} runs, {row.hits} hits, {took:.0f} s: {state}"
            self.console.print(said, markup=False)
            return row


def _secrets_in_logs(stack: Stack) -> list[Finding]:
    """Search what every program wrote."""
    return [
        Finding("logs", "secret", program.log.name, f"shows {shown}")
        for program in stack.programs
        if program.log.is_file() and (shown := secrets_in(program.log.read_bytes()))
    ]


def _with(row: Row, more: Sequence[Finding]) -> Row:
    return Row(row.kind, row.runs, row.hits, row.survived, row.restarted, [*row.findings, *more], row.recoveries)
