"""The marketplace behind the Product Ingestion API, against the sandbox."""

import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from marketplace import errors
from marketplace.http.credentials import FixedToken
from marketplace.model import (
    Change,
    DataDisk,
    ForeignEdits,
    OfferDefinition,
    OfferKey,
    OperationKind,
    OperationState,
    Scope,
    Sku,
    Slot,
    WhenFull,
)
from marketplace.product_ingestion.calls import ProductIngestion
from marketplace.product_ingestion.marketplace import ProductIngestionMarketplace
from marketplace.protocol import Marketplace
from tests.marketplace.product_ingestion.ingestion_publisher import Publisher, image
from tests.marketplace.product_ingestion.offers import TENANT, gallery
from tests.sandbox.product_ingestion.ingestion_client import (
    BASE,
    CONFIGURATION,
    DAY,
    OFFER,
    PLAN,
    SAS,
    SCHEMA,
    resource_in,
    version_entry,
)

SAMPLE_VERSION = "4.2.0"
NOTHING_THERE = json.dumps({"error": {"code": "notFound", "message": "There is nothing here.", "details": []}})


async def test_the_api_does_not_list_a_new_submission_at_once(publisher: Publisher) -> None:
    marketplace: Marketplace = publisher.marketplace
    assert not marketplace.lists_at_once


async def test_an_offer_goes_from_draft_to_live(publisher: Publisher) -> None:
    put = await publisher.put()
    assert put is not None
    assert [str(each) for each in put.images] == [f"{PLAN} {SAMPLE_VERSION}"]
    marketplace, offer = publisher.marketplace, publisher.offer
    assert await marketplace.operations(offer) == []
    assert await publisher.slots() == {"preview": None, "production": None}
    number = await publisher.published()
    status = await marketplace.status(offer)
    assert [(each.id, each.state) for each in status.operations] == [(number, OperationState.PREVIEW)]
    assert status.awaits_sign_off
    assert marketplace.promotion(**await publisher.slots()).changes == [
        "the whole offer: it goes live for the first time"
    ]
    live = await publisher.go_live(number)
    report = await marketplace.look(offer, live, OperationKind.GO_LIVE)
    assert (report.state, report.operation_id) == (OperationState.RUNNING, live)
    publisher.by_hand.clock.advance(5 * DAY)
    report = await marketplace.look(offer, live, OperationKind.GO_LIVE)
    assert (report.state, report.operation_id) == (OperationState.LIVE, f"{number}:live")
    assert not await marketplace.may_await_sign_off(offer)
    production = await publisher.slot(Slot.PRODUCTION)
    assert production is not None
    assert [str(each) for each in production.versions] == [
        f"{PLAN} {SAMPLE_VERSION} (generation x64Gen1)",
        f"{PLAN} {SAMPLE_VERSION} (generation x64Gen2)",
    ]


@pytest.mark.parametrize("shape", ["live_only", "second_live", "preview_and_live"])
async def test_a_live_submission_is_recognised_in_every_shape_of_the_list(publisher: Publisher, shape: str) -> None:
    await publisher.by_hand.switch(after_go_live=shape)
    first = await publisher.live()
    await publisher.edit(image("4.3.0"))
    second = await publisher.published()
    assert (await publisher.marketplace.status(publisher.offer)).awaits_sign_off
    handle = await publisher.go_live(second)
    status = await publisher.marketplace.status(publisher.offer)
    assert status.operations[0].id == f"{second}:live"
    assert (status.operations[0].state, status.awaits_sign_off) == (OperationState.RUNNING, False)
    publisher.by_hand.clock.advance(5 * DAY)
    report = await publisher.marketplace.look(publisher.offer, handle)
    assert (report.operation_id, report.state) == (f"{second}:live", OperationState.LIVE)
    ids = [each.id for each in (await publisher.marketplace.status(publisher.offer)).operations]
    assert ids[:2] == [f"{second}:live", second]
    assert (f"{first}:live" in ids) is (shape == "second_live")
    for operation_id, state in ((second, OperationState.PREVIEW), (f"{second}:live", OperationState.LIVE)):
        assert (await publisher.marketplace.look(publisher.offer, operation_id)).state is state


async def test_an_offer_of_another_account_is_not_found(publisher: Publisher) -> None:
    with pytest.raises(errors.NotFound, match="credentials are of another Partner Center account"):
        await publisher.marketplace.status(OfferKey(publisher_id="x", offer_id="unheard-of"))


