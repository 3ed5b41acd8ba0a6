"""Reads of products, plans, trees, resources and submissions."""

from typing import Any

import pytest

from sandbox import DEFAULT_TOKEN
from tests.sandbox.product_ingestion.ingestion_client import (
    CONFIGURATION,
    OFFER,
    PLAN,
    SCHEMA,
    IngestionClient,
    gallery_image,
    resource_in,
)


async def test_a_product_is_found_by_its_external_id_in_every_spelling_of_the_query(client: IngestionClient) -> None:
    product = await client.create()
    for name in ("externalId", "externalid", "externalID"):
        (found,) = (await client.get(f"product?{name}={OFFER}&%24version=2022-07-01"))["value"]
        assert found["id"] == f"product/{product}"
        assert found["identity"] == {"externalId": OFFER}
    assert (await client.get("product?externalId=nothing"))["value"] == []
    assert (await client.get(f"product?externalId={OFFER}&type=coreVirtualMachine"))["value"] == []


async def test_plans_are_listed_by_product(client: IngestionClient) -> None:
    product = await client.create()
    (plan,) = (await client.get(f"plan?product=product/{product}"))["value"]
    assert plan["identity"] == {"externalId": PLAN}
    assert plan["id"].startswith(f"plan/{product}/")
    assert (await client.get(f"plan?product=product/{product}&externalId=other"))["value"] == []
    assert (await client.call("GET", f"plan?externalId={PLAN}")).status_code == 400
    assert (await client.call("GET", "plan?product=product/unknown")).status_code == 404


async def test_a_page_of_a_list_links_to_the_next(client: IngestionClient) -> None:
    for number in range(5):
        client.sample["resources"][0]["identity"]["externalId"] = f"offer-{number}"
        await client.written(client.sample["resources"][0])
    address, names = "/rp/product-ingestion/product?$maxpagesize=2", []
    for _ in range(3):
        page = (await client.http.get(address, headers={"Authorization": f"Bearer {client.token}"})).json()
        names.append([product["identity"]["externalId"] for product in page["value"]])
        address = page.get("@nextLink", "")
        assert address.startswith(str(client.http.base_url)) or not address
        assert "%" not in address.partition("continuationToken=")[2]
    assert names == [["offer-0", "offer-1"], ["offer-2", "offer-3"], ["offer-4"]]
    assert address == ""
    assert (await client.call("GET", "product?continuationToken=x")).status_code == 400
    assert (await client.call("GET", "product?$maxpagesize=0")).status_code == 400


async def test_a_tree_has_all_resources_with_durable_ids_in_any_order_and_a_submission(
    client: IngestionClient,
) -> None:
    product = await client.create()
    orders = set()
    for _ in range(8):
        tree = await client.tree()
        assert tree["root"] == f"product/{product}"
        assert tree["target"] == {"targetType": "draft"}
        ids = [resource["id"] for resource in tree["resources"]]
        orders.add(tuple(ids))
        assert f"submission/{product}/0" in ids
        assert f"property/{product}/public/main" in ids
        assert f"listing/{product}/public/main/default/en-us" in ids
        assert f"listing-asset/{product}/public/main/default/en-us/azurelogosmall/1" in ids
        assert len(ids) == len(set(ids)) == len(client.sample["resources"]) + 1
    assert len(orders) > 1


async def test_references_are_stored_as_durable_ids_without_resource_names(client: IngestionClient) -> None:
    product = await client.create()
    tree = await client.tree()
    plan = resource_in(tree, "plan")
    assert resource_in(tree, CONFIGURATION)["plan"] == plan["id"]
    assert all(each["product"] == f"product/{product}" for each in tree["resources"] if "product" in each)
    assert not any("resourceName" in each for each in tree["resources"])


async def test_the_address_of_an_asset_is_signed_again_at_every_read(client: IngestionClient) -> None:
    await client.create()
    durable = resource_in(await client.tree(), "listing-asset")["id"]
    first, second = [(await client.get(durable))["url"] for _ in range(2)]
    assert first != second
    assert first.split("?")[0] == second.split("?")[0]
    asset = resource_in(await client.tree(), "listing-asset")
    await client.written(asset)
    client.clock.advance(2 * 3_600)
    assert "expired" in (await client.refused(asset))[0]
    await client.switch(asset_type_case="pascal")
    assert resource_in(await client.tree(), "listing-asset")["type"] in ("AzureLogoSmall", "AzureLogoLarge")


