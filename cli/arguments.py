"""Parses the command line."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from cli.starting import KINDS, STANDARD_INPUT
from cli.statuses import MEANINGS
from workflows.messages import own_name

NAME = "offer-publisher"
AS_MODULE = "python -m cli"

STARTS = {
    "create": "create an offer and publish it to its preview",
    "publish": "publish new images to the preview",
    "go-live": "bring images to Production once a person has approved",
    "check": "follow an operation that was started elsewhere",
}


def program_of(started_as: str) -> str:
    """Return the name by which this command was called."""
    return AS_MODULE if Path(started_as).name == "__main__.py" else NAME


def read_arguments(program: str, words: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line. Exit with status 2 if it is wrong."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Publish offers to the Azure Marketplace: start, approve, watch, wait.",
        epilog="\n".join(
            [
                "Configure Temporal as for its own CLI: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_PROFILE, …",
                "TEMPORAL_TASK_QUEUE and PAYLOAD_ENCRYPTION_KEYS must be the worker's.",
                "",
                "exit status:",
                *(f"  {status.value}  {meaning}" for status, meaning in MEANINGS.items()),
            ]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, purpose in STARTS.items():
        start = commands.add_parser(
            name, help=purpose, description=f"{KINDS[name].workflow}: {purpose}.", allow_abbrev=False
        )
        start.add_argument("file", metavar="FILE", help=f"the input, JSON; {STANDARD_INPUT} for standard input")
        start.add_argument(
            "--id",
            type=_id,
            metavar="ID",
            help=f"the workflow ID (default: {KINDS[name].prefix}/PUBLISHER/OFFER); only one run of an ID at a time",
        )
        start.add_argument("--wait", action="store_true", help="wait for the end and print the result")
    for name, purpose in (("approve", "approve going live"), ("reject", "reject going live")):
        decide = commands.add_parser(name, help=purpose, description=f"{purpose.capitalize()}.", allow_abbrev=False)
        decide.add_argument("id", type=_id, metavar="ID", help="the workflow ID")
        decide.add_argument(
            "--approver",
            type=_approver,
            metavar="NAME",
            help="your name; required if the run or the worker's GO_LIVE_APPROVERS names approvers",
        )
        decide.add_argument("--comment", metavar="TEXT", help="why")
    watch = commands.add_parser("watch", help="watch a run until it ends", allow_abbrev=False)
    watch.add_argument("id", type=_id, metavar="ID", help="the workflow ID")
    wait = commands.add_parser("wait", help="wait for the end of a run and print its result", allow_abbrev=False)
    wait.add_argument("id", type=_id, metavar="ID", help="the workflow ID")
    wait.add_argument(
        "--summary", type=Path, metavar="FILE", help="append a Markdown summary to FILE, such as $GITHUB_STEP_SUMMARY"
    )
    return parser.parse_args(words)


def _approver(text: str) -> str:
    try:
        return own_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _id(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text
