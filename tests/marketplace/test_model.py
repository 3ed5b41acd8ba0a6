"""The model that both APIs share."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from marketplace.model import (
    JOB_PREFIX,
    LIVE_SUFFIX,
    Deprecation,
    EditOutcome,
    Image,
    ImageVersion,
    Promotion,
    Sku,
    only_in_first,
    shown_id,
)

VHD = "https://images.blob.core.windows.net/vhds/web.vhd"
SUBSCRIPTION = "00000000-1111-2222-3333-444444444444"
GALLERY = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/images-rg/providers/Microsoft.Compute"
    "/galleries/fabrikam.gallery/images/webstack/versions/4.2.1"
)
NUMBER = "1152921505690009876"


def image(**members: Any) -> Image:
    return Image.model_validate({"plan_id": "lts", "version": "4.2.1", **members})


def refusal(**members: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        image(**members)
    return str(caught.value)


@pytest.mark.parametrize(
    "members",
    [
        {"os_vhd_url": VHD},
        {"os_vhd_url": VHD, "data_disks": [{"lun": 0, "vhd_url": VHD}]},
        {"gallery_image_id": GALLERY},
        {"gallery_image_id": GALLERY, "gallery_tenant_id": SUBSCRIPTION},
    ],
    ids=["a disk", "disks", "a gallery", "a gallery with a tenant"],
)
def test_an_image_has_one_source(members: dict[str, Any]) -> None:
    wanted = image(**members)
    assert wanted.model_dump(exclude_unset=True, exclude={"plan_id", "version"}) == members


@pytest.mark.parametrize("members", [{}, {"os_vhd_url": VHD, "gallery_image_id": GALLERY}], ids=["none", "both"])
def test_an_image_without_a_source_or_with_two_is_refused(members: dict[str, Any]) -> None:
    assert "exactly one of os_vhd_url and gallery_image_id is needed" in refusal(**members)


def test_data_disks_with_a_gallery_image_are_refused() -> None:
    message = refusal(gallery_image_id=GALLERY, data_disks=[{"lun": 0, "vhd_url": VHD}])
    assert "data_disks: a gallery image brings its own" in message


def test_a_gallery_tenant_without_a_gallery_image_is_refused() -> None:
    message = refusal(os_vhd_url=VHD, gallery_tenant_id=SUBSCRIPTION)
    assert "gallery_tenant_id goes with gallery_image_id only" in message


@pytest.mark.parametrize(
    "tenant", ["", "fabrikam.onmicrosoft.com", SUBSCRIPTION[:-1], f"{{{SUBSCRIPTION}}}", f"{SUBSCRIPTION}\n"]
)
def test_a_tenant_is_a_guid(tenant: str) -> None:
    assert "gallery_tenant_id" in refusal(gallery_image_id=GALLERY, gallery_tenant_id=tenant)


@pytest.mark.parametrize("written", [GALLERY, GALLERY.lower(), GALLERY.upper(), GALLERY.replace("4.2.1", "latest")])
def test_a_gallery_image_id_may_have_any_letter_case_and_keeps_it(written: str) -> None:
    assert image(gallery_image_id=written).gallery_image_id == written


@pytest.mark.parametrize(
    "written",
    [
        "",
        GALLERY.removeprefix("/"),
        f"{GALLERY}/",
        f"{GALLERY}/regions/west",
        f"{GALLERY}?api-version=1",
        f"{GALLERY}#x",
        f"{GALLERY}\n",
        f" {GALLERY}",
        f"https://management.azure.com{GALLERY}",
        GALLERY.replace(SUBSCRIPTION, ""),
        GALLERY.replace("images-rg", "images rg"),
        GALLERY.replace("images-rg", "a/b"),
        GALLERY.replace("/versions/4.2.1", ""),
        GALLERY.replace("/galleries/fabrikam.gallery", ""),
        GALLERY.replace("Microsoft.Compute", "MicrosoftxCompute"),
        GALLERY.replace("webstack", "w" * 400),
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Compute/images/webstack",
    ],
)
def test_an_id_that_is_not_a_gallery_image_version_is_refused(written: str) -> None:
    message = refusal(gallery_image_id=written)
    assert "gallery_image_id" in message
    assert "exactly one" not in message


@pytest.mark.parametrize(
    "sku",
    [
        {},
        {"id": ""},
        {"id": "LTS"},
        {"id": "lts gen2"},
        {"id": "l" * 51},
        {"id": "lts", "security_types": ["untrusted"]},
        {"id": "lts", "security_types": "trusted"},
        {"id": "lts", "security_types": ["trusted", "confidential", "trusted"]},
        {"id": "lts", "image_type": "x64Gen2"},
        "lts",
    ],
)
def test_an_invalid_sku_is_refused(sku: object) -> None:
    assert "sku" in refusal(os_vhd_url=VHD, sku=sku)


def test_a_sku_has_no_security_types_by_default() -> None:
    assert Sku(id="lts-gen2") == Sku(id="lts-gen2", security_types=[])
    assert image(os_vhd_url=VHD, sku={"id": "lts_2", "security_types": ["trusted", "confidential"]}).sku is not None


@pytest.mark.parametrize(
    ("operation_id", "shown"),
    [
        (f"{NUMBER}{LIVE_SUFFIX}", NUMBER),
        (NUMBER, NUMBER),
        (f"{JOB_PREFIX}{SUBSCRIPTION}", f"{JOB_PREFIX}{SUBSCRIPTION}"),
        (SUBSCRIPTION, SUBSCRIPTION),
        ("live", "live"),
        ("", ""),
    ],
)
def test_an_operation_is_shown_with_the_marketplaces_own_id(operation_id: str, shown: str) -> None:
    assert shown_id(operation_id) == shown


VERSIONS = st.lists(
    st.builds(
        ImageVersion,
        plan_id=st.sampled_from(["lts", "edge"]),
        version=st.sampled_from(["1.0.0", "1.00.0", "2.0.0"]),
        generation=st.sampled_from([None, "1", "2"]),
    ),
    max_size=6,
)


@given(VERSIONS, VERSIONS)
def test_the_versions_that_only_the_first_slot_holds_are_in_its_order(
    first: list[ImageVersion], second: list[ImageVersion]
) -> None:
    found = only_in_first(first, second)
    assert set(found) == set(first) - set(second)
    assert [each for each in first if each in found] == found
    assert only_in_first(first, first) == []
    assert only_in_first(first, []) == first


def test_another_generation_or_spelling_is_another_version() -> None:
    one = ImageVersion(plan_id="lts", version="1.0.0")
    others = [one.model_copy(update={"generation": "2"}), one.model_copy(update={"version": "1.00.0"})]
    assert only_in_first([one, *others], [one]) == others


ONE = [ImageVersion(plan_id="lts", version="1.0.0")]


@pytest.mark.parametrize(
    "promotion",
    [Promotion(adds=ONE), Promotion(removes=ONE), Promotion(deprecates=ONE), Promotion(changes=["the price"])],
    ids=["adds", "removes", "deprecates", "changes"],
)
def test_a_promotion_that_changes_anything_is_not_empty(promotion: Promotion) -> None:
    assert not promotion.is_empty


def test_a_promotion_without_changes_is_empty_whatever_its_evidence() -> None:
    assert Promotion().is_empty
    assert Promotion(evidence="sha256:0").is_empty


@pytest.mark.parametrize(
    "outcome",
    [EditOutcome(added=ONE), EditOutcome(removed=ONE), EditOutcome(deprecated=ONE), EditOutcome(renewed=ONE)],
    ids=["added", "removed", "deprecated", "renewed"],
)
def test_an_edit_that_added_removed_deprecated_or_renewed_has_changed_the_draft(outcome: EditOutcome) -> None:
    assert outcome.changed
    assert not EditOutcome(warnings=["soon"], operations=["op-1"]).changed


@pytest.mark.parametrize(("notice", "days"), [('"P90D"', 90), ("0", 0), ("86400", 1), ('"P3660D"', 3660)])
def test_a_notice_is_an_iso_duration_or_seconds(notice: str, days: int) -> None:
    assert Deprecation.model_validate_json(f'{{"notice": {notice}}}').notice.days == days


@pytest.mark.parametrize(
    "written",
    [
        '{"notice": "P3661D"}',
        '{"notice": -1}',
        '{"reason": "old"}',
        '{"alternative_plan_id": "LTS!"}',
        '{"why": "x"}',
    ],
)
def test_an_invalid_deprecation_is_refused(written: str) -> None:
    with pytest.raises(ValidationError):
        Deprecation.model_validate_json(written)
