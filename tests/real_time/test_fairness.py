"""Publishers take turns in the task queue, and workers share the rate that the marketplace allows."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from marketplace.cloud_partner.calls import Portal
from marketplace.cloud_partner.marketplace import CloudPartnerMarketplace
from marketplace.http.credentials import FixedToken
from marketplace.http.pace import Pace
from sandbox import DEFAULT_TOKEN, SandboxMarketplace, serve
from tests.desk import Run
from tests.harness.runs import pending
from tests.harness.waiting import until
from worker import sharing
from worker.registration import create_data_converter, create_worker

GREEDY, SMALL = ["greedy"] * 24, ["small"] * 3


async def test_one_publisher_with_many_runs_does_not_keep_another_waiting(
    real_temporal: WorkflowEnvironment, http: httpx.AsyncClient
) -> None:
    client, sandbox = real_temporal.client, SandboxMarketplace()
    async with serve(sandbox) as url:
        marketplace = CloudPartnerMarketplace(Portal(http, FixedToken(SecretStr(DEFAULT_TOKEN)), url=url))
        # With a rate there are no local activities, so every look waits in the task queue.
        async with create_worker(client, "fair", marketplace, requests_per_second=1, no_remote_activities=True):
            runs = [
                await client.start_workflow(
                    "CheckLastOperationStatus",
                    {"publisher_id": publisher, "offer_id": "none"},
                    id=f"fair-{number}",
                    task_queue="fair",
                )
                for number, publisher in enumerate(GREEDY + SMALL)
            ]
            for run in runs:
                await until(partial(_is_pending, run), f"the look of {run.id} is pending")
        async with create_worker(client, "fair", marketplace, requests_per_second=1):
            await asyncio.gather(*(run.result() for run in runs), return_exceptions=True)

    asked = [str(entry["publisher"]) for entry in sandbox.requests if entry["call"] == "list_operations"]
    assert sorted(asked) == GREEDY + SMALL
    assert asked[:12].count("small") == len(SMALL), asked


async def _is_pending(run: Run) -> bool:
    return len(await pending(run, "look")) == 1


async def test_two_workers_share_the_rate_that_the_marketplace_allows(
    real_temporal: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "SEEN_AFTER", timedelta(seconds=0.05))
    address = real_temporal.client.service_client.config.target_host
    no_marketplace: Any = object()
    one, other = [
        await Client.connect(address, identity=name, data_converter=create_data_converter())
        for name in ("one", "other")
    ]

    async def both_are_seen() -> bool:
        return await sharing.count_workers(one, "shared") == 2

    pace = Pace(4)
    async with create_worker(one, "shared", no_marketplace), create_worker(other, "shared", no_marketplace):
        await until(both_are_seen, "both workers are counted")
        sharing_it = asyncio.create_task(sharing.share(pace, one, "shared"))
        async with asyncio.timeout(10), pace.turn(), pace.turn():
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(pace.turn().__aenter__(), 0.5)
        sharing_it.cancel()


async def test_requests_are_sent_even_where_the_workers_cannot_be_counted(
    real_temporal: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sharing, "SEEN_AFTER", timedelta(seconds=0.05))
    address = real_temporal.client.service_client.config.target_host
    away = await Client.connect(address, namespace="nowhere")
    pace = Pace(1)
    sharing_it = asyncio.create_task(sharing.share(pace, away, "shared"))
    async with asyncio.timeout(10), pace.turn():
        assert "cannot be counted" in caplog.text
    sharing_it.cancel()
