"""Run the comparison: ``make bench``, or ``python -m bench.compare --help``."""

import argparse
import asyncio
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench.compare import measurements
from bench.compare.environments import BUILT, NotToBeHadError
from bench.compare.hardware import machine
from bench.compare.lineup import BARE, CONTESTANTS, OURS, SCRIPT, Contestant
from bench.compare.measurements import Figures
from bench.compare.programs import ProgramFailedError
from bench.compare.report import failed, renew, tables
from bench.processes import ROOT

MEASUREMENTS = ("history", "cold_start", "in_flight", "crash", "scaling", "parked", "long_wait")
USUAL = {"sizes": "200", "repeat": 2, "crash": 100, "parked": 500, "limit": 180.0}
QUICK = {"sizes": "20", "repeat": 1, "crash": 20, "parked": 50, "limit": 90.0}
FULL = {"sizes": "200,1000", "repeat": 3, "crash": 500, "parked": 10_000, "limit": 600.0}
IMPORTS = {"ours": "worker.__main__", "bare": "bench.compare.contestants.temporal_bare"}


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument("--quick", action="store_true", help="everything small: some minutes; docs/ stays as it is")
    scale.add_argument("--full", action="store_true", help="everything as large as docs/benchmarks.md tells: hours")
    parser.add_argument("--only", help="measurements, comma-separated: " + ", ".join(MEASUREMENTS))
    parser.add_argument("--contestants", help="comma-separated: " + ", ".join(each.name for each in CONTESTANTS))
    parser.add_argument("--sizes", help="publications in flight, comma-separated")
    parser.add_argument("--repeat", type=int, help="how often the first size is measured")
    parser.add_argument("--crash", type=int, help="publications in flight when the worker is killed")
    parser.add_argument(
        "--unchecked",
        action="store_true",
        help="kill also workers whose steps do not look first whether they were done",
    )
    parser.add_argument("--parked", type=int, help="publications that wait for their approval, or in a long wait")
    parser.add_argument("--asleep", action="store_true", help="never wake those that wait for their approval")
    parser.add_argument("--wait", type=float, default=1.0, help="seconds between two looks (default: %(default)s)")
    parser.add_argument("--limit", type=float, help="seconds for one round")
    parser.add_argument(
        "--results",
        type=Path,
        help="where figures go as they come (default: .bench/results.json for everything, --add and --report,"
        " else .bench/tried.json)",
    )
    parser.add_argument("--add", action="store_true", help="keep the figures that are in the results already")
    parser.add_argument(
        "--report", action="store_true", help="measure nothing: write docs/ from the results there are"
    )
    chosen = parser.parse_args(words)
    for name, value in (QUICK if chosen.quick else FULL if chosen.full else USUAL).items():
        if getattr(chosen, name) is None:
            setattr(chosen, name, value)
    chosen.all = not chosen.quick and not chosen.only and not chosen.contestants
    kept = chosen.all or chosen.add or chosen.report
    chosen.results = chosen.results or BUILT / ("results.json" if kept else "tried.json")
    chosen.sizes = [int(size) for size in chosen.sizes.split(",")]
    chosen.only = chosen.only.split(",") if chosen.only else list(MEASUREMENTS)
    names = chosen.contestants.split(",") if chosen.contestants else [each.name for each in CONTESTANTS]
    chosen.contestants = [each for each in CONTESTANTS if each.name in names]
    unknown = set(chosen.only) - set(MEASUREMENTS) | set(names) - {each.name for each in CONTESTANTS}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return chosen


