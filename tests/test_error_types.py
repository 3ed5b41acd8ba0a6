"""The error types that users script against, each provoked end to end, with a message that says what to do."""

import pytest

from tests.apis.product_ingestion import resource_of
from tests.desk import PLAN, Desk, vhd

POLLING = {"min_interval": "PT20M", "max_interval": "PT30M"}


async def test_a_wrong_version_is_an_invalid_input(desk: Desk) -> None:
    error = await desk.failure("UpdateOfferAndPublish", desk.images("4.2"))

    assert error.type == "InvalidInput"
    assert "images.0.version: must be three whole numbers such as 4.2.1" in error.message
    assert await desk.requests() == []


async def test_a_publisher_without_rights_is_not_authorized(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.switch(forbidden=True)
    error = await desk.failure("UpdateOfferAndPublish", desk.images("4.2.1"))

    assert error.type == "NotAuthorized"
    assert "has no rights" in error.message


@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive", "CheckLastOperationStatus"])
async def test_an_offer_that_does_not_exist_is_not_found(desk: Desk, workflow: str) -> None:
    start = desk.check() if workflow == "CheckLastOperationStatus" else desk.images("4.2.0")
    error = await desk.failure(workflow, start)

    assert error.type == "OfferNotFound"
    assert f"{desk.publisher}/webstack-appliance" in error.message
    assert "publisher" in error.message
    assert "offer id" in error.message


async def test_an_offer_that_exists_is_not_created_again(desk: Desk) -> None:
    await desk.preview("4.2.0")
    error = await desk.failure("CreateOfferAndPublish", desk.create("4.2.1"))

    assert error.type == "OfferExists"
    assert '"if_exists": "replace"' in error.message
    assert await desk.effects("put_offer") == 1


async def test_an_unknown_plan_is_named_with_the_plans_that_exist(desk: Desk) -> None:
    await desk.preview("4.2.0")
    error = await desk.failure("UpdateOfferAndPublish", desk.images("4.2.1", plan="webstack-lst"))

    assert error.type == "PlanNotFound"
    assert "webstack-lst" in error.message
    assert PLAN in error.message
    assert await desk.effects("put_offer") == 1


@pytest.mark.parametrize("workflow", ["UpdateOfferAndPublish", "ValidateAndGoLive"])
async def test_a_version_with_another_disk_is_a_conflict(desk: Desk, workflow: str) -> None:
    await desk.preview("4.2.0")
    images = [{"plan_id": PLAN, "version": "4.2.0", "os_vhd_url": vhd("4.2.0-fixed")}]
    error = await desk.failure(workflow, desk.images() | {"images": images})

    assert error.type == "VersionConflict"
    assert "webstack-4.2.0.vhd" in error.message
    assert "4.2.0" in error.message
    assert await desk.effects("put_offer") == 1
    assert await desk.effects("publish") == 1


async def test_a_full_plan_reaches_its_limit_and_the_error_says_how_to_make_room(desk: Desk) -> None:
    await desk.preview("4.2.0", "4.2.1")
    error = await desk.failure("UpdateOfferAndPublish", desk.images("4.2.2", max_versions_per_plan=2))

    assert error.type == "ImageLimitReached"
    assert "remove_oldest" in error.message
    assert await desk.effects("put_offer") == 1


@pytest.mark.parametrize(
    ("workflow", "versions", "remedies"),
    [
        ("UpdateOfferAndPublish", ["4.2.2"], '"wait" or "cancel".'),
        pytest.param("ValidateAndGoLive", [], '"wait".', id="without images a run may not cancel"),
    ],
)
async def test_a_run_that_may_not_wait_fails_and_names_the_publish_in_progress(
    desk: Desk, workflow: str, versions: list[str], remedies: str
) -> None:
    await desk.preview("4.2.0")
    await desk.stranger("edit", "publish")
    running = (await desk.state())["operations"][-1]["id"]
    error = await desk.failure(workflow, desk.images(*versions, if_publishing="fail"))

    assert error.type == "PublishInProgress"
    assert running in error.message
    assert error.message.endswith(f'with "if_publishing": {remedies}')
    assert await desk.effects("put_offer") == 1
    assert await desk.effects("publish") == 1


async def test_an_invalid_draft_fails_validation_with_the_words_of_the_marketplace(desk: Desk) -> None:
    document = desk.document("4.2.0")
    if desk.api.name == "cloud-partner":
        del document["definition"]["plans"][0]["microsoft-azure-virtualmachines.skuTitle"]
    else:
        del resource_of(document, "property")["termsConditions"]
    error = await desk.failure("CreateOfferAndPublish", desk.create(document=document))

    assert error.type == "ValidationFailed"
    assert desk.per_api("skuTitle", "termsConditions") in error.message
    assert "correct the offer's draft" in error.message


@pytest.mark.parametrize("outcome", ["fail", "block", "reject"])
async def test_a_failed_go_live_names_the_step_and_the_reason(desk: Desk, outcome: str) -> None:
    await desk.preview("4.2.0")
    await desk.step("live", outcome=outcome, messages=["<p>Region <b>PT</b> is full.</p>"])
    error = await desk.failure(
        "ValidateAndGoLive", desk.images("4.2.0", approval={"required": False}, polling=POLLING)
    )

    assert error.type == "GoLiveFailed"
    assert "Live: " in error.message
    assert "Region PT is full" in error.message
    assert "start the run again" in error.message
    assert await desk.effects("go_live") == 1


async def test_an_operation_that_another_client_cancels_ends_the_run(desk: Desk) -> None:
    await desk.preview("4.2.0")
    await desk.fault("look", {"kind": "stranger_cancel"}, after=desk.api.looks_at_an_edit + 3)
    error = await desk.failure("UpdateOfferAndPublish", desk.images("4.2.1"))

    assert error.type == "OperationCanceled"
    assert "was cancelled at the marketplace" in error.message
    assert "publish again" in error.message
    assert await desk.effects("publish") == 2


async def test_an_operation_that_never_settles_ends_the_run_at_its_deadline(desk: Desk) -> None:
    await desk.step("displaycertify", outcome="never")
    error = await desk.failure("CreateOfferAndPublish", desk.create("4.2.0", deadline="PT5H", polling=POLLING))

    assert error.type == "OperationTimedOut"
    assert desk.per_api("Certification", "Publish to preview") in error.message
    assert "start the run again" in error.message.lower()
    assert await desk.effects("cancel") == 0


@pytest.mark.only("cloud-partner", "the other API calls every draft that it refuses invalid")
async def test_any_other_refusal_fails_with_the_words_of_the_marketplace(desk: Desk) -> None:
    await desk.preview("4.2.0")
    document = desk.document("4.2.0") | {"offerTypeId": "microsoft-azure-corevm"}
    error = await desk.failure("CreateOfferAndPublish", desk.create(document=document, if_exists="replace"))

    assert error.type == "MarketplaceError"
    assert f"put {desk.publisher}/webstack-appliance: the marketplace answered 400" in error.message
    assert "offerTypeId" in error.message
