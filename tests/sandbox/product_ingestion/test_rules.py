"""The rules on changes of a draft."""

import copy
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from tests.sandbox.product_ingestion.ingestion_client import (
    CONFIGURATION,
    OFFER,
    PLAN,
    SCHEMA,
    IngestionClient,
    gallery_image,
    image,
    resource_in,
    version_entry,
)

Configuration: TypeAlias = dict[str, Any]
Change: TypeAlias = Callable[[Configuration], object]


def without(*numbers: str) -> Change:
    def change(configuration: Configuration) -> None:
        entries = configuration["vmImageVersions"]
        configuration["vmImageVersions"] = [each for each in entries if each["versionNumber"] not in numbers]

    return change


def with_members(number: str, **members: Any) -> Change:
    def change(configuration: Configuration) -> None:
        for entry in configuration["vmImageVersions"]:
            if entry["versionNumber"] == number:
                entry.update(members)

    return change


def with_version(entry: dict[str, Any]) -> Change:
    return lambda configuration: configuration["vmImageVersions"].append(entry)


def with_sku(image_type: str, sku_id: str, **members: Any) -> Change:
    return lambda configuration: configuration["skus"].append({"imageType": image_type, "skuId": sku_id, **members})


def with_member(name: str, value: Any) -> Change:
    return lambda configuration: configuration.update({name: value})


def all_of(*changes: Change) -> Change:
    return lambda configuration: [change(configuration) for change in changes]


async def test_the_image_versions_of_a_request_replace_those_of_the_draft(client: IngestionClient) -> None:
    await client.create()
    await client.add("4.3.0", "4.4.0")
    await client.written(await client.changed(without("4.3.0")))
    assert await client.versions() == ["4.2.0", "4.4.0"]


@pytest.mark.parametrize("place", ["preview", "live"])
async def test_a_published_version_cannot_be_left_out(client: IngestionClient, place: str) -> None:
    await client.live()
    await client.add("4.3.0")
    number = await client.previewed()
    if place == "live":
        await client.go_live(number)
        client.clock.advance(5 * 86_400)
    await client.add("4.4.0")
    assert await client.refused(await client.changed(without("4.3.0"))) == [
        f"Cannot delete published image: version 4.3.0 of plan '{PLAN}' has already been published."
    ]
    assert await client.versions() == ["4.2.0", "4.3.0", "4.4.0"]


async def test_a_version_that_was_never_live_can_be_deleted(client: IngestionClient) -> None:
    await client.live()
    await client.add("4.3.0")
    await client.previewed()
    await client.add("4.4.0")
    both = all_of(with_members("4.3.0", lifecycleState="deleted"), with_members("4.4.0", lifecycleState="deleted"))
    await client.written(await client.changed(both))
    assert await client.versions() == ["4.2.0"]
    await client.add("4.5.0")
    gone = with_members("4.2.0", lifecycleState="deleted")
    assert "Cannot delete published image" in (await client.refused(await client.changed(gone)))[0]
    await client.written(await client.configuration())


async def test_the_images_of_a_published_version_cannot_be_changed(client: IngestionClient) -> None:
    await client.live()
    other = with_members("4.2.0", vmImages=[image("9", "x64Gen1"), image("9", "x64Gen2")])
    assert "its images cannot be changed" in (await client.refused(await client.changed(other)))[0]
    arm = all_of(
        with_sku("arm64Gen2", "webstack-lts-arm64"),
        lambda each: each["vmImageVersions"][0]["vmImages"].append(image("9", "arm64Gen2")),
    )
    assert "its images cannot be changed" in (await client.refused(await client.changed(arm)))[0]

    def sign_again(configuration: Configuration) -> None:
        source = configuration["vmImageVersions"][0]["vmImages"][0]["source"]
        source["osDisk"]["uri"] = source["osDisk"]["uri"].replace("INVENTED", "RENEWED")

    await client.written(await client.changed(sign_again))
    await client.add("4.3.0")
    drafted = with_members("4.3.0", vmImages=[image("9", "x64Gen1"), image("9", "x64Gen2")])
    await client.written(await client.changed(drafted))


