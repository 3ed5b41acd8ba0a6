"""Run the same publications on several engines, side by side on one machine: ``make bench``."""

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

from bench.compare.environments import BUILT, MissingError
from bench.compare.hardware import lines_of_code, machine
from bench.compare.lineup import BARE, CONTESTANTS, ON_TEMPORAL, OURS, SCRIPT, Contestant
from bench.compare.measurements import LONG_WAIT, Figures, crash, in_flight, single, waiting_publications
from bench.compare.programs import ProgramFailedError
from bench.compare.report import failed, tables, write
from tests.harness.processes import ROOT

USUAL = {"rounds": 3, "sizes": "200,1000", "slow": 100, "crash": 100, "parked": 1000, "watched": 15}
QUICK = {"rounds": 1, "sizes": "20", "slow": 20, "crash": 20, "parked": 50, "watched": 10}

SLOW_READ = 0.5
"""Seconds that a read of a slow marketplace takes."""

MOST_IN_A_LONG_WAIT = 400
"""With more publications, the first would look again before the last begins to wait."""

DURABLE = [each for each in CONTESTANTS if each is not SCRIPT]


@dataclass(frozen=True)
class Measurement:
    """A measurement.

    Attributes:
        name: The name on the command line and in the results.
        of: The contestants that take part.
        measure: Measures one contestant.
        repeated: The contestants that are measured in every round. The others are measured in the first round only.
        notes: Facts to keep with the figures.
    """

    name: str
    of: Sequence[Contestant]
    measure: Callable[[Contestant], Awaitable[Figures]]
    repeated: Sequence[Contestant] = ()
    notes: Figures = field(default_factory=dict)


def measurements(chosen: argparse.Namespace) -> list[Measurement]:
    """Return all measurements, in order."""
    both = [BARE, OURS]
    first, *larger = chosen.sizes
    slow = partial(in_flight, number=chosen.slow, read_seconds=SLOW_READ)
    awaits_approval = partial(waiting_publications, number=chosen.parked, seconds=chosen.watched, approval=True)
    waits_long = partial(
        waiting_publications, number=min(chosen.parked, MOST_IN_A_LONG_WAIT), seconds=LONG_WAIT, approval=False
    )
    return [
        Measurement("single", CONTESTANTS, single, ON_TEMPORAL),
        Measurement("in_flight", CONTESTANTS, partial(in_flight, number=first), ON_TEMPORAL, {"size": first}),
        *(Measurement("in_flight", both, partial(in_flight, number=size), both, {"size": size}) for size in larger),
        Measurement("slow_reads", ON_TEMPORAL, slow, ON_TEMPORAL),
        Measurement("crash", DURABLE, partial(crash, number=chosen.crash), [OURS]),
        Measurement("parked", both, awaits_approval, both),
        Measurement("long_wait", both, waits_long, both),
    ]


NAMES = ["single", "in_flight", "slow_reads", "crash", "parked", "long_wait"]


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small numbers and one round, which takes some minutes")
    parser.add_argument("--goals", action="store_true", help="measure only ours and the bare workflows")
    parser.add_argument("--only", help="measurements, comma-separated: " + ", ".join(NAMES))
    parser.add_argument("--contestants", help="comma-separated: " + ", ".join(each.name for each in CONTESTANTS))
    parser.add_argument("--rounds", type=int, help="rounds of ours and of the bare workflows")
    parser.add_argument("--sizes", help="numbers of concurrent publications, comma-separated")
    parser.add_argument("--parked", type=int, help="how many publications wait for the approval")
    parser.add_argument("--results", type=Path, help="where to write the figures (default: in .bench)")
    parser.add_argument(
        "--report", action="store_true", help="measure nothing, only write the existing results into docs/"
    )
    chosen = parser.parse_args(words)
    for name, value in (QUICK if chosen.quick else USUAL).items():
        if getattr(chosen, name, None) is None:
            setattr(chosen, name, value)
    chosen.whole = not (chosen.quick or chosen.goals or chosen.only or chosen.contestants)
    chosen.results = chosen.results or BUILT / ("results.json" if chosen.whole else "tried.json")
    chosen.sizes = [int(size) for size in chosen.sizes.split(",")]
    names = [each.name for each in (ON_TEMPORAL if chosen.goals else CONTESTANTS)]
    chosen.contestants = chosen.contestants.split(",") if chosen.contestants else names
    chosen.only = chosen.only.split(",") if chosen.only else NAMES
    unknown = {*chosen.only} - {*NAMES} | {*chosen.contestants} - {each.name for each in CONTESTANTS}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return chosen


class Comparison:
    """Runs the measurements. The contestants take turns, so that changes of the machine affect all of them."""

    def __init__(self, chosen: argparse.Namespace, command: str) -> None:
        self.chosen = chosen
        self.missing: dict[str, str] = {}
        self.results: dict[str, Any] = {
            "command": command,
            "machine": machine(chosen.contestants),
            "rounds": chosen.rounds,
            "figures": [{"measurement": "lines", "contestant": "ours", "round": 0, "lines": lines_of_code()}],
            "missing": self.missing,
        }
        self.began = time.monotonic()

    async def run(self) -> None:
        """Run the chosen measurements. SIGTERM ends them and all programs."""
        task = asyncio.current_task()
        assert task  # noqa: S101 - a coroutine runs in one
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        for measurement in measurements(self.chosen):
            if measurement.name not in self.chosen.only:
                continue
            for number in range(self.chosen.rounds):
                for contestant in measurement.repeated if number else measurement.of:
                    if contestant.name in self.chosen.contestants:
                        await self._measure(measurement, contestant, number)
        self._keep()

    async def _measure(self, measurement: Measurement, contestant: Contestant, number: int) -> None:
        if contestant.name in self.missing:
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
        except MissingError as error:
            self.missing[contestant.name] = str(error)
            print(f"          cannot be measured: {error}", flush=True)
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
    """Measure, and print the tables. Return 1 if a measurement failed."""
    chosen = arguments()
    if not chosen.report:
        words = " ".join(sys.argv[1:])
        comparison = Comparison(chosen, f"python -m bench.compare {words}".strip())
        try:
            asyncio.run(comparison.run())
        except asyncio.CancelledError:
            sys.exit("Ended by SIGTERM")
    results = json.loads(chosen.results.read_text())
    print(tables(results))
    if chosen.whole:
        write(results, ROOT / "docs" / "benchmarks.md")
        print("The tables are in docs/benchmarks.md")
    return 1 if failed(results) else 0


if __name__ == "__main__":
    sys.exit(main())
