"""The life of an offer, from the first PUT to Production."""

from typing import Any

import httpx

from sandbox import ManualClock, SandboxMarketplace, create_app
from tests.sandbox.portal_client import DAY, HOUR, PortalClient


def step_words(operation: dict[str, Any]) -> dict[str, str]:
    """Return the status of each step."""
    return {step["id"]: step["status"] for step in operation["steps"]}


async def test_a_first_publish_goes_through_all_steps_to_production(client: PortalClient) -> None:
    created = await client.put(if_match=None)
    assert created.status_code == 201
    assert created.json()["status"] == "neverPublished"
    assert created.json()["version"] == 1
    assert (await client.call("GET", "slot/Preview")).status_code == 404

    accepted = await client.publish()
    assert accepted.status_code == 202
    location = accepted.headers["Location"]
    operation = (await client.http.get(location, headers={"Authorization": "Bearer sandbox-token"})).json()
    assert operation["status"] == "running"
    assert step_words(operation)["displaydummycertify"] == "inProgress"
    assert (await client.get("status"))["status"] == "running"

    client.clock.advance(2 * DAY)
    operation = await client.get(location)
    assert step_words(operation)["displaycertify"] == "inProgress"
    assert operation["steps"][1]["progressPercentage"] == 66
    assert (await client.call("GET", "slot/Preview")).status_code == 404

    client.clock.advance(5 * DAY + 2 * HOUR)
    operation = await client.get(location)
    assert operation["status"] == "running"
    assert step_words(operation)["publisher-signoff"] == "waitingForPublisherReview"
    assert (await client.get("status"))["status"] == "waitingForPublisherReview"
    assert (await client.get("slot/preview"))["version"] == 1
    assert (await client.call("GET", "slot/Production")).status_code == 404

    live = await client.call("POST", "golive")
    assert live.status_code == 202
    assert (await client.get(location))["status"] == "completed"
    operation = await client.get(live.headers["Location"])
    assert step_words(operation) == {
        "displaydummycertify": "complete",
        "displaycertify": "complete",
        "displayprovision": "complete",
        "displaypackage": "complete",
        "publisher-signoff": "complete",
        "live": "inProgress",
    }
    assert operation["cancellationRequestState"] == "cannotCancel"
    assert (await client.call("POST", "cancel")).status_code == 400

    client.clock.advance(4 * DAY)
    assert (await client.get(live.headers["Location"]))["status"] == "completed"
    assert (await client.get("status"))["status"] == "succeeded"
    assert (await client.get("slot/Production"))["version"] == 1
    assert (await client.get(""))["version"] == 2
    assert (await client.get("versions/1"))["version"] == 1
    kinds = [entry["submissionType"] for entry in await client.get("submissions/")]
    assert kinds == ["goLive", "publish"]


async def test_publishing_the_same_draft_again_starts_nothing(client: PortalClient) -> None:
    operation = await client.published()
    again = await client.publish()
    assert again.status_code == 202
    assert operation in again.headers["Location"]
    assert len(await client.get("submissions")) == 1
    effects = [entry["effect"] for entry in await client.requests() if entry["call"] == "publish"]
    assert effects == [True, False]


async def test_another_draft_is_refused_while_an_operation_runs(client: PortalClient) -> None:
    await client.published()
    await client.put(client.with_versions("1.0.0", "1.1.0"))
    assert (await client.publish()).status_code == 400
    await client.switch(conflict_status=409)
    assert (await client.publish()).status_code == 409


async def test_a_draft_published_at_sign_off_replaces_the_preview(client: PortalClient) -> None:
    first = await client.waiting()
    await client.get("status")
    await client.put(client.with_versions("1.0.0", "1.1.0"))
    second = await client.publish()
    assert second.status_code == 202
    assert first not in second.headers["Location"]
    assert (await client.get(f"operations/{first}"))["status"] == "completed"
    assert len(await client.get("submissions", params={"status": "RUNNING"})) == 1
    client.clock.advance(8 * DAY)
    preview = await client.get("slot/Preview")
    assert len(preview["definition"]["plans"][0]["microsoft-azure-virtualmachines.vmImages"]) == 2


