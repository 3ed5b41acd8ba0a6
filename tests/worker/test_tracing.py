"""One trace covers a run from its start to the marketplace's answers, without secrets."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind
from pydantic import SecretStr
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

from marketplace.http.answers import Call
from marketplace.http.credentials import FixedToken
from marketplace.http.exchange import Exchange
from marketplace.model import OfferKey
from sandbox import DEFAULT_TOKEN, SandboxMarketplace, serve
from tests.apis.cloud_partner import CloudPartnerApi
from tests.desk import SAS, STEPS, Desk, Recorder
from tests.harness.temporal_server import development_server
from tests.replay.record import HISTORIES
from tests.replay.test_replay import NO_FORGOTTEN_IMPORTS, history_in
from worker.marketplaces import marketplace_of
from worker.registration import WORKFLOWS, create_data_converter, create_interceptors, create_worker
from worker.settings import Settings
from worker.tracing import Tracing


class Kept(SpanExporter):
    """Keep spans in memory."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Do nothing."""


@pytest.fixture(scope="module")
async def short_lived() -> AsyncIterator[WorkflowEnvironment]:
    """A server that suggests continue-as-new after a few events."""
    async with development_server(continue_as_new_after=20) as environment:
        yield environment


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def tracing(kept: Kept) -> Tracing:
    return Tracing(kept, "cloud-partner")


@pytest.fixture
async def desk(short_lived: WorkflowEnvironment, tracing: Tracing, http: httpx.AsyncClient) -> AsyncIterator[Desk]:
    """A release engineer's desk beside a worker that traces."""
    client = short_lived.client
    marketplace = SandboxMarketplace(default_switches={"step_durations": dict.fromkeys(STEPS, 0.3)})

    async def name(response: httpx.Response) -> None:
        response.headers["x-ms-request-id"] = "req-1"

    async with serve(marketplace) as url, httpx.AsyncClient(event_hooks={"response": [name]}) as named:
        settings = Settings(marketplace_url=url, azure_storage_account_keys="fabrikamimages=aW52ZW50ZWQ=")
        traced = marketplace_of(settings, named, FixedToken(SecretStr(DEFAULT_TOKEN)), observe=tracing.requests)
        webhook = Recorder()
        async with create_worker(client, "traced", traced, webhook, tracing=[tracing.interceptor]):
            yield Desk(
                CloudPartnerApi(),
                short_lived,
                http,
                url,
                "traced",
                "fabrikam",
                webhook,
                publishing=timedelta(seconds=2),
            )


def names(spans: Sequence[ReadableSpan]) -> list[str]:
    return [span.name for span in spans]


