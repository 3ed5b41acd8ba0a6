"""Measures requests to the marketplace through the SDK's metrics."""

from temporalio.common import MetricMeter

from marketplace.http.exchange import Exchange


class MeasuredRequests:
    """Measures the requests to one API."""

    def __init__(self, meter: MetricMeter, api: str) -> None:
        """Create the metrics.

        Args:
            meter: The runtime's meter.
            api: The value of ``MARKETPLACE_API``.
        """
        self._api = api
        self._requests = meter.create_counter("offer_publisher_marketplace_requests", "Requests to the marketplace")
        self._seconds = meter.create_histogram_float(
            "offer_publisher_marketplace_request_seconds", "Seconds that requests to the marketplace took", "s"
        )
        self._throttled = meter.create_counter(
            "offer_publisher_throttled_seconds",
            "Seconds that requests were delayed, by our own rate limit or because the marketplace asked for it",
            "s",
        )
        self._rest = 0.0

    def __call__(self, exchange: Exchange) -> None:
        """Measure a request."""
        call = {"api": self._api, "call": exchange.call.name}
        self._requests.add(1, {**call, "status": "no_answer" if exchange.status is None else str(exchange.status)})
        self._seconds.record(exchange.seconds, call)
        retry_after = exchange.retry_after.total_seconds() if exchange.retry_after is not None else 0
        self._rest += exchange.waited + retry_after
        whole = int(self._rest)  # the SDK counts in whole numbers
        self._rest -= whole
        self._throttled.add(whole, {"api": self._api})