class Campaign:
    """The measurements, in turns: what one contestant meets of the machine's moods the next one meets too."""

    def __init__(self, chosen: argparse.Namespace, command: str) -> None:
        self.chosen = chosen
        self.absent: dict[str, str] = {}
        self.results: dict[str, Any] = {
            "command": command,
            "machine": machine(chosen.contestants),
            "wait": chosen.wait,
            "figures": [],
            "absent": self.absent,
        }
        if chosen.add and chosen.results.exists():
            before = json.loads(chosen.results.read_text())
            self.results["command"] = f"{before['command']}` and `{command}"
            self.results["figures"] = before["figures"]
            self.results["machine"] = before["machine"] | self.results["machine"]
        self.began = time.monotonic()

    async def run(self) -> None:
        """Measure everything that was asked for; SIGTERM ends it and all its programs."""
        task = asyncio.current_task()
        assert task  # noqa: S101 - a coroutine runs in one
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        for name in self.chosen.only:
            await getattr(self, f"_{name}")()
        self.results["minutes"] = round((time.monotonic() - self.began) / 60, 1)
        self._keep()

    async def _history(self) -> None:
        for each in self._of(BARE, OURS):
            await self._measure("history", each, partial(measurements.history, each, wait=self.chosen.wait))

    async def _cold_start(self) -> None:
        tries = 1 if self.chosen.quick else 3
        for each in self.chosen.contestants:
            await self._measure("cold_start", each, partial(self._cold, each, tries))

    async def _cold(self, contestant: Contestant, tries: int) -> Figures:
        figures = await measurements.cold_start(contestant, tries=tries) if contestant.worker else {}
        if contestant.name in IMPORTS:
            figures["import_seconds"] = await asyncio.to_thread(measurements.import_seconds, IMPORTS[contestant.name])
        return figures

    async def _in_flight(self) -> None:
        chosen = self.chosen
        for size in chosen.sizes:
            for _ in range(chosen.repeat if size == chosen.sizes[0] else 1):
                for each in chosen.contestants:
                    number = min(size, each.most)
                    if number == size or size == chosen.sizes[0]:
                        await self._in_flight_of(each, number, size)

    async def _in_flight_of(self, contestant: Contestant, number: int, size: int) -> None:
        async def measure() -> Figures:
            return {"size": size} | await measurements.in_flight(
                contestant, number=number, wait=self.chosen.wait, limit=self.chosen.limit
            )

        await self._measure("in_flight", contestant, measure)

    async def _crash(self) -> None:
        for checks in (True, False) if self.chosen.unchecked else (True,):
            for each in self.chosen.contestants:
                if each is SCRIPT or not (checks or each.checks):
                    continue  # nothing of a script is left; ours and bare are as they are
                number = min(self.chosen.crash, each.most)
                await self._measure(
                    "crash",
                    each,
                    partial(
                        measurements.crash,
                        each,
                        number=number,
                        wait=self.chosen.wait,
                        limit=self.chosen.limit,
                        checks=checks,
                    ),
                )

    async def _scaling(self) -> None:
        for each in self._of(OURS):
            for workers in (1, 2, 4):
                await self._measure(
                    "scaling",
                    each,
                    partial(
                        measurements.in_flight,
                        each,
                        number=self.chosen.sizes[0],
                        wait=self.chosen.wait,
                        limit=self.chosen.limit,
                        workers=workers,
                    ),
                )

    async def _parked(self) -> None:
        await self._waiting("parked", 60, approval=True)

    async def _long_wait(self) -> None:
        # So long that each looks once.
        await self._waiting("long_wait", measurements.LONG_WAIT, approval=False)

    async def _waiting(self, name: str, seconds: float, *, approval: bool) -> None:
        chosen = self.chosen
        for each in self._of(BARE, OURS):
            await self._measure(
                name,
                each,
                partial(
                    measurements.parked,
                    each,
                    number=chosen.parked,
                    sample=min(1000, chosen.parked // 2),
                    seconds=10 if chosen.quick else seconds,
                    limit=max(chosen.limit, chosen.parked / 4),
                    approval=approval,
                    wake=not chosen.asleep,
                ),
            )

    def _of(self, *contestants: Contestant) -> list[Contestant]:
        return [each for each in contestants if each in self.chosen.contestants]

    async def _measure(self, name: str, contestant: Contestant, measure: Callable[[], Awaitable[Figures]]) -> None:
        if contestant.name in self.absent:
            return
        print(f"{time.monotonic() - self.began:6.0f} s  {name}: {contestant.title}", flush=True)
        entry: dict[str, Any] = {"measurement": name, "contestant": contestant.name, "title": contestant.title}
        try:
            entry |= await measure()
        except NotToBeHadError as error:
            self.absent[contestant.name] = str(error)
            print(f"          is not to be had here: {error}", flush=True)
            return
        except (ProgramFailedError, TimeoutError) as error:
            entry["error"] = f"{type(error).__name__}: {error}"
            print(f"          {str(error)[:500]}", flush=True)
        self.results["figures"].append(entry)
        self._keep()

    def _keep(self) -> None:
        path: Path = self.chosen.results
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(self.results, indent=1))


def main() -> int:
    """Measure, and tell; 1 when something could not be measured."""
    chosen = arguments()
    if not chosen.report:
        words = " ".join(sys.argv[1:])
        campaign = Campaign(chosen, f"python -m bench.compare {words}".strip())
        try:
            asyncio.run(campaign.run())
        except asyncio.CancelledError:
            sys.exit("Ended by SIGTERM")
    results = json.loads(chosen.results.read_text())
    print(tables(results))
    if chosen.report or chosen.all:
        renew(results, chosen.results, ROOT / "docs")
        print("docs/benchmarks.md and its plots say so too")
    return 1 if failed(results) else 0


if __name__ == "__main__":
    sys.exit(main())
