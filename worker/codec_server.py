"""``python -m worker.codec_server``: decrypts payloads for the Temporal UI and CLI.

It encrypts and decrypts with `PAYLOAD_ENCRYPTION_KEYS`, the keys of the worker. Set its address, such as
http://127.0.0.1:8081, in `TEMPORAL_CODEC_ENDPOINT` for the CLI, and under the glasses at the top right of the UI.

Anybody who can reach it can read every payload. It listens only on this machine, unless --host names another address.
It refuses web pages, except those of the given origins. If `CODEC_SERVER_TOKEN` is set, every request needs that
token. The CLI sends it from `TEMPORAL_CODEC_AUTH="Bearer ..."`.
"""

import argparse
import hmac
import ipaddress
import sys
from collections.abc import Awaitable, Callable, Collection, Sequence

import httpx
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload, Payloads

from worker.encryption import EncryptionCodec
from worker.settings import CodecServerSettings, SettingsError, is_loopback, read_settings

MAX_BYTES = 64 * 1024 * 1024
"""A whole history's payloads may come in one request."""

ORIGINS = ("http://localhost:8233", "http://127.0.0.1:8233")
"""The UI of ``temporal server start-dev``, by both of its names."""

HEADERS_OF_THE_UI = "authorization, authorization-extras, content-type, x-namespace"
"""The headers that the UI sends with *Pass the user access token* enabled."""

Recode = Callable[[Sequence[Payload]], Awaitable[list[Payload]]]


def application(
    codec: EncryptionCodec,
    origins: Collection[str] = ORIGINS,
    hosts: Collection[str] = (),
    token: SecretStr | None = None,
) -> web.Application:
    """Return the server's two calls, ``/encode`` and ``/decode``.

    Args:
        codec: Encrypts and decrypts.
        origins: The origins whose web pages are answered.
        hosts: Names of the server, beside ``localhost`` and IP addresses.
        token: The token that every request must carry.
    """

    def call(recode: Recode) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            try:
                payloads = Parse(await request.text(), Payloads()).payloads
            except (ParseError, ValueError):
                return web.Response(status=400, text="The body is not a JSON object of payloads.\n")
            recoded = MessageToJson(Payloads(payloads=await recode(payloads)))
            return web.Response(text=recoded, content_type="application/json")

        return answer

    async def preflight(_request: web.Request) -> web.Response:
        return web.Response(status=204)

    app = web.Application(client_max_size=MAX_BYTES, middlewares=[_access_middleware(origins, hosts, token)])
    # Only the end of the path counts, as in Temporal's protocol, so that a proxy may serve this below a folder.
    app.router.add_post("/{folder:(.*/)?}encode", call(codec.encode))
    app.router.add_post("/{folder:(.*/)?}decode", call(codec.decode))
    app.router.add_route("OPTIONS", "/{path:(.*/)?(encode|decode)}", preflight)
    return app


def _access_middleware(origins: Collection[str], hosts: Collection[str], token: SecretStr | None) -> Middleware:
    """Return the middleware that refuses unknown hosts, unknown origins and requests without the token."""

    @web.middleware
    async def check_access(request: web.Request, handler: Handler) -> web.StreamResponse:
        # A web page can point a host name of its own at this machine (DNS rebinding). Then its requests are not
        # cross-origin for the browser, but they carry that name.
        if not _is_known(request.headers.get("Host", ""), hosts):
            return web.Response(status=403, text="Not served under this host name: see --allowed-host.\n")
        origin = request.headers.get("Origin")
        if origin is not None and origin not in origins:
            return web.Response(status=403, text="Web pages of this origin are not answered: see --origin.\n")
        # A browser's preflight request never carries the token.
        if request.method != "OPTIONS" and not _is_authorized(request, token):
            text = 'The codec server needs its token: TEMPORAL_CODEC_AUTH="Bearer <token>" for the CLI.\n'
            response: web.StreamResponse = web.Response(status=401, headers={"WWW-Authenticate": "Bearer"}, text=text)
        else:
            try:
                response = await handler(request)
            except web.HTTPException as error:  # no such path, or too large a body
                response = web.Response(status=error.status, text=f"{error.reason}\n")
        if origin is not None:
            response.headers.update(
                {
                    "Access-Control-Allow-Origin": origin,
                    "Access-Control-Allow-Credentials": "true",
                    "Access-Control-Allow-Methods": "POST",
                    "Access-Control-Allow-Headers": HEADERS_OF_THE_UI,
                    "Access-Control-Max-Age": "3600",
                    "Vary": "Origin",
                }
            )
        return response

    return check_access


def _is_known(header: str, hosts: Collection[str]) -> bool:
    try:
        host = httpx.URL(f"http://{header}").host
    except httpx.InvalidURL:
        return False
    # DNS rebinding needs a name: nobody can point an IP address at another machine.
    return host == "localhost" or host in hosts or _is_ip(host)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_authorized(request: web.Request, token: SecretStr | None) -> bool:
    given = request.headers.get("Authorization", "")
    return token is None or hmac.compare_digest(
        given.encode(errors="surrogateescape"), f"Bearer {token.get_secret_value()}".encode()
    )


def main() -> int:
    """Serve until SIGINT or SIGTERM; return the exit status."""
    arguments = _read_arguments()
    try:
        settings = read_settings(CodecServerSettings)
    except SettingsError as error:
        sys.stderr.write(f"Wrong configuration: {error}\n")
        return 2
    keys, token = settings.payload_encryption_keys, settings.codec_server_token
    if not keys:
        sys.stderr.write("Wrong configuration: PAYLOAD_ENCRYPTION_KEYS: must be set to the keys of the worker\n")
        return 2
    host = arguments.host.lower()
    if token is None and not is_loopback(host):
        sys.stderr.write(
            f"codec server: everybody who reaches {host}:{arguments.port} can read every payload, for"
            " CODEC_SERVER_TOKEN is not set\n"
        )
    app = application(EncryptionCodec(keys), arguments.origin or ORIGINS, (host, *arguments.allowed_host), token)
    try:
        web.run_app(app, host=arguments.host, port=arguments.port)
    except (OSError, OverflowError) as error:  # a port beyond 65535 overflows
        reason = error.strerror if isinstance(error, OSError) else error
        sys.stderr.write(f"codec server: cannot listen on {arguments.host}:{arguments.port}: {reason}\n")
        return 1
    return 0


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m worker.codec_server",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8081, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--origin",
        type=_origin,
        action="append",
        help=f"origin of a Temporal UI, may be repeated (default: {' and '.join(ORIGINS)})",
    )
    parser.add_argument(
        "--allowed-host",
        type=str.lower,
        action="append",
        default=[],
        metavar="NAME",
        help="host name of this server, may be repeated; localhost and IP addresses are always allowed",
    )
    return parser.parse_args()


def _origin(text: str) -> str:
    """Return an origin as browsers write it."""
    form = f"{text!r} is not an origin such as https://temporal.example: a scheme, a host, perhaps a port"
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise argparse.ArgumentTypeError(form) from None
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo or url.raw_path != b"/" or url.fragment:
        raise argparse.ArgumentTypeError(form)
    return f"{url.scheme}://{url.netloc.decode()}"


if __name__ == "__main__":
    sys.exit(main())