async def test_a_product_is_requested_once_and_again_after_it_is_gone(publisher: Publisher) -> None:
    await publisher.put()
    before = await publisher.requests()
    await publisher.marketplace.operations(publisher.offer)
    await publisher.marketplace.operations(publisher.offer)
    assert await publisher.calls_since(before) == ["list_submissions"] * 2
    await publisher.known()
    product = {**publisher.by_hand.sample["resources"][0], "id": f"product/{publisher.by_hand.product}"}
    await publisher.by_hand.written(product | {"lifecycleState": "deleted"})
    with pytest.raises(errors.NotFound):
        await publisher.marketplace.operations(publisher.offer)


@pytest.mark.parametrize("status", [400, 404])
async def test_a_slot_that_was_never_reached_is_empty(publisher: Publisher, status: int) -> None:
    await publisher.by_hand.switch(tree_absent_status=status)
    await publisher.put()
    assert await publisher.slots() == {"preview": None, "production": None}


@pytest.mark.parametrize("status", [400, 404])
async def test_a_slot_that_was_reached_is_never_mistaken_for_an_empty_one(publisher: Publisher, status: int) -> None:
    await publisher.live()
    await publisher.by_hand.fault("read_tree", {"kind": "respond", "status": status}, slot="Production")
    with pytest.raises(errors.Unreadable, match="submissions say that there is one"):
        await publisher.slot(Slot.PRODUCTION)


async def test_without_a_draft_an_edit_starts_from_what_is_live(publisher: Publisher) -> None:
    await publisher.live()
    await publisher.by_hand.switch(no_pending_draft="absent")
    assert await publisher.slot(Slot.DRAFT) is None
    outcome = await publisher.edit(image("4.3.0"))
    assert [str(each) for each in outcome.added] == [f"{PLAN} 4.3.0"]
    assert await publisher.by_hand.versions() == [SAMPLE_VERSION, "4.3.0"]


async def test_a_draft_that_the_service_does_not_show_is_never_mistaken_for_an_empty_one(
    publisher: Publisher,
) -> None:
    await publisher.live()
    await publisher.edit(image("4.3.0"))
    refusal = {"kind": "respond", "status": 404, "body": NOTHING_THERE}
    await publisher.by_hand.fault("read_tree", refusal, slot="Draft", times=2)
    before = await publisher.requests()
    with pytest.raises(errors.Unreadable, match="resources say that there is one"):
        await publisher.edit(image("4.4.0"))
    assert "configure_draft" not in await publisher.calls_since(before)
    with pytest.raises(errors.Unreadable):
        await publisher.edit(image("4.4.0"))
    assert await publisher.by_hand.versions() == [SAMPLE_VERSION, "4.3.0"]


async def test_the_draft_of_an_unpublished_offer_is_never_mistaken_for_an_empty_one(publisher: Publisher) -> None:
    await publisher.put()
    refusal = {"kind": "respond", "status": 400, "body": NOTHING_THERE}
    await publisher.by_hand.fault("read_tree", refusal, slot="Draft")
    with pytest.raises(errors.Unreadable, match="resources say that there is one"):
        await publisher.slot(Slot.DRAFT)


@pytest.mark.parametrize("call", ["read_tree", "read_resource"])
async def test_the_answer_of_a_gateway_does_not_mean_an_empty_draft(publisher: Publisher, call: str) -> None:
    await publisher.live()
    await publisher.by_hand.switch(no_pending_draft="absent")
    slot = {"slot": "Draft"} if call == "read_tree" else {}
    await publisher.by_hand.fault(call, {"kind": "respond", "status": 404, "body": "<html>Not here</html>"}, **slot)
    with pytest.raises(errors.Unreadable, match="does not say that there is n"):
        await publisher.slot(Slot.DRAFT)
    assert await publisher.slot(Slot.DRAFT) is None


@pytest.mark.parametrize("shape", ["live_only", "second_live", "preview_and_live"])
async def test_a_preview_that_is_cleared_after_its_promotion_is_empty(publisher: Publisher, shape: str) -> None:
    await publisher.by_hand.switch(after_go_live=shape, preview_cleared_after_go_live=True)
    await publisher.live()
    assert await publisher.slot(Slot.PREVIEW) is None
    await publisher.edit(image("4.3.0"))
    await publisher.published()
    await publisher.by_hand.fault("read_tree", {"kind": "respond", "status": 404}, slot="Preview")
    with pytest.raises(errors.Unreadable, match="submissions say that there is one"):
        await publisher.slot(Slot.PREVIEW)


