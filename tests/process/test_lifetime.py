"""The worker as a process: how it starts, drains and ends."""

import json
import signal
import socket
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from tests.apis.cloud_partner import offer_document
from tests.desk import Run
from tests.harness.processes import free_port
from tests.harness.programs import Program, Programs, worker_environment
from tests.harness.runs import lease_of, until_in_flight
from tests.process.sandbox_publisher import Publisher
from workflows.messages import PublicationResult

NOBODY = "127.0.0.1:1"
"""An address where nothing listens."""

IMPATIENT = """
from datetime import timedelta
from worker import connection
connection.PATIENCE = timedelta(0)
from worker.__main__ import end, main
end(main())
"""

REFUSED_LATER = """
from temporalio.bridge.worker import Worker
poll, polls = Worker.poll_workflow_activation, []
async def refused(self):
    polls.append(self)
    if len(polls) == 1:
        raise RuntimeError("Request unauthorized.")
    return await poll(self)
Worker.poll_workflow_activation = refused
from worker.__main__ import end, main
end(main())
"""


async def start_creation(client: Client, publisher: Publisher) -> Run:
    """Start a run that creates the publisher's offer, on the publisher's task queue."""
    return await client.start_workflow(
        "CreateOfferAndPublish",
        {
            "offer": offer_document(publisher.name, ["4.2.0"]),
            "polling": {"min_interval": "PT0.3S", "max_interval": "PT0.5S"},
        },
        id=publisher.name,
        task_queue=publisher.name,
        result_type=PublicationResult,
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MARKETPLACE_URL", "hunter2"),
        ("PAYLOAD_ENCRYPTION_KEYS", "hunter2"),
        ("TEMPORAL_ADDRESS", "hunter2"),
        ("METRICS_ADDRESS", "taken"),
        ("HTTPS_PROXY", "socks5://dana:hunter2@127.0.0.1:1080"),
    ],
)
def test_a_wrong_setting_ends_the_worker_with_status_2_and_one_line(
    programs: Programs, variable: str, value: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        value = value.replace("taken", f"127.0.0.1:{taken.getsockname()[1]}")
        worker = programs.python("-m", "worker", environment={variable: value})
        assert worker.ended() == 2

    assert worker.said().count("\n") == 1
    assert variable in worker.said()
    assert "hunter2" not in worker.said()


def test_a_worker_that_cannot_reach_temporal_ends_with_status_1_and_a_sentence(programs: Programs) -> None:
    worker = programs.python("-c", IMPATIENT, environment={"TEMPORAL_ADDRESS": NOBODY, "LOG_FORMAT": "json"})
    assert worker.ended() == 1

    assert f"Temporal does not answer at {NOBODY}: Connection refused" in json.loads(worker.said())["message"]


def test_a_namespace_that_does_not_exist_ends_the_worker_with_status_1_and_a_sentence(
    programs: Programs, address: str
) -> None:
    worker = programs.worker(address, "http://127.0.0.1:1", "nobody", TEMPORAL_NAMESPACE="nonesuch")
    assert worker.ended() == 1

    assert worker.said().count("\n") == 1
    assert "There is no namespace nonesuch" in worker.said()


def test_a_worker_that_temporal_refuses_while_it_polls_ends_with_status_1_and_the_reason(
    programs: Programs, address: str
) -> None:
    environment = worker_environment(address, "http://127.0.0.1:1", "refused")
    worker = programs.python("-c", REFUSED_LATER, environment=environment)
    assert worker.ended() == 1

    assert "The worker has failed" in worker.said()
    assert "RuntimeError: Request unauthorized." in worker.said()


async def test_a_worker_can_start_before_the_server(programs: Programs, marketplace_url: str) -> None:
    port = free_port()
    worker = programs.worker(f"127.0.0.1:{port}", marketplace_url, "early")
    await worker.until_says("Temporal does not answer")
    programs.temporal(port)
    await worker.until_working()

    assert worker.stop() == 0


async def test_a_worker_that_waits_for_the_server_can_be_stopped(programs: Programs) -> None:
    worker = programs.worker(NOBODY, "http://127.0.0.1:1", "early")
    await worker.until_says("Temporal does not answer")

    assert worker.stop(signal.SIGINT) == 0


async def test_a_worker_without_credentials_says_so_when_it_starts(programs: Programs, address: str) -> None:
    environment = worker_environment(address, "http://127.0.0.1:1", "poor") | {
        "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential"
    }
    del environment["MARKETPLACE_ACCESS_TOKEN"]
    worker = programs.python("-m", "worker", environment=environment)
    await worker.until_says("There is no access to the marketplace yet")

    assert "AZURE_CLIENT_ID" in worker.said()
    assert "MARKETPLACE_ACCESS_TOKEN" in worker.said()
    assert worker.stop() == 0


async def test_a_running_activity_finishes_before_the_worker_ends(
    programs: Programs, client: Client, address: str, publisher: Publisher
) -> None:
    worker = programs.worker(address, publisher.url, publisher.name)
    await worker.until_working()
    await publisher.delay("put_offer", 1.5)
    run = await start_creation(client, publisher)
    writer = lease_of(client, publisher.name)
    await until_in_flight(writer, "put_offer")

    assert worker.stop() == 0
    assert publisher.effects("put_offer") == 1
    assert "Stopped" in worker.said()
    await programs.worker(address, publisher.url, publisher.name).until_working()
    assert (await run.result()).outcome == "preview"
    assert publisher.effects("put_offer") == 1
    history = json.loads((await writer.fetch_history()).to_json())
    started = [event.get("activityTaskStartedEventAttributes") for event in history["events"]]
    assert {each["attempt"] for each in started if each} == {1}


async def test_a_second_signal_ends_the_worker_at_once(
    programs: Programs, client: Client, address: str, publisher: Publisher
) -> None:
    worker = programs.worker(address, publisher.url, publisher.name)
    await worker.until_working()
    await publisher.delay("read_offer", 25)
    run = await start_creation(client, publisher)
    await until_in_flight(lease_of(client, publisher.name), "put_offer")
    worker.process.send_signal(signal.SIGTERM)
    await worker.until_says("Stopping: waiting for running activities")
    worker.process.send_signal(signal.SIGTERM)

    assert worker.ended(within=5) == 1
    await run.terminate()


async def test_the_json_log_names_workflow_ids_and_no_secret(
    programs: Programs, client: Client, address: str, publisher: Publisher
) -> None:
    port = free_port()
    secrets = {
        "MARKETPLACE_ACCESS_TOKEN": "hunter2-token",
        "AZURE_STORAGE_ACCOUNT_KEYS": "fabrikamimages=aHVudGVyMg==",
        "NOTIFY_WEBHOOK_URL": "http://127.0.0.1:1/hunter2-hook",
        "PAYLOAD_ENCRYPTION_KEYS": "key:aHVudGVyMmh1bnRlcjIhIQ==",
    }
    worker = programs.worker(
        address,
        publisher.url,
        publisher.name,
        LOG_FORMAT="json",
        LOG_LEVEL="DEBUG",
        METRICS_ADDRESS=f"127.0.0.1:{port}",
        **secrets,
    )
    await worker.until_working()
    run = await start_creation(client, publisher)
    await worker.until(lambda: len(failures(worker)) >= 2, "the worker logs two failed attempts")
    async with httpx.AsyncClient() as http:
        metrics = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
    await run.terminate()
    assert worker.stop() == 0

    assert "temporal_num_pollers{" in metrics
    ids = {line["temporal_activity"]["workflow_id"] for line in failures(worker)}
    assert ids == {run.id, lease_of(client, publisher.name).id}
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines(worker))
    for secret in ("hunter2", "aHVudGVyM", "INVENTED"):
        assert secret not in worker.said()


def lines(worker: Program) -> list[dict[str, Any]]:
    return [json.loads(line) for line in worker.said().splitlines()]


def failures(worker: Program) -> list[dict[str, Any]]:
    return [line for line in lines(worker) if line["level"] == "WARNING" and "temporal_activity" in line]


async def test_histories_name_the_process_and_the_host_of_the_worker(
    programs: Programs, client: Client, address: str, publisher: Publisher
) -> None:
    worker = programs.worker(address, publisher.url, publisher.name)
    await worker.until_working()
    run = await client.start_workflow(
        "CheckLastOperationStatus",
        {"publisher_id": publisher.name, "offer_id": "nonesuch"},
        id=publisher.name,
        task_queue=publisher.name,
    )
    await worker.until(lambda: bool(publisher.requests("list_operations")), "the worker lists the operations")
    history = (await run.fetch_history()).to_json()

    assert f'"offer-publisher/{worker.process.pid}@{socket.gethostname()}"' in history
