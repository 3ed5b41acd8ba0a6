"""The sandbox as a program: state that survives a restart, clean stops, and errors at start-up."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from sandbox import ManualClock, SandboxMarketplace, SpeedClock, create_app, serve
from sandbox.__main__ import switch_of
from sandbox.switches import Switches
from tests.sandbox.portal_client import DAY, START, PortalClient


def client_of(marketplace: SandboxMarketplace, clock: ManualClock) -> PortalClient:
    transport = httpx.ASGITransport(create_app(marketplace))
    return PortalClient(httpx.AsyncClient(transport=transport, base_url="http://sandbox"), clock, "fabrikam")


async def test_everything_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    clock = ManualClock(START)
    before = client_of(SandboxMarketplace(clock=clock, state_path=path), clock)
    await before.switch(word_case="upper")
    await before.step("live", outcome="never")
    await before.fault("list_offers", {"kind": "respond", "status": 503})
    operation = await before.waiting()
    shown = (await before.call("GET", f"operations/{operation}")).text

    after = client_of(SandboxMarketplace(clock=clock, state_path=path), clock)
    assert (await after.call("GET", f"operations/{operation}")).text == shown
    assert (await after.get("slot/Preview"))["status"] == "WAITINGFORPUBLISHERREVIEW"
    assert (await after.call("GET", f"/api/publishers/{after.publisher}/offers")).status_code == 503
    third = client_of(SandboxMarketplace(clock=clock, state_path=path), clock)
    assert (await third.call("GET", f"/api/publishers/{after.publisher}/offers")).status_code == 200
    assert (await third.control("GET", "steps")).json()["live"]["outcome"] == "never"
    assert os.listdir(tmp_path) == [path.name]  # noqa: PTH208 - the other way is refused in async functions


async def test_the_clock_continues_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    client = client_of(SandboxMarketplace(clock=SpeedClock(), state_path=path), ManualClock())
    moved = await client.http.post("/_control/clock", json={"advance_seconds": 30 * DAY})
    again = SandboxMarketplace(clock=SpeedClock(), state_path=path)
    assert await again.clock.now() >= datetime.fromisoformat(moved.json()["now"])


async def test_the_clock_runs_at_the_given_speed() -> None:
    clock = SpeedClock(1000)
    began = await clock.now()
    await asyncio.sleep(0.05)
    assert await clock.now() - began >= timedelta(seconds=50)
    with pytest.raises(ValueError, match="above 0"):
        SpeedClock(0)


def test_a_file_that_is_not_a_state_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"publishers": 7}')
    with pytest.raises(ValueError, match="not a state file"):
        SandboxMarketplace(state_path=path)


async def test_the_server_stops_at_once_with_connections_open() -> None:
    async with httpx.AsyncClient() as http:
        async with serve(SandboxMarketplace()) as address:
            assert (await http.get(address + "/healthz")).json() == {"status": "ok"}
            began = time.monotonic()
        assert time.monotonic() - began < 10


def start(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "sandbox", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_program_serves_and_ends_cleanly(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with start("--port", "0", "--state", str(state), "--token", "mine", "--switch", "create_status=200") as program:
        assert program.stdout is not None
        address = program.stdout.readline().split()[1]
        with httpx.Client(base_url=address) as http:
            switches = http.get("/_control/publishers/p/switches").json()
            assert switches["create_status"] == 200
            answer = http.get("/rp/product-ingestion/product", headers={"Authorization": "Bearer mine"})
            assert answer.status_code == 200
        program.send_signal(signal.SIGTERM)
        assert program.communicate(timeout=10)[1] == ""
    assert program.returncode == 0
    assert "clock" in json.loads(state.read_text())


def test_the_program_reports_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, start("--port", str(taken.getsockname()[1])) as program:
        _, complaint = program.communicate(timeout=10)
    assert program.returncode == 1
    assert complaint.count("\n") == 1
    assert "Address already in use" in complaint


def test_the_program_reports_a_port_that_is_out_of_range() -> None:
    with start("--port", "70000") as program:
        _, complaint = program.communicate(timeout=10)
    assert program.returncode == 1
    assert complaint.startswith("sandbox: cannot listen on 127.0.0.1:70000: ")
    assert "0-65535" in complaint
    assert complaint.count("\n") == 1


@pytest.mark.parametrize("words", [["--switch", "teleport=1"], ["--switch", "x"], ["--speed", "0"]])
def test_the_program_reports_wrong_settings_in_one_line(words: list[str]) -> None:
    with start("--port", "0", *words) as program:
        _, complaint = program.communicate(timeout=10)
    assert program.returncode == 1
    assert complaint.count("\n") == 1


def test_the_help_lists_every_switch_with_its_default_and_its_other_values() -> None:
    with start("--help") as program:
        said, _ = program.communicate(timeout=10)
    assert program.returncode == 0
    lines = [line.strip() for line in said.partition("switches, with their defaults:")[2].splitlines()]
    defaults = Switches().model_dump(mode="json")
    shown = [line for line in lines if line.partition("=")[0] in defaults and "=" in line]
    assert dict(switch_of(line) for line in shown) == defaults
    assert "or sandbox; the clock by which a SAS is valid" in said


async def test_the_time_has_a_zone() -> None:
    assert (await ManualClock(datetime(2024, 1, 1, tzinfo=UTC)).now()).tzinfo is UTC
