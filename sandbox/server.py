"""The sandbox inside a running event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from sandbox.app import create_app
from sandbox.marketplace import SandboxMarketplace


class QuietServer(uvicorn.Server):
    """Leaves the signals to whoever runs the event loop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def server_of(marketplace: SandboxMarketplace) -> QuietServer:
    """A server which does not wait for idle connections when it stops."""
    app = create_app(marketplace)
    return QuietServer(
        uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, ws="none")
    )


def listen(host: str, port: int) -> socket.socket:
    """Take the port."""
    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    # asyncio does this for sockets it makes itself; without it every answer waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


@asynccontextmanager
async def serve(marketplace: SandboxMarketplace, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve the marketplace; gives the base address. Port 0 takes a free one."""
    listener = listen(host, port)
    server = server_of(marketplace)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.005)
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()
