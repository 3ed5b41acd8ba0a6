"""Requests to the marketplace fail in every way, once or for good: nothing happens twice, and errors are clear."""

import contextlib
from datetime import datetime, timedelta

import pytest
from temporalio.service import RPCError

from sandbox import DEFAULT_TOKEN
from tests.desk import OFFER, SAS, Desk, Run, failure_of, progress_of, vhd

POLLING = {"min_interval": "PT20M", "max_interval": "PT30M"}

SECRET = f"{SAS}SECRET"
SAYS = f"The gears are stuck. Bearer {DEFAULT_TOKEN} https://x.example/a.vhd?{SECRET}"
WORDS = {"body": f'{{"error": {{"code": "Stuck", "message": "{SAYS}"}}}}'}
WRITES = ["put_offer", "publish", "go_live"]
READS = ["read_slot", "list_operations", "look"]
ON_PORTAL = pytest.mark.only("cloud-partner", "only there is the status of an offer a call of its own")
ONE_API = pytest.mark.only("cloud-partner", "a status means the same with both APIs")

ONCE: dict[str, dict[str, object]] = {
    "401": {"kind": "respond", "status": 401, **WORDS},
    "409": {"kind": "respond", "status": 409, **WORDS},
    "412": {"kind": "respond", "status": 412, **WORDS},
    "429": {"kind": "respond", "status": 429, "headers": {"Retry-After": "600"}, **WORDS},
    "500": {"kind": "respond", "status": 500, **WORDS},
    "503": {"kind": "respond", "status": 503, "headers": {"Retry-After": "600"}, **WORDS},
    "html with 200": {"kind": "respond", "status": 200, "body": f"<html><p>{SAYS}</p>"},
    "truncated": {"kind": "truncate"},
    "dropped before": {"kind": "drop", "when": "before"},
    "dropped after": {"kind": "drop", "when": "after"},
    "500 after": {"kind": "respond_after", "status": 500, **WORDS},
}

WITH_ONE_API = ("401", "412", "429", "500", "503", "html with 200", "truncated", "dropped before")

OUTAGES = {each: ONCE[each] for each in ("409", "503", "html with 200", "dropped before")}

OTHERS = ("400", "401", "422")
REFUSALS = {"401": "NotAuthorized", "403": "NotAuthorized", "422": "ValidationFailed", "400": "MarketplaceError"}


@pytest.mark.parametrize(
    "action",
    [pytest.param(action, id=name, marks=[ONE_API] * (name in WITH_ONE_API)) for name, action in ONCE.items()],
)
async def test_a_failure_of_each_call_that_passes_costs_time_and_nothing_else(
    desk: Desk, action: dict[str, object]
) -> None:
    calls = [*WRITES, *READS, *desk.per_api(["offer_status"], [])]
    await desk.preview("4.2.0")
    await desk.switch(sign_off_by="offer_status")
    for call in calls:
        await desk.fault(call, action)

    result = await desk.run("ValidateAndGoLive", update(desk))

    assert result.outcome == "live"
    assert await desk.versions("Production") == ["4.2.0", "4.2.1"]
    assert await desk.effects("put_offer") == 2
    assert await desk.effects("publish") == 2
    assert await desk.effects("go_live") == 1
    assert {entry["call"] for entry in await desk.requests() if entry["faults"]} == set(calls)


