"""The sandbox inside a running event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from sandbox.app import create_app
from sandbox.marketplace import SandboxMarketplace


class _QuietServer(uvicorn.Server):
    """Leaves the signals to whoever runs the event loop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve(
    marketplace: SandboxMarketplace, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """Serve the marketplace; gives the base address. Port 0 takes a free one."""
    listener = socket.create_server((host, port))
    config = uvicorn.Config(
        create_app(marketplace), log_level="warning", access_log=False, timeout_graceful_shutdown=1, ws="none"
    )
    server = _QuietServer(config)
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
