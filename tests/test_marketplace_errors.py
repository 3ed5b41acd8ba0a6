"""Every call of the API fails in every way, once or for ever: no effect comes twice, and failures speak clearly."""

from datetime import datetime, timedelta

import pytest
from temporalio.service import RPCError

from sandbox import DEFAULT_TOKEN
from tests.desk import SAS, Desk, failure_of, progress_of, vhd

POLLING = {"min_interval": "PT20M", "max_interval": "PT30M"}

SECRET = f"{SAS}SECRET"
SAYS = f"The gears are stuck. Bearer {DEFAULT_TOKEN} https://x.example/a.vhd?{SECRET}"
WORDS = {"body": f'{{"error": {{"code": "Stuck", "message": "{SAYS}"}}}}'}
WRITES = ["put_offer", "publish", "go_live"]
READS = ["read_slot", "list_operations", "look"]
ON_PORTAL = pytest.mark.only("cloud-partner", "there the status of an offer is a call of its own")
ON_INGESTION = pytest.mark.only("product-ingestion", "it has no such call")
THE_SAME = pytest.mark.only("cloud-partner", "what a status means is read in one place for both")

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

SAME = ("401", "412", "500", "503", "truncated", "dropped before")

LASTING = {each: ONCE[each] for each in ("409", "503", "html with 200", "dropped before")}

FOR_GOOD = {"401": "NotAuthorized", "403": "NotAuthorized", "422": "ValidationFailed", "400": "MarketplaceError"}