async def test_a_deprecation_is_scheduled_and_can_be_reverted(client: IngestionClient) -> None:
    await client.live()
    await client.add("4.3.0")
    soon = {"dateOffset": "P30D", "reason": "other"}
    later = {"dateOffset": "P90D", "reason": "other"}
    change = with_members("4.2.0", lifecycleState="deprecated", deprecationSchedule=soon)
    assert "at least 90 days" in (await client.refused(await client.changed(change)))[0]
    urgent = with_members(
        "4.2.0", lifecycleState="deprecated", deprecationSchedule=soon | {"reason": "criticalSecurityIssue"}
    )
    await client.written(await client.changed(urgent))
    await client.written(
        await client.changed(with_members("4.2.0", lifecycleState="generallyAvailable", deprecationSchedule=later))
    )
    await client.written(
        await client.changed(with_members("4.2.0", lifecycleState="deprecated", deprecationSchedule=later))
    )
    entry = (await client.configuration())["vmImageVersions"][0]
    assert set(entry["deprecationSchedule"]) == {"dateOffset", "reason", "date"}
    number = await client.previewed()
    await client.go_live(number)
    client.clock.advance(5 * 86_400)
    assert "Cannot delete" in (await client.refused(await client.changed(without("4.2.0"))))[0]
    await client.written(await client.configuration())
    await client.written(await client.changed(with_members("4.2.0", lifecycleState="generallyAvailable")))


async def test_a_version_deprecated_before_it_was_ever_live_cannot_be_restored(client: IngestionClient) -> None:
    await client.live()
    await client.add("4.3.0")
    await client.written(await client.changed(with_members("4.3.0", lifecycleState="deprecated")))
    await client.previewed()
    restored = with_members("4.3.0", lifecycleState="generallyAvailable")
    for change in (restored, without("4.3.0")):
        assert "Cannot restore image: version 4.3.0" in (await client.refused(await client.changed(change)))[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("4.2.0"), "requires at least one active image"),
        (with_members("4.2.0", lifecycleState="deprecated"), "requires at least one active image"),
        (with_members("4.2.0", vmImages=[image("4.2.0", "x64Gen1")]), "x64Gen2 of plan 'webstack-lts' requires"),
        (with_sku("arm64Gen2", "arm"), "arm64Gen2 of plan 'webstack-lts' requires at least one active image"),
        (with_sku("x64Gen2", "twice"), "has 2 SKUs"),
        (with_sku("arm64Gen2", PLAN), "must be unique"),
        (with_member("skus", [{"imageType": "x64Gen1", "skuId": "a"}]), "should match plan Id"),
        (with_version(version_entry("4.3.0", "arm64Gen2")), "which has no SKU"),
        (with_version(version_entry("4.2.0", "x64Gen1")), "has 2 images of x64Gen1"),
        (with_member("recommendedVmSizes", None), "must not be null"),
        (with_member("openPorts", None), "must not be null"),
        (with_member("vmProperties", None), "must not be null"),
        (with_member("recommendedVmSizes", ["a"] * 7), "at most 6"),
        (with_member("vmProperties", {"supportsSriov": True}), "is not allowed"),
        (with_member("vmProperties", {"supportsNVMe": "yes"}), "must be a boolean"),
        (with_version(version_entry("4.3")), "three numbers"),
        (with_version(version_entry("4.3.4294967296")), "above 2147483647"),
        (with_version({"versionNumber": "4.3.0", "vmImages": []}), "array of 1 to 3"),
        (
            with_version(version_entry("4.3.0") | {"vmImages": [image("a", "x64Gen1"), image("b", "x64Gen1")]}),
            "an image type twice",
        ),
        (
            with_version({"versionNumber": "4.3.0", "vmImages": [{"imageType": "x64Gen1", "source": {}}]}),
            "sasUri or sharedImageGallery",
        ),
    ],
)
async def test_a_change_that_breaks_a_rule_is_refused(client: IngestionClient, change: Change, words: str) -> None:
    await client.create()
    before = (await client.inside())["slots"]["Draft"]
    assert any(words in leaf for leaf in await client.refused(await client.changed(change)))
    assert (await client.inside())["slots"]["Draft"] == before