async def test_two_offers_with_the_same_id_are_refused(publisher: Publisher) -> None:
    await publisher.put()
    [ours] = (await publisher.by_hand.get(f"product?externalId={OFFER}"))["value"]
    twins = [ours | {"id": "product/00000000-0000-0000-0000-000000000001"}, ours, ours]
    body = json.dumps({"value": twins})
    await publisher.by_hand.fault("list_products", {"kind": "respond", "status": 200, "body": body})
    ids = f"00000000-0000-0000-0000-000000000001, {ours['id'].removeprefix('product/')}"
    with pytest.raises(errors.Refused, match=f"2 offers of that id, product {ids}"):
        await marketplace_of(publisher).operations(publisher.offer)


# Editing


async def test_an_edit_writes_once_and_a_second_one_writes_nothing(publisher: Publisher) -> None:
    await publisher.live()
    before = await publisher.requests()
    outcome = await publisher.edit(image("4.3.0"))
    assert outcome.changed
    assert (await publisher.calls_since(before)).count("configure_draft") == 1
    assert publisher.handles[-1].startswith("job:")
    before = await publisher.requests()
    assert not (await publisher.edit(image("4.3.0"))).changed
    assert "configure_draft" not in await publisher.calls_since(before)


async def test_planning_an_edit_writes_nothing(publisher: Publisher) -> None:
    await publisher.live()
    before = await publisher.requests()
    outcome = await publisher.plan(image("4.3.0"))
    assert [str(each) for each in outcome.added] == [f"{PLAN} 4.3.0"]
    assert set(await publisher.calls_since(before)) == {"read_tree"}


async def test_a_caller_that_is_not_the_sole_writer_writes_nothing(publisher: Publisher) -> None:
    await publisher.live()
    before = await publisher.requests()
    with pytest.raises(errors.Unguarded):
        await publisher.edit(image("4.3.0"), sole_writer=False)
    assert "configure_draft" not in await publisher.calls_since(before)
    with pytest.raises(errors.Unguarded):
        await publisher.put(replace=True, sole_writer=False)
    there = image(
        SAMPLE_VERSION, os_vhd_url=f"https://fabrikamimages.blob.core.windows.net/vhds/webstack-4.2.0.vhd?{SAS}"
    )
    assert not (await publisher.edit(there, sole_writer=False)).changed


async def test_an_image_that_somebody_adds_just_before_the_write_is_kept(publisher: Publisher) -> None:
    await publisher.live()
    action: dict[str, object] = {"kind": "stranger_edit", "version": "7.7.7"}
    await publisher.by_hand.fault("read_tree", action, slot="Draft", after=1)
    before = await publisher.requests()
    await publisher.edit(image("4.3.0"))
    assert await publisher.by_hand.versions() == [SAMPLE_VERSION, "7.7.7", "4.3.0"]
    assert (await publisher.calls_since(before)).count("configure_draft") == 1


async def test_an_image_that_somebody_removes_is_added_again(publisher: Publisher) -> None:
    await publisher.live()
    held = await publisher.by_hand.configuration()
    taken = False

    async def take_back(_time: timedelta) -> None:
        nonlocal taken
        if not taken:
            taken = True
            await publisher.by_hand.written(held)

    publisher.marketplace._writes._pause = take_back
    await publisher.edit(image("4.3.0"))
    assert taken
    assert await publisher.by_hand.versions() == [SAMPLE_VERSION, "4.3.0"]


async def test_a_draft_that_somebody_else_keeps_writing_is_a_conflict(publisher: Publisher) -> None:
    await publisher.live()
    await publisher.by_hand.fault("read_tree", {"kind": "stranger_edit"}, slot="Draft", times=-1)
    with pytest.raises(errors.Conflict, match="changed by somebody else 5 times"):
        await publisher.edit(image("4.3.0"))


@pytest.mark.parametrize("reads", [0, 1, 5])
async def test_a_job_is_followed_to_its_end(publisher: Publisher, reads: int) -> None:
    await publisher.live()
    await publisher.by_hand.switch(draft_job_reads=reads, draft_changes="completed")
    await publisher.edit(image("4.3.0"))
    assert await publisher.by_hand.versions() == [SAMPLE_VERSION, "4.3.0"]


@pytest.mark.parametrize("spelling", ["jobId", "jobID"])
@pytest.mark.parametrize("details", ["array", "object", "absent"])
async def test_a_refused_edit_is_reported_with_its_innermost_errors(
    publisher: Publisher, spelling: str, details: str
) -> None:
    await publisher.live()
    await publisher.by_hand.switch(job_id_spelling=spelling, error_details=details)
    sku = Sku(id="webstack-lts-arm64", security_types=["trusted", "confidential"])
    with pytest.raises(errors.Invalid, match=r"edit .*job failed: \w+Error: .*\(.*technical-configuration/"):
        await publisher.edit(image("4.3.0", generation="arm32Gen9", sku=sku))


