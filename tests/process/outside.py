"""Everything that a worker talks to besides Temporal, behind one proxy that shows a test all traffic."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Self, TypeAlias
from urllib.parse import parse_qs

import httpx
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

MARKETPLACE, ENTRA, WEBHOOK, TRACES = "marketplace.test", "login.test", "hooks.test", "traces.test"

HOP_BY_HOP = {"transfer-encoding", "content-length", "content-encoding", "connection", "proxy-authorization"}


class Exchange(NamedTuple):
    """A request and its answer.

    Attributes:
        headers: The headers of the request, one a line, without those meant for the proxy.
    """

    host: str
    target: str
    headers: str
    body: bytes
    answer: bytes


Answer: TypeAlias = Callable[[web.Request, str], web.Response | None]
"""Takes a request and its body. Returns the answer, or ``None`` to let the sandbox answer."""


class Outside:
    """Acts as the proxy, Microsoft Entra, the webhook and the trace collector, and forwards to the sandbox.

    Attributes:
        exchanges: All requests with their answers.
        heads: The head of the first request on each connection to the proxy.
        entra_refuses: Whether Microsoft Entra refuses the client. The refusal repeats the client's secret.
        hostile: Answers to give instead of the sandbox's, by a text in the address or the body of a request.
    """

    def __init__(self, sandbox_url: str, folder: Path) -> None:
        self.exchanges: list[Exchange] = []
        self.heads: list[bytes] = []
        self.entra_refuses = False
        self.hostile: dict[str, Answer] = {}
        self.certificate = folder / "certificate.pem"
        self._key = folder / "key.pem"
        self._sandbox_url = sandbox_url

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Self]:
        """Listen while the context lasts."""
        _certify([ENTRA, MARKETPLACE], self.certificate, self._key)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(self.certificate, self._key)
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        async with AsyncExitStack() as stack:
            self._sandbox = await stack.enter_async_context(httpx.AsyncClient(base_url=self._sandbox_url, timeout=30))
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
            self._plain, self._tls = [int(address[1]) for address in runner.addresses]
            self.proxy_port = await stack.enter_async_context(accepting(self._proxy))
            yield self

    def of(self, host: str) -> list[Exchange]:
        """Return the exchanges with a host."""
        return [each for each in self.exchanges if each.host == host]

    async def _proxy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        tunnel = head.startswith(b"CONNECT ")
        if tunnel:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await join(reader, writer, self._tls if tunnel else self._plain, b"" if tunnel else head)

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        host = request.host.partition(":")[0]
        if host == ENTRA:
            response = await self._entra(request, body.decode())
        elif host == MARKETPLACE:
            response = await self._marketplace(request, body.decode())
        else:
            # The first notification fails. The worker logs that and tries again.
            response = web.Response(status=503 if host == WEBHOOK and not self.of(host) else 200)
        sent = "\n".join(
            f"{name.lower()}: {value}" for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP
        )
        answer = response.body if isinstance(response.body, bytes) else b""
        self.exchanges.append(Exchange(host, request.path_qs, sent, body, answer))
        return response

    async def _entra(self, request: web.Request, body: str) -> web.Response:
        if not self.entra_refuses:
            return await self._forward(request, body)
        [secret] = parse_qs(body)["client_secret"]
        description = f"AADSTS7000215: Invalid client secret provided: {secret} is unknown. Trace ID: 1"
        return web.json_response({"error": "invalid_client", "error_description": description}, status=401)

    async def _marketplace(self, request: web.Request, body: str) -> web.Response:
        for text, answer in self.hostile.items():
            if text in request.path_qs or text in body:
                response = answer(request, body)
                if response is not None:
                    return response
        return await self._forward(request, body)

    async def _forward(self, request: web.Request, body: str) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        response = await self._sandbox.request(request.method, request.path_qs, headers=headers, content=body)
        answered = {name: value for name, value in response.headers.items() if name.lower() not in HOP_BY_HOP}
        return web.Response(status=response.status_code, headers=answered, body=response.content)


class Wire:
    """Forwards to a server on loopback, and keeps what is sent to it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.sent = bytearray()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listen while the context lasts, and yield the address."""
        async with accepting(self._take) as port:
            yield f"127.0.0.1:{port}"

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await join(reader, writer, self._port, kept=self.sent)


@asynccontextmanager
async def accepting(
    take: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Accept connections on a free port of loopback, and yield the port. Leaving the context closes them all."""
    taken: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def serve() -> None:
            try:
                await take(reader, writer)
            finally:
                writer.close()

        task = asyncio.create_task(serve())
        taken.add(task)
        task.add_done_callback(taken.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in taken:
            task.cancel()
        await asyncio.gather(*taken, return_exceptions=True)


async def join(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    port: int,
    first: bytes = b"",
    kept: bytearray | None = None,
) -> None:
    """Relay a connection to a loopback port, which gets ``first`` before anything else."""
    there, to_there = await asyncio.open_connection("127.0.0.1", port)
    to_there.write(first)
    await asyncio.gather(_pass_on(reader, to_there, kept), _pass_on(there, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray | None = None) -> None:
    try:
        while chunk := await reader.read(65536):
            if kept is not None:
                kept += chunk
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        pass  # closing below tells the other side
    finally:
        writer.close()


def _certify(hosts: Sequence[str], certificate: Path, key: Path) -> None:
    """Write a self-signed certificate for some hosts, and its key."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, hosts[0])])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
