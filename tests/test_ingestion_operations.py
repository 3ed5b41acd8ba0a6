"""The Product Ingestion API's submissions and jobs: operation IDs, lost answers, contention, and how they end."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from tests.desk import Desk, Run, failure_of, progress_of

pytestmark = pytest.mark.only("product-ingestion", "the other API has no submissions and jobs")

POLLING = {"min_interval": "PT20M", "max_interval": "PT30M"}
UNATTENDED: dict[str, Any] = {"approval": {"required": False}, "polling": POLLING}
LOST = {
    "cut off": {"kind": "truncate", "bytes": 10},
    "502": {"kind": "respond_after", "status": 502},
}


async def submissions(desk: Desk) -> list[str]:
    """Return the IDs of the submissions, oldest first."""
    operations = (await desk.state())["operations"]
    return list(dict.fromkeys(each["submission"] for each in operations))


async def jobs_begun(desk: Desk, call: str) -> int:
    """Count the requests of a call that the marketplace accepted."""
    return sum(entry["call"] == call and entry["job_id"] is not None for entry in await desk.requests())


# Operation IDs


async def test_the_operation_id_is_that_of_the_submission_whichever_its_target(desk: Desk) -> None:
    created = await desk.run("CreateOfferAndPublish", desk.create("4.2.0"))
    checked = await desk.run("CheckLastOperationStatus", desk.check())
    live = await desk.run("ValidateAndGoLive", desk.images("4.2.0", **UNATTENDED))
    checked_again = await desk.run("CheckLastOperationStatus", desk.check())
    updated = await desk.run("UpdateOfferAndPublish", desk.images("4.2.1"))

    first, second = await submissions(desk)
    assert [each.operation_id for each in (created, checked, live, checked_again)] == [first] * 4
    assert updated.operation_id == second
    assert len(first) == len(second) == 19


# Lost answers


@pytest.mark.parametrize(
    ("action", "listed_after"),
    [(LOST["cut off"], 0), (LOST["502"], 240)],
    ids=["cut off", "502, listed late"],
)
@pytest.mark.parametrize("call", ["put_offer", "publish", "go_live"])
async def test_a_write_whose_answer_was_lost_happens_once(
    desk: Desk, call: str, action: dict[str, object], listed_after: int
) -> None:
    await desk.live("4.2.0")
    await desk.switch(submission_after_seconds=listed_after)
    await desk.fault(call, action)
    result = await desk.run("ValidateAndGoLive", desk.images("4.2.1", **UNATTENDED))

    assert result.outcome == "live"
    assert await desk.versions("Production") == ["4.2.0", "4.2.1"]
    assert await desk.kinds() == ["publish", "goLive", "publish", "goLive"]
    assert await desk.effects("publish") == 2
    assert await desk.effects("go_live") == 2


@pytest.mark.parametrize("retention", [0, 900], ids=["at once", "after 15 minutes"])
async def test_an_operation_whose_job_is_forgotten_is_followed_through_its_submission(
    desk: Desk, retention: int
) -> None:
    await desk.switch(job_retention_seconds=retention)
    await desk.live("4.2.0")
    result = await desk.run("ValidateAndGoLive", desk.images("4.2.1", **UNATTENDED))

    assert result.outcome == "live"
    assert result.operation_id == (await submissions(desk))[-1]
    assert await desk.kinds() == ["publish", "goLive", "publish", "goLive"]


@pytest.mark.parametrize("shape", ["live_only", "second_live", "preview_and_live"])
async def test_a_promoted_preview_is_not_promoted_or_published_again_however_it_is_listed(
    desk: Desk, shape: str
) -> None:
    await desk.switch(after_go_live=shape)
    await desk.live("4.2.0")
    await desk.live("4.2.0", "4.2.1")
    sent = await jobs_begun(desk, "publish") + await jobs_begun(desk, "go_live")
    done = await desk.run("ValidateAndGoLive", desk.images("4.2.1", **UNATTENDED))
    checked = await desk.run("CheckLastOperationStatus", desk.check())

    assert (done.outcome, done.changed, checked.outcome) == ("live", False, "live")
    assert await jobs_begun(desk, "publish") + await jobs_begun(desk, "go_live") == sent


# Contention


@pytest.mark.parametrize(
    ("contention", "edits"), [("409", "accept"), *((each, "refuse") for each in ("409", "423", "400", "job"))]
)
async def test_a_running_operation_is_waited_for_however_the_marketplace_refuses_another(
    desk: Desk, contention: str, edits: str
) -> None:
    await desk.live("4.2.0")
    await desk.switch(contention=contention, edits_while_running=edits)
    await desk.stranger("edit", "publish", version="4.2.5")
    result = await desk.run("UpdateOfferAndPublish", desk.images("4.2.6", polling=POLLING))

    assert result.outcome == "preview"
    assert await desk.versions("Preview") == ["4.2.0", "4.2.5", "4.2.6"]
    assert await desk.kinds() == ["publish", "goLive", "publish", "publish"]


@pytest.mark.parametrize("contention", ["409", "423", "400", "job"])
async def test_a_publish_that_another_client_starts_first_is_waited_for(desk: Desk, contention: str) -> None:
    await desk.live("4.2.0")
    await desk.switch(contention=contention)
    await desk.fault("publish", {"kind": "stranger_publish"})
    result = await desk.run("UpdateOfferAndPublish", desk.images("4.2.1", polling=POLLING))

    assert result.outcome == "preview"
    assert await desk.versions("Preview") == ["4.2.0", "4.2.1"]
    assert await desk.kinds() == ["publish", "goLive", "publish"]
    assert await desk.effects("publish") == 1


async def test_a_run_that_may_not_wait_names_the_submission_that_is_running(desk: Desk) -> None:
    await desk.live("4.2.0")
    await desk.switch(edits_while_running="refuse")
    await desk.stranger("edit", "publish")
    error = await desk.failure("UpdateOfferAndPublish", desk.images("4.2.6", if_publishing="fail"))

    assert error.type == "PublishInProgress"
    assert (await submissions(desk))[-1] in error.message


async def test_a_retry_after_of_a_second_and_a_half_is_kept(desk: Desk) -> None:
    await desk.live("4.2.0")
    throttled = {"kind": "respond", "status": 429, "headers": {"Retry-After": "1.5"}}
    for call in ("put_offer", "publish", "list_operations", "read_slot"):
        await desk.fault(call, throttled)
    result = await desk.run("UpdateOfferAndPublish", desk.images("4.2.1", polling=POLLING))

    assert result.outcome == "preview"
    asked = [entry for entry in await desk.requests() if entry["call"] == "publish"]
    refused = next(number for number, entry in enumerate(asked) if entry["faults"])
    first, second = (datetime.fromisoformat(entry["sandbox_time"]) for entry in asked[refused : refused + 2])
    assert timedelta(seconds=1.5) <= second - first < timedelta(minutes=1)


# Ends


async def test_a_failed_certification_reports_every_message_and_is_not_retried(desk: Desk) -> None:
    await desk.live("4.2.0")
    messages = ["<p>No <b>agent</b>.</p>", "The disk has no footer."]
    await desk.step("displaycertify", outcome="block", messages=messages)
    error = await desk.failure("UpdateOfferAndPublish", desk.images("4.2.1", polling=POLLING))

    assert error.type == "PublishFailed"
    assert "Certification: " in error.message
    assert "No agent." in error.message
    assert "The disk has no footer." in error.message
    assert await jobs_begun(desk, "publish") == 2


async def test_another_run_can_go_live_after_a_go_live_failed(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.step("live", outcome="fail", messages=["Region PT is full."])
    failed = await desk.failure("ValidateAndGoLive", desk.images("4.2.0", **UNATTENDED))
    await desk.step("live")
    result = await desk.run("ValidateAndGoLive", desk.images("4.2.0", **UNATTENDED))

    assert failed.type == "GoLiveFailed"
    assert result.outcome == "live"
    assert await desk.kinds() == ["publish", "goLive", "goLive"]


@pytest.mark.parametrize("listed", ["gone", "failed", "cancelled"])
async def test_a_publish_that_another_client_cancelled_ends_the_run_however_it_is_listed(
    desk: Desk, listed: str
) -> None:
    await desk.live("4.2.0")
    await desk.switch(canceled_submission=listed)
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.1"))
    await desk.until(run, lambda progress: bool(progress.steps))
    await desk.stranger("cancel")

    assert (await failure_of(run)).type == "OperationCanceled"
    assert await jobs_begun(desk, "publish") == 2


async def test_a_publish_of_another_client_cannot_be_cancelled_and_is_waited_for(desk: Desk) -> None:
    await desk.live("4.2.0")
    await desk.stranger("edit", "publish", version="4.2.5")
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.6", if_publishing="cancel", polling=POLLING))
    result = await run.result()

    assert result.outcome == "preview"
    assert await desk.operations() == [("publish", None), ("goLive", None), ("publish", None), ("publish", None)]
    assert any(
        "cannot be cancelled through the Product Ingestion API" in note for note in (await progress_of(run)).notes
    )
    assert await desk.effects("cancel") == 0


async def cancel(run: Run) -> None:
    """Cancel a run, and wait until it has ended as cancelled."""
    await run.cancel()
    with pytest.raises(WorkflowFailureError) as ended:
        await run.result()
    assert isinstance(ended.value.cause, CancelledError), repr(ended.value.cause)


async def test_a_cancelled_run_cancels_the_job_of_its_publish(desk: Desk) -> None:
    await desk.live("4.2.0")
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.1"))
    await desk.until(run, lambda progress: bool(progress.steps))
    await cancel(run)

    assert await desk.effects("cancel") == 1
    assert await desk.operations() == [("publish", None), ("goLive", None), ("publish", "canceled")]


async def test_a_run_says_if_the_marketplace_no_longer_cancels_its_publish(desk: Desk) -> None:
    await desk.live("4.2.0")
    await desk.switch(cancel_window="sign_off_only")
    run = await desk.start("UpdateOfferAndPublish", desk.images("4.2.1", polling=POLLING))
    await desk.until(run, lambda progress: bool(progress.steps))
    await cancel(run)

    notes = (await progress_of(run)).notes
    assert any("too far along" in note for note in notes), notes
    assert any("The preview stays" in note for note in notes), notes
    assert await desk.effects("cancel") == 0
    assert await desk.kinds() == ["publish", "goLive", "publish"]
