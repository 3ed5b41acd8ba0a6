"""``python -m worker``: runs until it is told to stop, then drains.

Exit status: 0 after SIGINT or SIGTERM and a graceful drain, 2 for a wrong configuration, 1 for anything else.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from aiolimiter import AsyncLimiter

from marketplace.cloud_partner_portal import CloudPartnerPortal
from marketplace.credentials import Credentials, EntraCredentials, FixedToken
from marketplace.portal import Portal
from marketplace.sas import Signer
from worker.connection import connect
from worker.logs import set_up_logging
from worker.registration import worker
from worker.search_attributes import SearchAttributesError, ensure_search_attributes
from worker.settings import Settings, SettingsError, read_settings
from worker.webhook import HttpWebhook

MAX_CONNECTIONS = 100
"""As many as activities run at a time; httpx slows down with every connection more."""

logger = logging.getLogger("worker")


def main() -> int:
    """Run the worker; answers with the exit status."""
    try:
        settings = read_settings()
        set_up_logging(settings.log_level, settings.log_format)
        asyncio.run(run(settings))
    except SettingsError as error:
        print(f"Wrong configuration: {error}", file=sys.stderr)  # noqa: T201 - before there is a log
        return 2
    except (SearchAttributesError, RuntimeError) as error:
        logger.error("%s", error)  # noqa: TRY400 - a sentence for a person, not a traceback
        return 1
    return 0


async def run(settings: Settings) -> None:
    """Connect, and work until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    client = await connect(settings)
    await ensure_search_attributes(client)
    async with (
        httpx.AsyncClient(limits=httpx.Limits(max_connections=MAX_CONNECTIONS)) as http,
        open_marketplace(settings, http) as marketplace,
        worker(
            client,
            settings.temporal_task_queue,
            marketplace,
            HttpWebhook(http, settings.notify_webhook_url) if settings.notify_webhook_url else None,
            requests_per_second=settings.marketplace_requests_per_second,
            on_fatal_error=_log_fatal_error,
        ),
    ):
        logger.info(
            "Working on task queue %s of namespace %s for the marketplace at %s",
            settings.temporal_task_queue,
            client.namespace,
            settings.marketplace_url,
        )
        await stop.wait()
        logger.info("Stopping: running activities may finish")
    logger.info("Stopped")


@asynccontextmanager
async def open_marketplace(settings: Settings, http: httpx.AsyncClient) -> AsyncIterator[CloudPartnerPortal]:
    """Make the marketplace's client from the settings.

    Raises:
        SettingsError: A storage account's key is wrong.
    """
    credentials: Credentials
    if settings.marketplace_access_token is not None:
        credentials = FixedToken(settings.marketplace_access_token)
    else:
        credentials = EntraCredentials()
    try:
        signer = Signer(settings.storage_account_keys())
    except ValueError as error:
        raise SettingsError(f"AZURE_STORAGE_ACCOUNT_KEYS: {error}") from None
    rate = settings.marketplace_requests_per_second
    limiter = None if rate is None else AsyncLimiter(max(rate, 1), time_period=max(1, 1 / rate))
    try:
        yield CloudPartnerPortal(
            Portal(http, credentials, url=settings.marketplace_url, limiter=limiter), signer=signer
        )
    finally:
        await credentials.close()


async def _log_fatal_error(error: BaseException) -> None:
    logger.critical("The worker cannot go on", exc_info=error)


if __name__ == "__main__":
    sys.exit(main())