@pytest.mark.parametrize(
    "action", [pytest.param(action, id=name, marks=[THE_SAME] * (name in SAME)) for name, action in ONCE.items()]
)
@pytest.mark.parametrize(
    "calls",
    [
        pytest.param(WRITES, id="writes"),
        pytest.param([*READS, "offer_status"], id="reads", marks=ON_PORTAL),
        pytest.param(READS, id="reads", marks=ON_INGESTION),
    ],
)
async def test_a_failure_that_passes_costs_time_and_nothing_else(
    desk: Desk, calls: list[str], action: dict[str, object]
) -> None:
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
        *((call, status) for call in [*WRITES, *READS] for status in ("403", "422")),
        *(pytest.param("publish", status, marks=THE_SAME) for status in ("400", "401")),
        *(pytest.param("read_slot", status, marks=THE_SAME) for status in ("400", "401")),
        *(pytest.param("offer_status", status, marks=ON_PORTAL) for status in ("403", "422")),
    ],
)
async def test_a_failure_that_stays_ends_the_run_at_once_and_says_why(
    desk: Desk, call: str, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await desk.preview("4.2.0")
    await desk.switch(sign_off_by="offer_status")
    await desk.fault(call, {"kind": "respond", "status": int(status), **WORDS}, times=-1)

    run = await desk.start("ValidateAndGoLive", update(desk))
    error = await failure_of(run)

    assert error.type == FOR_GOOD[status]
    assert f"{desk.publisher}/webstack-appliance" in error.message
    assert "The gears are stuck" in error.message
    tries = [entry for entry in await desk.requests() if entry["faults"]]
    at_a_time = 2 if call == "read_slot" else 1  # preview and Production are read side by side
    assert 0 < len(tries) <= at_a_time * (2 if status == "401" else 1)
    for told in (error.message, caplog.text, (await progress_of(run)).model_dump_json(), *await histories(desk)):
        assert "SECRET" not in told
        assert DEFAULT_TOKEN not in told


@pytest.mark.parametrize("action", LASTING.values(), ids=LASTING)
async def test_a_service_that_stays_out_of_order_is_given_up_at_the_deadline(
    desk: Desk, action: dict[str, object]
) -> None:
    await desk.preview("4.2.0")
    await desk.fault("publish", action, times=-1)

    error = await desk.failure("UpdateOfferAndPublish", update(desk, without="approval") | {"deadline": "PT40M"})

    assert error.type == "OperationTimedOut"
    assert f"{desk.publisher}/webstack-appliance" in error.message
    assert "Start the run again" in error.message
    tries = [entry for entry in await desk.requests() if entry["faults"]]
    # Where operations are listed late, a request that may have had its effect is not sent again for long.
    assert desk.per_api(3, 0) < len(tries) < 50
    assert await desk.effects("publish") == 1


@pytest.mark.parametrize("call", WRITES)
async def test_a_write_that_has_its_effect_but_never_says_so_is_recognised(desk: Desk, call: str) -> None:
    await desk.preview("4.2.0")
    await desk.fault(call, ONCE["500 after"], times=-1)

    result = await desk.run("ValidateAndGoLive", update(desk))

    assert result.outcome == "live"
    assert result.changed
    assert await desk.effects("put_offer") == 2
    assert await desk.effects("publish") == 2
    assert await desk.effects("go_live") == 1


@pytest.mark.only("cloud-partner", "with the other API an offer has no draft while nothing is changed")
async def test_a_missing_draft_is_an_offer_that_is_not_there(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.fault("read_slot", {"kind": "respond", "status": 404, **WORDS}, times=-1, slot="Draft")
    error = await desk.failure("UpdateOfferAndPublish", update(desk, without="approval"))

    assert error.type == "OfferNotFound"
    assert f"{desk.publisher}/webstack-appliance" in error.message


@pytest.mark.parametrize(
    "call",
    [
        *WRITES,
        pytest.param("look", marks=pytest.mark.only("cloud-partner", "with the other API jobs are forgotten")),
    ],
)
async def test_an_offer_deleted_meanwhile_ends_the_run(desk: Desk, call: str) -> None:
    await desk.preview("4.2.0")
    await desk.fault(call, {"kind": "respond", "status": 404, **WORDS}, times=-1)
    error = await desk.failure("ValidateAndGoLive", update(desk))

    assert error.type == "OfferNotFound"
    assert "offer id" in error.message


@pytest.mark.parametrize(("call", "status"), [("put_offer", 429), ("publish", 503), ("go_live", 503), ("look", 429)])
async def test_the_patience_that_the_service_asks_for_is_kept(desk: Desk, call: str, status: int) -> None:
    await desk.preview("4.2.0")
    await desk.fault(call, {"kind": "respond", "status": status, "headers": {"Retry-After": "1800"}})
    await desk.run("ValidateAndGoLive", update(desk))

    asked = [entry for entry in await desk.requests() if entry["call"] == call]
    refused = next(number for number, entry in enumerate(asked) if entry["faults"])
    first, second = (datetime.fromisoformat(entry["sandbox_time"]) for entry in asked[refused : refused + 2])
    # What may have had its effect is not sent again before the marketplace has had the time to list it.
    settled = timedelta(minutes=40) if (call, status) == desk.per_api((), ("publish", 503)) else timedelta()
    assert timedelta(minutes=30) <= second - first - settled < timedelta(minutes=40)


async def test_a_token_that_expires_in_the_middle_does_not_end_the_run_in_any_secret(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await desk.preview("4.2.0")
    await desk.fault("any", {"kind": "expire_tokens"}, after=8)
    run = await desk.start("ValidateAndGoLive", update(desk))
    error = await failure_of(run)

    assert error.type == "NotAuthorized"
    assert "check MARKETPLACE_ACCESS_TOKEN" in error.message
    for told in (error.message, caplog.text, *await histories(desk)):
        assert "SECRET" not in told
        assert DEFAULT_TOKEN not in told


async def test_no_history_of_a_run_that_goes_live_shows_a_signature_outside_of_inputs(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await desk.preview("4.2.0")
    result = await desk.run("ValidateAndGoLive", update(desk))

    for told in (result.model_dump_json(), caplog.text, *await histories(desk)):
        assert "SECRET" not in told
        assert DEFAULT_TOKEN not in told


async def histories(desk: Desk) -> list[str]:
    """Return every event of the desk's runs as text, but for the inputs that may hold a signature."""
    events = []
    for run in (f"{desk.publisher}/ValidateAndGoLive-1", f"{desk.publisher}/ValidateAndGoLive-1/update"):
        try:
            history = await desk.temporal.client.get_workflow_handle(run).fetch_history()
        except RPCError:
            continue
        for event in history.events:
            scheduled = event.activity_task_scheduled_event_attributes
            if (
                event.HasField("workflow_execution_started_event_attributes")
                or event.HasField("start_child_workflow_execution_initiated_event_attributes")
                or scheduled.activity_type.name in {"survey", "edit_images"}
            ):
                continue
            events.append(event.SerializeToString().decode(errors="replace"))
    assert events
    return events


def update(desk: Desk, without: str = "") -> dict[str, object]:
    """Bring one new image to Production; its disk is signed by the user."""
    images = [{"plan_id": "webstack-lts", "version": "4.2.1", "os_vhd_url": f"{vhd('4.2.1')}?{SECRET}"}]
    wanted = desk.images(approval={"required": False}, polling=POLLING) | {"images": images}
    wanted.pop(without, None)
    return wanted