async def test_a_gallery_image_cannot_have_disks(client: IngestionClient) -> None:
    await client.create()
    entry: dict[str, Any] = {
        "versionNumber": "4.3.0",
        "vmImages": [gallery_image("4.3.0", "x64Gen1"), gallery_image("4.3.0", "x64Gen2")],
    }
    wrong = copy.deepcopy(entry)
    wrong["vmImages"][0]["source"]["dataDisks"] = []
    wrong["vmImages"][1]["source"]["osDisk"] = None
    assert len(await client.refused(await client.changed(with_version(wrong)))) == 2
    await client.written(await client.changed(with_version(entry)))
    await client.previewed()
    assert await client.versions("preview") == ["4.2.0", "4.3.0"]


async def test_a_sku_and_its_first_image_can_be_written_together(client: IngestionClient) -> None:
    await client.live()
    types = ("x64Gen1", "x64Gen2", "arm64Gen2")
    both = all_of(with_sku("arm64Gen2", "webstack-lts-arm64"), with_version(version_entry("4.3.0", *types)))
    await client.written(await client.changed(both))
    assert len((await client.configuration())["skus"]) == 3


async def test_the_skus_of_a_published_plan_are_locked(client: IngestionClient) -> None:
    await client.live()
    renamed = with_member(
        "skus", [{"imageType": "x64Gen1", "skuId": "other"}, {"imageType": "x64Gen2", "skuId": PLAN}]
    )
    assert "locked by a previous submission" in (await client.refused(await client.changed(renamed)))[0]
    await client.add("4.3.0")
    fewer = all_of(
        with_member("skus", [{"imageType": "x64Gen2", "skuId": PLAN}]),
        without("4.3.0"),
    )
    assert any(
        "x64Gen1 cannot be removed from the live plan" in leaf
        for leaf in await client.refused(await client.changed(fewer))
    )


async def test_a_property_that_is_on_in_live_cannot_be_switched_off(client: IngestionClient) -> None:
    await client.live()
    off = with_member("vmProperties", {"supportsNVMe": False, "supportsCloudInit": True})
    assert await client.refused(await client.changed(off)) == [
        f"The property supportsNVMe is already enabled for plan '{PLAN}' and cannot be disabled."
    ]


async def test_active_versions_are_limited(client: IngestionClient) -> None:
    await client.create()
    await client.switch(active_version_limit=2)
    await client.add("4.3.0")
    full = await client.ended(await client.configure(await client.changed(with_version(version_entry("4.4.0")))))
    assert full["errors"][0]["details"][0]["code"] == "collectionLimitExceeded"
    room = all_of(with_version(version_entry("4.4.0")), with_members("4.2.0", lifecycleState="deprecated"))
    await client.written(await client.changed(room))


@pytest.mark.parametrize("wanted", ["accepted", "refused"])
async def test_a_technical_configuration_may_have_to_be_sent_without_its_id(
    client: IngestionClient, wanted: str
) -> None:
    await client.create()
    await client.switch(configuration_id=wanted)
    configuration = await client.configuration()
    assert configuration["id"].startswith(CONFIGURATION)
    job = await client.ended(await client.configure(configuration))
    assert job["jobResult"] == {"accepted": "succeeded", "refused": "failed"}[wanted]
    del configuration["id"]
    configuration["plan"] = {"externalId": PLAN}
    configuration["product"] = {"externalId": OFFER}
    await client.written(configuration)


@pytest.mark.parametrize(
    "schema",
    [
        "",
        "virtual-machine-plan-technical-configuration/2022-03-01-preview5",
        f"{SCHEMA}/{CONFIGURATION}/2022-03-01-preview9",
        f"{SCHEMA}/{CONFIGURATION}/tomorrow",
        f"https://product-ingestion.azureedge.net/schema/{CONFIGURATION}/2022-03-01-preview5",
    ],
)
async def test_a_request_with_an_unknown_schema_is_answered_400(client: IngestionClient, schema: str) -> None:
    await client.create()
    assert (await client.configure(await client.configuration() | {"$schema": schema})).status_code == 400


