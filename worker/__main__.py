"""``python -m worker``: runs until it is stopped, then drains.

Exit status: 0 after SIGINT or SIGTERM and a graceful drain, 2 for a wrong configuration, 1 for anything else.
"""

import asyncio
import logging
import os
import signal
import sys
from typing import NoReturn

from temporalio.client import Client
from temporalio.runtime import Runtime

from activities.announcements import Announcer
from marketplace.errors import MarketplaceError
from marketplace.http.credentials import Credentials
from marketplace.http.pace import Pace
from worker.connection import ConnectionFailedError, connect
from worker.logs import set_up_logging
from worker.marketplaces import credentials_of, http_client, marketplace_of, url_of
from worker.observation import Observation, observed
from worker.proxies import complete_proxies
from worker.registration import create_worker
from worker.search_attributes import SearchAttributesError, ensure_search_attributes
from worker.settings import Settings, SettingsError, read_settings
from worker.sharing import share
from worker.webhook import webhook_of

logger = logging.getLogger("worker")


def main() -> int:
    """Run the worker. Return the exit status."""
    try:
        settings = read_settings(Settings)
        set_up_logging(settings.log_level, settings.log_format)
        complete_proxies()
        asyncio.run(run(settings))
    except SettingsError as error:
        print(f"Wrong configuration: {error}", file=sys.stderr)  # noqa: T201 - before there is a log
        return 2
    except (ConnectionFailedError, SearchAttributesError) as error:
        logger.critical("%s", error)
        return 1
    except Exception as error:
        logger.critical("The worker has failed", exc_info=error)
        return 1
    return 0


async def run(settings: Settings) -> None:
    """Run until SIGINT or SIGTERM. A second signal ends the process at once.

    Raises:
        Exception: The worker has failed, because its namespace or its permission is gone.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop, stop)
    async with observed(settings) as observation:
        starting = asyncio.create_task(_start(settings, observation.runtime))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if starting.done():
            await _work(starting.result(), settings, stop, observation)
        else:
            starting.cancel()
    logger.info("Stopped")


def _stop(stop: asyncio.Event) -> None:
    if stop.is_set():
        logger.warning("Stopping at once: another worker repeats what was running")
        end(1)
    stop.set()


async def _start(settings: Settings, runtime: Runtime) -> Client:
    client = await connect(settings, runtime)
    await ensure_search_attributes(client)
    return client


async def _work(client: Client, settings: Settings, stop: asyncio.Event, observation: Observation) -> None:
    credentials = credentials_of(settings)
    rate = settings.marketplace_requests_per_second
    version = settings.deployment_version()
    pace = Pace(rate) if rate is not None else None
    background = [asyncio.create_task(_check_access(credentials))]
    if pace is not None:
        background.append(asyncio.create_task(share(pace, client, settings.temporal_task_queue)))
    try:
        async with (
            http_client() as http,
            # Cancels this task and raises if the worker fails.
            create_worker(
                client,
                settings.temporal_task_queue,
                marketplace_of(settings, http, credentials, pace, observation.requests),
                webhook_of(settings, http),
                write=Announcer(settings.notify_format, settings.temporal_ui_url).write,
                requests_per_second=rate,
                publishers=settings.marketplace_publishers,
                approvers=settings.go_live_approvers,
                tracing=observation.interceptors,
                deployment_version=version,
            ),
        ):
            logger.info(
                "Working on task queue %s of namespace %s for the marketplace at %s",
                settings.temporal_task_queue,
                client.namespace,
                url_of(settings),
            )
            if version is not None:
                logger.info(
                    "Version %s of worker deployment %s gets tasks while it is the current one: temporal worker"
                    " deployment set-current-version --namespace %s --deployment-name %s --build-id %s",
                    version.build_id,
                    version.deployment_name,
                    client.namespace,
                    version.deployment_name,
                    version.build_id,
                )
            watching = [asyncio.create_task(watch(client)) for watch in observation.watchers]
            background += watching
            await stop.wait()
            logger.info("Stopping: waiting for running activities")
            for watcher in watching:
                watcher.cancel()
    finally:
        for task in background:
            task.cancel()
        await credentials.close()


async def _check_access(credentials: Credentials) -> None:
    """Warn of missing access to the marketplace at the start, before a publication fails."""
    try:
        await credentials.token()
    except MarketplaceError as error:
        logger.warning("There is no access to the marketplace yet: %s", error)


def end(status: int) -> NoReturn:
    """End the process without Python's finalization.

    Threads of the SDK may still call into Python. During finalization, such a call would crash the process with exit
    status 134 or 139.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    end(main())