async def test_the_tree_of_an_empty_target_is_answered_with_an_error(client: IngestionClient) -> None:
    product = await client.create()
    for target in ("preview", "live"):
        absent = await client.call("GET", f"resource-tree/product/{product}?targetType={target}")
        assert absent.status_code == 400
        assert absent.json()["error"]["code"] == "badRequest"
    await client.switch(tree_absent_status=404)
    assert (await client.call("GET", f"resource-tree/product/{product}?targetType=live")).status_code == 404
    for target in ("'draft'", "retail"):
        assert (await client.call("GET", f"resource-tree/product/{product}?targetType={target}")).status_code == 400


async def test_a_resource_is_read_from_the_draft_only(client: IngestionClient) -> None:
    await client.live()
    listing = resource_in(await client.tree(), "listing")
    assert (await client.get(listing["id"])) == listing
    assert (await client.call("GET", f"listing/{client.product}/public/main/default/pt-pt")).status_code == 404
    await client.switch(no_pending_draft="resource_404")
    assert (await client.call("GET", listing["id"])).status_code == 404
    assert (await client.tree())["resources"]
    await client.switch(no_pending_draft="absent")
    assert (await client.call("GET", f"resource-tree/product/{client.product}")).status_code == 400
    await client.stranger("stranger_change")
    assert (await client.get(listing["id"]))["description"] == "Changed by somebody else."


async def test_numbers_and_unknown_members_keep_their_spelling(client: IngestionClient) -> None:
    await client.create()
    prices = '"pricing":{"a":1.10,"b":1e2,"c":638350915370000001,"d":"caf\\u00e9 \\/ &"}'
    plan = resource_in(await client.tree(), "price-and-availability-plan")
    ids = f'"$schema":"{plan["$schema"]}","product":"{plan["product"]}","plan":"{plan["plan"]}"'
    resource = f'{{{ids},"visibility":"visible","audience":"public",{prices}}}'
    body = f'{{"$schema":"{SCHEMA}/configure/2022-07-01","resources":[{resource}]}}'
    await client.ended(await client.call("POST", "configure", content=body))
    assert prices in (await client.call("GET", f"resource-tree/product/{client.product}")).text
    await client.add("4.3.0")
    assert prices in (await client.call("GET", plan["id"])).text


async def test_resources_of_unknown_types_are_stored(client: IngestionClient) -> None:
    product = await client.create()
    await client.written(
        {"$schema": f"{SCHEMA}/weather-forecast/2031-01-01", "product": f"product/{product}", "x": [1]}
    )
    assert resource_in(await client.tree(), "weather-forecast")["x"] == [1]
    await client.previewed()
    assert resource_in(await client.tree("preview"), "weather-forecast")["x"] == [1]


async def test_a_low_ceiling_shows_older_schemas_and_may_hide_versions(client: IngestionClient) -> None:
    await client.create()
    path = f"resource-tree/product/{client.product}?$version=2022-03-01-preview3"

    async def shown() -> dict[str, Any]:
        return resource_in(await client.get(path), CONFIGURATION)

    assert (await shown())["$schema"].endswith("/2022-03-01-preview3")
    assert (await client.configuration())["$schema"].endswith("/2022-03-01-preview5")
    assert len((await shown())["vmImageVersions"]) == 1
    await client.switch(ceiling_hides="newer_configurations")
    assert (await shown())["vmImageVersions"] == []
    assert await client.versions() == ["4.2.0"]
    await client.switch(ceiling_hides="gallery_versions")
    added = {"versionNumber": "5.0.0", "vmImages": [gallery_image("5.0.0", "x64Gen2")]}
    await client.written(await client.changed(lambda each: each["vmImageVersions"].append(added)))
    assert await client.versions() == ["4.2.0"]
    tree = await client.get(f"resource-tree/product/{client.product}?$version=2026-04-01-preview1")
    assert len(resource_in(tree, CONFIGURATION)["vmImageVersions"]) == 2


