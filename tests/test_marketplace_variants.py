"""An image reaches Production once, however the marketplace behaves where its documentation is unclear.

A variant sets some of the sandbox's switches to a value that is not their default. A test tries several variants
together, so that few tests try them all.
"""

import pytest
from _pytest.mark import ParameterSet

from marketplace.model import shown_id
from tests.desk import Desk

POLLING = {"min_interval": "PT20M", "max_interval": "PT30M"}
MOST_TOGETHER = 4

ON_PORTAL: dict[str, dict[str, object]] = {
    "location absolute, success is complete": {"location_form": "absolute", "success_word": "complete"},
    "location without an id, running in two words": {"location_form": "old_relative", "running_word": "In Progress"},
    "operation-location, operation as array": {
        "location_form": "operation_location_absolute",
        "operation_as_array": True,
    },
    "no location, success is succeeded": {"location_form": "none", "success_word": "succeeded"},
    "operation with the table's members, capitals": {"operation_table_members": True, "word_case": "upper"},
    "unknown word for running, processPercentage": {
        "running_word": "percolating",
        "progress_key": "processPercentage",
    },
    "words in pascal case, messages are strings": {"word_case": "pascal", "messages_as_strings": True},
    "step words of the operations page, offer not migrated": {"step_words": "operations_page", "migrated": False},
    "operations oldest first, filter ignored": {
        "submissions_order": "oldest_first",
        "submissions_filter_ignored": True,
    },
    "operations shuffled, sign-off shown by the step's name": {
        "submissions_order": "shuffled",
        "sign_off_by": "step_name",
    },
    # Then nothing but the status of the offer says that the preview waits for sign-off.
    "sign-off shown by the offer": {
        "sign_off_by": "offer_status",
        "offer_status_at_sign_off": "waitingForPublisherReview",
        "status_contradiction": False,
    },
    "sign-off shown by the operation's end": {"sign_off_by": "operation_completed"},
    "offer runs on at sign-off": {"offer_status_at_sign_off": "running"},
    "offer succeeded while steps wait, published in the list": {
        "status_contradiction": True,
        "list_success_word": "published",
    },
    "preview and production lag by hours, publishing counts the version up": {
        "preview_lag_seconds": 3600,
        "production_lag_seconds": 2 * 3600,
        "version_increment": "publish",
    },
    "preview is cleared by going live": {"preview_cleared_after_go_live": True},
    "POST needs a body and a length, conflict is 409": {
        "publish_body_required": True,
        "length_required": True,
        "conflict_status": 409,
    },
    "no etag on get": {"etag_on_get": False},
    "etag on get only, create is 200": {"etag_on_put": False, "create_status": 200},
    "if-match on every call": {"if_match_required": "every_call"},
    "if-match on every call, else 412": {"if_match_required": "every_call", "if_match_missing_status": 412},
    "if-match on every call, else 428": {"if_match_required": "every_call", "if_match_missing_status": 428},
    "if-match on every call, else nothing said": {"if_match_required": "every_call", "error_shape": "empty"},
    "if-match never, errors as a string": {"if_match_required": "never", "error_shape": "string"},
    "documents kept as sent, errors as a message": {"normalize_documents": False, "error_shape": "message_only"},
    "windows type never dropped, errors as a list": {"windows_os_type_dropped": "never", "error_shape": "list"},
    "windows type dropped everywhere, errors as in odata": {
        "windows_os_type_dropped": "everywhere",
        "error_shape": "odata",
    },
    "time of change in the definition, errors in html": {"changed_time_in_definition": True, "error_shape": "html"},
    "secrets come back, errors cut off": {"secrets_returned": True, "error_shape": "truncated"},
    "any number of versions, no data disks, signatures unchecked, errors without body": {
        "version_limit": 0,
        "max_data_disks": 0,
        "validate_sas": False,
        "error_shape": "empty",
    },
    "signatures for a day, on any host, times in whole seconds without a zone": {
        "sas_min_days": 1,
        "sas_hosts": ["*"],
        "timestamp_fraction": 0,
        "timestamp_zone": False,
    },
    "times with nine digits, etag in the body only": {
        "timestamp_fraction": 9,
        "etag_on_get": False,
        "etag_on_put": False,
        "etag_in_body": True,
    },
}
ON_INGESTION: dict[str, dict[str, object]] = {
    "edits are done at once, pages of one item, times in whole seconds": {
        "draft_job_reads": 0,
        "page_size": 1,
        "timestamp_fraction": 0,
        "timestamp_zone": False,
    },
    "edits take minutes, details is an object": {"draft_job_seconds": 150, "error_details": "object"},
    "edits show when their job ends minutes later, errors lack details": {
        "draft_changes": "completed",
        "draft_job_seconds": 150,
        "error_details": "absent",
    },
    "jobs are forgotten at once": {"job_retention_seconds": 0},
    "submissions are listed late, jobs are forgotten soon": {
        "submission_after_seconds": 240,
        "job_retention_seconds": 600,
    },
    "a live submission joins the last one, oldest first, no draft after going live": {
        "after_go_live": "second_live",
        "submissions_order": "oldest_first",
        "no_pending_draft": "absent",
    },
    "the preview stays listed after going live, shuffled, no resources of the draft": {
        "after_go_live": "preview_and_live",
        "submissions_order": "shuffled",
        "no_pending_draft": "resource_404",
    },
    "a target never reached is 404, refusals come at once, job ID spelled jobID": {
        "tree_absent_status": 404,
        "refuse_at": "http",
        "job_id_spelling": "jobID",
    },
    "booleans of the draft are stale, asset types in pascal case, low schema versions hide configurations": {
        "stale_draft_booleans": True,
        "asset_type_case": "pascal",
        "ceiling_hides": "newer_configurations",
    },
    "schema versions are required and hide galleries, configurations have no ID": {
        "schema_version_required": True,
        "retired_schema_host_on_read": False,
        "configuration_id": "refused",
        "ceiling_hides": "gallery_versions",
    },
    "preview and production lag by hours, URLs of published images are checked": {
        "preview_lag_seconds": 3600,
        "production_lag_seconds": 2 * 3600,
        "published_sas_checked": True,
    },
}


