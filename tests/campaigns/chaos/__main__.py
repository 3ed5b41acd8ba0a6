"""Publish while faults strike, and check that nothing is lost or done twice: ``make chaos``.

The exit status is 0 only when there are no findings.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tests.campaigns.apis import APIS, CampaignApi
from tests.campaigns.chaos.campaign import Campaign
from tests.campaigns.chaos.faults import KINDS
from tests.campaigns.chaos.report import Row, show, write
from tests.harness.processes import end_on_sigterm

SEED = 20
RUNS = 300
JOBS = 8
WIDTH = 200


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.chaos", description="Publish under fault.")
    parser.add_argument("--seed", type=int, default=SEED, help="the seed of the plan (default: %(default)s)")
    parser.add_argument("--api", choices=list(APIS), help="publish through this API only (default: both)")
    parser.add_argument(
        "--runs", type=int, default=RUNS, help="how many runs through each API, at least (default: %(default)s)"
    )
    parser.add_argument(
        "--jobs", type=int, default=JOBS, help="how many kinds of faults at a time (default: %(default)s)"
    )
    parser.add_argument(
        "--faults", default="", metavar="TEXT[,TEXT]", help="play only the kinds whose names contain one of these"
    )
    parser.add_argument(
        "--logs", type=Path, metavar="FOLDER", help="keep the programs' logs and the evidence of findings"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table into this Markdown file")
    parser.add_argument("--list", action="store_true", help="list the kinds of faults, and exit")
    arguments = parser.parse_args(words)
    if arguments.logs and arguments.logs.exists():
        parser.error(f"{arguments.logs} exists already: choose another folder")
    return arguments


def main(words: Sequence[str] | None = None) -> int:
    """Run a campaign. Return 1 when there are findings."""
    end_on_sigterm()
    arguments = _arguments(words)
    named = [text for text in arguments.faults.split(",") if text]
    kinds = [kind for kind in KINDS if not named or any(text in kind.name for text in named)]
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    if arguments.list or not kinds:
        console.print("\n".join(kind.name for kind in KINDS))
        return 0 if arguments.list else 2
    began = time.monotonic()
    apis = [APIS[arguments.api]] if arguments.api else list(APIS.values())
    played: dict[CampaignApi, list[Row]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.logs or Path(temporary)
        for api in apis:
            campaign = Campaign(api, arguments.seed, arguments.runs, kinds, arguments.jobs, folder, console)
            played[api] = asyncio.run(campaign.run())
    show(console, played)
    took = time.monotonic() - began
    console.print(f"seed {arguments.seed}, {took / 60:.1f} min")
    if arguments.write:
        options = f"--seed {arguments.seed} --runs {arguments.runs} --jobs {arguments.jobs}"
        measured = f"in {took / 60:.0f} minutes, on a machine of {os.cpu_count()} cores"
        write(arguments.write, played, f"Made by `python -m tests.campaigns.chaos {options}` {measured}.")
    return 1 if any(row.findings for rows in played.values() for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
