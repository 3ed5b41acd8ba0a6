"""The effect of each switch."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sandbox import ManualClock, SandboxMarketplace, serve
from sandbox.switches import Switches
from tests.sandbox.portal_client import DAY, HOUR, START, VM, PortalClient


async def test_an_unknown_switch_is_refused_by_name(client: PortalClient) -> None:
    response = await client.control("PUT", "switches", {"teleport": True})
    assert response.status_code == 400
    assert "teleport" in response.text
    assert (await client.control("PUT", "switches", {"word_case": "loud"})).status_code == 400


async def test_switches_merge_are_shown_and_reset(client: PortalClient) -> None:
    await client.switch(word_case="upper")
    await client.switch(create_status=200)
    shown = (await client.control("GET", "switches")).json()
    assert shown == Switches(word_case="upper", create_status=200).model_dump(mode="json")
    await client.control("DELETE", "switches")
    assert (await client.control("GET", "switches")).json() == Switches().model_dump(mode="json")


async def test_switches_of_one_publisher_leave_the_others_alone(client: PortalClient) -> None:
    await client.switch(forbidden=True)
    assert (await client.call("GET", "")).status_code == 403
    other = PortalClient(client.http, client.clock, client.publisher + "x")
    assert (await other.put()).status_code == 201


@pytest.mark.parametrize("form", ["relative", "absolute", "old_relative", "operation_location_absolute", "none"])
async def test_each_form_of_location_leads_to_the_operation(client: PortalClient, form: str) -> None:
    await client.switch(location_form=form, operation_table_members=True)
    await client.put()
    response = await client.publish()
    location = response.headers.get("location")
    if form == "operation_location_absolute":
        assert location is None
        location = response.headers["operation-location"]
    if form == "none":
        assert location is None
        return
    assert location.startswith("http" if "absolute" in form else "/api/")
    assert ("$2$preview" in location) == (form == "old_relative")
    (entry,) = await client.get("submissions/")
    found = await client.http.get(location, headers={"Authorization": "Bearer sandbox-token"})
    assert found.json()["id"] == entry["id"]


async def test_operations_have_the_status_words_of_the_switches(client: PortalClient) -> None:
    await client.switch(running_word="not yet", success_word="Succeeded")
    operation = await client.published()
    assert (await client.get(f"operations/{operation}"))["status"] == "not yet"
    client.clock.advance(8 * DAY)
    await client.call("POST", "golive")
    assert (await client.get(f"operations/{operation}"))["status"] == "Succeeded"
    await client.switch(success_word="completed", word_case="upper")
    assert (await client.get(f"operations/{operation}"))["status"] == "COMPLETED"
    assert (await client.get("status"))["status"] == "RUNNING"
    await client.switch(word_case="pascal", step_words="operations_page")
    answer = await client.get(f"operations/{operation}")
    assert answer["status"] == "Completed"
    assert answer["steps"][0]["status"] == "Completed"
    assert answer["steps"][-1]["status"] == "NotStarted"


async def test_failed_and_cancelled_operations_have_the_status_words_of_the_switches(client: PortalClient) -> None:
    await client.switch(failure_word="rejected", cancel_word="cancelled")
    await client.step("displaydummycertify", outcome="fail")
    failed = await client.published()
    client.clock.advance(HOUR)
    assert (await client.get(f"operations/{failed}"))["status"] == "rejected"
    await client.publish()
    await client.call("POST", "cancel")
    assert (await client.get("submissions"))[0]["submissionState"] == "cancelled"


async def test_the_json_of_an_operation_may_have_another_form(client: PortalClient) -> None:
    await client.switch(
        operation_as_array=True,
        operation_table_members=True,
        messages_as_strings=True,
        progress_key="processPercentage",
        migrated=False,
    )
    operation = await client.published()
    client.clock.advance(DAY)
    (answer,) = await client.get(f"operations/{operation}")
    assert answer["id"] == operation
    assert answer["notificationEmails"] == "a@b.example"
    assert answer["steps"][0]["messages"] == ["Done."]
    assert answer["steps"][0]["processPercentage"] == 100
    assert (await client.get("status"))["notificationEmails"] == "a@b.example"


async def test_the_sign_off_step_may_have_another_id(client: PortalClient) -> None:
    await client.switch(sign_off_by="step_name")
    operation = await client.waiting()
    steps = (await client.get(f"operations/{operation}"))["steps"]
    assert "publisher-signoff" not in [step["id"] for step in steps]
    assert [step["stepName"] for step in steps if step["status"] == "waitingForPublisherReview"] == [
        "Publisher signoff"
    ]


async def test_only_the_status_of_the_offer_may_show_the_sign_off(client: PortalClient) -> None:
    await client.switch(sign_off_by="offer_status")
    operation = await client.waiting()
    answer = await client.get(f"operations/{operation}")
    assert answer["status"] == "running"
    assert "waitingForPublisherReview" not in json.dumps(answer)
    assert (await client.get("status"))["status"] == "waitingForPublisherReview"
    assert (await client.call("POST", "golive")).status_code == 202


async def test_a_publish_may_be_complete_at_sign_off(client: PortalClient) -> None:
    await client.switch(sign_off_by="operation_completed")
    operation = await client.waiting()
    answer = await client.get(f"operations/{operation}")
    assert answer["status"] == "completed"
    assert "publisher-signoff" not in [step["id"] for step in answer["steps"]]
    status = await client.get("status")
    assert status["status"] == "waitingForPublisherReview"
    assert status["steps"][4]["status"] == "waitingForPublisherReview"
    assert (await client.call("POST", "golive")).status_code == 202
    client.clock.advance(4 * DAY)
    assert (await client.get("status"))["status"] == "succeeded"


async def test_a_completed_publish_that_waits_can_be_cancelled(client: PortalClient) -> None:
    await client.switch(sign_off_by="operation_completed")
    await client.waiting()
    assert (await client.call("POST", "cancel")).status_code == 200
    assert (await client.call("POST", "golive")).status_code == 400


async def test_the_status_of_the_offer_may_mislead(client: PortalClient) -> None:
    await client.switch(offer_status_at_sign_off="running")
    await client.waiting()
    assert (await client.get("status"))["status"] == "running"
    await client.switch(status_contradiction=True)
    assert (await client.get("status"))["status"] == "succeeded"


async def test_etags_may_be_missing_or_in_the_body(client: PortalClient) -> None:
    tag = (await client.put()).headers["etag"]
    assert re.fullmatch(r"W/\"datetime'[\d-]+T\d\d%3A\d\d%3A\d\d\.\d{7}Z'\"", tag)
    assert (await client.call("GET", "")).headers["etag"] == tag
    await client.switch(etag_on_get=False, etag_on_put=False, etag_in_body=True)
    assert "etag" not in (await client.put()).headers
    response = await client.call("GET", "")
    assert "etag" not in response.headers
    assert (await client.put(if_match=response.json()["eTag"])).status_code == 200


async def test_if_match_is_compared_with_the_etag(client: PortalClient) -> None:
    assert (await client.put(if_match='W/"x"')).status_code == 412
    first = (await client.put(if_match=None)).headers["etag"]
    second = (await client.put(if_match=first)).headers["etag"]
    assert first != second
    stale = await client.put(client.with_versions("7.0.0"), if_match=first)
    assert stale.status_code == 412
    assert "7.0.0" not in (await client.call("GET", "")).text
    assert (await client.put(if_match=None)).status_code == 400
    await client.switch(if_match_missing_status=428)
    assert (await client.put(if_match=None)).status_code == 428
    await client.switch(if_match_required="never")
    assert (await client.put(if_match=None)).status_code == 200
    await client.switch(if_match_required="every_call")
    assert (await client.call("GET", "status")).status_code == 428
    assert (await client.call("GET", "status", headers={"If-Match": "*"})).status_code == 200


async def test_create_may_answer_200(client: PortalClient) -> None:
    await client.switch(create_status=200)
    assert (await client.put()).status_code == 200


@pytest.mark.parametrize(
    ("shape", "content"),
    [
        ("documented", '"error"'),
        ("string", '"The offer'),
        ("message_only", '{"message"'),
        ("list", '[{"code"'),
        ("odata", '"odata.error"'),
        ("html", "<html>"),
        ("truncated", '{"error"'),
    ],
)
async def test_an_error_has_the_shape_of_the_switch(client: PortalClient, shape: str, content: str) -> None:
    await client.put()
    await client.switch(error_shape=shape)
    response = await client.call("GET", "slot/Production")
    assert response.status_code == 404
    assert content in response.text
    if shape == "truncated":
        with pytest.raises(json.JSONDecodeError):
            response.json()


async def test_errors_may_have_no_body(client: PortalClient) -> None:
    await client.put()
    await client.switch(error_shape="empty")
    assert (await client.call("GET", "slot/Production")).content == b""


@pytest.mark.parametrize(
    ("fraction", "zone", "form"), [(0, True, r"\dZ"), (6, False, r"\d\.\d{6}"), (9, True, r"\d\.\d{9}Z")]
)
async def test_timestamps_have_the_digits_of_the_switch(
    client: PortalClient, *, fraction: int, zone: bool, form: str
) -> None:
    await client.switch(timestamp_fraction=fraction, timestamp_zone=zone)
    await client.put()
    assert re.fullmatch(r"[\d-]+T\d\d:\d\d:\d" + form, (await client.get(""))["changedTime"])


async def test_changed_time_may_be_in_the_definition(client: PortalClient) -> None:
    await client.switch(changed_time_in_definition=True)
    await client.put()
    document = await client.get("")
    assert "changedTime" not in document
    assert document["definition"]["changedTime"].endswith("Z")


async def test_cancel_may_take_time(client: PortalClient) -> None:
    await client.switch(cancel_async=True, cancel_seconds=600)
    operation = await client.published()
    accepted = await client.call("POST", "cancel")
    assert accepted.status_code == 202
    assert operation in accepted.headers["location"]
    answer = await client.get(f"operations/{operation}")
    assert (answer["status"], answer["cancellationRequestState"]) == ("running", "cancelRequested")
    assert (await client.call("POST", "cancel")).status_code == 202
    assert (await client.publish()).status_code == 400
    client.clock.advance(600)
    assert (await client.get(f"operations/{operation}"))["status"] == "canceled"
    assert (await client.get("status"))["status"] == "canceled"
    assert (await client.publish()).status_code == 202


async def test_a_cancel_may_be_an_operation_with_its_own_id(client: PortalClient) -> None:
    await client.switch(cancel_async=True, cancel_has_own_operation=True, cancel_location="body")
    operation = await client.published()
    accepted = await client.call("POST", "cancel")
    assert "location" not in accepted.headers
    location = accepted.json()["location"]
    assert operation not in location
    assert (await client.get(location))["status"] == "running"
    client.clock.advance(60)
    assert (await client.get(location))["status"] == "completed"
    assert (await client.get(f"operations/{operation}"))["status"] == "canceled"


async def test_a_switch_sets_when_a_publish_can_be_cancelled(client: PortalClient) -> None:
    await client.switch(cancel_window="sign_off_only")
    await client.published()
    assert (await client.call("POST", "cancel")).status_code == 400
    client.clock.advance(8 * DAY)
    await client.switch(cancel_window="before_sign_off")
    assert (await client.call("POST", "cancel")).status_code == 400
    await client.switch(cancel_window="sign_off_only")
    assert (await client.call("POST", "cancel")).status_code == 200
    await client.switch(cancel_idle_status=200)
    assert (await client.call("POST", "cancel")).status_code == 200


async def test_a_second_publish_may_replace_or_join_the_first(client: PortalClient) -> None:
    first = await client.published()
    await client.put(client.with_versions("1.0.0", "1.1.0"))
    await client.switch(second_publish="join")
    assert first in (await client.publish()).headers["location"]
    await client.switch(second_publish="replace")
    assert first not in (await client.publish()).headers["location"]
    assert (await client.get(f"operations/{first}"))["status"] == "canceled"


@pytest.mark.parametrize("conflict", [400, 409])
async def test_edits_may_be_refused_while_an_operation_is_in_progress(client: PortalClient, conflict: int) -> None:
    await client.switch(edits_while_running="refuse", conflict_status=conflict)
    edited = client.with_versions("1.0.0", "1.1.0")
    operation = await client.published()
    refused = await client.put(edited)
    assert refused.status_code == conflict
    assert refused.json()["error"]["code"] == "OperationInProgress"
    assert operation in refused.json()["error"]["message"]
    assert "1.1.0" not in (await client.call("GET", "")).text
    client.clock.advance(8 * DAY)
    assert (await client.put(edited)).status_code == 200
    assert (await client.call("POST", "golive")).status_code == 202
    assert (await client.put(edited)).status_code == conflict
    client.clock.advance(4 * DAY)
    assert (await client.put(edited)).status_code == 200


async def test_edits_are_refused_until_a_cancel_is_done(client: PortalClient) -> None:
    await client.switch(edits_while_running="refuse", cancel_async=True, cancel_seconds=600)
    await client.waiting()
    assert (await client.put()).status_code == 200
    assert (await client.call("POST", "cancel")).status_code == 202
    assert (await client.put()).status_code == 400
    client.clock.advance(600)
    assert (await client.put()).status_code == 200


async def test_edits_are_accepted_while_an_operation_is_in_progress_by_default(
    client: PortalClient,
) -> None:
    operation = await client.published()
    assert (await client.put(client.with_versions("1.0.0", "1.1.0"))).status_code == 200
    client.clock.advance(8 * DAY)
    assert (await client.get(f"operations/{operation}"))["status"] == "running"
    assert "1.1.0" not in (await client.call("GET", "slot/Preview")).text


async def test_an_edit_by_a_stranger_can_be_refused_as_well(client: PortalClient) -> None:
    await client.switch(edits_while_running="refuse")
    await client.published()
    address = f"/_control/offers/{client.publisher}/webstack/stranger"
    refusal = (await client.http.post(address, json={"kind": "stranger_edit"})).json()["refused"]
    assert "is in progress" in refusal


async def test_the_number_of_versions_is_limited(client: PortalClient) -> None:
    nine = client.with_versions(*(f"1.0.{number}" for number in range(9)))
    refused = await client.put(nine)
    assert refused.status_code == 400
    assert "lts" in refused.text
    await client.switch(version_limit=0)
    assert (await client.put(nine)).status_code == 201


async def test_core_vm_offers_have_no_limit_of_versions(client: PortalClient) -> None:
    document = client.with_versions()
    document["offerTypeId"] = "microsoft-azure-corevm"
    images = {f"0.2020051{number}.1": {"osVhdUrl": "x"} for number in range(9)}
    generation = {"planId": "lts-gen2", "microsoft-azure-corevm.vmImagesPublicAzure": images}
    document["definition"]["plans"] = [{"planId": "lts", "diskGenerations": [generation]}]
    await client.switch(validate_sas=False)
    assert (await client.put(document)).status_code == 201
    assert (await client.publish()).status_code == 202


async def test_a_publish_may_increment_the_version_of_the_offer(client: PortalClient) -> None:
    await client.switch(version_increment="publish")
    await client.published()
    assert (await client.get(""))["version"] == 2
    assert (await client.get("submissions"))[0]["offerVersion"] == 1
    assert (await client.get("versions/1"))["version"] == 1


async def test_production_may_lag_behind_the_operation(client: PortalClient) -> None:
    await client.switch(production_lag_seconds=600, preview_cleared_after_go_live=True)
    operation = await client.live()
    assert (await client.get(f"operations/{operation}"))["status"] == "completed"
    assert (await client.call("GET", "slot/Production")).status_code == 404
    client.clock.advance(600)
    assert (await client.call("GET", "slot/Production")).status_code == 200
    assert (await client.call("GET", "slot/Preview")).status_code == 404


async def test_preview_may_lag_behind_the_sign_off(client: PortalClient) -> None:
    await client.published()
    await client.switch(preview_lag_seconds=100, step_durations={})
    client.clock.advance(7 * DAY + HOUR + 900)
    assert (await client.get("status"))["status"] == "waitingForPublisherReview"
    assert (await client.call("GET", "slot/Preview")).status_code == 404
    client.clock.advance(100)
    assert (await client.call("GET", "slot/Preview")).status_code == 200


async def test_a_switch_sets_the_order_of_operations(client: PortalClient) -> None:
    await client.live()
    await client.switch(submissions_order="oldest_first")
    entries = await client.get("submissions")
    assert [entry["submissionType"] for entry in entries] == ["publish", "goLive"]
    assert [entry["slot"] for entry in entries] == ["staging", "production"]
    assert entries[0]["changedTime"] < entries[1]["changedTime"]
    assert entries[0]["version"] < entries[1]["version"]
    await client.switch(submissions_order="shuffled")
    firsts = {(await client.get("submissions"))[0]["id"] for _ in range(40)}
    assert len(firsts) == 2
    await client.switch(submissions_filter_ignored=True)
    assert len(await client.get("submissions", params={"status": "running"})) == 2
    await client.switch(submissions_available=False)
    assert (await client.call("GET", "submissions")).status_code == 404


async def test_a_switch_sets_how_long_steps_take(client: PortalClient) -> None:
    seconds = dict.fromkeys(("displaydummycertify", "displaycertify", "displayprovision", "displaypackage"), 1)
    await client.switch(step_durations=seconds)
    await client.published()
    client.clock.advance(4)
    assert (await client.get("status"))["status"] == "waitingForPublisherReview"


async def test_the_status_of_a_live_offer_in_the_list_may_be_published(client: PortalClient) -> None:
    await client.switch(list_success_word="published")
    await client.live()
    assert (await client.get(f"/api/publishers/{client.publisher}/offers"))[0]["status"] == "published"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"se=2199-05-01": "se=2020-01-01"}, "expired"),
        ({"sp=rl": "sp=r"}, "sp=rl"),
        ({"sr=c": "sr=b"}, "sr=c"),
        ({"st=2024": "st=2198"}, "not valid yet"),
        ({"images.blob.core.windows.net": "example.com"}, "Azure Blob storage"),
        ({".vhd?": "?"}, ".vhd"),
        ({"sig=": "gis="}, "not signed"),
    ],
)
async def test_a_bad_sas_fails_certification(client: PortalClient, change: dict[str, str], complaint: str) -> None:
    text = json.dumps(client.document)
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new)
    await client.put(text)
    await client.publish()
    client.clock.advance(8 * DAY)
    (entry,) = await client.get("submissions")
    answer = await client.get(f"operations/{entry['id']}")
    message: dict[str, Any] = answer["steps"][1]["messages"][0]
    assert answer["status"] == "failed"
    assert message["level"] == "error"
    assert message["messageHtml"].startswith("Failure: Copying Images")
    assert complaint in message["messageHtml"]
    assert "SECRET" not in json.dumps(answer)


async def test_the_sas_check_can_be_switched_off(client: PortalClient) -> None:
    client.document["definition"]["plans"][0][f"{VM}.vmImages"] = {"1.0.0": {"osVhdUrl": "https://example.com/a.vhd"}}
    await client.switch(validate_sas=False)
    await client.waiting()
    assert (await client.get("status"))["status"] == "waitingForPublisherReview"


@pytest.fixture
async def early() -> AsyncIterator[PortalClient]:
    """Yield a client of a sandbox whose clock no other test has moved."""
    clock = ManualClock(START)
    async with serve(SandboxMarketplace(clock=clock)) as address, httpx.AsyncClient(base_url=address) as http:
        yield PortalClient(http, clock, "early")


@pytest.mark.parametrize(("clock", "status"), [("wall", "waitingForPublisherReview"), ("sandbox", "failed")])
async def test_a_sas_is_checked_by_the_wall_clock_or_by_the_clock_of_the_sandbox(
    early: PortalClient, clock: str, status: str
) -> None:
    client, begins = early, datetime.now(UTC) - timedelta(days=1)  # years ahead of the sandbox's clock
    if clock != "wall":
        await client.switch(sas_clock=clock)
    await client.put(json.dumps(client.document).replace("2024-02-20", f"{begins:%Y-%m-%d}"))
    await client.publish()
    client.clock.advance(8 * DAY)
    assert (await client.get("status"))["status"] == status


async def test_a_post_without_a_length_may_be_refused(client: PortalClient) -> None:
    await client.put()
    await client.switch(length_required=True)
    url = client.http.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = f"POST {client.offer}/publish?api-version=2017-10-31 HTTP/1.1"
    lines = [head, "Host: sandbox", "Authorization: Bearer sandbox-token", "Connection: close", "", ""]
    writer.write("\r\n".join(lines).encode())
    assert b" 411 " in await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert (await client.publish()).status_code == 202


async def test_a_publish_may_require_a_body(client: PortalClient) -> None:
    await client.put()
    await client.switch(publish_body_required=True)
    assert (await client.call("POST", "publish")).status_code == 400
    assert (await client.call("POST", "publish", content="{")).status_code == 400
    assert (await client.call("POST", "publish", json={"metadata": {"notification-emails": 7}})).status_code == 400
    assert (await client.publish()).status_code == 202
