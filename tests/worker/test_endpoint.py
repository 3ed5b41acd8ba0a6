"""What `METRICS_ADDRESS` serves."""

import re
import socket
from collections.abc import AsyncIterator, Iterator

import aiohttp
import httpx
import pytest

from tests.harness.processes import free_port
from worker.endpoint import Endpoint
from worker.settings import SettingsError
from worker.telemetry import BUCKETS, exporting_runtime


class State:
    """The reason why the worker is not ready. None if it is ready."""

    objection: str | None = "Temporal has not answered for 21 s"

    def __call__(self) -> str | None:
        return self.objection


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture(params=["127.0.0.1", "[::1]"])
async def served(request: pytest.FixtureRequest, state: State, exporter: str) -> AsyncIterator[httpx.AsyncClient]:
    address = f"{request.param}:{free_port()}"
    async with (
        aiohttp.ClientSession() as session,
        Endpoint(session, exporter, state).listening(address),
        httpx.AsyncClient(base_url=f"http://{address}") as client,
    ):
        yield client


@pytest.fixture(scope="module")
def exporter() -> Iterator[str]:
    """The address of a runtime's metrics. The runtime has measured something."""
    runtime, url = exporting_runtime()
    meter = runtime.metric_meter
    meter.create_counter("offer_publisher_publications").add(3, {"outcome": "live"})
    meter.create_histogram_float("offer_publisher_stage_seconds").record(20 * 86400.0)
    yield url
    del runtime  # its metrics are served until here


async def test_metrics_of_the_sdk_and_our_own_are_served_in_the_format_of_prometheus(
    served: httpx.AsyncClient,
) -> None:
    answer = await served.get("/metrics")

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'offer_publisher_publications{outcome="live",service_name="temporal-core-sdk"} 3\n' in answer.text


async def test_the_histograms_have_buckets_for_days(served: httpx.AsyncClient) -> None:
    held = dict(re.findall(r'stage_seconds_bucket{.*le="(.*)"} (\d)', (await served.get("/metrics")).text))

    assert len(held) == len(BUCKETS["offer_publisher_stage_seconds"]) + 1
    assert (held["60"], held["1209600"], held["1814400"]) == ("0", "0", "1")


async def test_a_worker_that_is_not_ready_is_alive_and_says_why(served: httpx.AsyncClient, state: State) -> None:
    assert (await served.get("/healthz")).status_code == 200
    answer = await served.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "Not ready: Temporal has not answered for 21 s.\n")

    state.objection = None
    assert (await served.get("/readyz")).status_code == 200


async def test_nothing_else_is_served(served: httpx.AsyncClient) -> None:
    assert [(await served.get(path)).status_code for path in ("/", "/metrics/x", "/debug")] == [404, 404, 404]
    assert (await served.post("/metrics")).status_code == 405


async def test_an_address_that_is_taken_is_a_wrong_configuration(state: State) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        async with aiohttp.ClientSession() as session:
            with pytest.raises(SettingsError, match=r"^METRICS_ADDRESS: Address already in use$"):
                async with Endpoint(session, "http://127.0.0.1:1/", state).listening(address):
                    pass
