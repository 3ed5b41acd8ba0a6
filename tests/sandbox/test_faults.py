"""Faults hit the calls that they name, before or after the call's effect."""

import asyncio
import time
from types import SimpleNamespace

import httpx
import pytest

from sandbox import DEFAULT_TOKEN, ManualClock, SandboxMarketplace, create_app
from tests.sandbox.portal_client import DAY, VM, PortalClient


async def test_an_answer_is_replaced_before_the_effect(client: PortalClient) -> None:
    await client.put()
    answer = {"kind": "respond", "status": 429, "headers": {"Retry-After": "7"}, "body": "slow down"}
    await client.fault("publish", answer, times=2)
    await client.fault("publish", {"kind": "respond", "status": 503})
    first = await client.publish()
    assert (first.status_code, first.headers["retry-after"], first.text) == (429, "7", "slow down")
    assert [(await client.publish()).status_code for _ in range(3)] == [429, 503, 202]
    log = [(entry["status"], entry["effect"]) for entry in await client.requests() if entry["call"] == "publish"]
    assert log == [(429, False), (429, False), (503, False), (202, True)]


async def test_an_answer_is_replaced_after_the_effect(client: PortalClient) -> None:
    await client.put()
    await client.fault("publish", {"kind": "respond_after", "status": 500})
    assert (await client.publish()).status_code == 500
    assert len(await client.get("submissions")) == 1
    assert (await client.requests())[1]["effect"] is True


@pytest.mark.parametrize(("when", "operations"), [("before", 0), ("after", 1)])
async def test_the_connection_drops(client: PortalClient, when: str, operations: int) -> None:
    await client.put()
    await client.fault("publish", {"kind": "drop", "when": when})
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await client.publish()
    assert len(await client.get("submissions")) == operations
    assert (await client.requests())[1]["status"] is None


@pytest.mark.parametrize("size", [0, 20])
async def test_an_answer_is_cut_short(client: PortalClient, size: int) -> None:
    await client.put()
    await client.fault("read_offer", {"kind": "truncate", "bytes": size})
    with pytest.raises(httpx.RemoteProtocolError):
        await client.call("GET", "")
    assert (await client.call("GET", "")).status_code == 200


async def test_a_dropped_connection_in_process_raises(client: PortalClient) -> None:
    marketplace = SandboxMarketplace(clock=ManualClock())
    transport = httpx.ASGITransport(create_app(marketplace))
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as http:
        inside = PortalClient(http, client.clock, "inside")
        await inside.put()
        await inside.fault("publish", {"kind": "drop", "when": "after"})
        await inside.fault("read_offer", {"kind": "truncate", "bytes": 5})
        with pytest.raises(ConnectionResetError):
            await inside.publish()
        with pytest.raises(ConnectionResetError):
            await inside.call("GET", "")
        assert len(await inside.get("submissions")) == 1


async def test_an_answer_is_late(client: PortalClient) -> None:
    await client.put()
    await client.fault("offer_status", {"kind": "delay", "seconds": 0.1})
    began = time.monotonic()
    await client.get("status")
    assert time.monotonic() - began >= 0.1