async def test_schemas_above_the_ceiling_are_refused_and_old_ones_may_be(client: IngestionClient) -> None:
    await client.create()
    configuration = await client.configuration()
    newest = configuration | {"$schema": f"{SCHEMA}/{CONFIGURATION}/2026-04-01-preview1"}
    assert (await client.configure(newest, params={"$version": "2022-07-01"})).status_code == 400
    await client.written(newest)
    await client.switch(configuration_schema="newest")
    assert (await client.configure(configuration)).status_code == 400
    await client.written(newest)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"resources": []}', b'{"resources": [7]}', b"\xff", b"[" * 50_000, b"NaN"]
)
async def test_a_body_that_is_not_a_configure_document_is_answered_400(client: IngestionClient, body: bytes) -> None:
    refused = await client.call("POST", "configure", content=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "badRequest"


async def test_plans_and_products_can_be_created_changed_and_deleted(client: IngestionClient) -> None:
    product = await client.create()
    plan = {
        "$schema": f"{SCHEMA}/plan/2022-03-01-preview2",
        "product": f"product/{product}",
        "identity": {"externalId": "webstack-edge"},
        "alias": "Edge",
    }
    await client.written(plan)
    assert len((await client.get(f"plan?product=product/{product}"))["value"]) == 2
    configuration = await client.configuration()
    other = {name: value for name, value in configuration.items() if name != "id"} | {
        "plan": {"externalId": "webstack-edge"},
        "skus": [{"imageType": "x64Gen2", "skuId": PLAN}],
        "vmImageVersions": [version_entry("1.0.0", "x64Gen2")],
    }
    assert any("must be unique" in leaf for leaf in await client.refused(other))
    other["skus"] = [{"imageType": "x64Gen2", "skuId": "webstack-edge"}]
    await client.written(other)
    assert (await client.inside())["slots"]["Draft"]["images"] == {PLAN: ["4.2.0"], "webstack-edge": ["1.0.0"]}
    await client.written(plan | {"lifecycleState": "deleted"})
    assert (await client.inside())["slots"]["Draft"]["images"] == {PLAN: ["4.2.0"]}
    await client.written(resource_in(await client.tree(), "product") | {"lifecycleState": "deleted"})
    assert (await client.get(f"product?externalId={OFFER}"))["value"] == []


async def test_a_live_plan_or_product_cannot_be_deleted(client: IngestionClient) -> None:
    await client.live()
    tree = await client.tree()
    for kind, words in (("plan", "published plan"), ("product", "published product")):
        deleted = resource_in(tree, kind) | {"lifecycleState": "deleted"}
        assert words in (await client.refused(deleted))[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"plan": {"externalId": "nothing"}}, "There is no plan"),
        ({"plan": {"resourceName": "nothing"}}, "There is no plan"),
        ({"product": {"resourceName": "nothing"}}, "There is no product"),
        ({"id": "virtual-machine-plan-technical-configuration/a/b"}, "There is no resource"),
        ({"id": "Not an id"}, "is not valid"),
    ],
)
async def test_a_reference_to_an_unknown_resource_is_refused(
    client: IngestionClient, change: dict[str, object], words: str
) -> None:
    await client.create()
    resources = [resource_in(await client.tree(), "product"), await client.configuration() | change]
    assert words in (await client.refused(*resources))[0]


async def test_a_request_is_about_one_known_product(client: IngestionClient) -> None:
    await client.create()
    listing = resource_in(await client.tree(), "listing")
    missing = await client.configure(listing | {"product": {"externalId": "nothing"}, "id": "listing/x"})
    assert missing.status_code in (400, 404)
    product = resource_in(await client.tree(), "product")
    assert any("cannot be changed" in leaf for leaf in await client.refused(product | {"type": "coreVirtualMachine"}))


async def test_a_core_virtual_machine_has_its_own_properties(client: IngestionClient) -> None:
    product = resource_in(client.sample, "product")
    configuration = resource_in(client.sample, CONFIGURATION)
    product["type"] = "coreVirtualMachine"
    assert any("does not belong" in leaf for leaf in await client.refused(*client.sample["resources"]))
    configuration["$schema"] = f"{SCHEMA}/core-{CONFIGURATION}/2022-03-01-preview5"
    assert any("is not allowed" in leaf for leaf in await client.refused(*client.sample["resources"]))
    del configuration["vmProperties"]["supportsAcceleratedNetworking"]
    configuration["vmProperties"]["supportsSriov"] = True
    await client.create()
    assert (await client.get("product"))["value"][0]["type"] == "coreVirtualMachine"