@pytest.mark.parametrize(
    ("call", "status"),
    [
        *((call, "403") for call in [*WRITES, *READS]),
        *(pytest.param(call, status, marks=ONE_API) for call in ("publish", "read_slot") for status in OTHERS),
        pytest.param("offer_status", "403", marks=ON_PORTAL),
    ],
)
async def test_a_refusal_ends_the_run_at_once_and_says_why(
    desk: Desk, call: str, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await desk.preview("4.2.0")
    await desk.switch(sign_off_by="offer_status")
    await desk.fault(call, {"kind": "respond", "status": int(status), **WORDS}, times=-1)

    run = await desk.start("ValidateAndGoLive", update(desk))
    error = await failure_of(run)

    assert error.type == REFUSALS[status]
    assert f"{desk.publisher}/webstack-appliance" in error.message
    assert "The gears are stuck" in error.message
    attempts = [entry for entry in await desk.requests() if entry["faults"]]
    at_a_time = 2 if call == "read_slot" else 1  # Preview and Production are read at the same time
    assert 0 < len(attempts) <= at_a_time * (2 if status == "401" else 1)
    progress = await progress_of(run)
    for text in (error.message, caplog.text, progress.model_dump_json(), *await history(desk, run)):
        assert "SECRET" not in text
        assert DEFAULT_TOKEN not in text


@pytest.mark.parametrize("action", OUTAGES.values(), ids=OUTAGES)
async def test_a_lasting_outage_ends_the_run_at_its_deadline(desk: Desk, action: dict[str, object]) -> None:
    await desk.preview("4.2.0")
    await desk.fault("publish", action, times=-1)

    error = await desk.failure("UpdateOfferAndPublish", update(desk, without="approval") | {"deadline": "PT40M"})

    assert error.type == "OperationTimedOut"
    assert f"{desk.publisher}/webstack-appliance" in error.message
    assert "Start the run again" in error.message
    attempts = [entry for entry in await desk.requests() if entry["faults"]]
    # With the Product Ingestion API a request that may have had its effect is not repeated until it would be listed.
    assert desk.per_api(3, 0) < len(attempts) < 50
    assert await desk.effects("publish") == 1


@pytest.mark.parametrize("call", WRITES)
async def test_a_write_that_has_its_effect_is_recognised_although_every_answer_is_500(desk: Desk, call: str) -> None:
    await desk.preview("4.2.0")
    await desk.fault(call, ONCE["500 after"], times=-1)

    result = await desk.run("ValidateAndGoLive", update(desk))

    assert result.outcome == "live"
    assert result.changed
    assert await desk.effects("put_offer") == 2
    assert await desk.effects("publish") == 2
    assert await desk.effects("go_live") == 1


@pytest.mark.only("cloud-partner", "with the other API an unchanged offer has no draft")
async def test_an_offer_without_a_draft_is_not_found(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.fault("read_slot", {"kind": "respond", "status": 404, **WORDS}, times=-1, slot="Draft")
    error = await desk.failure("UpdateOfferAndPublish", update(desk, without="approval"))

    assert error.type == "OfferNotFound"
    assert f"{desk.publisher}/webstack-appliance" in error.message


@pytest.mark.parametrize(
    "call",
    [
        *WRITES,
        pytest.param("look", marks=pytest.mark.only("cloud-partner", "the other API forgets jobs")),
    ],
)
async def test_an_offer_that_is_deleted_during_the_run_is_not_found(desk: Desk, call: str) -> None:
    await desk.preview("4.2.0")
    await desk.fault(call, {"kind": "respond", "status": 404, **WORDS}, times=-1)
    error = await desk.failure("ValidateAndGoLive", update(desk))

    assert error.type == "OfferNotFound"
    assert "offer id" in error.message


@pytest.mark.parametrize(("call", "status"), [("put_offer", 429), ("publish", 503), ("go_live", 503), ("look", 429)])
async def test_a_run_waits_as_long_as_retry_after_says(desk: Desk, call: str, status: int) -> None:
    await desk.preview("4.2.0")
    await desk.fault(call, {"kind": "respond", "status": status, "headers": {"Retry-After": "1800"}})
    await desk.run("ValidateAndGoLive", update(desk))

    asked = [entry for entry in await desk.requests() if entry["call"] == call]
    refused = next(number for number, entry in enumerate(asked) if entry["faults"])
    first, second = (datetime.fromisoformat(entry["sandbox_time"]) for entry in asked[refused : refused + 2])
    # With the Product Ingestion API a publish that may have been accepted is not repeated until it would be listed.
    settled = timedelta(minutes=40) if (call, status) == desk.per_api((), ("publish", 503)) else timedelta()
    assert timedelta(minutes=30) <= second - first - settled < timedelta(minutes=40)


async def test_a_run_whose_token_expires_is_not_authorized_and_shows_no_secret(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await desk.preview("4.2.0")
    await desk.fault("any", {"kind": "expire_tokens"}, after=8)
    run = await desk.start("ValidateAndGoLive", update(desk))
    error = await failure_of(run)

    assert error.type == "NotAuthorized"
    assert "check MARKETPLACE_ACCESS_TOKEN" in error.message
    for text in (error.message, caplog.text, *await history(desk, run)):
        assert "SECRET" not in text
        assert DEFAULT_TOKEN not in text


async def test_a_run_that_goes_live_shows_a_signature_in_its_inputs_only(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await desk.preview("4.2.0")
    run = await desk.start("ValidateAndGoLive", update(desk))
    result = await run.result()

    for text in (result.model_dump_json(), caplog.text, *await history(desk, run)):
        assert "SECRET" not in text
        assert DEFAULT_TOKEN not in text


async def history(desk: Desk, run: Run) -> list[str]:
    """Return the events of a run and of its draft writer as text, without the inputs that may hold a signature."""
    events = list((await run.fetch_history()).events)
    if desk.api.name == "product-ingestion":
        writer = desk.temporal.client.get_workflow_handle(f"internal/draft/{desk.publisher}/{OFFER}")
        with contextlib.suppress(RPCError):  # the run ended before it wrote
            events += (await writer.fetch_history()).events
    return [
        event.SerializeToString().decode(errors="replace")
        for event in events
        if not event.HasField("workflow_execution_started_event_attributes")
        and not event.HasField("start_child_workflow_execution_initiated_event_attributes")
        and event.activity_task_scheduled_event_attributes.activity_type.name != "edit_images"
    ]


def update(desk: Desk, without: str = "") -> dict[str, object]:
    """Return an input that brings one new image to Production. Its disk is signed by the user."""
    images = [{"plan_id": "webstack-lts", "version": "4.2.1", "os_vhd_url": f"{vhd('4.2.1')}?{SECRET}"}]
    start = desk.images(approval={"required": False}, polling=POLLING) | {"images": images}
    start.pop(without, None)
    return start
