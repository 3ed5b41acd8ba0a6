"""An HTTPS proxy between a released client and the sandbox, which answers for the marketplace's host names.

The clients know only the real addresses and obey `HTTPS_PROXY`. Each opens a tunnel to `graph.microsoft.com` through
the front. The front terminates TLS and forwards the requests to the sandbox. The clients run unchanged, and nothing
that they send leaves this machine.
"""

import contextlib
import http.client
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from tests.campaigns.released_clients.certificates import Certificates

API, TOKENS = "graph.microsoft.com", "login.microsoftonline.com"
HOSTS = (API, TOKENS)
_HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "content-length", "host"}


@dataclass(frozen=True)
class Forwarded:
    """A forwarded request.

    Attributes:
        status: The status of the answer; `None` if the connection broke.
    """

    moment: float
    method: str
    host: str
    path: str
    status: int | None


class Front:
    """A proxy on loopback for one client. `forwarded` holds its requests."""

    def __init__(self, sandbox_url: str, certificates: Certificates) -> None:
        self.forwarded: list[Forwarded] = []
        self._certificates = certificates
        handler = type("Handler", (_Handler,), {"front": self, "context": certificates.context()})
        self._target = urlsplit(sandbox_url).netloc
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The URL of the front. A client whose marketplace URL can be set uses it without a tunnel."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that send all requests of a client here."""
        authority = str(self._certificates.authority)
        proxies = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), self.url)
        return proxies | {"REQUESTS_CA_BUNDLE": authority, "SSL_CERT_FILE": authority, "NO_PROXY": "", "no_proxy": ""}

    def requests(self, host: str = API) -> Sequence[Forwarded]:
        """Return the requests to a host."""
        return [each for each in self.forwarded if each.host == host]

    def forward(self, request: "_Handler", host: str) -> None:
        """Forward a request, and its answer. Without an answer, hang up."""
        moment, status = time.time(), None
        length = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(length) if length else None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        headers |= {"Host": host, "X-Forwarded-Proto": "https"} if request.tunnel else {"Host": self._target}
        connection = http.client.HTTPConnection(self._target, timeout=120)
        try:
            connection.request(request.command, request.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            status = answer.status
            request.send_response_only(status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP_BY_HOP:
                    request.send_header(name, value)
            request.send_header("Content-Length", str(len(content)))
            request.end_headers()
            request.wfile.write(content)
            request.wfile.flush()
        except (OSError, http.client.HTTPException):
            request.close_connection = True
        finally:
            connection.close()
            self.forwarded.append(Forwarded(moment, request.command, host, request.path, status))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 50

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore errors: clients are killed here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    front: ClassVar[Front]
    context: ClassVar[Any]
    tunnel: str | None = None

    def do_CONNECT(self) -> None:
        host = self.path.partition(":")[0]
        if host not in HOSTS:
            self.send_error(403, "this front answers for the marketplace only")
            return
        self.send_response_only(200)
        self.end_headers()
        self.wfile.flush()
        try:
            self.connection = self.request = self.context.wrap_socket(self.connection, server_side=True)
        except OSError:
            self.close_connection = True
            return
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)
        self.tunnel = host
        self.close_connection = False

    def do_GET(self) -> None:
        if self.tunnel is None and not self.path.startswith("/"):
            self.send_error(403, "this front answers for the marketplace only")
            return
        self.front.forward(self, self.tunnel or API)

    def do_POST(self) -> None:
        self.do_GET()

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        self.connection.close()  # the server closes only the socket below TLS

    def log_message(self, *_: object) -> None:
        """Log nothing."""
