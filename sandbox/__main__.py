"""Run the sandbox: `python -m sandbox`."""

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import ValidationError

from sandbox.clock import SpeedClock
from sandbox.marketplace import DEFAULT_ACCOUNT, DEFAULT_TOKEN, DEFAULT_TOKEN_LIFETIME, SandboxMarketplace
from sandbox.server import listen, server_of
from sandbox.switches import Switches

WIDTH = 90
"""The longest line in the description of a switch, without its indentation."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A local marketplace to rehearse on.",
        epilog="\n".join(["switches, with their defaults:", *described_switches()]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8400, help="port to listen on (default: %(default)s)")
    parser.add_argument("--state", type=Path, metavar="FILE", help="file to keep the state in (default: in memory)")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="sandbox seconds per real second (default: %(default)g)"
    )
    parser.add_argument("--token", default=DEFAULT_TOKEN, help="access token to accept (default: %(default)s)")
    parser.add_argument(
        "--token-lifetime",
        metavar="SECONDS",
        type=float,
        default=DEFAULT_TOKEN_LIFETIME,
        help="seconds that an issued token is valid (default: %(default)g)",
    )
    parser.add_argument(
        "--requests-per-second", type=int, metavar="N", help="answer 429 to further API requests (default: no limit)"
    )
    parser.add_argument(
        "--account",
        default=DEFAULT_ACCOUNT,
        metavar="PUBLISHER",
        help="publisher that owns new products of the Product Ingestion API (default: %(default)s)",
    )
    parser.add_argument(
        "--switch",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a switch (see below) for new publishers; VALUE is JSON or a word; may be repeated",
    )
    return parser.parse_args()


def described_switches() -> list[str]:
    """Return the help on the switches: each with its default, its other values and its purpose."""
    lines = []
    for name, member in Switches.model_fields.items():
        default = member.get_default(call_default_factory=True)
        lines.append(f"  {name}={default if isinstance(default, str) else json.dumps(default)}")
        more = [text for text in (_others(member.annotation, default), member.description) if text]
        lines += [f"      {line}" for line in textwrap.wrap("; ".join(more), WIDTH)]
    return lines


def _others(annotation: object, default: object) -> str:
    """Return the values that a switch may have besides its default."""
    others = [str(choice) for choice in _choices(annotation) if choice != default]
    return f"or {', '.join(others)}" if others else ""


def _choices(annotation: object) -> Sequence[object]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def switch_of(setting: str) -> tuple[str, object]:
    """Return the name and the value of a switch that is set by `NAME=VALUE`.

    Raises:
        ValueError: There is no `=`.
    """
    name, separator, text = setting.partition("=")
    if not separator:
        raise ValueError(f"--switch takes NAME=VALUE, not {setting!r}")
    member = Switches.model_fields.get(name)
    if member is not None and text in _choices(member.annotation):
        return name, text  # a word, even where it looks like a number
    try:
        return name, json.loads(text)
    except ValueError:
        return name, text


def main() -> int:
    """Serve until SIGINT or SIGTERM. Return 0, or 1 if the sandbox cannot start."""
    arguments = _arguments()
    try:
        marketplace = SandboxMarketplace(
            clock=SpeedClock(arguments.speed),
            state_path=arguments.state,
            token=arguments.token,
            token_lifetime=arguments.token_lifetime,
            default_switches=dict(switch_of(setting) for setting in arguments.switch),
            requests_per_second=arguments.requests_per_second,
            account=arguments.account,
        )
    except ValidationError as error:
        problem = error.errors()[0]
        message = "there is no such switch" if problem["type"] == "extra_forbidden" else problem["msg"]
        sys.stderr.write(f"sandbox: switch {'.'.join(map(str, problem['loc']))}: {message}\n")
        return 1
    except (ValueError, OSError) as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 1
    try:
        listener = listen(arguments.host, arguments.port)
    except (OSError, OverflowError) as error:  # a port beyond 65535 overflows
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        sys.stderr.write(f"sandbox: cannot listen on {arguments.host}:{arguments.port}: {reason}\n")
        return 1
    port = listener.getsockname()[1]
    sys.stdout.write(f"sandbox: http://{arguments.host}:{port}/ (speed {arguments.speed:g})\n")
    sys.stdout.flush()
    asyncio.run(_serve_until_stopped(marketplace, listener))
    return 0


async def _serve_until_stopped(marketplace: SandboxMarketplace, listener: socket.socket) -> None:
    server = server_of(marketplace)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, setattr, server, "should_exit", True)
    await server.serve(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
