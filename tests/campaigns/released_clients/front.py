"""What stands between a released client and the sandbox: an HTTPS proxy that answers for the marketplace's names.

The clients know no other addresses than the real ones, and they obey `HTTPS_PROXY`. So each asks the front for a
tunnel to `graph.microsoft.com`; the front ends the TLS itself and carries the requests to the sandbox. Nothing of a
client is changed, and nothing that it sends can leave this machine.
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
_OURS_TO_SAY = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "content-length", "host"}


@dataclass(frozen=True)
class Carried:
    """A request that went through.

    Attributes:
        status: What it was answered with; `None` where the connection broke.
    """

    moment: float
    method: str
    host: str
    path: str
    status: int | None


class Front:
    """A proxy on loopback for one client; `carried` is what has gone through it."""

    def __init__(self, sandbox_url: str, certificates: Certificates) -> None:
        self.carried: list[Carried] = []
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
        """The address of the front; who can be told where the marketplace is may use it without a tunnel."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """What sends a client here, and nowhere else."""
        authority = str(self._certificates.authority)
        proxies = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), self.url)
        return proxies | {"REQUESTS_CA_BUNDLE": authority, "SSL_CERT_FILE": authority, "NO_PROXY": "", "no_proxy": ""}

    def asked(self, host: str = API) -> Sequence[Carried]:
        """Return what was asked of a host."""
        return [each for each in self.carried if each.host == host]

    def carry(self, request: "_Handler", host: str) -> None:
        """Send a request on, and its answer back; where there is none, hang up."""
        moment, status = time.time(), None
        length = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(length) if length else None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OURS_TO_SAY}
        headers |= {"Host": host, "X-Forwarded-Proto": "https"} if request.tunnel else {"Host": self._target}
        connection = http.client.HTTPConnection(self._target, timeout=120)
        try:
            connection.request(request.command, request.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            status = answer.status
            request.send_response_only(status)
            for name, value in answer.getheaders():
                if name.lower() not in _OURS_TO_SAY:
                    request.send_header(name, value)
            request.send_header("Content-Length", str(len(content)))
            request.end_headers()
            request.wfile.write(content)
            request.wfile.flush()
        except (OSError, http.client.HTTPException):
            request.close_connection = True
        finally:
            connection.close()
            self.carried.append(Carried(moment, request.command, host, request.path, status))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 50

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients are killed here."""


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
        self.front.carry(self, self.tunnel or API)

    def do_POST(self) -> None:
        self.do_GET()

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        self.connection.close()  # the server knows of the socket below the TLS only

    def log_message(self, *_: object) -> None:
        """Say nothing."""
