"""The sandbox as a server in a running event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from sandbox.app import create_app
from sandbox.marketplace import SandboxMarketplace


class SignalFreeServer(uvicorn.Server):
    """A server that leaves signals to the program."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signals."""
        yield


def server_of(marketplace: SandboxMarketplace) -> SignalFreeServer:
    """Return a server that does not wait for idle connections when it stops."""
    app = create_app(marketplace)
    return SignalFreeServer(
        uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, ws="none")
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the port."""
    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    # asyncio sets this on sockets that it opens itself. Without it every answer waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


@asynccontextmanager
async def serve(marketplace: SandboxMarketplace) -> AsyncIterator[str]:
    """Serve the marketplace on a free port while the context lasts. Yield its base address."""
    listener = listen("127.0.0.1", 0)
    server = server_of(marketplace)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()