async def test_a_failed_job_that_has_changed_the_draft_is_a_success(publisher: Publisher) -> None:
    await publisher.live()
    await publisher.by_hand.switch(failed_jobs_apply="everything", active_version_limit=1)
    outcome = await publisher.edit(image("4.3.0"))
    assert outcome.changed
    assert outcome.warnings[-1].startswith("The marketplace's job failed, yet the draft holds what was asked for: ")
    assert "4.3.0" in await publisher.by_hand.versions()


async def test_a_plan_that_the_service_calls_full_is_full(publisher: Publisher) -> None:
    await publisher.live()
    await publisher.by_hand.switch(active_version_limit=1)
    with pytest.raises(errors.PlanFull, match="when_full"):
        await publisher.edit(image("4.3.0"))


async def test_published_versions_are_deprecated_to_make_room(publisher: Publisher) -> None:
    await publisher.live()
    await publisher.edit(image("4.3.0"))
    outcome = await publisher.edit(image("4.4.0"), when_full=WhenFull.REMOVE_OLDEST, limit=2)
    # The sample's version is the newest in Production. The one that only the draft has must go.
    assert [str(each) for each in outcome.removed] == [f"{PLAN} 4.3.0"]
    assert await publisher.by_hand.versions() == [SAMPLE_VERSION, "4.4.0"]
    number = await publisher.published()
    await publisher.go_live(number)
    publisher.by_hand.clock.advance(5 * DAY)
    outcome = await publisher.edit(image("4.5.0"), when_full=WhenFull.REMOVE_OLDEST, limit=2)
    assert [str(each) for each in outcome.deprecated] == [f"{PLAN} {SAMPLE_VERSION}"]
    await publisher.published()
    promotion = publisher.marketplace.promotion(**await publisher.slots())
    assert [str(each) for each in promotion.deprecates] == [f"{PLAN} {SAMPLE_VERSION}"]
    assert [str(each) for each in promotion.adds] == [
        f"{PLAN} 4.5.0 (generation x64Gen1)",
        f"{PLAN} 4.5.0 (generation x64Gen2)",
    ]
    assert promotion.changes == []
    with pytest.raises(errors.PlanFull, match="holds 2 active versions"):
        await publisher.edit(image("4.6.0"), limit=2)


async def test_the_job_of_an_earlier_attempt_is_followed_before_anything_is_sent(publisher: Publisher) -> None:
    await publisher.live()
    await publisher.by_hand.switch(draft_changes="completed", draft_job_reads=3)
    entry = version_entry("4.3.0")
    changed = await publisher.by_hand.changed(lambda each: each["vmImageVersions"].append(entry))
    job = (await publisher.by_hand.configure(changed)).json()["jobId"]
    before = await publisher.requests()
    outcome = await publisher.edit(
        image("4.3.0"), attempt=publisher.attempt(repeated=True, may_have_sent=True, handle=f"job:{job}")
    )
    assert "configure_draft" not in await publisher.calls_since(before)
    assert [str(each) for each in outcome.added] == [f"{PLAN} 4.3.0"]


async def test_a_job_that_the_service_has_forgotten_is_judged_by_the_draft(publisher: Publisher) -> None:
    await publisher.live()
    gone = publisher.attempt(repeated=True, may_have_sent=True, handle="job:00000000-0000-0000-0000-000000000000")
    await publisher.edit(image("4.3.0"), attempt=gone)
    assert await publisher.by_hand.versions() == [SAMPLE_VERSION, "4.3.0"]


async def test_an_edit_whose_answer_was_lost_is_recognised(publisher: Publisher) -> None:
    await publisher.live()
    await publisher.by_hand.fault("configure_draft", {"kind": "drop", "when": "after"})
    with pytest.raises(errors.Unreachable):
        await publisher.edit(image("4.3.0"))
    before = await publisher.requests()
    await publisher.edit(image("4.3.0"), attempt=publisher.attempt(repeated=True, may_have_sent=True))
    assert "configure_draft" not in await publisher.calls_since(before)


@pytest.mark.parametrize("contention", ["409", "423", "400", "job"])
async def test_an_edit_while_the_offer_is_locked_is_a_conflict(publisher: Publisher, contention: str) -> None:
    await publisher.live()
    await publisher.edit(image("4.3.0"))
    await publisher.publish()
    await publisher.by_hand.switch(edits_while_running="refuse", contention=contention)
    with pytest.raises(errors.Conflict) as caught:
        await publisher.edit(image("4.4.0"))
    assert caught.value.status != 412


async def test_an_offer_may_be_edited_while_a_publish_runs(publisher: Publisher) -> None:
    await publisher.live()
    await publisher.edit(image("4.3.0"))
    await publisher.publish()
    await publisher.edit(image("4.4.0"))
    assert await publisher.by_hand.versions() == [SAMPLE_VERSION, "4.3.0", "4.4.0"]


