"""Start many more runs at once than the marketplace allows requests per second: ``make overload``.

The stack is a real server, tuned as in the demo, the sandbox with a limit, and one worker. The exit status is 0 only
when every run ended as it should, the limit was kept and used, and no publisher starved.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.campaigns.overload.figures import Figures
from tests.campaigns.overload.plan import FEWEST, plan
from tests.campaigns.overload.play import Overload
from tests.harness.processes import end_on_sigterm
from worker.__main__ import end


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.overload", description="Start far too many runs at once."
    )
    parser.add_argument("--runs", type=int, default=2000, help="how many runs (%(default)s)")
    parser.add_argument(
        "--requests-per-second",
        type=int,
        default=5,
        metavar="N",
        help="the limit of the marketplace (%(default)s)",
    )
    parser.add_argument("--uncapped", action="store_true", help="do not tell the workers the limit")
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        help="how many workers; only the first is measured (%(default)s)",
    )
    parser.add_argument("--minutes", type=float, default=90, help="give up after (%(default)s)")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep the programs' logs")
    arguments = parser.parse_args(words)
    if arguments.runs < FEWEST:
        parser.error(f"--runs: at least {FEWEST}, so that each small publisher has a run")
    if arguments.logs and arguments.logs.exists():
        parser.error(f"{arguments.logs} exists already: choose another folder")
    return arguments


def main(words: Sequence[str] | None = None) -> int:
    """Play an overload and print its figures. Return 1 when something is wrong."""
    end_on_sigterm()
    arguments = _arguments(words)
    capped = not arguments.uncapped
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.logs or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        overload = Overload(
            runs=plan(arguments.runs),
            allowed=arguments.requests_per_second,
            capped=capped,
            workers=arguments.workers,
            patience=arguments.minutes * 60,
            folder=folder,
        )
        figures = Figures(asyncio.run(overload.play()))
    wrong = figures.wrong(capped=capped)
    if not all(figures.curves.values()):
        print(*wrong, "a publisher has no run that ended, so there are no figures", sep="\n", file=sys.stderr)
        return 1
    for what, figure in figures.lines().items():
        print(f"{what}: {figure}")
    print("", *figures.table(), sep="\n")
    for what in wrong:
        print(what, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    end(main())
