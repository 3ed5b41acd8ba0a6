"""What the health checks and the traces of a worker process show, beside a real Temporal server."""

import asyncio

import httpx
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from temporalio.client import Client, WorkflowFailureError

from tests.harness.processes import free_port
from tests.harness.programs import Programs
from tests.process.sandbox_publisher import Publisher


async def check_an_unknown_offer(client: Client, publisher: Publisher) -> None:
    """Run a status check that fails, on the task queue of the publisher."""
    start = {"publisher_id": publisher.name, "offer_id": "nonesuch"}
    with pytest.raises(WorkflowFailureError):
        await client.execute_workflow("CheckLastOperationStatus", start, id=publisher.name, task_queue=publisher.name)


async def test_a_worker_stays_healthy_but_is_not_ready_twenty_seconds_after_temporal_went_away(
    programs: Programs, marketplace_url: str
) -> None:
    port, metrics = free_port(), free_port()
    server = programs.temporal(port)
    worker = programs.worker(f"127.0.0.1:{port}", marketplace_url, "watched", METRICS_ADDRESS=f"127.0.0.1:{metrics}")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{metrics}") as http:

        async def is_ready() -> bool:
            return (await http.get("/readyz")).status_code == 200

        async def is_not_ready() -> bool:
            return not await is_ready()

        await worker.until_working()
        await worker.until(is_ready, "the worker is ready")
        assert "temporal_num_pollers{" in (await http.get("/metrics")).text
        server.kill()
        assert await is_ready()
        await worker.until(is_not_ready, "the worker is no longer ready", seconds=35)
        assert "Temporal has not answered for 2" in (await http.get("/readyz")).text
        assert (await http.get("/healthz")).status_code == 200
        programs.temporal(port)
        await worker.until(is_ready, "the worker is ready again", seconds=30)


async def test_a_worker_that_waits_for_temporal_is_healthy_and_not_ready(
    programs: Programs, marketplace_url: str
) -> None:
    metrics = free_port()
    worker = programs.worker("127.0.0.1:1", marketplace_url, "early", METRICS_ADDRESS=f"127.0.0.1:{metrics}")
    await worker.until_says("Temporal does not answer")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{metrics}") as http:
        answers = [(await http.get(path)).status_code for path in ("/healthz", "/readyz", "/metrics")]

    assert answers == [200, 503, 200]
    assert worker.stop() == 0


async def test_traces_are_sent_where_the_opentelemetry_variables_say(
    programs: Programs, client: Client, address: str, publisher: Publisher
) -> None:
    received: list[ExportTraceServiceRequest] = []

    async def take(request: web.Request) -> web.Response:
        assert request.headers["x-team"] == "release"
        received.append(ExportTraceServiceRequest.FromString(await request.read()))
        return web.Response()

    app, port = web.Application(), free_port()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    worker = programs.worker(
        address,
        publisher.url,
        publisher.name,
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
        OTEL_EXPORTER_OTLP_HEADERS="x-team=release",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment=test",
    )
    await worker.until_working()
    await check_an_unknown_offer(client, publisher)
    assert await asyncio.to_thread(worker.stop) == 0  # a worker that stops sends its remaining spans
    await runner.cleanup()

    resources = [each for request in received for each in request.resource_spans]
    said = {entry.key: entry.value.string_value for each in resources for entry in each.resource.attributes}
    spans = {span.name for each in resources for scope in each.scope_spans for span in scope.spans}
    assert (said["service.name"], said["deployment.environment"]) == ("offer-publisher", "test")
    assert {"RunWorkflow:CheckLastOperationStatus", "RunActivity:look", "GET list_operations"} <= spans


async def test_runs_succeed_without_the_trace_collector(
    programs: Programs, client: Client, address: str, publisher: Publisher
) -> None:
    worker = programs.worker(
        address,
        publisher.url,
        publisher.name,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
        LOG_FORMAT="json",
    )
    await worker.until_working()
    await check_an_unknown_offer(client, publisher)

    assert worker.stop() == 0
