"""Serves ``/metrics`` of worker and SDK, ``/healthz`` and ``/readyz`` at `METRICS_ADDRESS`."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp

from worker.settings import SettingsError

PATIENCE = aiohttp.ClientTimeout(total=5)


class Endpoint:
    """Answers requests of monitoring systems."""

    def __init__(self, session: aiohttp.ClientSession, exporter: str, objection: Callable[[], str | None]) -> None:
        """Create the endpoint.

        Args:
            session: Sends the requests to the exporter.
            exporter: The URL of the SDK's metrics.
            objection: Returns why the worker is not ready; ``None`` if it is.
        """
        self._session = session
        self._exporter = exporter
        self._objection = objection

    async def scrape(self) -> bytes:
        """Return the metrics, in Prometheus's text format."""
        async with self._session.get(self._exporter, timeout=PATIENCE) as response:
            return await response.read()

    @asynccontextmanager
    async def listening(self, address: str) -> AsyncIterator[None]:
        """Serve on ``IP:PORT``.

        Raises:
            SettingsError: The address cannot be used.
        """
        from aiohttp import web  # noqa: PLC0415 - imported only if it serves

        async def metrics(_request: web.Request) -> web.Response:
            text = await self.scrape()
            return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

        async def healthz(_request: web.Request) -> web.Response:
            return web.Response(text="The process is alive.\n")

        async def readyz(_request: web.Request) -> web.Response:
            objection = self._objection()
            if objection is not None:
                return web.Response(status=503, text=f"Not ready: {objection}.\n")
            return web.Response(text="The worker polls Temporal.\n")

        app = web.Application()
        app.add_routes([web.get("/metrics", metrics), web.get("/healthz", healthz), web.get("/readyz", readyz)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        host, _, port = address.rpartition(":")
        try:
            try:
                await web.TCPSite(runner, host.removeprefix("[").removesuffix("]"), int(port)).start()
            except OSError as error:
                raise SettingsError(f"METRICS_ADDRESS: {os.strerror(error.errno or 0)}") from error
            yield
        finally:
            await runner.cleanup()
