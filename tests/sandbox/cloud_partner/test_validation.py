"""The checks of a document at a PUT and at a publish."""

from typing import Any

import pytest

from tests.sandbox.portal_client import LISTING, SAS, VM, PortalClient, image


@pytest.mark.parametrize(
    "body",
    [
        "not json",
        "[]",
        "{}",
        '{"definition": NaN}',
        '{"id": "other", "definition": {}}',
        b"\xff",
        "[" * 100_000,
    ],
)
async def test_a_body_that_is_not_an_offer_is_not_stored(client: PortalClient, body: str | bytes) -> None:
    response = await client.call("PUT", "", content=body)
    assert response.status_code == 400
    assert (await client.call("GET", "")).status_code == 404


@pytest.mark.parametrize("change", [{"publisherId": "x"}, {"offerTypeId": None}, {"id": "x"}])
async def test_ids_in_the_document_must_equal_those_in_the_address(
    client: PortalClient, change: dict[str, object]
) -> None:
    assert (await client.put(client.document | change)).status_code == 400


async def test_the_offer_type_is_fixed_and_plan_ids_are_unique(client: PortalClient) -> None:
    await client.put()
    assert (await client.put(client.document | {"offerTypeId": "other"})).status_code == 400
    client.document["definition"]["plans"] *= 2
    assert (await client.put()).status_code == 400


async def test_an_offer_id_follows_the_rules(client: PortalClient) -> None:
    path = f"/api/publishers/{client.publisher}/offers/Bad-"
    assert (await client.call("PUT", path, json=client.document | {"id": "Bad-"})).status_code == 400


async def refusal(client: PortalClient) -> list[dict[str, Any]]:
    """Return the details of a publish that must be refused."""
    await client.put()
    response = await client.publish()
    assert response.status_code == 422, response.text
    error = response.json()["error"]
    assert error["code"] == "ValidationFailed"
    details: list[dict[str, Any]] = error["details"]
    assert all(detail["target"] in error["message"] for detail in details)
    assert await client.get("submissions") == []
    return details


async def test_every_missing_member_is_named(client: PortalClient) -> None:
    del client.document["definition"]["offer"][f"{LISTING}.title"]
    client.document["definition"]["offer"][f"{LISTING}.summary"] = ""
    plan = client.document["definition"]["plans"][0]
    del plan["regions"]
    plan[f"{VM}.operatingSystemFamily"] = "Windows"
    assert {detail["target"] for detail in await refusal(client)} == {
        f"definition.offer['{LISTING}.title']",
        f"definition.offer['{LISTING}.summary']",
        "definition.plans[0].regions",
        f"definition.plans[0]['{VM}.windowsOSType']",
    }


async def test_an_offer_without_plans_cannot_be_published(client: PortalClient) -> None:
    client.document["definition"]["plans"] = []
    assert (await refusal(client))[0]["target"] == "definition.plans"


async def test_the_numbers_of_a_version_may_have_leading_zeros(client: PortalClient) -> None:
    client.document = client.with_versions("2026.03.01", "0.0.0")
    await client.live()
    plan = (await client.get("slot/Production"))["definition"]["plans"][0]
    assert list(plan[f"{VM}.vmImages"]) == ["2026.03.01", "0.0.0"]


@pytest.mark.parametrize("version", ["1.0", "1.0.0.0", "1.0.x", "1..0", "-1.0.0", "1.0.\u0662", "1.0.0-rc1", ""])
async def test_a_version_is_three_numbers(client: PortalClient, version: str) -> None:
    client.document = client.with_versions(version)
    assert [detail["code"] for detail in await refusal(client)] == ["InvalidVersion"]


async def test_a_plan_without_an_image_cannot_be_published(client: PortalClient) -> None:
    client.document = client.with_versions()
    (detail,) = await refusal(client)
    assert detail["code"] == "NoImage"
    assert "lts" in detail["message"]


async def test_a_title_that_is_too_long_is_refused(client: PortalClient) -> None:
    client.document["definition"]["offer"][f"{LISTING}.title"] = "x" * 51
    (detail,) = await refusal(client)
    assert detail["code"] == "TooLong"


async def test_image_versions_are_three_numbers_with_a_disk(client: PortalClient) -> None:
    client.document = client.with_versions("1.0")
    client.document["definition"]["plans"][0][f"{VM}.vmImages"]["1.0.0"] = {}
    assert {detail["code"] for detail in await refusal(client)} == {"InvalidVersion", "MissingMember"}


async def test_all_versions_have_the_same_number_of_data_disks(client: PortalClient) -> None:
    client.document = client.with_versions("1.0.0", "1.1.0")
    images = client.document["definition"]["plans"][0][f"{VM}.vmImages"]
    images["1.1.0"]["lunVhdDetails"] = [{"lun": 0}]
    (detail,) = await refusal(client)
    assert detail["code"] == "DataDisks"


async def test_a_published_version_cannot_change_its_disk(client: PortalClient) -> None:
    await client.live()
    plan = client.document["definition"]["plans"][0]
    plan[f"{VM}.vmImages"]["1.0.0"] = image("other")
    await client.put()
    response = await client.publish()
    assert response.status_code == 422
    assert "version 1.0.0 of plan 'lts'" in response.text
    plan[f"{VM}.vmImages"]["1.0.0"] = image("1.0.0", SAS.replace("SECRET", "RENEWED"))
    await client.put()
    assert (await client.publish()).status_code == 202


async def test_live_plans_regions_and_terms_cannot_be_withdrawn(client: PortalClient) -> None:
    await client.live()
    plan = client.document["definition"]["plans"][0]
    plan["regions"] = ["US"]
    plan["virtualMachinePricing"] = {"isByol": False}
    plan["restrictedAudience"] = {"manualEntries": []}
    await client.put()
    response = await client.publish()
    codes = {detail["code"] for detail in response.json()["error"]["details"]}
    assert codes == {"Withdrawn", "LicenceModel", "MadePrivate"}
    plan["planId"] = "other"
    await client.put()
    assert "PlanRemoved" in (await client.publish()).text


async def test_other_offer_types_are_published_unchecked(client: PortalClient) -> None:
    client.document["offerTypeId"] = "microsoft-azure-applications"
    client.document["definition"] = {"plans": [{"planId": "a"}]}
    await client.waiting()
    assert (await client.get("status"))["status"] == "waitingForPublisherReview"
