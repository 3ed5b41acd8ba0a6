"""Publishing to preview and live, and what prevents it."""

import re
from datetime import timedelta
from typing import Any

import pytest

from tests.sandbox.product_ingestion.ingestion_client import (
    CONFIGURATION,
    DAY,
    OFFER,
    PLAN,
    IngestionClient,
    leaves,
    resource_in,
)


async def test_the_first_publish_goes_to_preview_and_live_under_one_number(client: IngestionClient) -> None:
    product = await client.create()
    job = await client.publish()
    number = await client.number_at("preview")
    assert len(number) == 19
    assert await client.submissions() == [("preview", "running", "pending")]
    client.clock.advance(8 * DAY)
    assert (await client.job(job))["jobResult"] == "succeeded"
    assert await client.submissions() == [("preview", "completed", "succeeded")]
    assert await client.versions("preview") == ["4.2.0"]
    assert resource_in(await client.tree("preview"), "submission")["id"] == f"submission/{product}/{number}"

    live = await client.go_live(number)
    assert await client.submissions() == [("live", "running", "pending")]
    assert (await client.job(live))["jobStatus"] == "running"
    client.clock.advance(5 * DAY)
    assert (await client.job(live))["jobResult"] == "succeeded"
    assert await client.submissions() == [("live", "completed", "succeeded")]
    assert await client.number_at("live") == number
    assert await client.versions("live") == ["4.2.0"]
    assert (await client.get(f"submission/{product}/{number}"))["target"]["targetType"] == "live"


async def test_the_draft_is_always_listed_without_a_status(client: IngestionClient) -> None:
    product = await client.create()
    (entry,) = (await client.get(f"submission/{product}"))["value"]
    assert entry["id"] == f"submission/{product}/0"
    assert not {"status", "result", "created"} & set(entry)
    assert await client.get(f"submission/{product}/0") == entry
    assert (await client.get(f"submission/{product}?targetType=live"))["value"] == []
    assert (await client.call("GET", f"submission/{product}/7")).status_code == 404


async def test_a_later_submission_has_a_greater_number(client: IngestionClient) -> None:
    await client.live()
    first = await client.number_at("live")
    await client.add("4.3.0")
    assert int(await client.previewed()) > int(first)


@pytest.mark.parametrize(
    ("shape", "after"),
    [
        ("live_only", [("live", "completed", "succeeded")]),
        ("second_live", [("live", "completed", "succeeded")] * 2),
        ("preview_and_live", [("live", "completed", "succeeded"), ("preview", "completed", "succeeded")]),
    ],
)
async def test_a_switch_sets_which_submissions_are_listed_after_a_go_live(
    client: IngestionClient, shape: str, after: list[tuple[str, str, str]]
) -> None:
    await client.switch(after_go_live=shape)
    await client.live()
    await client.add("4.3.0")
    number = await client.previewed()
    await client.go_live(number)
    during = await client.submissions()
    assert [entry for entry in during if entry[0] == "live"] == [
        ("live", "completed", "succeeded"),
        ("live", "running", "pending"),
    ]
    assert ("preview", "completed", "succeeded") in during or shape != "preview_and_live"
    client.clock.advance(5 * DAY)
    assert await client.submissions() == after
    assert await client.versions("live") == ["4.2.0", "4.3.0"]


async def test_a_submission_may_be_listed_late(client: IngestionClient) -> None:
    await client.create()
    await client.switch(submission_after_seconds=120)
    await client.publish()
    assert await client.submissions() == []
    client.clock.advance(121)
    assert await client.submissions() == [("preview", "running", "pending")]
    client.clock.advance(8 * DAY)
    await client.go_live(await client.number_at("preview"))
    assert await client.submissions() == [("preview", "completed", "succeeded")]
    client.clock.advance(121)
    assert await client.submissions() == [("live", "running", "pending")]


