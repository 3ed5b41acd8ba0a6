"""Jobs: how they end, fail and are cancelled."""

import pytest

from tests.sandbox.product_ingestion.ingestion_client import (
    CONFIGURATION,
    DAY,
    SCHEMA,
    IngestionClient,
    leaves,
    resource_in,
)


async def test_a_draft_job_runs_at_the_first_read_and_has_ended_at_the_second(client: IngestionClient) -> None:
    accepted = await client.configure(*client.sample["resources"])
    assert accepted.status_code == 202
    document = accepted.json()
    assert document["jobStatus"] == "notStarted"
    assert document["jobResult"] == "pending"
    assert document["jobEnd"].startswith("0001-01-01")
    assert document["errors"] == []
    first, second = [await client.job(document["jobId"]) for _ in range(2)]
    assert (first["jobStatus"], first["jobResult"]) == ("running", "pending")
    assert (second["jobStatus"], second["jobResult"]) == ("completed", "succeeded")
    assert not second["jobEnd"].startswith("0001")
    assert second["resourceUri"].endswith(f"/configure/{document['jobId']}")


@pytest.mark.parametrize(
    ("reads", "statuses"),
    [(0, ["completed"]), (2, ["notStarted", "running", "completed"])],
)
async def test_a_draft_job_takes_as_many_reads_as_the_switch_says(
    client: IngestionClient, reads: int, statuses: list[str]
) -> None:
    await client.switch(draft_job_reads=reads)
    job = (await client.configure(*client.sample["resources"])).json()["jobId"]
    assert [(await client.job(job))["jobStatus"] for _ in statuses] == statuses


async def test_a_draft_job_may_take_some_seconds_instead(client: IngestionClient) -> None:
    await client.switch(draft_job_seconds=60)
    job = (await client.configure(*client.sample["resources"])).json()["jobId"]
    assert [(await client.job(job))["jobStatus"] for _ in range(3)] == ["running"] * 3
    client.clock.advance(61)
    assert (await client.job(job))["jobResult"] == "succeeded"


@pytest.mark.parametrize("how", [{"draft_job_reads": 1}, {"draft_job_seconds": 60}])
async def test_the_draft_may_change_only_when_the_job_has_ended(
    client: IngestionClient, how: dict[str, float]
) -> None:
    await client.create()
    await client.switch(draft_changes="completed", **how)
    listing = resource_in(await client.tree(), "listing")
    answer = await client.configure(listing | {"title": "Changed"})
    inside = (await client.inside())["slots"]["Draft"]["document"]
    assert resource_in(inside, "listing")["title"] == "Webstack"
    client.clock.advance(60)
    await client.ended(answer)
    assert (await client.get(listing["id"]))["title"] == "Changed"
    detail = await client.get(f"configure/{answer.json()['jobId']}")
    assert [each["title"] for each in detail["resources"]] == ["Changed"]


async def test_a_job_whose_answer_was_lost_ends_when_the_draft_is_read(client: IngestionClient) -> None:
    await client.create()
    await client.switch(draft_changes="completed")
    listing = resource_in(await client.tree(), "listing")
    await client.fault("configure_draft", {"kind": "drop", "when": "after"})
    with pytest.raises(Exception, match="disconnected"):
        await client.configure(listing | {"title": "Changed"})
    titles = [resource_in(await client.tree(), "listing")["title"] for _ in range(2)]
    assert titles == ["Webstack", "Changed"]


async def test_a_job_has_details_once_it_has_succeeded(client: IngestionClient) -> None:
    await client.create()
    listing = resource_in(await client.tree(), "listing")
    job = (await client.configure(listing)).json()["jobId"]
    assert (await client.call("GET", f"configure/{job}")).status_code == 404
    await client.job(job)
    await client.job(job)
    detail = await client.get(f"configure/{job}")
    assert detail["$schema"].startswith(f"{SCHEMA}/configure-detail/")
    assert [each["id"] for each in detail["resources"]] == [listing["id"]]
    refused = await client.configure(listing | {"kind": "saas"})
    await client.ended(refused)
    assert (await client.call("GET", f"configure/{refused.json()['jobId']}")).status_code == 404


@pytest.mark.parametrize(("mode", "title"), [("nothing", "Webstack"), ("others", "New"), ("everything", "New")])
async def test_a_failed_job_may_have_changed_the_draft(client: IngestionClient, mode: str, title: str) -> None:
    await client.create()
    await client.switch(failed_jobs_apply=mode)
    listing = resource_in(await client.tree(), "listing") | {"title": "New"}
    bad = await client.changed(lambda each: each["skus"].append({"imageType": "arm64Gen2", "skuId": "webstack-arm"}))
    answer = await client.configure(listing, bad)
    assert (await client.ended(answer))["jobResult"] == "failed"
    assert (await client.get(listing["id"]))["title"] == title
    assert len((await client.configuration())["skus"]) == (3 if mode == "everything" else 2)
    detail = await client.call("GET", f"configure/{answer.json()['jobId']}")
    written = {resource["id"].split("/")[0] for resource in detail.json().get("resources", [])}
    assert written == {"nothing": set(), "others": {"listing"}, "everything": {"listing", CONFIGURATION}}[mode]


