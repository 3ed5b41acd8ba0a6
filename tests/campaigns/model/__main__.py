"""Check the procedures against a model, step by step, through both APIs: ``make model``.

The exit status is 0 only when nothing was found.
"""

import argparse
import logging
import time
from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from rich.console import Console

from tests.campaigns.apis import APIS, CLOUD_PARTNER, CampaignApi
from tests.campaigns.model.machine import FoundError, PublishingMachine, Tally
from tests.campaigns.model.rig import Rig, rig
from tests.harness.processes import end_on_sigterm
from worker.__main__ import end

SEED = 20
STEPS = 5_000
EXAMPLES_OF_A_BATCH = 25
STEPS_OF_AN_EXAMPLE = 25


def check(
    started: Rig,
    tally: Tally,
    played: settings,
    number: int,
    machine: type[PublishingMachine] = PublishingMachine,
    api: CampaignApi = CLOUD_PARTNER,
) -> str | None:
    """Play the examples of a seed. If there is a finding, return the shortest list of steps that led to it."""

    def begin() -> RuleBasedStateMachine:
        return machine(started, tally, api)

    try:
        run_state_machine_as_test(seed(number)(begin), settings=played)  # type: ignore[arg-type]
    except FoundError as found:
        return str(found)
    except Flaky:
        return f"Found once, but not again by the same steps:{tally.found}"
    return None


def playing(examples: int, steps: int) -> settings:
    """Return hypothesis' settings for a number of examples and of steps in each."""
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
    """Play until enough steps were played or there is a finding. Return 1 if there is a finding."""
    end_on_sigterm()
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.model", description="Check the procedures against a model."
    )
    parser.add_argument("--seed", type=int, default=SEED, help="the seed of the steps (default: %(default)s)")
    parser.add_argument("--api", choices=list(APIS), help="through this API only (default: both)")
    parser.add_argument(
        "--steps", type=int, default=STEPS, help="how many steps through each API, at least (default: %(default)s)"
    )
    arguments = parser.parse_args(words)
    logging.disable()
    console = Console(highlight=False, soft_wrap=True)
    apis = [APIS[arguments.api]] if arguments.api else list(APIS.values())
    with rig() as started:
        clean = [_play(started, api, arguments.seed, arguments.steps, console) for api in apis]
    return 0 if all(clean) else 1


def _play(started: Rig, api: CampaignApi, number: int, steps: int, console: Console) -> bool:
    """Play through one API. Return whether nothing was found."""
    tally = Tally()
    found: str | None = None
    batch = 0
    while found is None and tally.steps.total() < steps:
        played = playing(EXAMPLES_OF_A_BATCH, STEPS_OF_AN_EXAMPLE)
        found = check(started, tally, played, number * 1_000_000 + batch, api=api)
        batch += 1
        took = time.monotonic() - tally.began
        console.print(f"{api.name}: {tally.steps.total()} steps, {tally.examples} examples, {took:.0f} s")
    if found is not None:
        console.print(found, markup=False)
    show(console, tally)
    console.print(f"{api.name}, seed {number}: {'nothing' if found is None else 'something'} found")
    return found is None


def show(console: Console, tally: Tally) -> None:
    """Print how often each rule was played and how the runs ended."""
    console.print("rules: " + ", ".join(f"{name} {count}" for name, count in tally.steps.most_common()))
    console.print("ends: " + ", ".join(f"{name} {count}" for name, count in tally.ends.most_common()))


if __name__ == "__main__":
    end(main())