@pytest.mark.parametrize(
    ("form", "status", "codes"),
    [
        ("409", 409, ("conflict", "invalidState")),
        ("423", 423, ("locked", "productLocked")),
        ("400", 400, ("badRequest", "invalidState")),
        ("job", 202, ("conflict", "invalidState")),
    ],
)
async def test_a_second_publish_is_refused_while_one_runs(
    client: IngestionClient, form: str, status: int, codes: tuple[str, str]
) -> None:
    await client.create()
    await client.publish()
    await client.switch(contention=form)
    refused = await client.configure(client.submission("preview"))
    assert refused.status_code == status
    error = (await client.ended(refused))["errors"][0] if status == 202 else refused.json()["error"]
    assert (error["code"], error["details"][0]["code"]) == codes
    assert error["resourceId"] == f"submission/{client.product}/0"
    assert "in-progress submission" in error["details"][0]["message"]
    assert len((await client.inside())["operations"]) == 1


async def test_edits_may_be_refused_while_a_publish_runs(client: IngestionClient) -> None:
    await client.create()
    await client.publish()
    await client.add("4.3.0")
    await client.switch(edits_while_running="refuse", contention="423")
    refused = await client.configure(await client.configuration())
    assert refused.status_code == 423
    assert refused.json()["error"]["details"][0]["code"] == "productLocked"
    client.clock.advance(8 * DAY)
    await client.add("4.4.0")


async def test_only_the_latest_preview_goes_live(client: IngestionClient) -> None:
    await client.create()
    first = await client.previewed()
    await client.add("4.3.0")
    second = await client.previewed()
    assert await client.refused(client.submission("live", first)) == [
        f"The submission {first} cannot be pushed to live because it is not the latest."
    ]
    assert await client.refused(client.submission("live")) == [
        "The submission id must not be null or 0 for target Live."
    ]
    assert await client.refused(client.submission("live", "0")) == [
        "The submission id must not be null or 0 for target Live."
    ]
    assert await client.refused(client.submission("live", "7")) == ["There is no submission 7."]
    await client.go_live(second)
    assert (await client.configure(client.submission("live", second))).status_code == 409
    client.clock.advance(5 * DAY)
    assert "already been pushed" in (await client.refused(client.submission("live", second)))[0]
    assert await client.versions("live") == ["4.2.0", "4.3.0"]


async def test_a_request_to_go_live_can_have_no_other_resources(client: IngestionClient) -> None:
    await client.create()
    number = await client.previewed()
    listing = resource_in(await client.tree(), "listing")
    assert (await client.configure(listing, client.submission("live", number))).status_code == 400
    assert (await client.configure(client.submission("retail", number))).status_code == 400


async def test_a_failed_certification_fails_the_job_with_its_messages(client: IngestionClient) -> None:
    await client.create()
    await client.step("displaycertify", outcome="block", messages=["<p>No agent.</p>", "Port 22 is open."])
    job = await client.publish()
    client.clock.advance(8 * DAY)
    status = await client.job(job)
    assert status["jobResult"] == "failed"
    (error,) = status["errors"]
    assert error["code"] == "internalServerError"
    (certification,) = error["details"]
    assert (certification["code"], certification["message"]) == ("invalidState", "Certification")
    assert [issues["code"] for issues in certification["details"]] == ["invalidState"]
    assert leaves([error]) == ["<p>No agent.</p>", "Port 22 is open."]
    assert await client.submissions() == [("preview", "completed", "failed")]
    assert (await client.configure(client.submission("live", await client.number_at("preview")))).status_code == 202
    await client.step("displaycertify")
    await client.publish()


async def test_a_disk_that_cannot_be_downloaded_fails_certification(
    client: IngestionClient,
) -> None:
    await client.create()

    def expire(configuration: dict[str, Any]) -> None:
        source = configuration["vmImageVersions"][0]["vmImages"][0]["source"]
        source["osDisk"]["uri"] = source["osDisk"]["uri"].replace("se=2033", "se=2023")

    await client.written(await client.changed(expire))
    job = await client.publish()
    client.clock.advance(8 * DAY)
    assert "SAS has expired" in leaves((await client.job(job))["errors"])[0]