def marketplace_of(publisher: Publisher, **members: Any) -> ProductIngestionMarketplace:
    token = FixedToken(SecretStr(publisher.by_hand.token))
    url = str(publisher.by_hand.http.base_url.join(BASE))
    return ProductIngestionMarketplace(ProductIngestion(publisher.by_hand.http, token, url=url, **members))


async def test_versions_that_an_old_schema_version_hides_are_never_deleted(publisher: Publisher) -> None:
    await publisher.live()
    await publisher.by_hand.switch(ceiling_hides="newer_configurations")
    publisher.marketplace = marketplace_of(publisher, schema_version="2022-03-01-preview2")
    with pytest.raises(errors.Refused, match=r"shows no image versions.*MARKETPLACE_SCHEMA_VERSION"):
        await publisher.plan(image("4.3.0"))


async def test_a_disk_without_a_sas_is_signed_if_the_worker_has_the_key(publisher: Publisher) -> None:
    await publisher.live()
    url = "https://fabrikamimages.blob.core.windows.net/vhds/web.vhd"
    await publisher.edit(image("4.3.0", os_vhd_url=url, data_disks=[DataDisk(lun=0, vhd_url=url)]))
    source = (await publisher.by_hand.configuration())["vmImageVersions"][1]["vmImages"][0]["source"]
    assert source["osDisk"]["uri"].startswith(f"{url}?")
    assert source["dataDisks"][0]["uri"].startswith(f"{url}?")


async def test_a_gallery_image_goes_from_draft_to_live(publisher: Publisher) -> None:
    await publisher.live()
    wanted = image("4.3.0", os_vhd_url=None, gallery_image_id=gallery("4.3.0"))
    await publisher.edit(wanted)
    assert (await publisher.slot(Slot.DRAFT)).missing([wanted]) == []  # type: ignore[union-attr]
    shared = (await publisher.by_hand.configuration())["vmImageVersions"][1]["vmImages"][0]["source"]["sharedImage"]
    assert shared == {"tenantId": TENANT, "resourceId": gallery("4.3.0")}


# Changes by others


async def change_listing(publisher: Publisher) -> None:
    page = resource_in(await publisher.by_hand.tree(), "listing")
    await publisher.by_hand.written(page | {"title": "Another title"})


@pytest.mark.parametrize("what", ["plan", "edit", "publish"])
async def test_changes_by_others_stop_a_publish_that_would_include_them(publisher: Publisher, what: str) -> None:
    await publisher.live()
    await change_listing(publisher)
    before = await publisher.requests()
    asked = {"plan": publisher.plan, "edit": publisher.edit, "publish": publisher.publish}[what]
    with pytest.raises(errors.ForeignChanges, match=r"listing .*was changed in the draft: title\. It was never"):
        await asked(image("4.3.0"))
    assert not {"configure_draft", "configure_preview"} & set(await publisher.calls_since(before))


async def test_changes_by_others_are_included_when_asked_for(publisher: Publisher) -> None:
    await publisher.live()
    await change_listing(publisher)
    await publisher.edit(image("4.3.0"), foreign_edits=ForeignEdits.INCLUDE)
    await publisher.published(image("4.3.0"), foreign_edits=ForeignEdits.INCLUDE)
    promotion = publisher.marketplace.promotion(**await publisher.slots())
    assert [each.split(": ")[1] for each in promotion.changes] == ["title"]


async def test_a_modular_publish_ignores_a_changed_listing(publisher: Publisher) -> None:
    await publisher.live()
    await change_listing(publisher)
    await publisher.edit(image("4.3.0"), scope=Scope.MODULAR)
    await publisher.published(image("4.3.0"), scope=Scope.MODULAR)
    promotion = publisher.marketplace.promotion(**await publisher.slots())
    assert [str(each) for each in promotion.adds][:1] == [f"{PLAN} 4.3.0 (generation x64Gen1)"]
    assert promotion.changes == []
    assert resource_in(await publisher.by_hand.tree(), "listing")["title"] == "Another title"


@pytest.mark.parametrize(
    "switches",
    [{"retired_schema_host_on_read": True}, {"stale_draft_booleans": True}, {"asset_type_case": "pascal"}],
    ids=str,
)
async def test_oddities_of_the_service_are_not_changes_by_others(
    publisher: Publisher, switches: dict[str, Any]
) -> None:
    await publisher.live()
    await publisher.by_hand.switch(**switches)
    await publisher.edit(image("4.3.0"))
    await publisher.published(image("4.3.0"))
    promotion = publisher.marketplace.promotion(**await publisher.slots())
    assert (promotion.changes, len(promotion.adds)) == ([], 2)


