"""How requests travel: httpx's interface on aiohttp's connections.

httpx's own pool looks at every connection for every request: with a hundred in flight a request costs twenty times
the CPU that it costs here.
"""

from urllib.request import getproxies

import aiohttp
import httpx
from aiohttp.connector import Connection
from httpx_aiohttp import AiohttpTransport


def transport(max_connections: int) -> httpx.AsyncBaseTransport:
    """Return the transport of a client; proxies and certificates are taken from the environment, as httpx does."""
    return _Transport(client=lambda: _session(max_connections))


def _session(max_connections: int) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=max_connections, ssl=httpx.create_ssl_context()),
        cookie_jar=aiohttp.DummyCookieJar(),
        # It looks for the proxies at every request, in a thread, which costs as much as the request.
        trust_env=bool(getproxies()),
        response_class=_Response,
    )
    # It would take a password for the host from ~/.netrc, and refuse the request for having a token too.
    session._get_netrc_auth = lambda _host: None  # type: ignore[method-assign, assignment]  # noqa: SLF001
    # It would repeat a PUT whose connection broke, which may have had its effect. There is no public way to say so.
    session._retry_connection = False  # noqa: SLF001
    return session


class _Response(aiohttp.ClientResponse):
    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Read the head; httpx-aiohttp encodes the words behind the status, and breaks where they are no UTF-8."""
        await super().start(connection)
        self.reason = (self.reason or "").encode("ascii", "ignore").decode()
        return self


class _Transport(AiohttpTransport):
    """Names what went wrong as httpx's own transport does."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        try:
            return await super().handle_async_request(request)
        except (httpx.TransportError, aiohttp.ClientError) as error:
            raise _named(error.__cause__ or error, request) from error


def _named(error: BaseException, request: httpx.Request) -> httpx.TransportError:
    kind: type[httpx.TransportError]
    match error:
        case aiohttp.ConnectionTimeoutError():
            kind = httpx.ConnectTimeout
        case aiohttp.ServerTimeoutError():
            kind = httpx.ReadTimeout
        case aiohttp.ClientConnectorError():
            kind = httpx.ConnectError
        case aiohttp.ClientConnectionError():
            kind = httpx.ReadError
        case _:
            kind = httpx.RemoteProtocolError
    return kind(str(error), request=request)