async def test_the_innermost_errors_of_a_job_say_what_is_wrong(client: IngestionClient) -> None:
    await client.create()
    listing = resource_in(await client.tree(), "listing")
    job = await client.ended(await client.configure(listing | {"kind": "saas", "title": None}))
    (error,) = job["errors"]
    assert error["resourceId"] == listing["id"]
    assert {inner["code"] for inner in error["details"]} == {"schemaValidationError"}
    assert {inner["message"] for inner in error["details"]} == {
        "The property 'kind' must be one of azureVM, not 'saas'.",
        "The property 'title' must not be null.",
    }
    assert all(inner["details"] == [] for inner in error["details"])


async def test_errors_may_have_no_details_or_an_object(client: IngestionClient) -> None:
    await client.create()
    listing = resource_in(await client.tree(), "listing") | {"kind": "saas"}
    await client.switch(error_details="object")
    (error,) = (await client.ended(await client.configure(listing)))["errors"]
    assert error["details"] == {}
    assert "kind" in error["message"]
    await client.switch(error_details="absent")
    (error,) = (await client.ended(await client.configure(listing)))["errors"]
    assert "details" not in error


async def test_a_change_that_breaks_a_rule_may_be_answered_400(client: IngestionClient) -> None:
    await client.create()
    await client.switch(refuse_at="http")
    refused = await client.configure(resource_in(await client.tree(), "listing") | {"kind": "saas"})
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "badRequest"
    assert leaves([refused.json()["error"]]) == ["The property 'kind' must be one of azureVM, not 'saas'."]


async def test_a_publish_job_runs_until_the_preview_is_ready(client: IngestionClient) -> None:
    await client.create()
    job = await client.publish()
    for _ in range(3):
        assert (await client.job(job))["jobStatus"] == "running"
    client.clock.advance(8 * DAY)
    assert (await client.job(job))["jobResult"] == "succeeded"


async def test_a_job_may_have_another_id_member_and_may_be_forgotten(client: IngestionClient) -> None:
    await client.create()
    await client.switch(job_id_spelling="jobID", job_retention_seconds=3_600)
    document = (await client.configure(resource_in(await client.tree(), "listing"))).json()
    assert "jobId" not in document
    path = f"configure/{document['jobID']}/status"
    await client.get(path)
    await client.get(path)
    client.clock.advance(3_601)
    assert (await client.call("GET", path)).status_code == 404
    assert (await client.call("GET", "configure/unknown/status")).status_code == 404


async def test_a_draft_job_that_has_not_ended_can_be_cancelled(client: IngestionClient) -> None:
    await client.create()
    await client.switch(draft_changes="completed")
    listing = resource_in(await client.tree(), "listing")
    job = (await client.configure(listing | {"title": "Changed"})).json()["jobId"]
    cancelled = await client.call("POST", f"configure/{job}/cancel")
    assert cancelled.status_code == 200
    assert (cancelled.json()["jobStatus"], cancelled.json()["jobResult"]) == ("completed", "cancelled")
    for _ in range(2):
        assert resource_in(await client.tree(), "listing")["title"] == "Webstack"
    again = await client.call("POST", f"configure/{job}/cancel")
    assert again.status_code == 400
    assert again.json() == {
        "error": {
            "code": "badRequest",
            "message": "Cannot cancel job, job has already completed.",
            "details": [],
        }
    }


async def test_a_publish_can_be_cancelled_until_the_preview_is_ready(client: IngestionClient) -> None:
    await client.create()
    job = await client.publish()
    cancelled = await client.call("POST", f"configure/{job}/cancel")
    assert cancelled.json()["jobResult"] == "cancelled"
    assert await client.submissions() == []
    job = await client.publish()
    client.clock.advance(8 * DAY)
    assert (await client.call("POST", f"configure/{job}/cancel")).status_code == 400
    assert await client.submissions() == [("preview", "completed", "succeeded")]


async def test_a_cancel_may_come_too_late(client: IngestionClient) -> None:
    await client.create()
    await client.switch(cancel_window="sign_off_only")
    job = await client.publish()
    refused = await client.call("POST", f"configure/{job}/cancel")
    assert refused.status_code == 400
    assert "too far along" in refused.json()["error"]["message"]
    client.clock.advance(8 * DAY)
    job = await client.go_live(await client.number_at("preview"))
    assert (await client.call("POST", f"configure/{job}/cancel")).status_code == 400


async def test_a_cancel_may_take_some_time(client: IngestionClient) -> None:
    await client.create()
    await client.switch(cancel_async=True, cancel_seconds=60)
    job = await client.publish()
    answer = await client.call("POST", f"configure/{job}/cancel")
    assert answer.json()["jobStatus"] == "running"
    client.clock.advance(61)
    status = await client.job(job)
    assert status["jobResult"] == "cancelled"
    assert status["errors"][0]["details"][0]["code"] == "operationCanceled"


@pytest.mark.parametrize(("mode", "status"), [("gone", 404), ("failed", 200), ("cancelled", 200)])
async def test_a_cancelled_submission_is_gone_or_has_a_result(
    client: IngestionClient, mode: str, status: int
) -> None:
    await client.create()
    await client.switch(canceled_submission=mode)
    job = await client.publish()
    number = await client.number_at("preview")
    await client.call("POST", f"configure/{job}/cancel")
    read = await client.call("GET", f"submission/{client.product}/{number}")
    assert read.status_code == status
    if status == 200:
        assert read.json()["result"] == mode
        assert await client.submissions() == [("preview", "completed", mode)]