async def test_the_evidence_changes_with_the_preview_only(publisher: Publisher) -> None:
    await publisher.live()
    await publisher.edit(image("4.3.0"))
    await publisher.published()
    first = publisher.marketplace.promotion(**await publisher.slots())
    await publisher.edit(image("4.4.0"))
    assert publisher.marketplace.promotion(**await publisher.slots()) == first
    await publisher.published()
    assert publisher.marketplace.promotion(**await publisher.slots()).evidence != first.evidence


# Publishing


@pytest.mark.parametrize("foreign_edits", [None, ForeignEdits.INCLUDE])
async def test_a_draft_without_a_live_version_is_not_published(
    publisher: Publisher, foreign_edits: ForeignEdits | None
) -> None:
    await publisher.live()
    await publisher.edit(image("4.3.0"))
    number = await publisher.published(image("4.3.0"))
    deleted = {"lifecycleState": "deleted"}  # allowed, since it is not live yet
    await publisher.by_hand.written(
        await publisher.by_hand.changed(lambda each: each["vmImageVersions"][-1].update(deleted))
    )
    await publisher.go_live(number)
    publisher.by_hand.clock.advance(5 * DAY)
    before = await publisher.requests()
    there = image(
        SAMPLE_VERSION, os_vhd_url=f"https://fabrikamimages.blob.core.windows.net/vhds/webstack-4.2.0.vhd?{SAS}"
    )
    with pytest.raises(errors.Conflict, match=rf"the draft lacks {PLAN} 4\.3\.0, which is live") as caught:
        await publisher.publish(there, foreign_edits=foreign_edits)
    assert caught.value.status is None
    assert "configure_preview" not in await publisher.calls_since(before)
    assert (await publisher.plan(there)).changed
    await publisher.edit(there)
    await publisher.published(there, foreign_edits=foreign_edits)
    assert publisher.marketplace.promotion(**await publisher.slots()).removes == []


async def test_a_publish_after_somebody_elses_is_a_conflict(publisher: Publisher) -> None:
    await publisher.live()
    await publisher.edit(image("4.3.0"))
    await publisher.publish()
    await publisher.edit(image("4.4.0"))
    with pytest.raises(errors.Conflict):
        await publisher.publish()
    await publisher.by_hand.switch(contention="job")
    handle = await publisher.publish()
    report = await publisher.ended(handle, OperationKind.PUBLISH)
    assert (report.state, report.operation_id) == (OperationState.TURNED_AWAY, handle)
    assert "in-progress submission already exists" in report.errors[0]


async def test_only_the_latest_submission_can_be_promoted(publisher: Publisher) -> None:
    await publisher.put()
    first = await publisher.published()
    await publisher.edit(image("4.3.0"))
    await publisher.published()
    for odd in ("job:1", "0", "", "12:live", "../x"):
        with pytest.raises(errors.Refused, match="is not the number of a submission"):
            await publisher.go_live(odd)
    handle = await publisher.go_live(first)
    report = await publisher.ended(handle, OperationKind.GO_LIVE)
    assert report.state is OperationState.TURNED_AWAY
    assert "not the latest" in report.errors[0]
    await publisher.by_hand.switch(refuse_at="http")
    with pytest.raises(errors.Conflict, match="not the latest"):
        await publisher.go_live(first)


async def test_a_job_can_be_cancelled_and_a_submission_cannot(publisher: Publisher) -> None:
    await publisher.put()
    handle = await publisher.publish()
    [running] = await publisher.marketplace.operations(publisher.offer)
    with pytest.raises(
        errors.Refused, match=r"cannot be cancelled through the Product Ingestion API.*cancel it in Partner Center"
    ):
        await publisher.marketplace.cancel(publisher.offer, running.id, [])
    await publisher.marketplace.cancel(publisher.offer, handle, [])
    report = await publisher.marketplace.look(publisher.offer, handle)
    assert (report.state, report.kind) == (OperationState.CANCELED, OperationKind.PUBLISH)
    with pytest.raises(errors.Refused, match="already completed"):
        await publisher.marketplace.cancel(publisher.offer, handle, [])


async def test_a_failed_certification_is_named(publisher: Publisher) -> None:
    await publisher.put()
    await publisher.by_hand.step("displaycertify", outcome="block", messages=["Port 22 is open."])
    number = await publisher.published()
    report = await publisher.marketplace.look(publisher.offer, publisher.handles[-1])
    assert (report.state, report.operation_id) == (OperationState.FAILED, number)
    assert [(step.name, step.errors) for step in report.steps] == [("Certification", ["Port 22 is open."])]
    by_number = await publisher.marketplace.look(publisher.offer, number)
    assert by_number.state is OperationState.FAILED
    assert "the reason is in Partner Center" in by_number.errors[0]