async def test_disks_that_are_published_are_not_downloaded_again_by_default(client: IngestionClient) -> None:
    await client.switch(sas_clock="sandbox")
    expires = f"se={await client.clock.now() + timedelta(days=60):%Y-%m-%d}"
    for each in resource_in(client.sample, CONFIGURATION)["vmImageVersions"][0]["vmImages"]:
        each["source"]["osDisk"]["uri"] = re.sub("se=[^&]*", expires, each["source"]["osDisk"]["uri"])
    await client.live()
    client.clock.advance(60 * DAY)
    job = await client.publish()
    client.clock.advance(8 * DAY)
    assert (await client.job(job))["jobResult"] == "succeeded"
    await client.switch(published_sas_checked=True)
    job = await client.publish()
    client.clock.advance(8 * DAY)
    assert (await client.job(job))["jobResult"] == "failed"


async def test_a_failed_go_live_leaves_a_preview_that_can_go_live(client: IngestionClient) -> None:
    await client.create()
    number = await client.previewed()
    await client.step("live", outcome="fail", messages=["Replication failed."])
    job = await client.go_live(number)
    client.clock.advance(5 * DAY)
    assert leaves((await client.job(job))["errors"]) == ["Replication failed."]
    assert await client.submissions() == [("live", "completed", "failed"), ("preview", "completed", "succeeded")]
    await client.control("DELETE", "steps/live")
    again = await client.go_live(number)
    assert (await client.job(job))["jobResult"] == "failed"
    client.clock.advance(5 * DAY)
    assert (await client.job(again))["jobResult"] == "succeeded"
    assert await client.submissions() == [("live", "completed", "succeeded")]


async def test_a_failed_go_live_may_remove_the_preview(client: IngestionClient) -> None:
    await client.create()
    await client.switch(preview_after_failed_go_live=False)
    number = await client.previewed()
    await client.step("live", outcome="fail")
    await client.go_live(number)
    client.clock.advance(5 * DAY)
    assert await client.submissions() == [("live", "completed", "failed")]
    assert "pushed" in (await client.refused(client.submission("live", number)))[0]


async def test_an_incomplete_draft_cannot_be_published(client: IngestionClient) -> None:
    kept = [each for each in client.sample["resources"] if "/plan-listing/" not in each["$schema"]]
    client.sample["resources"] = kept
    await client.create()
    assert await client.refused(client.submission("preview")) == [f"The plan '{PLAN}' has no plan-listing."]
    assert await client.submissions() == []


async def test_a_modular_publish_takes_only_the_resources_it_names(client: IngestionClient) -> None:
    await client.live()
    await client.stranger("stranger_change")
    configuration = await client.changed(
        lambda each: each["vmImageVersions"].append(each["vmImageVersions"][0] | {"versionNumber": "4.3.0"})
    )
    tree = await client.tree()
    property_ = resource_in(tree, "property")
    property_["$schema"] = property_["$schema"].replace("product-ingestion.azureedge.net", "schema.mp.microsoft.com")
    (missing,) = await client.refused(configuration, client.submission("preview"))
    assert "missing: product, property, plan" in missing
    await client.publish(resource_in(tree, "product"), property_, resource_in(tree, "plan"), configuration)
    client.clock.advance(8 * DAY)
    assert await client.versions("preview") == ["4.2.0", "4.3.0"]
    assert await client.versions("draft") == ["4.2.0", "4.3.0"]
    assert resource_in(await client.tree("preview"), "listing")["description"] == "<p>Hardened web stack.</p>"
    assert resource_in(await client.tree("draft"), "listing")["description"] == "Changed by somebody else."
    await client.switch(no_pending_draft="absent")
    await client.go_live(resource_in(await client.tree("preview"), "submission")["id"].rsplit("/", 1)[-1])
    client.clock.advance(5 * DAY)
    assert resource_in(await client.tree("draft"), "listing")["description"] == "Changed by somebody else."


