"""Image versions are put into technical configurations, and everything else stays as it is."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from marketplace import errors
from marketplace.json_text import Number, parse
from marketplace.model import Change, DataDisk, Deprecation, EditOutcome, Image, Sku, Slot, WhenFull
from marketplace.product_ingestion import edits, resources
from marketplace.product_ingestion.plan_configurations import VersionsHidden, trees
from marketplace.versions import sort_key
from tests.marketplace.product_ingestion.offers import (
    EXPIRED,
    NOW,
    PLANS,
    SAS,
    TENANT,
    P,
    configuration,
    edit,
    gallery,
    gallery_image,
    gallery_source,
    image,
    numbers,
    of_property,
    plan,
    product,
    sas_source,
    slots,
    text,
    tree,
    url,
    version,
)


def test_a_new_version_is_added_at_the_end() -> None:
    [written], outcome = edit(slots(configuration(version("1.0.0"))), image("1.1.0"))
    assert numbers(written) == ["1.0.0", "1.1.0"]
    assert written["vmImageVersions"][1]["vmImages"] == [{"imageType": "x64Gen2", "source": sas_source("1.1.0")}]
    assert [str(each) for each in outcome.added] == ["lts 1.1.0"]


def test_a_new_version_may_be_smaller_than_the_existing_ones() -> None:
    [written], _ = edit(slots(configuration(version("2.0.0"))), image("1.9.9"))
    assert numbers(written) == ["2.0.0", "1.9.9"]


def test_a_version_that_is_there_with_the_same_source_is_left_alone() -> None:
    there = slots(
        configuration(version("1.0.0", source=sas_source("1.0.0", "sv=other&sr=c&sp=rl&se=2027-01-01&sig=x")))
    )
    assert edit(there, image("1.0.0")) == ([], EditOutcome())


def test_an_image_that_is_there_and_deprecated_is_a_warning() -> None:
    there = configuration(version("1.0.0", lifecycleState="deprecated"), version("1.1.0"))
    written, outcome = edit(slots(there, there, there), image("1.0.0"), image("1.1.0"))
    assert written == []
    [warning] = outcome.warnings
    assert warning.startswith("lts 1.0.0: it is there, but deprecated, and stays so. Restore it in Partner Center")


def test_data_disks_are_written_in_the_order_of_their_numbers() -> None:
    disks = [DataDisk(lun=2, vhd_url=url("b")), DataDisk(lun=0, vhd_url=url("a"))]
    [written], _ = edit(slots(configuration(version("1.0.0"))), image("1.1.0", data_disks=disks))
    source = written["vmImageVersions"][1]["vmImages"][0]["source"]
    assert source["dataDisks"] == [{"lunNumber": 0, "uri": url("a")}, {"lunNumber": 2, "uri": url("b")}]


def test_a_gallery_image_without_a_tenant_gets_the_tenant_of_the_worker() -> None:
    wanted = gallery_image("1.1.0", gallery_tenant_id=None)
    [written], _ = edit(slots(configuration(version("1.0.0"))), wanted, tenant=TENANT)
    assert written["vmImageVersions"][1]["vmImages"][0]["source"] == gallery_source("1.1.0")


def test_a_gallery_image_without_a_known_tenant_is_refused() -> None:
    with pytest.raises(errors.RuleBroken, match="gallery_tenant_id, or set AZURE_TENANT_ID"):
        edit(slots(configuration(version("1.0.0"))), gallery_image("1.1.0", gallery_tenant_id=None))


def test_gallery_images_are_compared_without_letter_case() -> None:
    there = slots(configuration(version("1.1.0", source=gallery_source("1.1.0"))))
    shouted = Image(
        plan_id="lts", version="1.1.0", gallery_image_id=gallery("1.1.0").upper(), gallery_tenant_id=TENANT.upper()
    )
    assert edit(there, shouted)[0] == []


def test_an_image_without_a_type_is_for_every_type_of_the_plan() -> None:
    [written], _ = edit(slots(configuration(version("1.0.0"), types="x64Gen1 x64Gen2")), image("1.1.0"))
    assert [each["imageType"] for each in written["vmImageVersions"][1]["vmImages"]] == ["x64Gen1", "x64Gen2"]


def test_an_image_without_a_type_is_refused_if_the_plan_has_two_architectures() -> None:
    there = slots(configuration(version("1.0.0"), types="x64Gen2 arm64Gen2"))
    with pytest.raises(errors.RuleBroken, match=r"x64Gen2, arm64Gen2\. Say with `generation`"):
        edit(there, image("1.1.0"))


def test_several_images_of_one_version_become_one_entry() -> None:
    there = slots(configuration(version("1.0.0"), types="x64Gen2 arm64Gen2"))
    [written], outcome = edit(
        there,
        image("1.1.0", generation="x64Gen2", name="x64"),
        image("1.1.0", generation="arm64Gen2", name="arm"),
    )
    assert numbers(written) == ["1.0.0", "1.1.0"]
    found = {each["imageType"]: each["source"]["osDisk"]["uri"] for each in written["vmImageVersions"][1]["vmImages"]}
    assert found == {"x64Gen2": url("x64"), "arm64Gen2": url("arm")}
    assert len(outcome.added) == 2


def test_an_image_without_a_type_is_not_for_the_types_of_other_images() -> None:
    there = slots(configuration(version("1.0.0"), types="x64Gen1 x64Gen2 arm64Gen2"))
    [written], _ = edit(there, image("1.1.0"), image("1.1.0", generation="arm64Gen2", name="arm"))
    types = [each["imageType"] for each in written["vmImageVersions"][1]["vmImages"]]
    assert sorted(types) == ["arm64Gen2", "x64Gen1", "x64Gen2"]


def test_an_image_for_which_other_images_leave_no_type_is_refused() -> None:
    there = slots(configuration(version("1.0.0"), types="x64Gen1 x64Gen2"))
    typed = [image("1.1.0", generation=each, name=each) for each in ("x64Gen1", "x64Gen2")]
    with pytest.raises(errors.RuleBroken, match=r"^Plan lts: .* name every image type .*: x64Gen1, x64Gen2\. Leave"):
        edit(there, *typed, image("1.1.0"))


def test_an_image_for_a_plan_without_skus_needs_a_generation() -> None:
    there = slots(configuration(skus=[]))
    with pytest.raises(errors.RuleBroken, match=r"no SKU with an image type for version 1\.1\.0\. Give generation"):
        edit(there, image("1.1.0"))


def test_an_image_type_is_written_in_the_plans_spelling() -> None:
    there = slots(configuration(version("1.0.0", "armGen2"), types="armGen2"))
    [written], _ = edit(there, image("1.1.0", generation="arm64Gen2"))
    assert written["vmImageVersions"][1]["vmImages"][0]["imageType"] == "armGen2"


def test_an_image_type_without_a_sku_is_refused_unless_a_sku_is_given() -> None:
    there = slots(configuration(version("1.0.0")))
    with pytest.raises(errors.PlanMissing, match=r"no SKU of image type arm64Gen2.*give `sku`"):
        edit(there, image("1.1.0", generation="arm64Gen2"))
    sku = Sku(id="lts-arm64", security_types=["trusted"])
    [written], _ = edit(there, image("1.1.0", generation="arm64Gen2", sku=sku))
    assert written["skus"] == [
        {"imageType": "x64Gen2", "skuId": "lts"},
        {"imageType": "arm64Gen2", "skuId": "lts-arm64", "securityType": ["trusted"]},
    ]


def test_a_sku_that_is_there_never_changes() -> None:
    there = slots(configuration(version("1.0.0")))
    [written], _ = edit(there, image("1.1.0", generation="x64Gen2", sku=Sku(id="another")))
    assert written["skus"] == [{"imageType": "x64Gen2", "skuId": "lts"}]


def test_a_sku_id_that_is_taken_anywhere_in_the_offer_is_refused() -> None:
    listed = [plan(), plan("edge"), configuration(version("1.0.0")), configuration(version("1.0.0"), plan="edge")]
    with pytest.raises(errors.RuleBroken, match="SKU id edge is taken, in plan edge"):
        edit(trees(tree(*listed), None, None), image("1.1.0", generation="arm64Gen2", sku=Sku(id="edge")))


def test_missing_plans_are_named() -> None:
    with pytest.raises(errors.PlanMissing, match="no plan beta; it has lts"):
        edit(slots(configuration(version("1.0.0"))), image("1.1.0", plan_id="beta"))


def test_a_plan_without_a_technical_configuration_is_refused() -> None:
    listed = [plan(), plan("edge"), configuration(version("1.0.0"))]
    with pytest.raises(errors.RuleBroken, match="edge has no technical configuration yet"):
        edit(trees(tree(*listed), None, None), image("1.1.0", plan_id="edge"))


@pytest.mark.parametrize("slot", ["draft", "preview", "production"])
def test_a_version_with_another_source_is_taken_in_any_slot(slot: str) -> None:
    held = {name: configuration(version("1.0.0")) for name in ("draft", "preview", "production")}
    held[slot] = configuration(version("1.0.0"), version("1.1.0", source=sas_source("other")))
    with pytest.raises(errors.VersionTaken, match=rf"lts 1\.1\.0 .*in the {slot} with another source.*other\.vhd"):
        edit(slots(*held.values()), image("1.1.0"))


def test_a_version_in_another_spelling_is_taken() -> None:
    with pytest.raises(errors.VersionTaken, match="same number in another spelling"):
        edit(slots(configuration(version("2026.03.01"))), image("2026.3.1"))
    with pytest.raises(errors.VersionTaken, match="in two spellings"):
        edit(slots(configuration(version("1.0.0"))), image("2026.3.1"), image("2026.03.01"))


def test_a_version_with_two_sources_is_refused() -> None:
    with pytest.raises(errors.RuleBroken, match="asked for twice as x64Gen2, with different sources"):
        edit(slots(configuration(version("1.0.0"))), image("1.1.0"), image("1.1.0", name="other"))


def test_an_image_type_may_be_added_only_to_an_unpublished_version() -> None:
    types = "x64Gen1 x64Gen2"
    drafted = configuration(version("1.0.0", "x64Gen1", "x64Gen2"), version("1.1.0", "x64Gen1"), types=types)
    live = configuration(version("1.0.0", "x64Gen1", "x64Gen2"), types=types)
    [written], _ = edit(slots(drafted, None, live), image("1.1.0"))
    assert numbers(written) == ["1.0.0", "1.1.0"]
    assert [each["imageType"] for each in written["vmImageVersions"][1]["vmImages"]] == ["x64Gen1", "x64Gen2"]
    with pytest.raises(errors.VersionTaken, match="published versions get no more images"):
        edit(slots(drafted, drafted, live), image("1.1.0"))


def test_a_version_that_only_production_has_is_restored_unchanged() -> None:
    old = version("1.0.0", lifecycleState="deprecated", deprecationSchedule={"date": "2026-06-01", "reason": "other"})
    live = configuration(old, version("1.1.0"))
    [written], outcome = edit(slots(configuration(version("1.1.0")), None, live), image("1.2.0"))
    assert sorted(numbers(written)) == ["1.0.0", "1.1.0", "1.2.0"]
    assert next(each for each in written["vmImageVersions"] if each["versionNumber"] == "1.0.0") == old
    assert "lacked 1.0.0" in outcome.warnings[0]


def test_an_image_that_only_production_has_is_restored() -> None:
    live = configuration(version("1.0.0", "x64Gen1", "x64Gen2"), types="x64Gen1 x64Gen2")
    drafted = configuration(version("1.0.0", "x64Gen2"), types="x64Gen1 x64Gen2")
    [written], _ = edit(slots(drafted, None, live), image("1.1.0"))
    assert {each["imageType"] for each in written["vmImageVersions"][0]["vmImages"]} == {"x64Gen1", "x64Gen2"}


def test_a_published_image_is_restored_with_its_own_url() -> None:
    live = configuration(version("1.0.0"), version("1.1.0", source=sas_source("1.1.0", EXPIRED)))
    [written], outcome = edit(slots(configuration(version("1.0.0")), None, live), image("1.1.0"))
    assert written["vmImageVersions"][1]["vmImages"][0]["source"]["osDisk"]["uri"] == url("1.1.0", EXPIRED)
    assert [str(each) for each in outcome.added] == ["lts 1.1.0"]


def test_a_version_that_the_draft_deletes_is_not_restored_from_the_preview() -> None:
    drafted = configuration(version("1.0.0", lifecycleState="deleted"), version("1.1.0"))
    preview = configuration(version("1.0.0"), version("1.1.0"))
    [written], _ = edit(slots(drafted, preview), image("1.2.0"))
    assert written["vmImageVersions"][0]["lifecycleState"] == "deleted"
    assert numbers(written) == ["1.0.0", "1.1.0", "1.2.0"]


def test_a_version_that_is_marked_as_deleted_can_be_added_again() -> None:
    drafted = configuration(version("1.0.0", lifecycleState="deleted"), version("1.1.0"))
    [written], _ = edit(slots(drafted), image("1.0.0"))
    assert numbers(written) == ["1.0.0", "1.1.0"]
    assert written["vmImageVersions"][0]["lifecycleState"] == "generallyAvailable"


def test_without_a_draft_the_edit_starts_from_what_was_published() -> None:
    live = configuration(version("1.0.0"), openPorts=[{"label": "ssh"}])
    [written], _ = edit(slots(None, None, live), image("1.1.0"))
    assert (numbers(written), written["openPorts"]) == (["1.0.0", "1.1.0"], [{"label": "ssh"}])


@pytest.mark.parametrize("empty", [{"vmImageVersions": []}, {"vmImageVersions": None}, {"left": "out"}])
@pytest.mark.parametrize("slot", ["draft", "preview", "production"])
def test_an_empty_list_of_a_published_plan_is_never_trusted(slot: str, empty: dict[str, Any]) -> None:
    held = {name: configuration(version("1.0.0")) for name in ("draft", "preview", "production")}
    if "left" in empty:
        del held[slot]["vmImageVersions"]
    else:
        held[slot] |= empty
    with pytest.raises(VersionsHidden, match=f"the {slot} shows no image versions"):
        edit(slots(*held.values()), image("1.1.0"))


def test_the_first_image_of_a_plan_that_was_never_published_is_added() -> None:
    [written], _ = edit(slots(configuration()), image("1.0.0"))
    assert numbers(written) == ["1.0.0"]


def test_a_plan_that_shares_a_configuration_is_not_edited() -> None:
    shared = configuration(plan="edge", basePlan={"externalId": "lts"}, reuseTechnicalConfigurationState="enable")
    listed = [plan(), plan("edge"), configuration(version("1.0.0")), shared]
    there = trees(tree(*listed), None, None)
    with pytest.raises(errors.RuleBroken, match="edge shares the technical configuration of lts"):
        edit(there, image("1.1.0", plan_id="edge"))
    _, outcome = edit(there, image("1.1.0"))
    assert outcome.warnings == ["Plan lts: edge shares its technical configuration, and gets its images too."]


def test_capabilities_that_are_on_in_another_slot_stay_on() -> None:
    on = {"supportsNVMe": True, "supportsBackup": True, "supportsCloudInit": True}
    drafted = configuration(version("1.0.0"), vmProperties={"supportsNVMe": False, "supportsBackup": True})
    live = configuration(version("1.0.0"), vmProperties=on)
    [written], _ = edit(slots(drafted, None, live), image("1.1.0"))
    assert written["vmProperties"] == {"supportsNVMe": True, "supportsBackup": True}


def test_members_that_only_answers_have_are_not_written() -> None:
    drafted = configuration(
        version("1.0.0"),
        validations=[{"code": "x", "level": "warning"}],
        **{
            "$schema": "https://product-ingestion.azureedge.net/schema/virtual-machine-plan-technical-configuration/x"
        },
    )
    [written], _ = edit(slots(drafted), image("1.1.0"))
    assert not {"id", "validations"} & set(written)
    assert (
        written["$schema"] == "https://schema.mp.microsoft.com/schema/virtual-machine-plan-technical-configuration/x"
    )


def test_a_configuration_that_names_neither_product_nor_plan_is_written_with_both() -> None:
    drafted = configuration(version("1.0.0"))
    del drafted["product"], drafted["plan"]
    [written], _ = edit(slots(drafted), image("1.1.0"))
    assert (written["product"], written["plan"]) == (f"product/{P}", f"plan/{P}/{PLANS['lts']}")


def test_the_core_configuration_of_a_core_vm_offer_is_edited() -> None:
    core = configuration(version("1.0.0"), softwareType="solution")
    core["id"] = core["id"].replace("virtual", "core-virtual", 1)
    core["$schema"] = core["$schema"].replace("virtual", "core-virtual", 1)
    there = resources.read(text(product(type="coreVirtualMachine"), of_property(), plan(), core))
    [written], _ = edit(trees(there, None, None), image("1.1.0"))
    assert written["softwareType"] == "solution"
    assert "/core-virtual-machine-plan-technical-configuration/" in written["$schema"]


def test_an_unusable_sas_is_refused() -> None:
    with pytest.raises(errors.RuleBroken, match=r"lts 1\.1\.0: the SAS of the OS disk: se .* has passed"):
        edit(slots(configuration(version("1.0.0"))), image("1.1.0", EXPIRED))
    with pytest.raises(errors.RuleBroken, match="AZURE_STORAGE_ACCOUNT_KEYS=images=<key>"):
        edit(slots(configuration(version("1.0.0"))), image("1.1.0", ""))


def test_an_expired_sas_of_an_unpublished_version_is_renewed() -> None:
    drafted = configuration(version("1.0.0"), version("1.1.0", source=sas_source("1.1.0", EXPIRED)))
    [written], outcome = edit(slots(drafted, None, configuration(version("1.0.0"))), image("1.1.0"))
    assert written["vmImageVersions"][1]["vmImages"][0]["source"]["osDisk"]["uri"] == url("1.1.0")
    assert [str(each) for each in outcome.renewed] == ["lts 1.1.0"]
    published, outcome = edit(slots(drafted, None, drafted), image("1.1.0"))
    assert (published, outcome.changed, outcome.warnings) == ([], False, [])


def test_a_given_sas_that_is_no_better_is_a_warning() -> None:
    drafted = configuration(version("1.1.0", source=sas_source("1.1.0", EXPIRED)))
    written, outcome = edit(slots(drafted), image("1.1.0", EXPIRED))
    assert written == []
    assert "the one given is no better" in outcome.warnings[0]


def test_only_the_plans_of_the_images_are_written() -> None:
    listed = [plan(), plan("edge"), configuration(version("1.0.0")), configuration(version("1.0.0"), plan="edge")]
    there = trees(tree(*listed), None, None)
    written, _ = edit(there, image("1.1.0"), image("1.1.0", plan_id="edge"))
    assert [numbers(each) for each in written] == [["1.0.0", "1.1.0"]] * 2
    written, _ = edit(there, image("1.1.0", plan_id="edge"))
    assert [each["plan"] for each in written] == [f"plan/{P}/{PLANS['edge']}"]


def test_the_oldest_published_version_is_deprecated_and_an_unpublished_one_deleted() -> None:
    held = [version("1.0.0"), version("1.1.0"), version("1.2.0")]
    live = configuration(held[0], held[2])
    deprecation = Deprecation(notice=timedelta(days=120), reason="endOfSupport", alternative_plan_id="lts")
    [written], outcome = edit(
        slots(configuration(*held), None, live),
        image("1.3.0"),
        when_full=WhenFull.REMOVE_OLDEST,
        limit=2,
        deprecation=deprecation,
    )
    states = {each["versionNumber"]: each.get("lifecycleState") for each in written["vmImageVersions"]}
    assert states == {
        "1.0.0": "deprecated",
        "1.1.0": "deleted",
        "1.2.0": None,
        "1.3.0": "generallyAvailable",
    }
    assert written["vmImageVersions"][0]["deprecationSchedule"] == {
        "dateOffset": "P120D",
        "reason": "endOfSupport",
        "alternative": {"plan": f"plan/{P}/{PLANS['lts']}"},
    }
    assert [str(each) for each in outcome.deprecated] == ["lts 1.0.0"]
    assert [str(each) for each in outcome.removed] == ["lts 1.1.0"]


def test_a_missing_alternative_plan_is_refused() -> None:
    held = configuration(version("1.0.0"), version("1.1.0"))
    with pytest.raises(errors.PlanMissing, match=r"no plan beta, which deprecation\.alternative_plan_id names"):
        edit(
            slots(held, None, held),
            image("1.3.0"),
            when_full=WhenFull.REMOVE_OLDEST,
            limit=2,
            deprecation=Deprecation(alternative_plan_id="beta"),
        )


ODD = """{
   "resources" : [
      {"$schema":"https://schema.mp.microsoft.com/schema/plan/1","id":"plan/%(p)s/%(l)s","identity":{"externalID":"lts"}},
      {  "$schema" : "https://schema.mp.microsoft.com/schema/virtual-machine-plan-technical-configuration/1" ,
         "id": "virtual-machine-plan-technical-configuration/%(p)s/%(l)s",
         "plan": {"externalID": "lts"}, "product": "product/%(p)s",
         "rank": 1.50, "big": 12345678901234567890123, "caf\\u00e9": "\\u00e9 & <b>", "twice": 1, "twice": 2,
         "skus": [ {"imageType":"x64Gen2","skuId":"lts","future":[1e2,-0]} ],
         "vmImageVersions" : [
            { "versionNumber" : "1.0.0" , "vmImages" : [ { "imageType":"x64Gen2", "source":
              {"sourceType":"sharedImageGallery", "sharedImage":{"tenantId":"t","resourceId":"/r"},
               "unheard": {"of": null} } } ], "note" : 7.0 }
         ],
         "later" : { "a" : [ ] } } ] }"""


def test_everything_else_stays_byte_for_byte() -> None:
    source = ODD % {"p": P, "l": PLANS["lts"]}
    there = trees(resources.read(source), None, None)
    [written], _ = edits.edit(there, Change(images=[image("1.1.0")]), product=P, tenant_id=None, now=NOW)
    added = written[written.index(',\n            {"versionNumber": "1.1.0"') : written.rindex("\n         ],\n")]
    durable_id = f'"id": "virtual-machine-plan-technical-configuration/{P}/{PLANS["lts"]}"'
    before = there[Slot.DRAFT].configurations["lts"].node.text
    assert written.replace(added, "") == before.replace(f" ,\n         {durable_id}", "")
    assert "1.50" in written
    assert "caf\\u00e9" in written


shapes = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3),
    max_leaves=6,
)
unknown = st.dictionaries(st.text(min_size=1, max_size=8).map("x{}".format), shapes, max_size=3)


@given(unknown, unknown, unknown, st.sampled_from([None, 1, 3]))
def test_unknown_members_are_kept(
    of_resource: dict[str, Any], of_version: dict[str, Any], of_source: dict[str, Any], indent: int | None
) -> None:
    held = configuration(
        version("1.0.0", source=gallery_source("1.0.0") | of_source, **of_version), types="x64Gen2", **of_resource
    )
    document = json.dumps({"resources": [plan(), held]}, indent=indent)
    there = trees(resources.read(document), None, None)
    [written], _ = edits.edit(there, Change(images=[image("1.1.0")]), product=P, tenant_id=None, now=NOW)
    after = json.loads(written)
    added = after["vmImageVersions"].pop()
    assert added["versionNumber"] == "1.1.0"
    assert after == {key: value for key, value in held.items() if key != "id"}


held_versions = st.dictionaries(
    st.tuples(*[st.integers(0, 3)] * 3).map(lambda parts: ".".join(map(str, parts))),
    st.sampled_from([None, "generallyAvailable", "deprecated"]),
    min_size=1,
    max_size=8,
)


def _configuration(held: dict[str, str | None]) -> dict[str, Any]:
    return configuration(
        *(version(number) | ({"lifecycleState": state} if state else {}) for number, state in held.items())
    )


@given(
    held_versions | st.none(),
    held_versions | st.none(),
    held_versions,
    st.integers(0, 6),
    st.sampled_from(list(WhenFull)),
)
@example(
    draft={"0.0.0": None},
    preview={"0.0.0": None, "0.0.1": None},
    live={"0.0.2": None},
    limit=2,
    when_full=WhenFull.REMOVE_OLDEST,
)
def test_an_edit_never_loses_a_version_of_any_slot(
    draft: dict[str, str | None] | None,
    preview: dict[str, str | None] | None,
    live: dict[str, str | None],
    limit: int,
    when_full: WhenFull,
) -> None:
    there = slots(*[_configuration(held) if held is not None else None for held in (draft, preview, live)])
    try:
        [written], outcome = edit(there, image("9.0.0"), when_full=when_full, limit=limit)
    except errors.PlanFull:
        assert limit > 0
        return
    known = {number for held in (draft, preview, live) if held is not None for number in held}
    if draft is not None and not known <= set(numbers(written)):
        # A version that only the preview holds may have been deleted to make room. It is not restored without room.
        assert limit > 0
        known = {*draft, *live}
    assert sorted(numbers(written)) == sorted({*known, "9.0.0"})
    states = {each["versionNumber"]: each.get("lifecycleState") for each in written["vmImageVersions"]}
    gone = {each.version for each in outcome.removed}
    assert gone == {number for number, state in states.items() if state == "deleted"}
    assert not gone & set(live)
    active = {number for number, state in states.items() if state in {None, "generallyAvailable"}}
    assert limit == 0 or len(active) <= limit
    for held in (preview, live):
        # The newest active version of a slot never makes room.
        of_slot = [number for number, state in (held or {}).items() if state != "deprecated"]
        made_room = {each.version for each in [*outcome.removed, *outcome.deprecated]}
        assert not of_slot or max(of_slot, key=sort_key) not in made_room


def test_written_text_is_json_and_keeps_the_spelling_of_numbers() -> None:
    source = ODD % {"p": P, "l": PLANS["lts"]}
    there = trees(resources.read(source), None, None)
    [written], _ = edits.edit(there, Change(images=[image("1.1.0", SAS)]), product=P, tenant_id=None, now=NOW)
    assert parse(written).value["big"] == Number("12345678901234567890123")


def test_a_detached_plan_gets_its_first_image() -> None:
    shared = configuration(basePlan={"externalId": "edge"}, reuseTechnicalConfigurationState="enable")
    detached = configuration(basePlan={"externalId": "edge"}, reuseTechnicalConfigurationState="detach")
    [written], _ = edit(slots(detached, None, shared), image("1.0.0"))
    assert numbers(written) == ["1.0.0"]


def test_an_entry_without_images_gets_the_wanted_one() -> None:
    [written], _ = edit(slots(configuration({"versionNumber": "1.1.0"}, version("1.0.0"))), image("1.1.0"))
    assert [each["imageType"] for each in written["vmImageVersions"][0]["vmImages"]] == ["x64Gen2"]


def test_two_entries_of_one_version_stay_two_and_are_deprecated_together() -> None:
    held = [version("1.0.0", "x64Gen1"), version("1.0.0", "x64Gen2"), version("1.1.0", "x64Gen1", "x64Gen2")]
    live = configuration(*held, types="x64Gen1 x64Gen2")
    [written], outcome = edit(slots(live, None, live), image("1.2.0"), when_full=WhenFull.REMOVE_OLDEST, limit=2)
    states = [(each["versionNumber"], each.get("lifecycleState")) for each in written["vmImageVersions"]]
    assert states[:3] == [("1.0.0", "deprecated"), ("1.0.0", "deprecated"), ("1.1.0", None)]
    assert [str(each) for each in outcome.deprecated] == ["lts 1.0.0"]


def test_the_last_active_version_of_an_image_type_stays() -> None:
    held = [version("1.0.0", "arm64Gen2"), version("1.1.0"), version("1.2.0")]
    live = configuration(*held, types="x64Gen2 arm64Gen2")
    wanted = image("1.3.0", generation="x64Gen2")
    [written], _ = edit(slots(live, None, live), wanted, when_full=WhenFull.REMOVE_OLDEST, limit=3)
    states = {each["versionNumber"]: each.get("lifecycleState") for each in written["vmImageVersions"]}
    assert (states["1.0.0"], states["1.1.0"]) == (None, "deprecated")


def test_deprecated_versions_do_not_count_against_the_limit() -> None:
    held = [
        version("1.0.0", lifecycleState="deprecated"),
        version("1.1.0", lifecycleState="deleted"),
        version("1.2.0"),
    ]
    [written], outcome = edit(slots(configuration(*held)), image("1.3.0"), limit=2)
    assert len(written["vmImageVersions"]) == 4
    assert not outcome.deprecated
    with pytest.raises(errors.PlanFull, match=r"holds 1 active version \(1\.2\.0\), 1 is allowed, and 1\.3\.0"):
        edit(slots(configuration(*held)), image("1.3.0"), limit=1)


def test_the_marketplaces_limit_is_the_default() -> None:
    held = configuration(*(version(f"1.{number}.0") for number in range(100)))
    with pytest.raises(errors.PlanFull, match="100 are allowed"):
        edit(slots(held), image("2.0.0"))
    assert edit(slots(held), image("2.0.0"), limit=0)[1].changed
