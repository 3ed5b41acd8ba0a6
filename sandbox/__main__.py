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
"""Characters of a line of help, behind what it is indented by."""


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A local marketplace to rehearse on.",
        epilog="\n".join(["switches, with their defaults:", *described_switches()]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8400, help="port to listen on (default: %(default)s)")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep the state here (default: in memory)")
    parser.add_argument("--speed", type=float, default=1.0, help="sandbox seconds per real second (default: 1)")
    parser.add_argument("--token", default=DEFAULT_TOKEN, help="access token to accept (default: %(default)s)")
    parser.add_argument(
        "--token-lifetime", type=float, default=DEFAULT_TOKEN_LIFETIME, help="seconds for issued tokens"
    )
    parser.add_argument(
        "--requests-per-second", type=int, metavar="N", help="answer 429 to more API requests (default: no limit)"
    )
    parser.add_argument(
        "--account",
        default=DEFAULT_ACCOUNT,
        metavar="PUBLISHER",
        help="whose new products of the Product Ingestion API are (default: %(default)s)",
    )
    parser.add_argument(
        "--switch",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="default of a switch, below, for new publishers; the value is JSON or a word; may be repeated",
    )
    return parser.parse_args(words)


def described_switches() -> list[str]:
    """Name each switch with its default, the values it takes, and what it is for."""
    lines = []
    for name, member in Switches.model_fields.items():
        default = member.get_default(call_default_factory=True)
        lines.append(f"  {name}={default if isinstance(default, str) else json.dumps(default)}")
        more = [text for text in (_others(member.annotation, default), member.description) if text]
        lines += [f"      {line}" for line in textwrap.wrap("; ".join(more), WIDTH)]
    return lines


def _others(annotation: object, default: object) -> str:
    """Return what else a switch may be."""
    others = [str(choice) for choice in _choices(annotation) if choice != default]
    return f"or {', '.join(others)}" if others else ""


def _choices(annotation: object) -> Sequence[object]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _switch_of(setting: str) -> tuple[str, object]:
    name, separator, text = setting.partition("=")
    if not separator:
        message = f"--switch wants NAME=VALUE, not {setting!r}"
        raise ValueError(message)
    member = Switches.model_fields.get(name)
    if member is not None and text in _choices(member.annotation):
        return name, text  # a word, even where it looks like a number
    try:
        return name, json.loads(text)
    except ValueError:
        return name, text


def main(words: Sequence[str] | None = None) -> int:
    """Serve until stopped; 1 when it cannot start."""
    arguments = _arguments(words)
    try:
        marketplace = SandboxMarketplace(
            clock=SpeedClock(arguments.speed),
            state_path=arguments.state,
            token=arguments.token,
            token_lifetime=arguments.token_lifetime,
            default_switches=dict(_switch_of(setting) for setting in arguments.switch),
            requests_per_second=arguments.requests_per_second,
            account=arguments.account,
        )
    except ValidationError as error:
        problem = error.errors()[0]
        sys.stderr.write(f"sandbox: switch {'.'.join(map(str, problem['loc']))}: {problem['msg']}\n")
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
