"""What a worker shows of itself to who watches it: as a process, beside a real server."""

import httpx

from bench.processes import free_port
from tests.process.processes import Programs, until, until_working


async def test_a_worker_lives_but_is_not_ready_from_twenty_seconds_after_temporal_is_gone(
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

        await until_working(worker)
        await until(is_ready, worker)
        assert "temporal_num_pollers{" in (await http.get("/metrics")).text
        server.kill()
        assert await is_ready()
        await until(is_not_ready, worker, within=35)
        assert "Temporal has not answered for 2" in (await http.get("/readyz")).text
        assert (await http.get("/healthz")).status_code == 200
        programs.temporal(port)
        await until(is_ready, worker, within=30)


async def test_a_worker_that_waits_for_temporal_lives_and_is_not_ready(
    programs: Programs, marketplace_url: str
) -> None:
    metrics = free_port()
    worker = programs.worker("127.0.0.1:1", marketplace_url, "early", METRICS_ADDRESS=f"127.0.0.1:{metrics}")
    await until(lambda: "Temporal does not answer" in worker.said(), worker)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{metrics}") as http:
        answers = [(await http.get(path)).status_code for path in ("/healthz", "/readyz", "/metrics")]

    assert answers == [200, 503, 200]
    assert worker.stop() == 0
