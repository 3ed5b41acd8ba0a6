"""What a slot holds, and what going live would change."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.product_ingestion.contents import OfferContents, promotion
from marketplace.product_ingestion.resources import read
from tests.marketplace.product_ingestion.offers import (
    EXPIRED,
    P,
    configuration,
    gallery_image,
    gallery_source,
    image,
    listing_asset,
    of_property,
    plan,
    product,
    sas_source,
    submission,
    text,
    tree,
    version,
)


def contents(*versions: dict[str, object], types: str = "x64Gen2", **members: Any) -> OfferContents:
    return OfferContents(tree(plan(), configuration(*versions, types=types, **members)))


def test_versions_are_named_with_their_image_types() -> None:
    held = contents(version("1.0.0", "x64Gen1", "x64Gen2"), version("1.1.0", lifecycleState="deleted"))
    assert [str(each) for each in held.versions] == [
        "lts 1.0.0 (generation x64Gen1)",
        "lts 1.0.0 (generation x64Gen2)",
    ]


def test_the_tree_of_a_slot_names_its_submission() -> None:
    def named(target: str, *listed: dict[str, Any]) -> str | None:
        return OfferContents(read(text(product(), *listed, target=target))).publish_id

    assert named("preview", submission("preview", "12"), submission("draft", "0")) == "12"
    assert named("Live", submission("live", "11"), submission("preview", "12")) == "11"
    assert named("draft", submission("draft", "0")) is None
    assert named("preview", submission("live", "11")) is None
    assert named("preview", submission("preview", "11"), submission("preview", "12")) is None
    assert named("preview") is None
    nameless = text(submission("preview", "12") | {"target": None}, target="preview")
    for odd in (nameless, nameless.replace('"preview"', "[]"), json.dumps({"resources": [submission("draft")]})):
        assert OfferContents(read(odd)).publish_id is None


def test_an_image_without_a_type_needs_every_type_of_the_plans_skus() -> None:
    held = contents(version("1.0.0", "x64Gen2"), version("1.1.0", "x64Gen1", "x64Gen2"), types="x64Gen1 x64Gen2")
    assert [str(each) for each in held.missing([image("1.0.0"), image("1.1.0")])] == ["lts 1.0.0"]
    assert held.missing([image("1.0.0", generation="x64Gen2")]) == []
    assert held.missing([image("1.0.0", generation="arm64Gen2")]) != []


def test_an_image_does_not_need_the_type_of_another_image_of_its_version() -> None:
    held = contents(version("1.0.0", "x64Gen2", "arm64Gen2"), types="x64Gen2 arm64Gen2")
    beside = image("1.0.0", generation="arm64Gen2")
    assert held.missing([image("1.0.0"), beside]) == []


def test_two_entries_of_one_version_count_as_one() -> None:
    held = contents(version("1.0.0", "x64Gen1"), version("1.0.0", "x64Gen2"), types="x64Gen1 x64Gen2")
    assert held.missing([image("1.0.0")]) == []


@pytest.mark.parametrize("wanted", [image("2.0.0"), image("1.0.0", plan_id="edge"), image("1.00.0")])
def test_an_image_that_is_not_there_is_missing(wanted: object) -> None:
    assert contents(version("1.0.0")).missing([wanted]) != []  # type: ignore[list-item]


def test_a_version_with_another_source_or_spelling_is_a_conflict() -> None:
    held = contents(version("1.0.0"), version("2026.03.01"))
    assert held.conflicts([image("1.0.0", EXPIRED), image("3.0.0")]) == []
    [other] = held.conflicts([image("1.0.0", name="other")])
    assert "the disk https://images.blob.core.windows.net/vhds/1.0.0.vhd" in other
    assert "sig" not in other
    assert len(held.conflicts([image("2026.3.1"), gallery_image("1.0.0")])) == 2


def test_gallery_images_are_the_same_if_one_of_them_names_no_tenant() -> None:
    held = contents(version("1.0.0", source=gallery_source("1.0.0")))
    assert held.conflicts([gallery_image("1.0.0", gallery_tenant_id=None)]) == []
    assert (
        len(held.conflicts([gallery_image("1.0.0", gallery_tenant_id="0" * 8 + "-0000-0000-0000-" + "0" * 12)])) == 1
    )


def test_a_promotion_names_everything_that_going_live_changes() -> None:
    live = contents(version("1.0.0"), version("1.1.0"), openPorts=[])
    preview = contents(version("1.0.0", lifecycleState="deprecated"), version("1.2.0"), openPorts=[{"label": "ssh"}])
    found = promotion(preview, live)
    assert [str(each) for each in found.adds] == ["lts 1.2.0 (generation x64Gen2)"]
    assert [str(each) for each in found.removes] == ["lts 1.1.0 (generation x64Gen2)"]
    assert [str(each) for each in found.deprecates] == ["lts 1.0.0"]
    assert found.changes == ["virtual-machine-plan-technical-configuration of plan lts: openPorts"]


def test_a_promotion_names_added_and_removed_resources() -> None:
    live = OfferContents(read(text(product(), plan(), of_property())))
    preview = OfferContents(read(text(product(), plan(), plan("edge"))))
    assert promotion(preview, live).changes == ["plan edge: new", "property public/main: removed"]


def test_a_promotion_names_changed_image_versions() -> None:
    live = contents(
        version("1.0.0", lifecycleState="deprecated"), version("1.1.0"), version("1.2.0", lifecycleState="deprecated")
    )
    preview = contents(
        version("1.0.0"),
        version("1.1.0", source=sas_source("other")),
        version("1.2.0", lifecycleState="deprecated", deprecationSchedule={"dateOffset": "P90D"}),
    )
    assert promotion(preview, live).changes == [
        "lts 1.0.0: not deprecated any more",
        "lts 1.1.0 (x64Gen2): another source",
        "lts 1.2.0: another deprecation schedule",
    ]


def test_a_promotion_does_not_depend_on_the_order_of_resources() -> None:
    plans = [plan(), plan("edge")]
    versions = [configuration(version("1.10.0"), version("1.9.0"), plan=one) for one in ("lts", "edge")]
    found = promotion(OfferContents(tree(*plans, *versions)), None)
    assert promotion(OfferContents(tree(*reversed(versions), *plans)), None) == found
    assert [each.version for each in found.adds] == ["1.9.0", "1.10.0"] * 2


def test_a_first_go_live_is_named_and_without_a_preview_a_promotion_is_empty() -> None:
    first = promotion(contents(version("1.0.0")), None)
    assert first.changes == ["the whole offer: it goes live for the first time"]
    assert len(first.adds) == 1
    assert promotion(None, contents(version("1.0.0"))).evidence is None


SAMPLE = [
    product(),
    of_property(),
    plan(),
    listing_asset("one"),
    configuration(version("1.0.0"), version("1.1.0", source=gallery_source("1.1.0"))),
]


def evidence(listed: list[dict[str, object]]) -> str:
    return OfferContents(read(text(*listed))).evidence


@given(st.randoms(use_true_random=False))
def test_the_evidence_ignores_what_says_nothing_about_the_offer(shuffled: random.Random) -> None:
    listed = json.loads(
        json.dumps(SAMPLE).replace("sig=hunter2", f"sig={shuffled.random()}").replace("sig=one", "sig=x")
    )
    for resource in listed:
        resource["validations"] = []
        resource["$schema"] = resource["$schema"].rsplit("/", 1)[0] + "/2022-03-01-preview2"
        if "vmImageVersions" in resource:
            shuffled.shuffle(resource["vmImageVersions"])
    shuffled.shuffle(listed)
    assert evidence([*listed, submission("preview", str(shuffled.randrange(1, 10**19)))]) == evidence(SAMPLE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Be kind.", "Be mean."),
        ('"1.1.0"', '"1.1.1"'),
        ("vhds/1.0.0.vhd", "vhds/other.vhd"),
        ('"fileName": "logo.png"', '"fileName": "other.png"'),
        ('"supportsNVMe": false', '"supportsNVMe": true'),
    ],
)
def test_the_evidence_changes_with_the_offer(before: str, after: str) -> None:
    text = json.dumps(SAMPLE)
    assert before in text
    assert evidence(json.loads(text.replace(before, after))) != evidence(SAMPLE)


def test_numbers_are_compared_by_value_and_never_equal_strings() -> None:
    def with_rank(rank: str) -> str:
        return OfferContents(read(f'{{"resources": [{{"id": "x/{P}", "displayRank": {rank}}}]}}')).evidence

    assert with_rank("1.50") == with_rank("15e-1")
    assert (
        len(
            {
                with_rank("1"),
                with_rank('"1"'),
                with_rank("true"),
                with_rank("12345678901234567890123456789012"),
                with_rank("12345678901234567890123456789013"),
            }
        )
        == 5
    )
