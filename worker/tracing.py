"""Traces runs, from their start to the marketplace's answers, if `OTEL_EXPORTER_OTLP_ENDPOINT` is set.

The SDK's interceptor continues the trace of the client that started a run. The CLI has no trace, and every span would
become a trace of its own. Such a run gets a trace ID derived from its run ID: the first run's ID without the dashes.
Everything done for the run, by any worker and across continue-as-new, is then one trace.

Imported only if tracing is on: OpenTelemetry's packages are slow to import.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, Tracer, get_current_span
from opentelemetry.util.types import Attributes
from temporalio import workflow
from temporalio.contrib.opentelemetry import TracingInterceptor, TracingWorkflowInboundInterceptor
from temporalio.worker import Interceptor, WorkflowInterceptorClassInput

from marketplace.http.exchange import Exchange
from marketplace.sas import redacted

NAME = "offer-publisher"
NANOSECONDS = 1_000_000_000


class Tracing:
    """Traces a worker.

    Attributes:
        interceptor: Traces runs and activities.
        requests: Traces the requests that activities send.
    """

    def __init__(self, exporter: SpanExporter, api: str) -> None:
        """Create the tracer.

        Args:
            exporter: Receives the spans.
            api: The value of ``MARKETPLACE_API``.
        """
        ids = _Ids()
        self._provider = TracerProvider(resource=_resource(), id_generator=ids)
        self._provider.add_span_processor(BatchSpanProcessor(_Redacted(exporter)))
        tracer = self._provider.get_tracer(NAME)
        self.interceptor: Interceptor = _Runs(tracer, ids)
        self.requests: Callable[[Exchange], None] = _Requests(tracer, api)

    def shutdown(self) -> None:
        """Export the remaining spans, and stop tracing."""
        self._provider.shutdown()


@asynccontextmanager
async def exporting(api: str) -> AsyncIterator[Tracing]:
    """Export spans to the endpoint in OpenTelemetry's own variables."""
    tracing = Tracing(OTLPSpanExporter(), api)
    try:
        yield tracing
    finally:
        await asyncio.to_thread(tracing.shutdown)


def _resource() -> Resource:
    """Return the resource. It names the service unless OpenTelemetry's own variables do."""
    named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return Resource.create({} if named else {"service.name": NAME})


class _Ids(RandomIdGenerator):
    """Generates random IDs, except for the first span of a run."""

    def __init__(self) -> None:
        self._of_run: ContextVar[SpanContext | None] = ContextVar("of_run", default=None)

    @contextmanager
    def of(self, span: SpanContext) -> Iterator[None]:
        """Use the IDs of a given span."""
        token = self._of_run.set(span)
        try:
            yield
        finally:
            self._of_run.reset(token)

    def generate_trace_id(self) -> int:
        """Return the ID of a trace."""
        span = self._of_run.get()
        return span.trace_id if span is not None else super().generate_trace_id()

    def generate_span_id(self) -> int:
        """Return the ID of a span."""
        span = self._of_run.get()
        return span.span_id if span is not None else super().generate_span_id()


class _Runs(TracingInterceptor):
    def __init__(self, tracer: Tracer, ids: _Ids) -> None:
        super().__init__(tracer, always_create_workflow_spans=True)
        self._ids = ids

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002 - the SDK's name
    ) -> type[TracingWorkflowInboundInterceptor]:
        super().workflow_interceptor_class(input)
        return _Run

    def _completed_workflow_span(self, params: Any) -> dict[str, Any] | None:
        """Make the first span of a run the root of its trace."""
        run_id = str(params.attributes["temporalRunID"])
        if not params.name.startswith("RunWorkflow:") or params.context != _trace_of(run_id):
            return super()._completed_workflow_span(params)
        above = get_current_span(self.text_map_propagator.extract(params.context)).get_span_context()
        with self._ids.of(above):
            span = self.tracer.start_span(
                params.name, Context(), attributes=params.attributes, start_time=params.time_ns, kind=params.kind
            )
        span.end(params.time_ns)
        return dict(params.context)


class _Run(TracingWorkflowInboundInterceptor):
    def _load_workflow_context_carrier(self) -> dict[str, Any]:
        """Return the trace of the client that started the run, or the run's own."""
        return super()._load_workflow_context_carrier() or _trace_of(workflow.info().first_execution_run_id)


def _trace_of(run_id: str) -> dict[str, Any]:
    """Return the trace context that is derived from a run ID, in W3C format."""
    span = hashlib.sha256(run_id.encode()).hexdigest()[:16]
    return {"traceparent": f"00-{UUID(run_id).hex}-{span}-01"}


class _Requests:
    def __init__(self, tracer: Tracer, api: str) -> None:
        self._tracer, self._api = tracer, api

    def __call__(self, exchange: Exchange) -> None:
        began = int(exchange.started_at * NANOSECONDS)
        span = self._tracer.start_span(
            f"{exchange.method} {exchange.call.name}",
            kind=SpanKind.CLIENT,
            start_time=began,
            attributes={
                "http.request.method": exchange.method,
                "server.address": exchange.host,
                "marketplace.api": self._api,
                "marketplace.call": str(exchange.call),
                "marketplace.waited_seconds": exchange.waited,
            },
        )
        if exchange.status is not None:
            span.set_attribute("http.response.status_code", exchange.status)
        if exchange.failure is not None:
            span.set_attribute("error.type", exchange.failure)
        for header, value in exchange.ids.items():
            span.set_attribute(f"http.response.header.{header}", [value])
        if exchange.failure is not None or (exchange.status or 0) >= 400:  # noqa: PLR2004 - HTTP's errors
            span.set_status(Status(StatusCode.ERROR))
        span.end(began + int(exchange.seconds * NANOSECONDS))


class _Redacted(SpanExporter):
    """Removes SAS signatures from spans, which error messages might quote."""

    def __init__(self, exporter: SpanExporter) -> None:
        """Pass on to an exporter."""
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export spans."""
        return self._exporter.export([_redacted(span) for span in spans])

    def shutdown(self) -> None:
        """Shut down."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export the remaining spans."""
        return self._exporter.force_flush(timeout_millis)


def _redacted(span: ReadableSpan) -> ReadableSpan:
    description = span.status.description
    return ReadableSpan(
        name=redacted(span.name),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_without_secrets(span.attributes),
        events=[Event(event.name, _without_secrets(event.attributes), event.timestamp) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code, redacted(description) if description else None),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _without_secrets(attributes: Attributes) -> Attributes:
    return {name: redacted(value) if isinstance(value, str) else value for name, value in (attributes or {}).items()}
