"""Images are put into a draft according to the marketplace's rules, and nothing else in it changes."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace import sas
from marketplace.cloud_partner.contents import OfferContents, held_images, version_of
from marketplace.cloud_partner.edits import edit
from marketplace.cloud_partner.plans import HeldImage
from marketplace.disks import OS, DiskAddress
from marketplace.errors import PlanFull, PlanMissing, RuleBroken, VersionTaken
from marketplace.json_text import apply, change_members, parse
from marketplace.model import DataDisk, EditOutcome, Image, ImageVersion, WhenFull, only_in_first
from marketplace.versions import sort_key

NOW = datetime(2024, 5, 20, 12, tzinfo=UTC)
FINE = "sv=2022-11-02&sr=c&sp=rl&st=2024-05-10T00%3A00%3A00Z&se=2024-08-10T00%3A00%3A00Z&sig=c2VjcmV0"
EXPIRED = FINE.replace("2024-08", "2024-05")
SOON = FINE.replace("2024-08-10", "2024-05-30")
VM_MAP = "microsoft-azure-virtualmachines.vmImages"
CORE_MAP = "microsoft-azure-corevm.vmImagesPublicAzure"


def url(name: str, query: str = FINE) -> str:
    address = f"https://fabrikamimages.blob.core.windows.net/vhds/{name}.vhd"
    return f"{address}?{query}" if query else address


def image(
    version: str,
    plan_id: str = "lts",
    *,
    disk: str = "",
    query: str = FINE,
    data: Sequence[int] = (),
    generation: str | None = None,
) -> Image:
    name = disk or version
    return Image(
        plan_id=plan_id,
        version=version,
        os_vhd_url=url(name, query),
        data_disks=[DataDisk(lun=lun, vhd_url=url(f"{name}-{lun}", query)) for lun in data],
        generation=generation,
    )


def entry(name: str, query: str = FINE, data: Sequence[Any] = ()) -> dict[str, Any]:
    return {"osVhdUrl": url(name, query), "lunVhdDetails": list(data)}


def entries(*versions: str, query: str = FINE) -> dict[str, Any]:
    return {version: entry(version, query) for version in versions}


def plan(plan_id: str, images: object, **further: object) -> dict[str, Any]:
    return {"planId": plan_id, VM_MAP: images, **further}


def document(*plans: object, offer_type: str = "microsoft-azure-virtualmachines") -> str:
    offer = {"id": "webstack", "offerTypeId": offer_type, "definition": {"plans": list(plans)}}
    return json.dumps(offer, indent=2)


def held(*versions: str, plan_id: str = "lts", generation: str | None = None) -> list[HeldImage]:
    return [
        HeldImage(
            plan_id=plan_id,
            version=version,
            generation=generation,
            disks=[DiskAddress(OS, sas.address(url(version)))],
        )
        for version in versions
    ]


def missing(images: Sequence[Image], there: Sequence[HeldImage]) -> list[ImageVersion]:
    return OfferContents(list(there)).missing(images)


def conflicts(images: Sequence[Image], there: Sequence[HeldImage]) -> list[str]:
    return OfferContents(list(there)).conflicts(images)


def put(
    text: str,
    *images: Image,
    preview: Sequence[HeldImage] = (),
    production: Sequence[HeldImage] = (),
    when_full: WhenFull = WhenFull.FAIL,
    limit: int | None = None,
) -> tuple[str, EditOutcome]:
    return edit(
        text,
        images,
        preview=preview,
        production=production,
        when_full=when_full,
        limit=limit,
        now=NOW,
    )


def map_of(text: str, index: int = 0, key: str = VM_MAP) -> dict[str, Any]:
    found = json.loads(text)["definition"]["plans"][index][key]
    assert isinstance(found, dict)
    return found


# Everything else stays as it is


spaces = st.sampled_from(["", " ", "\n  ", "\t"])
odd_members = st.sampled_from(
    [
        '"price":1.10',
        '"price" : 1e2',
        '"ticks":638351234567890123',
        '"logo":"https:\\/\\/x.example\\/a?b=1&c=2"',
        '"t\\u00e9":"\\u00e9\\ud83d"',
        '"a.vmImagesExtra":{"1.0.0":null}',
        '"twice":1,"twice":2',
        '"diskGenerations":null',
        '"microsoft-azure-virtualmachines.cloudAvailability":["PublicAzure" , "x"]',
    ]
)


@st.composite
def odd_documents(draw: st.DrawFn) -> str:
    def members(*parts: str) -> str:
        mixed = [*draw(st.lists(odd_members, max_size=3)), *parts, *draw(st.lists(odd_members, max_size=2))]
        return "{" + draw(spaces) + f"{draw(spaces)},{draw(spaces)}".join(mixed) + draw(spaces) + "}"

    versions = draw(st.lists(st.sampled_from(["0.9.0", "1.02.3", "2018.09.09", "junk", "1.10.0"]), unique=True))
    held_text = [f'"{version}"{draw(spaces)}:{json.dumps(entry(version))}' for version in versions]
    images = "{" + draw(spaces) + ",".join(held_text) + draw(spaces) + "}"
    wanted = members('"planId":"lts"', f'"{VM_MAP}":{images}')
    plans = f'[{members()},{draw(spaces)}{wanted},{draw(spaces)}{{"planId":"other"}}]'
    definition = members(f'"plans":{plans}')
    kind = '"offerTypeId":"microsoft-azure-virtualmachines"'
    return draw(st.sampled_from(["", "\ufeff"])) + members(kind, f'"definition":{definition}')


@given(odd_documents())
def test_removing_added_images_restores_every_byte(text: str) -> None:
    added, outcome = put(text, image("3000.0.0"), image("3000.0.1"))
    assert [str(one) for one in outcome.added] == ["lts 3000.0.0", "lts 3000.0.1"]
    definition = parse(added).get("definition")
    assert definition is not None
    plans = definition.get("plans")
    assert plans is not None
    images = plans.items()[1].get(VM_MAP)
    assert images is not None
    assert apply(added, change_members(images, remove=["3000.0.0", "3000.0.1"])) == text


@given(odd_documents())
def test_an_added_image_is_one_insertion(text: str) -> None:
    added, _ = put(text, image("3000.0.0"))
    same_start = next(
        (index for index, (one, other) in enumerate(zip(text, added, strict=False)) if one != other), len(text)
    )
    grown = len(added) - len(text)
    assert added[:same_start] + added[same_start + grown :] == text


@given(odd_documents())
def test_a_repeated_edit_changes_nothing(text: str) -> None:
    once, outcome = put(text, image("3000.0.0"))
    twice, again = put(once, image("3000.0.0"))
    assert outcome.changed
    assert twice == once
    assert again == EditOutcome()


def test_ampersands_in_addresses_are_written_as_they_are() -> None:
    text, _ = put(document(plan("lts", {})), image("1.0.0"))
    assert f'"{url("1.0.0")}"' in text


def test_an_indented_document_stays_indented() -> None:
    before = document(plan("lts", entries("1.0.0")))
    after, _ = put(before, image("1.1.0"))
    assert '\n          },\n          "1.1.0": {"osVhdUrl"' not in before
    assert '},\n          "1.1.0": {"osVhdUrl": ' in after


def test_an_edit_without_images_changes_nothing() -> None:
    assert put("{}") == ("{}", EditOutcome())


def test_a_large_offer_is_edited_in_seconds() -> None:
    many = [plan(f"plan-{number}", entries(*(f"1.0.{patch}" for patch in range(8)))) for number in range(1500)]
    text = document(*many)
    began = time.process_time()
    after, _ = put(text, image("1.1.0", "plan-7"), when_full=WhenFull.REMOVE_OLDEST)
    assert len(held_images(after)) == 12_000
    assert time.process_time() - began < 10


# Reading


def test_held_images_include_all_plans_and_generations() -> None:
    details = [{"lun": "2", "vhdUrl": url("b")}, {"Lun": 0, "sizeInGb": 10, "uri": url("a"), "name": "x"}]
    core = {
        "planId": "core",
        CORE_MAP: entries("2018.09.09"),
        "diskGenerations": [
            {"planId": "core-gen2", "generation": "2", CORE_MAP: entries("2018.09.09")},
            {"generation": 1, CORE_MAP: {}},
        ],
    }
    text = document(plan("lts", {"1.0.0": entry("os", EXPIRED, details)}), core)
    base = "https://fabrikamimages.blob.core.windows.net/vhds"
    assert held_images(text) == [
        HeldImage(
            plan_id="lts",
            version="1.0.0",
            disks=[
                DiskAddress(OS, f"{base}/os.vhd"),
                DiskAddress("0", f"{base}/a.vhd"),
                DiskAddress("2", f"{base}/b.vhd"),
            ],
        ),
        *held("2018.09.09", plan_id="core"),
        *held("2018.09.09", plan_id="core", generation="2"),
    ]


def test_data_disks_are_sorted_by_number_and_count_even_without_a_lun() -> None:
    details = [{"lun": 10, "u": url("c")}, {"lun": 9, "u": url("b")}, {"blob": url("x")}, 7, None]
    (one,) = held_images(document(plan("lts", {"1.0.0": entry("os", data=details)})))
    assert [disk.place for disk in one.disks] == ["os", "2", "3", "4", "9", "10"]


def test_image_maps_are_found_under_any_prefix_and_in_unknown_offer_types() -> None:
    text = document({"planId": "lts", "contoso-vms.vmImages": entries("1.0.0")}, offer_type="contoso-vms")
    assert held_images(text) == held("1.0.0")
    after, _ = put(text, image("1.1.0"))
    assert list(map_of(after, key="contoso-vms.vmImages")) == ["1.0.0", "1.1.0"]


def test_an_empty_map_of_another_kind_does_not_hide_the_one_in_use() -> None:
    text = document({"planId": "lts", VM_MAP: None, "x.vmImagesPublicAzure": entries("1.0.0")})
    assert held_images(text) == held("1.0.0")


HOSTILE: list[Any] = [None, True, 0, "x", [], {}, [None], {"x": None}, [[]], "https://x.example/?sig=a"]


@pytest.mark.parametrize("odd", HOSTILE)
@pytest.mark.parametrize("place", range(9))
def test_members_of_unexpected_types_are_refused_with_a_reason_or_skipped(odd: Any, place: int) -> None:
    generations: dict[str, Any] = {"generation": "2", CORE_MAP: {"1.0.0": entry("1.0.0")}}
    one: dict[str, Any] = {"planId": "lts", CORE_MAP: entries("1.0.0"), "diskGenerations": [generations]}
    offer: dict[str, Any] = {"offerTypeId": "microsoft-azure-corevm", "definition": {"plans": [one]}}
    holders: list[tuple[Any, Any]] = [
        (offer, "offerTypeId"),
        (offer, "definition"),
        (offer["definition"], "plans"),
        (one, "planId"),
        (one, CORE_MAP),
        (one, "diskGenerations"),
        (generations, "generation"),
        (one[CORE_MAP], "1.0.0"),
        (one[CORE_MAP]["1.0.0"], "osVhdUrl"),
    ]
    holder, key = holders[place]
    holder[key] = odd
    text = json.dumps(offer)
    for variant in (text, text.replace('"lunVhdDetails": []', f'"lunVhdDetails": {json.dumps(odd)}')):
        held_images(variant)
        try:
            after, outcome = put(variant, image("1.1.0"))
        except RuleBroken as error:
            assert str(error)  # noqa: PT017 - either is fine, and a word is needed only here
        else:
            assert outcome.added
            assert put(after, image("1.1.0")) == (after, EditOutcome())


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(
                    ["definition", "plans", "planId", VM_MAP, "diskGenerations", "osVhdUrl", "1.0.0", "lunVhdDetails"]
                ),
                inner,
                max_size=4,
            ),
        ),
        max_leaves=15,
    )
)
def test_a_document_of_any_shape_is_handled(plans: Any) -> None:
    text = json.dumps({"definition": {"plans": plans}, "plans": plans})
    held_images(text)
    with pytest.raises(RuleBroken):
        put(text, image("1.1.0"))


@pytest.mark.parametrize("text", ["", "[]", "null", '{"definition": ', "<html></html>"])
def test_text_that_is_not_an_offer_document_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not JSON|not an offer document"):
        held_images(text)
    with pytest.raises(ValueError, match=r"not JSON|not an offer document"):
        put(text, image("1.0.0"))


def test_a_lone_surrogate_does_not_reach_messages() -> None:
    text = document({"planId": "\ud83d", VM_MAP: {"\ud83d": {"osVhdUrl": "https://x/\ud83d"}}})
    (one,) = held_images(text)
    assert json.dumps(asdict(one)).encode()
    with pytest.raises(PlanMissing) as caught:
        put(text, image("1.0.0"))
    assert str(caught.value).encode()


# Slots


def test_an_image_is_missing_if_its_version_is_not_there() -> None:
    wanted = [image("1.0.0"), image("1.1.0"), image("1.0.0", "other")]
    assert [str(one) for one in missing(wanted, held("1.0.0"))] == ["lts 1.1.0", "other 1.0.0"]


def test_an_image_without_a_generation_must_be_in_every_generation() -> None:
    own, second = held("1.0.0"), held("0.9.0", generation="2")
    assert missing([image("1.0.0")], own) == []
    assert missing([image("1.0.0")], own + second) == [ImageVersion(plan_id="lts", version="1.0.0")]
    assert missing([image("1.0.0")], own + second + held("1.0.0", generation="2")) == []


def test_an_image_with_a_generation_must_be_in_that_generation_only() -> None:
    own, second = held("1.0.0"), held("1.1.0", generation="2")
    assert missing([image("1.0.0", generation="1"), image("1.1.0", generation="2")], own + second) == []
    lacking = missing([image("1.0.0", generation="2"), image("1.1.0", generation="3")], own + second)
    assert [str(one) for one in lacking] == ["lts 1.0.0 (generation 2)", "lts 1.1.0 (generation 3)"]


def test_the_same_version_with_another_disk_is_a_conflict_and_not_missing() -> None:
    wanted = [image("1.0.0", disk="other"), image("1.1.0", query=EXPIRED), image("1.2.0", query="")]
    there = held("1.0.0", "1.1.0", "1.2.0")
    assert missing(wanted, there) == []
    (sentence,) = conflicts(wanted, there)
    assert sentence.startswith("lts 1.0.0 is there with other disks")
    assert "vhds/1.0.0.vhd" in sentence


def test_an_additional_data_disk_is_a_conflict() -> None:
    (sentence,) = conflicts([image("1.0.0", data=[0])], held("1.0.0"))
    assert "it has 0 data disks" in sentence


def test_a_version_in_another_spelling_is_a_conflict_whatever_its_disks() -> None:
    wanted = [image("2026.03.01", disk="2026.3.1"), image("2026.3.2"), image("2026.03.01", "other")]
    there = held("2026.3.1", "2026.3.2")
    (sentence,) = conflicts(wanted, there)
    assert sentence.startswith("lts 2026.3.1 is there, and 2026.03.01 is the same number in another spelling.")
    assert [str(one) for one in missing(wanted, there)] == ["lts 2026.03.01", "other 2026.03.01"]


def test_another_spelling_is_a_conflict_even_next_to_the_wanted_one_and_in_any_generation() -> None:
    assert len(conflicts([image("1.02.0")], held("1.02.0", "1.2.0"))) == 1
    (sentence,) = conflicts([image("1.02.0", generation="1")], held("1.2.0", generation="2"))
    assert sentence.startswith("lts 1.2.0 (generation 2) is there, and 1.02.0 is the same number")


def test_versions_that_going_live_adds_keep_their_spelling() -> None:
    before, after = (map(version_of, held(*versions)) for versions in (("1.2.0", "1.3.0"), ("1.02.0", "1.3.0")))
    assert [str(one) for one in only_in_first(after, before)] == ["lts 1.02.0"]


def test_a_slot_that_is_older_than_the_second_generation_is_no_conflict() -> None:
    wanted = [image("1.0.0"), image("1.0.0", disk="gen2", generation="2")]
    assert conflicts(wanted, held("1.0.0")) == []
    assert [str(one) for one in missing(wanted, held("1.0.0"))] == ["lts 1.0.0 (generation 2)"]


# Adding images


def test_images_of_several_plans_are_added_in_one_edit() -> None:
    text = document(plan("lts", entries("1.0.0")), plan("edge", {}))
    after, outcome = put(text, image("1.2.0"), image("1.1.0"), image("7.0.0", "edge"))
    assert list(map_of(after)) == ["1.0.0", "1.1.0", "1.2.0"]
    assert map_of(after, 1) == entries("7.0.0")
    assert [str(one) for one in outcome.added] == ["lts 1.2.0", "lts 1.1.0", "edge 7.0.0"]
    assert outcome.removed == outcome.renewed == []
    assert outcome.warnings == outcome.operations == []


@pytest.mark.parametrize(
    ("offer_type", "key"),
    [("microsoft-azure-virtualmachines", VM_MAP), ("microsoft-azure-corevm", CORE_MAP)],
)
@pytest.mark.parametrize("there", [{}, {"null": None}])
def test_a_plan_without_an_image_map_gets_the_one_of_its_offer_type(
    offer_type: str, key: str, there: Mapping[str, None]
) -> None:
    own = {"planId": "lts", **({key: None} if there else {})}
    after, _ = put(document(own, offer_type=offer_type), image("1.0.0"))
    assert map_of(after, key=key)["1.0.0"]["osVhdUrl"] == url("1.0.0")
    assert after.count(key) == 1


def test_offers_of_a_type_without_images_are_refused() -> None:
    with pytest.raises(RuleBroken, match="Offers of type contoso-saas hold no images"):
        put(document({"planId": "lts"}, offer_type="contoso-saas"), image("1.0.0"))


def test_an_image_map_of_another_kind_is_refused() -> None:
    with pytest.raises(RuleBroken, match="vmImages is of kind array, not a map"):
        put(document(plan("lts", [])), image("1.0.0"))


def test_missing_plans_are_named_together_with_the_existing_ones() -> None:
    text = document(*(plan(f"plan-{number}", {}) for number in range(30)))
    with pytest.raises(PlanMissing) as caught:
        put(text, image("1.0.0"), image("1.0.0", "edge"))
    message = str(caught.value)
    assert "no plan lts, edge; it has plan-0, plan-1" in message
    assert "plan-19, 10 more. Correct plan_id" in message
    with pytest.raises(PlanMissing, match="it has no plans at all"):
        put("{}", image("1.0.0"))


def test_two_plans_with_the_same_id_are_refused() -> None:
    with pytest.raises(RuleBroken, match="two plans lts"):
        put(document(plan("lts", {}), plan("lts", {})), image("1.0.0"))


def test_a_version_with_the_same_disk_is_left_alone_whatever_its_sas() -> None:
    text = document(plan("lts", entries("1.0.0")))
    for query in (FINE, EXPIRED, "", "sig=x"):
        assert put(text, image("1.0.0", query=query)) == (text, EditOutcome())


def test_versions_with_other_disks_are_named_together() -> None:
    text = document(plan("lts", entries("1.0.0", "1.1.0")))
    with pytest.raises(VersionTaken) as caught:
        put(text, image("1.0.0", disk="a"), image("1.1.0", disk="b"), image("1.2.0"))
    first, second = str(caught.value).splitlines()
    assert first.startswith("lts 1.0.0 is there in the draft with other disks: ")
    assert "give the new image a new version" in first
    assert second.startswith("lts 1.1.0 is there")
    assert "sig" not in str(caught.value)


@pytest.mark.parametrize("slot", ["preview", "production"])
def test_a_version_published_with_another_disk_is_taken_even_if_the_draft_lacks_it(slot: str) -> None:
    slots: dict[str, Any] = {slot: held("1.0.0")}
    with pytest.raises(VersionTaken, match=f"lts 1.0.0 is there in the {slot} with other disks"):
        put(document(plan("lts", {})), image("1.0.0", disk="other"), **slots)


def test_a_published_version_that_the_draft_lacks_is_added_again() -> None:
    text = document(plan("lts", entries("1.1.0")))
    after, outcome = put(text, image("1.0.0"), production=held("1.0.0", "1.1.0"))
    assert set(map_of(after)) == {"1.0.0", "1.1.0"}
    assert [str(one) for one in outcome.added] == ["lts 1.0.0"]


@pytest.mark.parametrize("place", ["draft", "preview", "production"])
def test_a_new_version_must_be_greater_than_all_earlier_ones(place: str) -> None:
    text = document(plan("lts", entries("1.10.0") if place == "draft" else {}))
    slots: dict[str, Any] = {} if place == "draft" else {place: held("1.10.0")}
    with pytest.raises(RuleBroken, match=r"version 1.9.9 is not greater than 1.10.0") as caught:
        put(text, image("1.9.9"), **slots)
    assert "Give the image a version above 1.10.0" in str(caught.value)
    assert put(text, image("1.10.1"), **slots)[1].changed


@pytest.mark.parametrize("place", ["draft", "preview", "production"])
@pytest.mark.parametrize("disk", ["2026.03.01", "other"])
def test_a_version_with_leading_zeros_is_left_alone_or_taken_like_any_other(place: str, disk: str) -> None:
    text = document(plan("lts", entries("2026.03.01")))
    slots: dict[str, Any] = {} if place == "draft" else {place: held("2026.03.01")}
    if disk == "2026.03.01":
        assert put(text, image("2026.03.01", disk=disk), **slots) == (text, EditOutcome())
        return
    with pytest.raises(VersionTaken, match=r"lts 2026.03.01 is there in the draft with other disks"):
        put(text, image("2026.03.01", disk=disk), **slots)


@pytest.mark.parametrize("place", ["draft", "preview", "production"])
@pytest.mark.parametrize(
    ("there", "wanted"), [("2026.3.1", "2026.03.01"), ("2026.03.01", "2026.3.1"), ("1.2", "1.2.0")]
)
@pytest.mark.parametrize("same_disk", [True, False])
def test_a_version_that_is_there_in_another_spelling_is_taken(
    place: str, there: str, wanted: str, *, same_disk: bool
) -> None:
    text = document(plan("lts", entries(there) if place == "draft" else {}))
    slots: dict[str, Any] = {} if place == "draft" else {place: held(there)}
    with pytest.raises(VersionTaken) as caught:
        put(text, image(wanted, disk=there if same_disk else ""), image("3000.0.0"), **slots)
    message = f"lts {there} is there in the {place}, and {wanted} is the same number in another spelling. "
    assert str(caught.value) == message + "Spell the version as it is there, or give the new image a greater one."


def test_a_version_is_taken_in_another_spelling_even_if_the_draft_has_the_wanted_one() -> None:
    text = document(plan("lts", entries("2026.03.01")))
    with pytest.raises(VersionTaken, match=r"lts 2026.3.1 is there in the production, and 2026.03.01 is"):
        put(text, image("2026.03.01"), production=held("2026.3.1"))


def test_two_spellings_of_one_version_in_a_request_are_refused() -> None:
    text = document(plan("lts", {}), plan("edge", {}))
    with pytest.raises(VersionTaken) as caught:
        put(text, image("2026.3.1"), image("2026.03.01", disk="2026.3.1"), image("1.0.0"))
    assert str(caught.value) == (
        "Plan lts: versions 2026.3.1 and 2026.03.01 are the same number, in two spellings; keep one of them."
    )
    assert put(text, image("2026.3.1"), image("2026.03.01", "edge"))[1].changed


def test_two_generations_must_spell_a_version_alike() -> None:
    with pytest.raises(VersionTaken, match=r"versions 1.011.0 and 1.11.0 are the same number"):
        put(core_document(), image("1.011.0", generation="1"), image("1.11.0", disk="gen2", generation="2"))
    first, _ = put(core_document(), image("1.011.0", generation="1"))
    with pytest.raises(VersionTaken, match=r"lts 1.011.0 is there in the draft, and 1.11.0 is the same number"):
        put(first, image("1.11.0", disk="gen2", generation="2"))
    assert put(first, image("1.011.0", disk="gen2", generation="2"))[1].changed


def test_leading_zeros_do_not_make_a_version_greater_or_smaller() -> None:
    text = document(plan("lts", entries("2026.9.30")))
    with pytest.raises(RuleBroken, match=r"version 2026.09.04 is not greater than 2026.9.30"):
        put(text, image("2026.09.04"))
    after, _ = put(text, image("2026.010.01"), image("2026.10.00"))
    assert list(map_of(after)) == ["2026.9.30", "2026.10.00", "2026.010.01"]


def test_every_version_of_a_plan_must_have_the_same_number_of_data_disks() -> None:
    text = document(plan("lts", entries("1.0.0")))
    with pytest.raises(RuleBroken, match=r"1.1.0 has 1 data disk, but version 1.0.0 has 0 data disks"):
        put(text, image("1.1.0", data=[0]))
    with pytest.raises(RuleBroken, match=r"1.1.0 has 0 data disks, but version 1.0.0 has 1 data disk;"):
        put(document(plan("lts", {})), image("1.0.0", data=[0]), image("1.1.0"))
    with pytest.raises(RuleBroken, match=r"has 1 data disk, but version 0.9.0 has 0 data disks"):
        put(document(plan("lts", {})), image("1.0.0", data=[0]), production=held("0.9.0"))


def test_images_that_contradict_each_other_are_refused() -> None:
    text = document(plan("lts", {}))
    with pytest.raises(RuleBroken, match=r"version 1.0.0 is asked for twice, with different disks"):
        put(text, image("1.0.0"), image("1.0.0", disk="other"))
    after, outcome = put(text, image("1.0.0"), image("1.0.0", query=SOON))
    assert map_of(after) == entries("1.0.0")
    assert len(outcome.added) == 1


def test_all_rules_are_checked_before_anything_changes() -> None:
    text = document(plan("lts", entries("1.0.0")), plan("edge", entries("1.0.0")))
    with pytest.raises(VersionTaken, match=r"edge 1.0.0"):
        put(text, image("1.1.0"), image("1.0.0", "edge", disk="other"))


# SAS


def test_sas_problems_are_reported_without_the_signature() -> None:
    with pytest.raises(RuleBroken) as caught:
        put(document(plan("lts", {})), image("1.0.0", query=EXPIRED.replace("sr=c", "sr=d"), data=[0]))
    message = str(caught.value)
    assert "lts 1.0.0: the SAS of the OS disk: sr (what the SAS is for) is d" in message
    assert "lts 1.0.0: the SAS of the data disk at lun 0: se (expiry) 2024-05-10T00:00:00Z has passed" in message
    assert "c2VjcmV0" not in message


def test_a_sas_that_expires_soon_is_a_warning() -> None:
    after, outcome = put(document(plan("lts", {})), image("1.0.0", query=SOON))
    assert map_of(after)["1.0.0"]["osVhdUrl"] == url("1.0.0", SOON)
    (warning,) = outcome.warnings
    assert warning.startswith("lts 1.0.0: the SAS of the OS disk: se (expiry) 2024-05-30T00:00:00Z should be")


def test_the_error_for_an_unsigned_url_names_the_account_that_needs_a_key() -> None:
    with pytest.raises(RuleBroken) as caught:
        put(document(plan("lts", {})), image("1.0.0", query=""))
    assert "no key of the storage account fabrikamimages" in str(caught.value)
    assert "AZURE_STORAGE_ACCOUNT_KEYS=fabrikamimages=<key>" in str(caught.value)


def test_more_data_disks_than_some_pages_allow_is_a_warning() -> None:
    _, outcome = put(document(plan("lts", {})), image("1.0.0", data=range(16)))
    (warning,) = outcome.warnings
    assert "16 data disks" in warning


def test_an_expired_sas_of_an_unpublished_version_is_renewed() -> None:
    details = [{"Lun": "0", "size": 1.5, "Url": url("1.0.0-0", EXPIRED)}]
    before = document(plan("lts", {"1.0.0": entry("1.0.0", EXPIRED, details)}))
    after, outcome = put(before, image("1.0.0", data=[0]), production=held("0.9.0"))
    assert after == before.replace(EXPIRED, FINE)
    assert outcome == EditOutcome(renewed=[ImageVersion(plan_id="lts", version="1.0.0")])
    assert put(after, image("1.0.0", data=[0])) == (after, EditOutcome())


@pytest.mark.parametrize("there", [SOON, "", "sig=x", FINE.replace("sp=rl", "sp=w")])
def test_a_sas_that_expires_soon_is_renewed(there: str) -> None:
    before = document(plan("lts", entries("1.0.0", query=there)))
    after, outcome = put(before, image("1.0.0"))
    assert map_of(after) == entries("1.0.0")
    assert [str(one) for one in outcome.renewed] == ["lts 1.0.0"]


@pytest.mark.parametrize("slot", ["preview", "production"])
def test_a_published_version_keeps_its_sas(slot: str) -> None:
    before = document(plan("lts", entries("1.0.0", query=EXPIRED)))
    slots: dict[str, Any] = {slot: held("1.0.0")}
    assert put(before, image("1.0.0"), **slots) == (before, EditOutcome())


@pytest.mark.parametrize("given_query", [EXPIRED.replace("c2Vj", "bmV3"), SOON, ""])
def test_a_sas_is_not_replaced_by_one_that_is_no_better(given_query: str) -> None:
    before = document(plan("lts", entries("1.0.0", query=EXPIRED)))
    after, outcome = put(before, image("1.0.0", query=given_query))
    assert after == before
    assert not outcome.changed
    assert "the one given is no better" in outcome.warnings[0]


# Making room


def test_the_error_for_a_full_plan_names_its_versions_and_those_that_could_go() -> None:
    text = document(plan("lts", entries(*(f"1.{minor}.0" for minor in range(8)))))
    with pytest.raises(PlanFull) as caught:
        put(text, image("2.0.0"), production=held("1.0.0"))
    message = str(caught.value)
    assert "Plan lts holds 8 versions (1.0.0, 1.1.0, " in message
    assert "8 are allowed, and 2.0.0 would not fit. The oldest that could go: 1.1.0." in message
    assert '"remove_oldest"' in message


def test_a_full_plan_that_has_the_version_already_is_fine() -> None:
    text = document(plan("lts", entries(*(f"1.{minor}.0" for minor in range(12)))))
    assert put(text, image("1.3.0")) == (text, EditOutcome())


def test_the_smallest_version_is_removed_first() -> None:
    text = document(plan("lts", entries("1.10.0", "1.9.0", "1.2.0")))
    after, outcome = put(text, image("2.0.0"), limit=2, when_full=WhenFull.REMOVE_OLDEST)
    assert list(map_of(after)) == ["1.10.0", "2.0.0"]
    assert [str(one) for one in outcome.removed] == ["lts 1.2.0", "lts 1.9.0"]


def test_the_smallest_version_is_removed_first_however_it_is_spelled() -> None:
    text = document(plan("lts", entries("2026.3.1", "2026.003.0", "2026.02.28")))
    after, outcome = put(text, image("2026.10.01"), limit=2, when_full=WhenFull.REMOVE_OLDEST)
    assert list(map_of(after)) == ["2026.3.1", "2026.10.01"]
    assert [str(one) for one in outcome.removed] == ["lts 2026.02.28", "lts 2026.003.0"]


@pytest.mark.parametrize("slot", ["preview", "production"])
def test_the_newest_version_of_a_slot_stays_even_in_another_spelling(slot: str) -> None:
    text = document(plan("lts", entries("2026.03.01", "2026.03.02")))
    slots: dict[str, Any] = {slot: held("2026.3.1", "2026.2.28")}
    after, _ = put(text, image("2026.04.01"), limit=2, when_full=WhenFull.REMOVE_OLDEST, **slots)
    assert list(map_of(after)) == ["2026.03.01", "2026.04.01"]


def test_the_error_says_why_no_version_may_go() -> None:
    text = document(plan("lts", entries("1.0.0", "1.1.0")))
    with pytest.raises(PlanFull, match="the newest of preview and production, the versions asked for"):
        put(
            text,
            image("2.0.0"),
            preview=held("1.1.0"),
            production=held("1.0.0"),
            limit=2,
            when_full=WhenFull.REMOVE_OLDEST,
        )


def test_core_vm_plans_and_a_limit_of_zero_allow_any_number() -> None:
    versions = [f"1.{minor}.0" for minor in range(20)]
    core = document({"planId": "lts", CORE_MAP: entries(*versions)}, offer_type="microsoft-azure-corevm")
    assert put(core, image("2.0.0"))[1].removed == []
    assert put(document(plan("lts", entries(*versions))), image("2.0.0"), limit=0)[1].removed == []
    with pytest.raises(PlanFull):
        put(core, image("2.0.0"), limit=8)


some_versions = st.tuples(st.integers(0, 3), st.integers(0, 12), st.integers(0, 3)).map(
    lambda numbers: ".".join(map(str, numbers))
)


@given(
    st.lists(some_versions, min_size=1, max_size=12, unique=True),
    st.data(),
    st.integers(1, 9),
    st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True),
)
def test_making_room_keeps_what_must_stay_and_removes_the_smallest_first(
    there: list[str], data: st.DataObject, limit: int, new: list[int]
) -> None:
    preview = data.draw(st.lists(st.sampled_from(there), unique=True))
    production = data.draw(st.lists(st.sampled_from(there), unique=True))
    again = data.draw(st.lists(st.sampled_from(there), max_size=2, unique=True))
    wanted = [*again, *(f"9.0.{patch}" for patch in new)]
    stays = {*wanted, *(max(slot, key=sort_key) for slot in (preview, production) if slot)}
    may_go = sorted(set(there) - stays, key=sort_key)
    over = max(0, len(there) + len(new) - limit)
    text = document(plan("lts", entries(*there)))

    def rotate() -> tuple[str, EditOutcome]:
        return put(
            text,
            *map(image, wanted),
            preview=held(*preview),
            production=held(*production),
            limit=limit,
            when_full=WhenFull.REMOVE_OLDEST,
        )

    if over > len(may_go):
        with pytest.raises(PlanFull):
            rotate()
        return
    after, outcome = rotate()
    assert [one.version for one in outcome.removed] == may_go[:over]
    assert set(map_of(after)) == (set(there) | set(wanted)) - set(may_go[:over])
    assert len(map_of(after)) <= max(limit, 1)


@st.composite
def spellings(draw: st.DrawFn) -> str:
    numbers = draw(st.tuples(st.integers(1, 2), st.integers(0, 2), st.integers(0, 2)))
    return ".".join("0" * draw(st.integers(0, 2)) + str(number) for number in numbers)


@given(st.lists(spellings(), max_size=6, unique=True), st.lists(spellings(), min_size=1, max_size=4, unique=True))
def test_no_edit_adds_a_second_spelling_of_a_version_to_a_plan(there: list[str], wanted: list[str]) -> None:
    text = document(plan("lts", entries(*there)))
    respelled = [one for one in wanted if any(each != one and sort_key(each) == sort_key(one) for each in there)]
    numbers = {sort_key(one) for one in wanted}
    try:
        after, outcome = put(text, *map(image, wanted), limit=0)
    except VersionTaken as error:
        assert respelled or len(numbers) < len(wanted)
        assert all(one in str(error) for one in respelled)  # noqa: PT017 - either end is fine, with its reason
    except RuleBroken:
        new = [one for one in wanted if one not in there]
        newest = max(map(sort_key, there))
        assert any(sort_key(one) < newest for one in new)
    else:
        assert not respelled
        assert len(numbers) == len(wanted)
        assert set(map_of(after)) == {*there, *wanted}
        assert {one.version for one in outcome.added} == set(wanted) - set(there)
        assert missing(list(map(image, wanted)), held_images(after)) == []
        assert conflicts(list(map(image, wanted)), held_images(after)) == []


# Shapes of new entries


def test_data_disks_are_written_as_the_plan_spells_them() -> None:
    text = document(plan("lts", {"1.0.0": entry("1.0.0", data=[{"Lun": "0", "VhdUri": url("d"), "x": 1}])}))
    after, _ = put(text, image("1.1.0", data=[3]))
    assert map_of(after)["1.1.0"]["lunVhdDetails"] == [{"Lun": "3", "VhdUri": url("1.1.0-3")}]


def test_data_disks_of_a_first_version_get_the_usual_names() -> None:
    after, _ = put(document(plan("lts", {})), image("1.1.0", data=[3, 1]))
    assert map_of(after)["1.1.0"] == {
        "osVhdUrl": url("1.1.0"),
        "lunVhdDetails": [{"lun": 1, "vhdUrl": url("1.1.0-1")}, {"lun": 3, "vhdUrl": url("1.1.0-3")}],
    }


def core_document(named: Sequence[str] = ("2",)) -> str:
    own = {
        "1.9.0": {**entry("1.9.0"), "showInGui": True, "label": "old", "description": "old"},
        "1.10.0": {**entry("1.10.0"), "showInGui": False, "label": "Webst\u00e4ck", "description": 7},
    }
    generations = [
        {"planId": f"lts-gen{name}", "generation": name, "vmImagesArchitecture": "x64", CORE_MAP: entries("1.10.0")}
        for name in named
    ]
    one = {"planId": "lts", CORE_MAP: own, "diskGenerations": generations}
    return document(one, offer_type="microsoft-azure-corevm")


def generations_of(text: str) -> dict[str | None, dict[str, Any]]:
    one = json.loads(text)["definition"]["plans"][0]
    found = {each["generation"]: each[CORE_MAP] for each in one["diskGenerations"]}
    return {None: one[CORE_MAP], **found}


def test_an_image_of_a_core_vm_plan_is_added_to_every_generation_with_all_members() -> None:
    after, outcome = put(core_document(), image("1.11.0"))
    own, second = generations_of(after).values()
    assert own["1.11.0"] == {
        **entry("1.11.0"),
        "mediaName": "1.11.0",
        "showInGui": False,
        "publishedDate": "05/20/2024",
        "label": "Webst\u00e4ck",
        "description": "",
    }
    assert second["1.11.0"]["showInGui"] is True
    assert second["1.11.0"]["label"] == ""
    assert outcome.added == [ImageVersion(plan_id="lts", version="1.11.0")]
    assert r'"label": "Webst\u00e4ck"' in after.split('"1.11.0": {')[1]


def test_images_of_two_generations_have_their_own_disks() -> None:
    after, outcome = put(
        core_document(), image("1.11.0", generation="1"), image("1.11.0", disk="gen2", generation="2")
    )
    own, second = generations_of(after).values()
    assert own["1.11.0"]["osVhdUrl"] == url("1.11.0")
    assert second["1.11.0"]["osVhdUrl"] == url("gen2")
    assert [str(one) for one in outcome.added] == ["lts 1.11.0 (generation 1)", "lts 1.11.0 (generation 2)"]
    assert missing([image("1.11.0", generation="1"), image("1.11.0", generation="2")], held_images(after)) == []


@pytest.mark.parametrize(
    ("named", "generation", "places"),
    [
        ([], "1", {None}),
        ([], "2", {None}),
        (["2"], "1", {None}),
        (["2"], "2", {"2"}),
        (["1"], "1", {"1"}),
        (["1"], "2", {None}),
        (["1", "2"], "1", {None, "1"}),
        (["1", "2"], "2", {"2"}),
        (["1", "2"], None, {None, "1", "2"}),
    ],
)
def test_the_plans_own_map_stands_for_the_generation_that_is_not_named(
    named: list[str], generation: str | None, places: set[str | None]
) -> None:
    after, _ = put(core_document(named), image("1.11.0", generation=generation))
    assert {place for place, images in generations_of(after).items() if "1.11.0" in images} == places
    assert missing([image("1.11.0", generation=generation)], held_images(after)) == []
    assert conflicts([image("1.11.0", generation=generation)], held_images(after)) == []


def test_a_generation_that_the_plan_lacks_is_missing() -> None:
    with pytest.raises(PlanMissing, match=r"no generation 3 for version 1.11.0\. .* generation 2"):
        put(core_document(), image("1.11.0", generation="3"))


def test_a_generation_without_a_map_gets_one() -> None:
    one = {"planId": "lts", "diskGenerations": [{"generation": "2"}]}
    after, _ = put(document(one, offer_type="microsoft-azure-corevm"), image("1.0.0"))
    assert [list(images) for images in generations_of(after).values()] == [["1.0.0"], ["1.0.0"]]


def test_a_version_of_one_generation_may_be_added_to_the_other_later() -> None:
    first, _ = put(core_document(), image("1.11.0", generation="1"))
    after, outcome = put(first, image("1.11.0", disk="gen2", generation="2"))
    assert [str(one) for one in outcome.added] == ["lts 1.11.0 (generation 2)"]
    with pytest.raises(RuleBroken, match=r"1.9.0 is not greater than 1.11.0"):
        put(after, image("1.9.0", disk="gen2", generation="2"))


def test_a_version_is_removed_from_every_generation_and_no_map_becomes_empty() -> None:
    full, _ = put(core_document(), image("1.11.0"))
    after, outcome = put(full, image("1.12.0"), limit=2, when_full=WhenFull.REMOVE_OLDEST)
    assert [list(images) for images in generations_of(after).values()] == [["1.11.0", "1.12.0"]] * 2
    assert [str(one) for one in outcome.removed] == ["lts 1.9.0", "lts 1.10.0"]
    with pytest.raises(PlanFull, match="the last of a map stay"):
        put(
            core_document(),
            image("1.12.0", generation="1"),
            limit=1,
            when_full=WhenFull.REMOVE_OLDEST,
        )