class Sleeper:
    """Replaces the sandbox's sleep, so that a delay ends when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asleep, self.awake = asyncio.Event(), asyncio.Event()
        self.seconds: list[float] = []
        monkeypatch.setattr("sandbox.request_handler.asyncio", SimpleNamespace(sleep=self.sleep))

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.asleep.set()
        await self.awake.wait()


@pytest.mark.parametrize(("when", "effect"), [("before", False), ("after", True)])
async def test_a_write_takes_effect_late_or_is_answered_late(
    client: PortalClient, monkeypatch: pytest.MonkeyPatch, when: str, *, effect: bool
) -> None:
    await client.put()
    await client.fault("put_offer", {"kind": "delay", "seconds": 30, "when": when})
    sleeper = Sleeper(monkeypatch)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        write = group.create_task(client.put(client.with_versions("2.0.0")))
        await sleeper.asleep.wait()
        assert ("2.0.0" in (await client.call("GET", "")).text) is effect
        assert not write.done()
        sleeper.awake.set()
    assert write.result().status_code == 200
    assert "2.0.0" in (await client.call("GET", "")).text
    assert sleeper.seconds == [30]


async def test_a_late_write_takes_effect_even_if_its_client_has_gone(
    client: PortalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.put()
    await client.fault("put_offer", {"kind": "delay", "seconds": 30})
    sleeper = Sleeper(monkeypatch)
    async with asyncio.timeout(5):
        write = asyncio.create_task(client.put(client.with_versions("2.0.0")))
        await sleeper.asleep.wait()
        write.cancel()
        await asyncio.wait([write])
        sleeper.awake.set()
        while "2.0.0" not in (await client.call("GET", "")).text:
            pass
    assert write.cancelled()


@pytest.mark.parametrize(
    "answer", [{"kind": "respond", "status": 503}, {"kind": "drop", "when": "after"}, {"kind": "truncate"}]
)
async def test_an_answer_with_a_fault_may_be_late(
    client: PortalClient, monkeypatch: pytest.MonkeyPatch, answer: dict[str, object]
) -> None:
    await client.put()
    await client.fault("offer_status", {"kind": "delay", "seconds": 30, "when": "after"})
    await client.fault("offer_status", answer)
    sleeper = Sleeper(monkeypatch)
    async with asyncio.timeout(5):
        look = asyncio.create_task(client.call("GET", "status"))
        await sleeper.asleep.wait()
        assert not look.done()
        sleeper.awake.set()
        await asyncio.wait([look])
    assert isinstance(look.exception(), httpx.TransportError) or look.result().status_code == 503


async def test_every_read_may_be_slow(client: PortalClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await client.live()
    await client.fault("read_offer", {"kind": "delay", "seconds": 2}, times=-1)
    sleeper = Sleeper(monkeypatch)
    sleeper.awake.set()
    for path in ("", "slot/Preview", "slot/Production", ""):
        await client.get(path)
    await client.get("status")
    assert sleeper.seconds == [2] * 4


async def test_a_fault_hits_only_its_turn_its_slot_and_its_offer(client: PortalClient) -> None:
    await client.live()
    await client.fault("read_offer", {"kind": "respond", "status": 500}, slot="Production", after=1)
    await client.fault("any", {"kind": "respond", "status": 502}, offer="another", times=-1)
    assert (await client.call("GET", "slot/Preview")).status_code == 200
    assert [(await client.call("GET", "slot/production")).status_code for _ in range(3)] == [200, 500, 200]
    listed = (await client.control("GET", "faults")).json()
    assert [fault["offer"] for fault in listed] == ["another"]
    await client.control("DELETE", "faults")
    assert (await client.control("GET", "faults")).json() == []


@pytest.mark.parametrize(
    "body",
    [{"call": "dance", "action": {"kind": "drop"}}, {"call": "any", "action": {"kind": "explode"}}, {"times": 2}, []],
)
async def test_an_invalid_fault_is_refused(client: PortalClient, body: object) -> None:
    response = await client.control("POST", "faults", body)
    assert response.status_code == 400
    assert response.json()["error"]


async def test_an_answer_without_a_body_can_be_cut_short(client: PortalClient) -> None:
    await client.put()
    await client.fault("publish", {"kind": "truncate", "bytes": 3})
    with pytest.raises(httpx.RemoteProtocolError):
        await client.publish()
    assert len(await client.get("submissions")) == 1


async def test_a_stranger_edits_between_read_and_write(client: PortalClient) -> None:
    tag = (await client.put()).headers["etag"]
    await client.fault("put_offer", {"kind": "stranger_edit", "plan_id": "lts", "version": "3.3.3"})
    assert (await client.put(if_match=tag)).status_code == 412
    document = await client.get("")
    assert list(document["definition"]["plans"][0][f"{VM}.vmImages"]) == ["1.0.0", "3.3.3"]


async def test_a_stranger_edits_after_a_read(client: PortalClient) -> None:
    await client.put()
    await client.fault("read_offer", {"kind": "stranger_edit", "when": "after"})
    before = await client.call("GET", "")
    after = await client.call("GET", "")
    assert "1.0.1" not in before.text
    assert "1.0.1" in after.text
    assert before.headers["etag"] != after.headers["etag"]


async def test_strangers_publish_cancel_and_go_live(client: PortalClient) -> None:
    await client.put()
    await client.fault("publish", {"kind": "stranger_publish"})
    assert (await client.publish()).status_code == 202
    assert [entry["effect"] for entry in await client.requests()] == [True, False]
    await client.fault("offer_status", {"kind": "stranger_cancel"})
    assert (await client.get("status"))["status"] == "canceled"
    await client.publish()
    client.clock.advance(8 * DAY)
    await client.fault("go_live", {"kind": "stranger_go_live"})
    assert (await client.call("POST", "golive")).status_code == 400
    assert (await client.get("submissions"))[0]["submissionType"] == "goLive"


async def test_a_stranger_acts_on_demand(client: PortalClient) -> None:
    await client.put()
    address = f"/_control/offers/{client.publisher}/webstack/stranger"
    assert (await client.http.post(address, json={"kind": "stranger_publish"})).json() == {"refused": None}
    assert (await client.http.post(address, json={"kind": "stranger_go_live"})).json()["refused"]
    assert (await client.http.post(address, json={"kind": "stranger_edit", "version": "2.0.0"})).status_code == 200
    assert "2.0.0" in (await client.call("GET", "")).text


async def test_tokens_expire_on_demand(client: PortalClient) -> None:
    await client.put()
    await client.fault("offer_status", {"kind": "expire_tokens"})
    assert (await client.call("GET", "status")).status_code == 401
    assert (await client.call("GET", "")).status_code == 401
    form = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b", "scope": "x/.default"}
    token = (await client.http.post("/tenant/oauth2/v2.0/token", data=form)).json()["access_token"]
    fresh = await client.call("GET", "", headers={"Authorization": f"Bearer {token}"})
    assert fresh.status_code == 200
    await client.control("DELETE", "faults")
    assert (await client.call("GET", "")).status_code == 200


@pytest.mark.parametrize(("outcome", "word"), [("fail", "failed"), ("block", "blocked"), ("reject", "rejected")])
async def test_a_step_fails_with_its_messages(client: PortalClient, outcome: str, word: str) -> None:
    await client.step("displaycertify", outcome=outcome, messages=["<p>No <b>agent</b></p>"], duration_seconds=60)
    operation = await client.published()
    client.clock.advance(1000)
    answer = await client.get(f"operations/{operation}")
    assert answer["status"] == "failed"
    assert answer["steps"][1]["status"] == word
    assert answer["steps"][1]["messages"][0]["messageHtml"] == "<p>No <b>agent</b></p>"
    assert answer["steps"][2]["status"] == "notStarted"
    assert (await client.get("status"))["status"] == "failed"
    await client.control("DELETE", "steps/displaycertify")
    assert (await client.publish()).status_code == 202


async def test_a_blocked_step_may_leave_the_operation_running(client: PortalClient) -> None:
    operation = await client.published()
    await client.step("displaycertify", outcome="block", operation_stays_running=True)
    client.clock.advance(5 * DAY)
    answer = await client.get(f"operations/{operation}")
    assert (answer["status"], answer["steps"][1]["status"]) == ("running", "blocked")
    await client.control("DELETE", "steps/displaycertify")
    assert (await client.get(f"operations/{operation}"))["steps"][1]["status"] == "complete"


async def test_a_step_may_never_end(client: PortalClient) -> None:
    await client.step("displayprovision", outcome="never")
    operation = await client.published()
    client.clock.advance(400 * DAY)
    answer = await client.get(f"operations/{operation}")
    assert (answer["status"], answer["steps"][2]["status"]) == ("running", "inProgress")
    assert answer["steps"][2]["progressPercentage"] == 99


async def test_going_live_may_fail(client: PortalClient) -> None:
    await client.step("live", outcome="fail")
    operation = await client.live()
    assert (await client.get(f"operations/{operation}"))["status"] == "failed"
    assert (await client.call("GET", "slot/Production")).status_code == 404


async def test_the_log_holds_no_secrets(client: PortalClient) -> None:
    await client.published()
    text = (await client.http.get("/_control/requests", params={"publisher": client.publisher})).text
    assert DEFAULT_TOKEN not in text
    assert "sig=" not in text
    put, publish = await client.requests()
    assert put["if_match"] == "*"
    assert publish["operation_id"] == (await client.get("submissions"))[0]["id"]
