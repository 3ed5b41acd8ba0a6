"""Run the sandbox: `python -m sandbox`."""

import argparse
import json
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from pydantic import ValidationError

from sandbox.app import create_app
from sandbox.clock import SpeedClock
from sandbox.marketplace import DEFAULT_TOKEN, DEFAULT_TOKEN_LIFETIME, SandboxMarketplace


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="A local marketplace to rehearse on."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8400, help="port to listen on (default: %(default)s)")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep the state here (default: in memory)")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="sandbox seconds per real second (default: 1)"
    )
    parser.add_argument(
        "--token", default=DEFAULT_TOKEN, help="access token to accept (default: %(default)s)"
    )
    parser.add_argument(
        "--token-lifetime", type=float, default=DEFAULT_TOKEN_LIFETIME, help="seconds for issued tokens"
    )
    parser.add_argument(
        "--switch",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="default of a switch for new publishers; the value is JSON or a word; may be repeated",
    )
    return parser.parse_args(words)


def _switch_of(setting: str) -> tuple[str, object]:
    name, separator, text = setting.partition("=")
    if not separator:
        message = f"--switch wants NAME=VALUE, not {setting!r}"
        raise ValueError(message)
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
        )
    except ValidationError as error:
        problem = error.errors()[0]
        print(f"sandbox: switch {'.'.join(map(str, problem['loc']))}: {problem['msg']}", file=sys.stderr)
        return 1
    except (ValueError, OSError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    try:
        listener = socket.create_server((arguments.host, arguments.port))
    except OSError as error:
        print(
            f"sandbox: cannot listen on {arguments.host}:{arguments.port}: {error.strerror}", file=sys.stderr
        )
        return 1
    port = listener.getsockname()[1]
    print(f"sandbox: http://{arguments.host}:{port}/ (speed {arguments.speed:g})", flush=True)
    config = uvicorn.Config(
        create_app(marketplace), log_level="warning", access_log=False, timeout_graceful_shutdown=1, ws="none"
    )
    uvicorn.Server(config).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        # uvicorn repeats the signal after its clean shutdown.
        sys.exit(0)
