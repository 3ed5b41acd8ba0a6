"""Plays the model check and says what was played. Exit status 0 only when nothing was found."""

import argparse
import logging
import time
from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from rich.console import Console

from tests.campaigns.model.machine import FoundError, PublishingMachine, Tally
from tests.campaigns.model.rig import Rig, rig
from tests.harness.apis import APIS, CLOUD_PARTNER, Api
from tests.harness.processes import end_on_sigterm
from worker.__main__ import end

SEED = 20
STEPS = 5_000
EXAMPLES_AT_A_TIME = 25
STEPS_OF_AN_EXAMPLE = 25


def check(
    stand: Rig,
    tally: Tally,
    played: settings,
    number: int,
    machine: type[PublishingMachine] = PublishingMachine,
    api: Api = CLOUD_PARTNER,
) -> str | None:
    """Play the examples of a seed; return the shortest list of steps to what was found, if anything was."""

    def begin() -> RuleBasedStateMachine:
        return machine(stand, tally, api)

    try:
        run_state_machine_as_test(seed(number)(begin), settings=played)  # type: ignore[arg-type]
    except FoundError as found:
        return str(found)
    except Flaky:
        return f"Found once, and not again by the same steps:{tally.found}"
    return None


def how(examples: int, steps: int) -> settings:
    """Return how hypothesis plays: everything it knows of an example is in its steps."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=False,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )


def main(words: Sequence[str] | None = None) -> int:
    """Play until so many steps are played or something is found; 1 when something was."""
    end_on_sigterm()
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.model", description="Check the procedures against a model."
    )
    parser.add_argument("--seed", type=int, default=SEED, help="makes the steps (default: %(default)s)")
    parser.add_argument("--api", choices=list(APIS), help="only through this one (default: one after the other)")
    parser.add_argument(
        "--steps", type=int, default=STEPS, help="at least so many through each API (default: %(default)s)"
    )
    arguments = parser.parse_args(words)
    logging.disable()
    console = Console(highlight=False, soft_wrap=True)
    apis = [APIS[arguments.api]] if arguments.api else list(APIS.values())
    with rig() as stand:
        clean = [_play(stand, api, arguments.seed, arguments.steps, console) for api in apis]
    return 0 if all(clean) else 1


def _play(stand: Rig, api: Api, number: int, steps: int, console: Console) -> bool:
    """Play through one API; return whether nothing was found."""
    tally = Tally()
    found: str | None = None
    batch = 0
    while found is None and tally.steps.total() < steps:
        played = how(EXAMPLES_AT_A_TIME, STEPS_OF_AN_EXAMPLE)
        found = check(stand, tally, played, number * 1_000_000 + batch, api=api)
        batch += 1
        took = time.monotonic() - tally.began
        console.print(f"{api.name}: {tally.steps.total()} steps, {tally.examples} examples, {took:.0f} s")
    if found is not None:
        console.print(found, markup=False)
    show(console, tally)
    console.print(f"{api.name}, seed {number}: {'nothing' if found is None else 'something'} found")
    return found is None


def show(console: Console, tally: Tally) -> None:
    """Print how often each rule was played, and how the runs ended."""
    console.print("rules: " + ", ".join(f"{name} {count}" for name, count in tally.steps.most_common()))
    console.print("ends: " + ", ".join(f"{name} {count}" for name, count in tally.ends.most_common()))


if __name__ == "__main__":
    end(main())
