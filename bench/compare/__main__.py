"""Run the comparison: ``make bench``, or ``python -m bench.compare --help``."""

import argparse
import asyncio
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench.compare.environments import BUILT, NotToBeHadError
from bench.compare.hardware import lines_of_code, machine
from bench.compare.lineup import BARE, CONTESTANTS, ON_TEMPORAL, OURS, SCRIPT, Contestant
from bench.compare.measurements import LONG_WAIT, Figures, cold_start, crash, in_flight, parked, single
from bench.compare.programs import ProgramFailedError
from bench.compare.report import failed, renew, tables
from tests.harness.processes import ROOT

USUAL = {"rounds": 3, "sizes": "200,1000", "slow": 100, "crash": 100, "parked": 1000, "watched": 15}
QUICK = {"rounds": 1, "sizes": "20", "slow": 20, "crash": 20, "parked": 50, "watched": 10}

SLOW_READ = 0.5
"""Seconds that a read takes at a slow marketplace."""

IN_A_LONG_WAIT = 400
"""Of more, the first would look again before the last begins to wait."""

DURABLE = [each for each in CONTESTANTS if each is not SCRIPT]


@dataclass(frozen=True)
class Measurement:
    """One thing that is measured.

    Attributes:
        name: For the command line and the results.
        of: The contestants that take part.
        measure: Measures one of them.
        turns: Those of them that take turns, round by round; the others are measured in the first round only.
        notes: Kept beside the figures.
    """

    name: str
    of: Sequence[Contestant]
    measure: Callable[[Contestant], Awaitable[Figures]]
    turns: Sequence[Contestant] = ()
    notes: Figures = field(default_factory=dict)


def measurements(chosen: argparse.Namespace) -> list[Measurement]:
    """Return all measurements, in their order."""
    both = [BARE, OURS]
    first, *larger = chosen.sizes
    slow = partial(in_flight, number=chosen.slow, read_seconds=SLOW_READ)
    awaits_approval = partial(parked, number=chosen.parked, seconds=chosen.watched, approval=True)
    waits_long = partial(parked, number=min(chosen.parked, IN_A_LONG_WAIT), seconds=LONG_WAIT, approval=False)
    return [
        Measurement("single", CONTESTANTS, single, ON_TEMPORAL),
        Measurement("in_flight", CONTESTANTS, partial(in_flight, number=first), ON_TEMPORAL, {"size": first}),
        *(Measurement("in_flight", both, partial(in_flight, number=size), both, {"size": size}) for size in larger),
        Measurement("slow_reads", ON_TEMPORAL, slow, ON_TEMPORAL),
        Measurement("crash", DURABLE, partial(crash, number=chosen.crash), [OURS]),
        Measurement("parked", both, awaits_approval, both),
        Measurement("long_wait", both, waits_long, both),
        Measurement("cold_start", DURABLE, cold_start),
    ]


NAMES = ["single", "in_flight", "slow_reads", "crash", "parked", "long_wait", "cold_start"]


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="everything small, in some minutes")
    parser.add_argument("--goals", action="store_true", help="only what the table of goals needs")
    parser.add_argument("--only", help="measurements, comma-separated: " + ", ".join(NAMES))
    parser.add_argument("--contestants", help="comma-separated: " + ", ".join(each.name for each in CONTESTANTS))
    parser.add_argument("--rounds", type=int, help="how often ours and the bare workflows take turns")
    parser.add_argument("--sizes", help="publications in flight, comma-separated")
    parser.add_argument("--parked", type=int, help="publications that wait for their approval")
    parser.add_argument("--results", type=Path, help="where figures go as they come (default: in .bench)")
    parser.add_argument(
        "--report", action="store_true", help="measure nothing: write docs/ from the results there are"
    )
    chosen = parser.parse_args(words)
    for name, value in (QUICK if chosen.quick else USUAL).items():
        if getattr(chosen, name, None) is None:
            setattr(chosen, name, value)
    chosen.whole = not (chosen.quick or chosen.goals or chosen.only or chosen.contestants)
    chosen.results = chosen.results or BUILT / ("results.json" if chosen.whole else "tried.json")
    chosen.sizes = [int(size) for size in chosen.sizes.split(",")]
    names = [each.name for each in (ON_TEMPORAL if chosen.goals else CONTESTANTS)]
    only = [each for each in NAMES if not (chosen.goals and each == "cold_start")]
    chosen.contestants = chosen.contestants.split(",") if chosen.contestants else names
    chosen.only = chosen.only.split(",") if chosen.only else only
    unknown = {*chosen.only} - {*NAMES} | {*chosen.contestants} - {each.name for each in CONTESTANTS}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return chosen


class Campaign:
    """The measurements, in turns: all contestants meet the same moods of the machine."""

    def __init__(self, chosen: argparse.Namespace, command: str) -> None:
        self.chosen = chosen
        self.absent: dict[str, str] = {}
        self.results: dict[str, Any] = {
            "command": command,
            "machine": machine(chosen.contestants),
            "rounds": chosen.rounds,
            "figures": [{"measurement": "lines", "contestant": "ours", "round": 0, "lines": lines_of_code()}],
            "absent": self.absent,
        }
        self.began = time.monotonic()

    async def run(self) -> None:
        """Measure everything that was asked for; SIGTERM ends it and all its programs."""
        task = asyncio.current_task()
        assert task  # noqa: S101 - a coroutine runs in one
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        for measurement in measurements(self.chosen):
            if measurement.name not in self.chosen.only:
                continue
            for number in range(self.chosen.rounds):
                for contestant in measurement.turns if number else measurement.of:
                    if contestant.name in self.chosen.contestants:
                        await self._measure(measurement, contestant, number)
        self._keep()

    async def _measure(self, measurement: Measurement, contestant: Contestant, number: int) -> None:
        if contestant.name in self.absent:
            return
        entry = {
            "measurement": measurement.name,
            "contestant": contestant.name,
            "title": contestant.title,
            "round": number,
            **measurement.notes,
        }
        print(f"{time.monotonic() - self.began:6.0f} s  {measurement.name}: {contestant.title}", flush=True)
        try:
            entry |= await measurement.measure(contestant)
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
        self.results["minutes"] = round((time.monotonic() - self.began) / 60, 1)
        path: Path = self.chosen.results
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(self.results, indent=1))


def main() -> int:
    """Measure, and print the tables; 1 when something could not be measured."""
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
    if chosen.whole:
        renew(results, chosen.results, ROOT / "docs")
        print("The tables and plots of docs/benchmarks.md are renewed")
    return 1 if failed(results) else 0


if __name__ == "__main__":
    sys.exit(main())
