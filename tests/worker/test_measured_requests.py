"""Metrics of requests to the marketplace."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from temporalio.runtime import MetricBuffer, Runtime, TelemetryConfig

from marketplace.http.answers import Call
from marketplace.http.exchange import Exchange
from marketplace.model import OfferKey
from worker.measured_requests import MeasuredRequests

CALL = Call("publish", "publish", OfferKey(publisher_id="fabrikam", offer_id="webstack"))


def exchange(**more: Any) -> Exchange:
    return Exchange(CALL, "POST", "cloudpartner.azure.com", 1_700_000_000.0, 0.25, **({"waited": 0.0} | more))


def measured(*exchanges: Exchange) -> list[tuple[str, dict[str, str], float]]:
    """Return the metrics recorded for requests."""
    buffer = MetricBuffer(1000)
    runtime = Runtime(telemetry=TelemetryConfig(metrics=buffer))
    measure = MeasuredRequests(runtime.metric_meter, "cloud-partner")
    for each in exchanges:
        measure(each)
    return [
        (
            update.metric.name.removeprefix("offer_publisher_"),
            {key: str(value) for key, value in update.attributes.items() if key != "service_name"},
            float(update.value),
        )
        for update in buffer.retrieve_updates()
    ]


def test_a_request_is_counted_by_its_status_and_timed_by_its_call() -> None:
    updates = measured(exchange(status=202))

    assert ("marketplace_requests", {"api": "cloud-partner", "call": "publish", "status": "202"}, 1) in updates
    assert ("marketplace_request_seconds", {"api": "cloud-partner", "call": "publish"}, 0.25) in updates


def test_a_request_without_an_answer_is_counted_as_unanswered() -> None:
    [labels] = [labels for name, labels, _ in measured(exchange(failure="ConnectError")) if name.endswith("requests")]

    assert labels["status"] == "no_answer"


def test_delays_of_less_than_a_second_add_up() -> None:
    held = [exchange(status=200, waited=0.3) for _ in range(5)]
    asked = exchange(status=429, retry_after=timedelta(seconds=17))
    totals: Counter[str] = Counter()
    for name, labels, value in measured(*held, asked):
        totals[name] += round(value)
        assert "fabrikam" not in str(labels)

    assert totals["throttled_seconds"] == pytest.approx(1.5 + 17, abs=0.6)