async def test_a_forgotten_job_is_reported_from_its_submission(publisher: Publisher) -> None:
    await publisher.live()
    await publisher.edit(image("4.3.0"))
    await publisher.by_hand.switch(job_retention_seconds=0)
    number = await publisher.published()
    [handle] = publisher.handles[-1:]
    for kind in (OperationKind.PUBLISH, None):
        report = await publisher.marketplace.look(publisher.offer, handle, kind)
        assert (report.operation_id, report.state) == (number, OperationState.PREVIEW)
    live = await publisher.go_live(number)
    publisher.by_hand.clock.advance(5 * DAY)
    report = await publisher.marketplace.look(publisher.offer, live, OperationKind.GO_LIVE)
    assert (report.operation_id, report.state) == (f"{number}:live", OperationState.LIVE)


async def test_a_publish_that_was_replaced_before_the_first_look_is_cancelled(publisher: Publisher) -> None:
    await publisher.put()
    handle = await publisher.publish()
    publisher.by_hand.clock.advance(8 * DAY)
    await publisher.edit(image("4.3.0"))
    await publisher.go_live(await publisher.published())
    publisher.by_hand.clock.advance(5 * DAY)
    report = await publisher.marketplace.look(publisher.offer, handle, OperationKind.PUBLISH)
    assert (report.state, report.operation_id) == (OperationState.CANCELED, handle)


async def test_a_forgotten_job_cannot_be_cancelled(publisher: Publisher) -> None:
    await publisher.put()
    handle = await publisher.publish()
    await publisher.by_hand.switch(job_retention_seconds=0)
    publisher.by_hand.clock.advance(8 * DAY)
    with pytest.raises(errors.Refused, match="does not know job:"):
        await publisher.marketplace.cancel(publisher.offer, handle, [])


async def test_a_submission_that_is_not_listed_yet_is_waited_for(publisher: Publisher) -> None:
    await publisher.put()
    await publisher.by_hand.switch(submission_after_seconds=30 * DAY)
    handle = await publisher.publish()
    publisher.by_hand.clock.advance(8 * DAY)
    with pytest.raises(errors.Unreadable, match="does not list its submission yet"):
        await publisher.marketplace.look(publisher.offer, handle, OperationKind.PUBLISH)
    publisher.by_hand.clock.advance(30 * DAY)
    report = await publisher.marketplace.look(publisher.offer, handle, OperationKind.PUBLISH)
    assert (report.state, report.operation_id.isdigit()) == (OperationState.PREVIEW, True)


async def test_every_page_of_a_list_is_read(publisher: Publisher) -> None:
    await publisher.by_hand.switch(after_go_live="second_live", page_size=1)
    await publisher.live()
    await publisher.edit(image("4.3.0"))
    await publisher.published()
    assert len(await publisher.marketplace.operations(publisher.offer)) == 3


# Whole offers


async def test_a_second_put_leaves_the_offer_alone(publisher: Publisher) -> None:
    await publisher.put()
    before = await publisher.requests()
    assert await publisher.put() is None
    assert "configure_draft" not in await publisher.calls_since(before)


async def test_a_failed_put_that_has_changed_the_draft_is_a_success(publisher: Publisher) -> None:
    await publisher.put()
    await publisher.by_hand.switch(failed_jobs_apply="everything", active_version_limit=1)
    other = json.loads(publisher.definition().text)
    resource_in(other, CONFIGURATION)["vmImageVersions"].append(version_entry("4.3.0"))
    put = await publisher.put(OfferDefinition(member="configure", text=json.dumps(other)), replace=True)
    assert put is not None
    assert put.warnings[-1].startswith("The marketplace's job failed, yet the draft holds what was asked for: ")


async def test_a_repeated_put_recognises_its_own_work(publisher: Publisher) -> None:
    await publisher.by_hand.fault("configure_draft", {"kind": "drop", "when": "after"})
    with pytest.raises(errors.Unreachable):
        await publisher.put()
    before = await publisher.requests()
    put = await publisher.put(attempt=publisher.attempt(repeated=True))
    assert put is not None
    assert len(put.images) == 1
    assert "configure_draft" not in await publisher.calls_since(before)


async def test_a_repeated_put_does_not_recognise_another_offer(publisher: Publisher) -> None:
    await publisher.put()
    other = json.loads(publisher.definition().text)
    resource_in(other, "listing")["title"] = "Another title"
    definition = OfferDefinition(member="configure", text=json.dumps(other))
    assert await publisher.put(definition, attempt=publisher.attempt(repeated=True)) is None