async def test_an_offer_can_be_created_and_published_in_one_request(client: IngestionClient) -> None:
    body = client.sample["resources"]
    submission = client.submission("preview") | {"product": {"resourceName": "webstack"}}
    answer = await client.configure(*body, submission)
    assert answer.status_code == 202
    client.clock.advance(8 * DAY)
    assert (await client.ended(answer))["jobResult"] == "succeeded"
    assert (await client.inside())["slots"]["Preview"]["images"] == {PLAN: ["4.2.0"]}


async def test_strangers_act_on_an_offer_of_this_api(client: IngestionClient) -> None:
    await client.create()
    assert await client.stranger("stranger_edit", version="4.3.0") is None
    assert await client.versions() == ["4.2.0", "4.3.0"]
    assert await client.stranger("stranger_change", resource="plan-listing", plan_id=PLAN, text="Mine.") is None
    assert resource_in(await client.tree(), "plan-listing")["description"] == "Mine."
    assert await client.stranger("stranger_publish") is None
    assert await client.stranger("stranger_publish")
    assert await client.submissions() == [("preview", "running", "pending")]
    assert await client.stranger("stranger_cancel") is None
    assert await client.submissions() == []
    await client.stranger("stranger_publish")
    client.clock.advance(8 * DAY)
    assert await client.stranger("stranger_go_live") is None
    client.clock.advance(5 * DAY)
    assert await client.submissions() == [("live", "completed", "succeeded")]
    assert await client.versions("live") == ["4.2.0", "4.3.0"]


async def test_a_stranger_may_edit_between_read_and_write(client: IngestionClient) -> None:
    await client.create()
    configuration = await client.configuration()
    await client.fault("configure_draft", {"kind": "stranger_edit", "version": "9.0.0"})
    await client.written(configuration)
    assert await client.versions() == ["4.2.0"]


async def test_the_inside_view_shows_resources_images_jobs_and_submissions(client: IngestionClient) -> None:
    number = await client.live()
    view = await client.inside()
    assert view["api"] == "product_ingestion"
    assert resource_in(view["slots"]["Draft"]["document"], CONFIGURATION)["vmImageVersions"]
    assert [slot["images"] for slot in view["slots"].values()] == [{PLAN: ["4.2.0"]}] * 3
    publish, live = view["operations"]
    assert (publish["id"], publish["submission"]) == (number, number)
    assert (live["id"], live["submission"]) == (f"{number}:live", number)
    assert (await client.job(live["job_id"]))["jobResult"] == "succeeded"


async def test_the_page_shows_an_offer_once_and_the_other_api_does_not_know_it(client: IngestionClient) -> None:
    await client.live()
    page = (await client.http.get("/")).text
    assert page.split(f"<h2>{client.publisher}</h2>")[1].split("<h2>")[0].count(f"<h3>{OFFER}</h3>") == 1
    portal = f"/api/publishers/{client.publisher}/offers"
    options: dict[str, Any] = {
        "params": {"api-version": "2017-10-31"},
        "headers": {"Authorization": f"Bearer {client.token}", "If-Match": "*"},
    }
    assert (await client.http.get(f"{portal}/{OFFER}", **options)).status_code == 404
    assert (await client.http.get(portal, **options)).json() == []
    assert (await client.http.put(f"{portal}/{OFFER}", content="{}", **options)).status_code == 409


async def test_the_log_names_the_call_the_offer_the_effect_and_the_operation(client: IngestionClient) -> None:
    number = await client.live()
    entries = [entry for entry in await client.requests() if str(entry["call"]).startswith("configure")]
    assert [(entry["call"], entry["offer"], entry["effect"]) for entry in entries] == [
        ("configure_draft", OFFER, True),
        ("configure_preview", OFFER, True),
        ("configure_live", OFFER, True),
    ]
    assert entries[0]["operation_id"] == f"job:{entries[0]['job_id']}"
    assert [entry["operation_id"] for entry in entries[1:]] == [number, f"{number}:live"]
    await client.refused(client.submission("live", number))
    assert (await client.requests())[-3]["effect"] is False