def trace(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


async def test_a_run_that_the_cli_started_is_one_trace_with_the_run_id_as_its_id(
    desk: Desk, kept: Kept, tracing: Tracing
) -> None:
    often = {"polling": {"min_interval": "PT0.1S", "max_interval": "PT0.1S"}}
    signed = desk.create("4.2.0", **often)
    run = await desk.start("CreateOfferAndPublish", signed)
    await run.result()
    tracing.shutdown()

    assert run.first_execution_run_id is not None
    assert (await run.describe()).run_id != run.first_execution_run_id  # it has continued as new
    assert {trace(span) for span in kept.spans} == {run.first_execution_run_id.replace("-", "")}
    [root] = [span for span in kept.spans if span.parent is None]
    assert root.name == "RunWorkflow:CreateOfferAndPublish"
    ids = {span.context.span_id for span in kept.spans if span.context is not None}
    assert {span.parent.span_id for span in kept.spans if span.parent is not None} <= ids
    assert {"RunWorkflow:WriteDraft", "RunActivity:put_offer", "RunActivity:publish", "RunActivity:look"} <= set(
        names(kept.spans)
    )


async def test_request_spans_are_children_of_their_activity_and_carry_the_request_id_of_the_service(
    desk: Desk, kept: Kept, tracing: Tracing
) -> None:
    await desk.put("4.2.0")
    await (await desk.start("CheckLastOperationStatus", desk.check(wait=False))).result()
    tracing.shutdown()

    [activity] = [span for span in kept.spans if span.name == "RunActivity:look"]
    [request] = [span for span in kept.spans if span.name == "GET list_operations"]
    assert request.parent is not None
    assert activity.context is not None
    assert request.parent.span_id == activity.context.span_id
    assert request.attributes is not None
    assert request.kind is SpanKind.CLIENT
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["marketplace.call"] == "list the operations of fabrikam/webstack-appliance"
    assert request.attributes["http.response.header.x-ms-request-id"] == ("req-1",)
    assert activity.start_time is not None
    assert activity.end_time is not None
    assert request.start_time is not None
    assert request.end_time is not None
    assert activity.start_time <= request.start_time <= request.end_time <= activity.end_time


async def test_a_run_that_is_started_within_a_trace_joins_it(
    desk: Desk, kept: Kept, tracing: Tracing, short_lived: WorkflowEnvironment
) -> None:
    tracer = TracerProvider().get_tracer("pipeline")
    config = short_lived.client.config()
    config["interceptors"] = [TracingInterceptor(tracer)]
    client = type(short_lived.client)(**config)
    with tracer.start_as_current_span("release") as release:
        run = await client.start_workflow(
            "CheckLastOperationStatus", desk.check(wait=False), id="traced-check", task_queue="traced"
        )
    with pytest.raises(Exception, match="Workflow execution failed"):  # there is no such offer
        await run.result()
    tracing.shutdown()

    assert {trace(span) for span in kept.spans} == {f"{release.get_span_context().trace_id:032x}"}


async def test_no_span_holds_a_secret(desk: Desk, kept: Kept, tracing: Tracing) -> None:
    await desk.live("4.2.0")
    image = {
        "plan_id": "webstack-lts",
        "version": "4.2.1",
        "os_vhd_url": f"https://elsewhere.blob.core.windows.net/vhds/4.2.1.vhd?{SAS}",
    }
    await desk.fault("publish", {"kind": "respond", "status": 422, "body": f"No: {image['os_vhd_url']}"}, times=-1)
    run = await desk.start("UpdateOfferAndPublish", desk.images() | {"images": [image]})
    with pytest.raises(Exception, match="Workflow execution failed"):
        await run.result()
    tracing.shutdown()

    exported = "\n".join(span.to_json() for span in kept.spans)
    assert "ValidationFailed" in exported
    assert "INVENTED" not in exported
    assert DEFAULT_TOKEN not in exported
    assert "aW52ZW50ZWQ" not in exported


def test_a_signature_in_the_description_of_a_call_is_redacted(kept: Kept, tracing: Tracing) -> None:
    call = Call(
        "read_offer", f"read https://images.example/1.vhd?{SAS} of", OfferKey(publisher_id="fabrikam", offer_id="web")
    )
    tracing.requests(Exchange(call, "GET", "cloudpartner.azure.com", 1_700_000_000.0, 0.25, 0.0, failure="ReadError"))
    tracing.shutdown()

    [span] = kept.spans
    assert "INVENTED" not in span.to_json()
    assert span.attributes is not None
    assert span.attributes["error.type"] == "ReadError"
    assert (span.start_time, span.end_time) == (1_700_000_000_000_000_000, 1_700_000_000_250_000_000)


@pytest.mark.parametrize("name", ["continues_as_new_while_publishing", "goes_live_through_the_preview_once_approved"])
async def test_a_history_recorded_without_tracing_replays_with_tracing(
    name: str, kept: Kept, tracing: Tracing
) -> None:
    history = history_in(HISTORIES / "0.1.0" / "ValidateAndGoLive" / f"{name}.json")
    replayer = Replayer(
        workflows=WORKFLOWS,
        workflow_runner=NO_FORGOTTEN_IMPORTS,
        interceptors=[tracing.interceptor, *create_interceptors()],
        data_converter=create_data_converter(),
    )
    await replayer.replay_workflow(history)
    tracing.shutdown()

    assert kept.spans == []