async def test_an_edit_of_the_draft_does_not_change_preview_and_production(client: PortalClient) -> None:
    await client.live()
    before = await client.get("slot/Production")
    await client.put(client.with_versions("1.0.0", "9.9.9"))
    assert (await client.get("slot/Production"))["definition"] == before["definition"]
    assert "9.9.9" in (await client.call("GET", "")).text


async def test_going_live_needs_a_preview_that_waits_for_sign_off(client: PortalClient) -> None:
    await client.put()
    assert (await client.call("POST", "golive")).status_code == 400
    await client.publish()
    assert (await client.call("POST", "golive")).status_code == 400
    client.clock.advance(8 * DAY)
    assert (await client.call("POST", "golive")).status_code == 202
    assert (await client.call("POST", "golive")).status_code == 400


async def test_a_running_publish_can_be_cancelled(client: PortalClient) -> None:
    operation = await client.published()
    client.clock.advance(DAY)
    assert (await client.get(f"operations/{operation}"))["cancellationRequestState"] == "canCancel"
    assert (await client.call("POST", "cancel")).status_code == 200
    answer = await client.get(f"operations/{operation}")
    assert answer["status"] == "canceled"
    assert step_words(answer)["displaydummycertify"] == "complete"
    assert step_words(answer)["displaycertify"] == "canceled"
    assert (await client.get("status"))["status"] == "canceled"
    assert (await client.call("POST", "cancel")).status_code == 400


async def test_the_cancel_of_a_new_publish_leaves_production_alone(client: PortalClient) -> None:
    await client.live()
    await client.put(client.with_versions("1.0.0", "1.1.0"))
    await client.publish()
    assert (await client.call("POST", "cancel")).status_code == 200
    assert "1.1.0" not in (await client.call("GET", "slot/Production")).text


async def test_calls_about_something_that_does_not_exist_are_answered_404(client: PortalClient) -> None:
    paths = [
        "/api/publishers/nobody/offers",
        "/api/publishers/nobody/offers/x",
        "versions/7",
        "slot/Production",
        "operations/0f4c7a1e-63d7-4c0f-9f3a-2a1d7a5be911",
        "/api/elsewhere",
    ]
    await client.put()
    for path in paths:
        response = await client.call("GET", path)
        assert response.status_code == 404, path
        assert response.json()["error"]["code"] == "NotFound"
    assert (await client.call("GET", "slot/Attic")).status_code == 400


async def test_offers_are_listed_with_their_display_text(client: PortalClient) -> None:
    await client.live()
    (summary,) = await client.get(f"/api/publishers/{client.publisher}/offers")
    assert summary["definition"] == {"displayText": "Webstack"}
    assert summary["status"] == "succeeded"
    assert summary["version"] == 2


async def test_a_test_drive_adds_a_step(client: PortalClient) -> None:
    client.document["definition"]["offer"]["microsoft-azure-marketplace-testdrive.enabled"] = True
    operation = await client.published()
    assert "displaytestdrive" in step_words(await client.get(f"operations/{operation}"))


async def test_the_api_version_is_required(client: PortalClient) -> None:
    await client.put()
    response = await client.http.get(client.offer, headers={"Authorization": "Bearer sandbox-token"})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "InvalidAPIVersion"
    assert "[2017-10-31]" in response.json()["error"]["message"]


async def test_the_same_application_serves_without_a_network(client: PortalClient) -> None:
    transport = httpx.ASGITransport(create_app(SandboxMarketplace(clock=ManualClock())))
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as http:
        inside = PortalClient(http, client.clock, "inside")
        assert (await inside.put()).status_code == 201
        assert (await inside.publish()).status_code == 202