async def test_a_replacing_put_applies_its_resources(publisher: Publisher) -> None:
    await publisher.live()
    other = json.loads(publisher.definition().text)
    page = resource_in(other, "listing")
    page["title"] = "Another title"
    other["resources"] = [other["resources"][0], page]
    put = await publisher.put(OfferDefinition(member="configure", text=json.dumps(other)), replace=True)
    assert put is not None
    assert len(put.operations) == 2
    tree = await publisher.by_hand.tree()
    assert resource_in(tree, "listing")["title"] == "Another title"
    assert await publisher.by_hand.versions() == [SAMPLE_VERSION]


async def test_a_replacing_put_without_a_published_version_is_refused(publisher: Publisher) -> None:
    await publisher.live()
    other = json.loads(publisher.definition().text)
    resource_in(other, CONFIGURATION)["vmImageVersions"] = [version_entry("5.0.0")]
    before = await publisher.requests()
    with pytest.raises(
        errors.RuleBroken, match=rf"leaves out version {SAMPLE_VERSION} of the production.*deprecated"
    ):
        await publisher.put(OfferDefinition(member="configure", text=json.dumps(other)), replace=True)
    assert "configure_draft" not in await publisher.calls_since(before)


async def test_a_replacing_put_is_refused_while_the_service_hides_published_versions(publisher: Publisher) -> None:
    await publisher.live()
    await publisher.by_hand.switch(ceiling_hides="newer_configurations")
    publisher.marketplace = marketplace_of(publisher, schema_version="2022-03-01-preview2")
    other = json.loads(publisher.definition().text)
    resource_in(other, CONFIGURATION)["vmImageVersions"] = [version_entry("5.0.0")]
    with pytest.raises(errors.Refused, match=r"shows no image versions.*MARKETPLACE_SCHEMA_VERSION"):
        await publisher.put(OfferDefinition(member="configure", text=json.dumps(other)), replace=True)
    assert await publisher.by_hand.versions() == [SAMPLE_VERSION]


async def test_a_replacing_put_without_an_unpublished_version_is_a_warning(publisher: Publisher) -> None:
    await publisher.put()
    other = json.loads(publisher.definition().text)
    resource_in(other, CONFIGURATION)["vmImageVersions"] = [version_entry("5.0.0")]
    put = await publisher.put(OfferDefinition(member="configure", text=json.dumps(other)), replace=True)
    assert put is not None
    assert [str(each) for each in put.images] == [f"{PLAN} 5.0.0"]
    assert put.warnings[0] == f"Plan {PLAN}: {SAMPLE_VERSION} of the draft is left out, and is deleted."


async def test_a_refused_put_says_why(publisher: Publisher) -> None:
    other = json.loads(publisher.definition().text)
    resource_in(other, CONFIGURATION)["skus"] = [{"imageType": "x64Gen1", "skuId": "unrelated"}]
    with pytest.raises(errors.Invalid, match=r"put .*: the marketplace's job failed: businessValidationError: "):
        await publisher.put(OfferDefinition(member="configure", text=json.dumps(other)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "no array of resources"),
        ("{", "not JSON"),
        ('{"resources": []}', "exactly one `product` resource"),
        ('{"resources": [7]}', "one of its resources is of kind number"),
        (
            f'{{"resources": [{{"$schema": "{SCHEMA}/product/1", "identity": {{"externalId": "other"}}}}]}}',
            f"identity.externalId {OFFER}",
        ),
        (f'{{"resources": [{{"$schema": "{SCHEMA}/submission/1"}}]}}', "leave the submission out"),
    ],
)
async def test_an_invalid_definition_is_refused(publisher: Publisher, text: str, message: str) -> None:
    with pytest.raises(errors.RuleBroken, match=message):
        await publisher.put(OfferDefinition(member="configure", text=text))


async def test_a_definition_of_the_other_api_is_refused(publisher: Publisher) -> None:
    with pytest.raises(errors.RuleBroken, match="offer: is of the Cloud Partner Portal API only"):
        await publisher.put(OfferDefinition(member="offer", text="{}"))


async def test_an_image_with_impossible_values_is_refused(publisher: Publisher) -> None:
    disk = DataDisk(lun=16, vhd_url="https://images.blob.core.windows.net/a.vhd")
    with pytest.raises(errors.RuleBroken, match=r"images\.data_disks\.lun: 16"):
        publisher.marketplace.check(Change(images=[image("1.0.0", data_disks=[disk])]))
    publisher.marketplace.check(Change(images=[image("1.0.0")], scope=Scope.MODULAR))
