"""A stored document counts as our own write only if nobody else changed it."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.cloud_partner.comparison import says_the_same

VM = "microsoft-azure-virtualmachines."
MARKETPLACE = "microsoft-azure-marketplace."
DISK = "https://fabrikamimages.blob.core.windows.net/vhds/webstack-4.2.0.vhd"

WANTED: dict[str, Any] = {
    "publisherId": "fabrikam-linux",
    "offerTypeId": "microsoft-azure-virtualmachines",
    "id": "webstack",
    "offerTypeVersions": {"microsoft-azure-virtualmachines": 91},
    "definition": {
        "displayText": "Webstack",
        "offer": {
            MARKETPLACE + "title": "Webstack",
            MARKETPLACE + "smallLogo": "https://assets.fabrikam.example/logo.png",
            MARKETPLACE + "termsOfUse": "See https://fabrikam.example/terms",
            MARKETPLACE + "videos": None,
            MARKETPLACE + "tableLeadConfiguration": {"table": "leads", "connectionString": "secret"},
        },
        "plans": [
            {
                "planId": "lts",
                "regions": ["PT", "ES"],
                "price": {"single": 1.5, "free": True},
                VM + "windowsOSType": "Other",
                VM + "vmImages": {
                    "4.2.0": {"osVhdUrl": DISK + "?sig=a", "lunVhdDetails": [{"lun": 0, "vhdUrl": DISK + "?sig=b"}]}
                },
            }
        ],
    },
    "eTag": "1",
    "version": 3,
}


def stored() -> dict[str, Any]:
    """Return the document with the changes that the service is documented to make."""
    document = deepcopy(WANTED)
    for key in ("eTag", "offerTypeVersions"):
        del document[key]
    document |= {"version": 4, "status": "neverPublished", "changedTime": "2024-05-20T12:00:00Z"}
    offer = document["definition"]["offer"]
    offer[MARKETPLACE + "smallLogo"] = "https://store.marketplace.example/1?sig=c"
    offer[MARKETPLACE + "blobLeadConfiguration"] = {}
    offer[MARKETPLACE + "tableLeadConfiguration"] = {"table": "leads"}
    del offer[MARKETPLACE + "videos"]
    plan = document["definition"]["plans"][0]
    del plan[VM + "windowsOSType"]
    plan[VM + "certificationsFairfax"] = []
    plan["price"]["single"] = 1.50
    plan[VM + "vmImages"]["4.2.0"]["osVhdUrl"] = DISK + "?sig=renewed"
    return document


def plan_of(document: dict[str, Any]) -> dict[str, Any]:
    plan = document["definition"]["plans"][0]
    assert isinstance(plan, dict)
    return plan


def images_of(document: dict[str, Any]) -> dict[str, Any]:
    images = plan_of(document)[VM + "vmImages"]
    assert isinstance(images, dict)
    return images


def offer_of(document: dict[str, Any]) -> dict[str, Any]:
    offer = document["definition"]["offer"]
    assert isinstance(offer, dict)
    return offer


def test_changes_that_the_service_makes_are_ignored() -> None:
    assert says_the_same(json.dumps(WANTED), json.dumps(stored(), indent=1))


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(offerTypeId="microsoft-azure-corevm"),
        lambda document: offer_of(document).update({MARKETPLACE + "title": "Other"}),
        lambda document: offer_of(document).update(
            {MARKETPLACE + "termsOfUse": "See https://fabrikam.example/other"}
        ),
        lambda document: offer_of(document).update({MARKETPLACE + "smallLogo": ""}),
        lambda document: offer_of(document)[MARKETPLACE + "tableLeadConfiguration"].update(table="other"),
        lambda document: offer_of(document).pop(MARKETPLACE + "title"),
        lambda document: document["definition"]["plans"].append({"planId": "edge"}),
        lambda document: document["definition"].update(plans={}),
        lambda document: plan_of(document)["regions"].reverse(),
        lambda document: plan_of(document)["price"].update(single=1.51),
        lambda document: plan_of(document)["price"].update(single="1.5"),
        lambda document: plan_of(document)["price"].update(free=1),
        lambda document: plan_of(document).update({VM + "vmImages": None}),
        lambda document: images_of(document).update({"4.2.1": {}}),
        lambda document: images_of(document).clear(),
        lambda document: images_of(document)["4.2.0"].update(osVhdUrl=DISK + "?snapshot=1"),
        lambda document: images_of(document)["4.2.0"].update(osVhdUrl=None),
        lambda document: images_of(document)["4.2.0"]["lunVhdDetails"].clear(),
    ],
)
def test_anything_else_is_a_difference(change: Callable[[dict[str, Any]], object]) -> None:
    document = stored()
    change(document)
    assert not says_the_same(json.dumps(WANTED), json.dumps(document))


def test_a_version_that_another_run_added_meanwhile_is_a_difference() -> None:
    document = stored()
    images_of(document)["4.3.0"] = {"osVhdUrl": DISK, "lunVhdDetails": []}
    assert not says_the_same(json.dumps(WANTED), json.dumps(document))


def test_a_version_member_deeper_inside_is_compared() -> None:
    assert not says_the_same('{"definition": {"version": 1}}', '{"definition": {"version": 2}}')


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("1", "1.0", True),
        ("1e2", "100", True),
        ("1.10", "1.1", True),
        ("638351234567890123", "638351234567890124", False),
        ("0.1", "0.1000000000000000055511151231257827", False),
        ("1e99999999999999999999", "1e99999999999999999999", True),
        ("1e99999999999999999999", "1", False),
        ("1", '"1"', False),
        ("0", "false", False),
        ("null", "[]", False),
    ],
)
def test_numbers_are_compared_by_value(ours: str, theirs: str, same: bool) -> None:  # noqa: FBT001 - a table
    assert says_the_same(f'{{"a": {ours}}}', f'{{"a": {theirs}}}') is same


@pytest.mark.parametrize("text", ["", "<html></html>", '{"a": NaN}', "[" * 100_000, "[" * 600 + "]" * 600])
def test_text_that_cannot_be_read_is_a_difference(text: str) -> None:
    assert not says_the_same("{}", text)
    assert not says_the_same(text, "{}")


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["a.vmImages", "definition", "xLeadConfiguration", "version"]), inner),
    ),
    max_leaves=12,
)


@given(anything, anything)
def test_any_two_documents_can_be_compared(one: Any, other: Any) -> None:
    assert says_the_same(json.dumps(one), json.dumps(one))
    says_the_same(json.dumps(one), json.dumps(other))
