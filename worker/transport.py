"""Carries httpx's requests over aiohttp's connections.

httpx's own pool examines every connection for every request. With a hundred requests in flight, each request costs
some twenty times as much CPU as here.
"""

from collections.abc import Mapping

import aiohttp
import httpx
from aiohttp.connector import Connection
from httpx_aiohttp import AiohttpTransport

from worker.proxies import is_bypassed, read_proxies


def transport(max_connections: int) -> httpx.AsyncBaseTransport:
    """Return a transport that takes proxies and certificates from the environment, as httpx does.

    Raises:
        SettingsError: A proxy is wrong.
    """
    return _Routes(max_connections, read_proxies())


class _Routes(httpx.AsyncBaseTransport):
    """Sends each request directly or through a proxy.

    aiohttp would look for the proxy at every request, in a thread. It would also look for a password in ~/.netrc, and
    refuse the request if it carries a token as well.
    """

    def __init__(self, max_connections: int, proxies: Mapping[str, httpx.Proxy]) -> None:
        self._max_connections = max_connections
        self._proxies = proxies
        self._direct: AiohttpTransport | None = None
        self._proxied: Mapping[str, AiohttpTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        if self._direct is None:
            self._direct = self._open()
        proxied = self._proxied.get(request.url.scheme)
        route = self._direct if proxied is None or is_bypassed(request.url) else proxied
        return await route.handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._direct is not None:
            await self._direct.aclose()

    def _open(self) -> AiohttpTransport:
        """Open the session, which belongs to the event loop of the first request."""
        session = _session(self._max_connections)
        self._proxied = {scheme: _Transport(client=session, proxy=proxy) for scheme, proxy in self._proxies.items()}
        return _Transport(client=session)


def _session(max_connections: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=max_connections, ssl=httpx.create_ssl_context()),
        cookie_jar=aiohttp.DummyCookieJar(),
        response_class=_Response,
        middlewares=[_send_once],
    )


class _BrokenConnectionError(aiohttp.ClientConnectionError):
    """The connection broke. The request may have had its effect."""


async def _send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating a PUT whose connection broke: it repeats after its own errors only."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _BrokenConnectionError(str(error)) from error


class _Response(aiohttp.ClientResponse):
    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Read the head. httpx-aiohttp encodes the reason phrase, and fails if it is not UTF-8."""
        await super().start(connection)
        self.reason = (self.reason or "").encode("ascii", "ignore").decode()
        return self


class _Transport(AiohttpTransport):
    """Raises the errors that httpx's own transport would raise."""

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
        case aiohttp.ClientHttpProxyError():
            kind = httpx.ProxyError
        case _:
            kind = httpx.RemoteProtocolError
    return kind(str(error), request=request)