async def test_the_query_parameter_version_may_be_required(client: IngestionClient) -> None:
    assert (await client.call("GET", "product?$version=soon")).status_code == 400
    await client.switch(schema_version_required=True)
    assert (await client.call("GET", "product")).status_code == 400
    assert (await client.call("GET", "product?$version=2022-07-01")).status_code == 200


async def test_the_property_resource_has_a_retired_schema_host_that_cannot_be_written(
    client: IngestionClient,
) -> None:
    await client.create()
    shown = resource_in(await client.tree(), "property")
    assert shown["$schema"].startswith("https://product-ingestion.azureedge.net/schema/property/")
    refused = await client.configure(shown)
    assert refused.status_code == 400
    assert "host" in refused.json()["error"]["message"]
    await client.switch(retired_schema_host_on_read=False)
    await client.written(resource_in(await client.tree(), "property"))


async def test_a_draft_may_show_false_for_a_property_that_is_on_in_live(client: IngestionClient) -> None:
    await client.live()
    await client.switch(stale_draft_booleans=True)
    properties = (await client.configuration())["vmProperties"]
    assert properties["supportsNVMe"] is False
    assert properties["supportsBackup"] is False
    assert (await client.configuration("live"))["vmProperties"]["supportsNVMe"] is True
    assert "already enabled" in (await client.refused(await client.configuration()))[0]


@pytest.mark.parametrize("path", ["submission/{0}", "submission/{0}/0", "resource-tree/product/{0}", "product/{0}"])
async def test_other_accounts_do_not_see_a_product_and_a_plain_token_sees_all(
    client: IngestionClient, path: str
) -> None:
    product = await client.create()
    address = path.format(product)
    assert (await client.call("GET", address)).status_code == 200
    client.token = DEFAULT_TOKEN
    assert (await client.call("GET", address)).status_code == 200
    client.token = f"{DEFAULT_TOKEN}@somebody-else"
    assert (await client.call("GET", address)).status_code == 404


async def test_new_products_belong_to_the_account_of_the_sandbox(client: IngestionClient) -> None:
    client.token = DEFAULT_TOKEN
    moved = await client.http.put("/_control/account", json={"publisher": client.publisher, "alone": True})
    assert moved.json() == {"publisher": client.publisher, "alone": True}
    await client.create()
    assert (await client.inside())["publisher"] == client.publisher
    (only,) = (await client.get("product"))["value"]
    assert only["id"] == f"product/{client.product}"
    await client.http.put("/_control/account", json={"publisher": "elsewhere", "alone": True})
    assert (await client.get(f"product?externalId={OFFER}"))["value"] == []
    assert (await client.http.put("/_control/account", json={"publisher": ""})).status_code == 400
    await client.http.put("/_control/account", json={"publisher": "fabrikam-linux"})


async def test_the_control_api_sets_the_publisher_of_a_new_product(client: IngestionClient) -> None:
    client.token = DEFAULT_TOKEN
    promised = await client.http.put(f"/_control/owners/{OFFER}", json={"publisher": client.publisher})
    assert promised.json() == {"publisher": client.publisher}
    await client.create()
    assert (await client.inside())["publisher"] == client.publisher


@pytest.mark.parametrize("order", ["newest_first", "oldest_first"])
async def test_submissions_are_listed_in_the_order_of_the_switch_and_in_pages(
    client: IngestionClient, order: str
) -> None:
    product = await client.create()
    await client.switch(submissions_order=order, page_size=1)
    await client.publish()
    first = await client.get(f"submission/{product}")
    assert first["value"][0]["target"]["targetType"] == ("draft" if order == "oldest_first" else "preview")
    headers = {"Authorization": f"Bearer {client.token}"}
    second = (await client.http.get(first["@nextLink"], headers=headers)).json()
    assert "@nextLink" not in second
    assert {each["value"][0]["target"]["targetType"] for each in (first, second)} == {"draft", "preview"}