def together(variants: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """Return the variants in groups of up to `MOST_TOGETHER` that set no switch to different values."""
    groups: list[tuple[list[str], dict[str, object]]] = []
    for name, switches in variants.items():
        for names, chosen in groups:
            if len(names) < MOST_TOGETHER and chosen | switches == switches | chosen:
                names.append(name)
                chosen.update(switches)
                break
        else:
            groups.append(([name], dict(switches)))
    return {"; ".join(names): chosen for names, chosen in groups}


def variants() -> list[ParameterSet]:
    """Return the variants of both APIs as parameters, each for its API only."""
    return [
        pytest.param(switches, id=name, marks=pytest.mark.only(api, "a variant of its own"))
        for api, own in (("cloud-partner", ON_PORTAL), ("product-ingestion", ON_INGESTION))
        for name, switches in together(own).items()
    ]


@pytest.mark.parametrize("switches", variants())
async def test_an_image_goes_live_once_with_each_variant(desk: Desk, switches: dict[str, object]) -> None:
    await desk.switch(**switches)
    update = desk.images("4.2.1", approval={"required": False}, polling=POLLING)

    created = await desk.run("CreateOfferAndPublish", desk.create("4.2.0", polling=POLLING))
    assert created.outcome == "preview"
    assert created.operation_id == shown_id((await desk.state())["operations"][0]["id"])

    live = await desk.run("ValidateAndGoLive", update)
    assert live.outcome == "live"
    assert live.changed
    assert live.operation_id == shown_id((await desk.state())["operations"][-1]["id"])
    assert await desk.versions("Production") == ["4.2.0", "4.2.1"]

    again = await desk.run("ValidateAndGoLive", update)
    assert again.outcome == "live"
    assert not again.changed
    assert await desk.effects("put_offer") == 2
    assert await desk.effects("publish") == 2
    assert await desk.effects("go_live") == 1


async def test_a_preview_that_lags_behind_its_publish_is_waited_for_and_not_published_again(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.switch(preview_lag_seconds=2 * 3600)
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.1", polling=POLLING))

    progress = await desk.until(run, lambda progress: "Preview slot" in (progress.waiting_for or ""))
    assert progress.operation is not None
    assert progress.operation.state == "preview"

    await desk.until(run, lambda progress: progress.stage == "awaiting_approval", minutes=200)
    assert await desk.versions("Preview") == ["4.2.0", "4.2.1"]
    assert await desk.effects("publish") == 2
    await run.terminate()


@pytest.mark.only("cloud-partner", "the other API never removes a published version")
async def test_a_lagging_preview_is_waited_for_even_if_production_holds_the_images_that_it_lacked(desk: Desk) -> None:
    await desk.live("4.2.0", "4.2.1")
    await desk.preview("4.2.0")
    await desk.switch(preview_lag_seconds=2 * 3600)
    result = await desk.run("UpdateOfferAndPublish", desk.images("4.2.1", polling=POLLING))

    assert result.outcome == "preview"
    assert await desk.versions("Preview") == ["4.2.0", "4.2.1"]
    assert await desk.effects("publish") == 3


async def test_a_preview_that_never_shows_what_was_published_ends_the_run_at_its_deadline(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.switch(preview_lag_seconds=100 * 3600)

    error = await desk.failure("UpdateOfferAndPublish", desk.images("4.2.1", polling=POLLING, deadline="PT6H"))

    assert error.type == "OperationTimedOut"
    assert "the Preview slot to show the images" in error.message
    assert await desk.effects("publish") == 2


async def test_a_production_that_lags_behind_its_go_live_is_waited_for(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.switch(production_lag_seconds=2 * 3600)
    run = await desk.start("ValidateAndGoLive", desk.images("4.2.0", approval={"required": False}, polling=POLLING))

    await desk.until(run, lambda progress: progress.waiting_for == "Production to show the images")

    assert (await run.result()).outcome == "live"
    assert await desk.versions("Production") == ["4.2.0"]
    assert await desk.effects("go_live") == 1


@pytest.mark.parametrize(
    ("workflow", "versions", "outcome"),
    [
        ("UpdateOfferAndPublish", ["4.2.0"], "preview"),
        ("ValidateAndGoLive", ["4.2.0"], "live"),
        ("ValidateAndGoLive", [], "live"),
    ],
)
async def test_nothing_is_published_again_while_production_lags_behind_its_go_live(
    desk: Desk, workflow: str, versions: list[str], outcome: str
) -> None:
    await desk.preview("4.2.0")
    await desk.switch(production_lag_seconds=2 * 3600)
    await desk.stranger("go_live")
    await desk.let_publish()
    result = await desk.run(workflow, desk.images(*versions, polling=POLLING))

    # With the Product Ingestion API the run knows that Production is not empty, and waits until it shows the images.
    assert (result.outcome, result.changed) == (desk.per_api(outcome, "live"), False)
    assert await desk.effects("publish") + await desk.effects("go_live") == 1


NO_LIST = "only there can the list of operations be missing"


@pytest.mark.only("cloud-partner", NO_LIST)
async def test_without_a_list_of_operations_a_first_publication_still_reaches_its_preview(desk: Desk) -> None:
    await desk.switch(submissions_available=False)
    result = await desk.run("CreateOfferAndPublish", desk.create("4.2.0"))

    assert result.outcome == "preview"
    assert await desk.effects("publish") == 1


@pytest.mark.only("cloud-partner", NO_LIST)
@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive"])
async def test_without_a_list_of_operations_nothing_is_written_to_a_published_offer(
    desk: Desk, workflow: str
) -> None:
    await desk.preview("4.2.0")
    await desk.switch(submissions_available=False)
    error = await desk.failure(workflow, desk.images("4.2.1"))

    assert error.type == "MarketplaceError"
    assert "does not list its operations" in error.message
    assert await desk.effects("put_offer") == 1
    assert await desk.effects("publish") == 1


@pytest.mark.only("cloud-partner", "only its documentation has several words for one state")
@pytest.mark.parametrize(
    ("failure_word", "step_words", "messages_as_strings"),
    [
        ("failed", "status_page", False),
        ("rejected", "operations_page", False),
        ("error", "status_page", True),
        ("failure", "operations_page", True),
    ],
)
async def test_a_failed_publish_names_the_step_and_the_reason_in_any_wording(
    desk: Desk,
    failure_word: str,
    step_words: str,
    messages_as_strings: bool,  # noqa: FBT001
) -> None:
    await desk.switch(failure_word=failure_word, step_words=step_words, messages_as_strings=messages_as_strings)
    await desk.step("displaycertify", outcome="block", messages=["<p>Disk &lt;os&gt; has <b>no footer</b>.</p>"])

    error = await desk.failure("CreateOfferAndPublish", desk.create("4.2.0", polling=POLLING))

    assert error.type == "PublishFailed"
    assert "Certification: Disk <os> has no footer" in error.message
    assert await desk.effects("publish") == 1


@pytest.mark.only("cloud-partner", "only there does the documentation disagree about a second publish")
@pytest.mark.parametrize(
    ("if_publishing", "second_publish", "conflict_status"),
    [
        ("wait", "refuse", 400),
        ("wait", "refuse", 409),
        ("wait", "replace", 400),
        ("wait", "join", 400),
        ("cancel", "refuse", 400),
        ("cancel", "replace", 400),
        ("cancel", "join", 400),
    ],
)
async def test_an_image_reaches_the_preview_while_another_draft_is_being_published(
    desk: Desk, if_publishing: str, second_publish: str, conflict_status: int
) -> None:
    await desk.preview("4.2.0")
    await desk.switch(second_publish=second_publish, conflict_status=conflict_status)
    await desk.stranger("edit", version="4.2.5")
    await desk.stranger("publish")
    update = desk.images("4.2.6", if_publishing=if_publishing, polling=POLLING)
    result = await desk.run("UpdateOfferAndPublish", update)

    assert result.outcome == "preview"
    assert await desk.versions("Preview") == ["4.2.0", "4.2.5", "4.2.6"]
    assert await desk.effects("publish") == 2
    assert await desk.operations() == [
        ("publish", None),
        ("publish", None if if_publishing == "wait" else "canceled"),
        ("publish", None),
    ]
