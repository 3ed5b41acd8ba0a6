"""``python -m worker.codec_server``: lets the Temporal UI and CLI show what `PAYLOAD_ENCRYPTION_KEYS` encrypts.

``temporal workflow show --codec-endpoint http://127.0.0.1:8081 …`` sends payloads here and shows what comes back;
in the UI the same address goes into the glasses at the top right. Whoever reaches this server can read every
payload: it listens on this machine only unless told otherwise, and answers web pages of ``--origin`` only.
"""

import argparse
import sys
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from temporalio.api.common.v1 import Payload, Payloads

from worker.encryption import EncryptionCodec
from worker.settings import SettingsError, read_settings

MAX_BYTES = 64 * 1024 * 1024
"""A whole history's payloads may come in one request."""

Recode = Callable[[Sequence[Payload]], Awaitable[list[Payload]]]


def application(codec: EncryptionCodec, origin: str) -> web.Application:
    """Return the server's two calls, ``/encode`` and ``/decode``, for web pages of one origin."""
    headers = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "POST, OPTIONS",
        "Access-Control-Allow-Headers": "content-type, x-namespace, authorization",
        "Access-Control-Max-Age": "3600",
        "Vary": "Origin",
    }

    def call(recode: Recode) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            try:
                payloads = Parse(await request.text(), Payloads()).payloads
            except (ParseError, ValueError):
                return web.Response(status=400, headers=headers, text="The body is not a JSON object of payloads.\n")
            recoded = MessageToJson(Payloads(payloads=await recode(payloads)))
            return web.Response(headers=headers, text=recoded, content_type="application/json")

        return answer

    async def preflight(_request: web.Request) -> web.Response:
        return web.Response(status=204, headers=headers)

    app = web.Application(client_max_size=MAX_BYTES)
    app.router.add_post("/encode", call(codec.encode))
    app.router.add_post("/decode", call(codec.decode))
    app.router.add_route("OPTIONS", "/{any}", preflight)
    return app


def main() -> int:
    """Serve until SIGINT or SIGTERM; answers with the exit status."""
    parser = argparse.ArgumentParser(prog="python -m worker.codec_server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8081, help="port to listen on (default: %(default)s)")
    parser.add_argument("--origin", default="http://localhost:8233", help="origin of the UI (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        keys = read_settings().encryption_keys()
    except SettingsError as error:
        sys.stderr.write(f"Wrong configuration: {error}\n")
        return 2
    if not keys:
        sys.stderr.write("Wrong configuration: PAYLOAD_ENCRYPTION_KEYS: must be set to the keys of the worker\n")
        return 2
    try:
        web.run_app(application(EncryptionCodec(keys), arguments.origin), host=arguments.host, port=arguments.port)
    except (OSError, OverflowError) as error:  # a port beyond 65535 overflows
        reason = error.strerror if isinstance(error, OSError) else error
        sys.stderr.write(f"codec server: cannot listen on {arguments.host}:{arguments.port}: {reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
