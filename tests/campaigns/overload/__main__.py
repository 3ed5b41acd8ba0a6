"""2 000 runs at once on one worker, of a marketplace that allows few requests a second. ``make overload``.

Starts a real server, tuned as in the demo, the sandbox, which refuses what is too much, and one worker. Exit status 0
only when every run ended as it should, the marketplace refused nothing, what it allows was used, and nobody starved.
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
    parser.add_argument("--runs", type=int, default=2000, help="how many (default: %(default)s)")
    parser.add_argument(
        "--requests-per-second", type=int, default=5, metavar="N", help="what is allowed (default: %(default)s)"
    )
    parser.add_argument("--uncapped", action="store_true", help="do not tell the workers what is allowed")
    parser.add_argument("--workers", type=int, default=1, help="how many; figures are of one (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=90, help="give up after (default: %(default)s)")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep what the programs write")
    arguments = parser.parse_args(words)
    if arguments.runs < FEWEST:
        parser.error(f"--runs: at least {FEWEST} are needed, one for each of the small publishers")
    if arguments.logs and arguments.logs.exists():
        parser.error(f"{arguments.logs} is there already: choose another folder")
    return arguments


def main(words: Sequence[str] | None = None) -> int:
    """Play an overload and print its figures; 1 when one is not as it should be."""
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
        print(*wrong, "some publisher has no run that ended: there are no figures", sep="\n", file=sys.stderr)
        return 1
    for what, figure in figures.lines().items():
        print(f"{what}: {figure}")
    print("", *figures.table(), sep="\n")
    for what in wrong:
        print(what, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    end(main())
