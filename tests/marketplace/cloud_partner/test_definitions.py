"""The disks of a whole offer are signed and checked, and nothing else in it changes."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.cloud_partner.comparison import says_the_same
from marketplace.cloud_partner.contents import held_images
from marketplace.cloud_partner.definitions import check_disks, with_signed_disks
from marketplace.errors import RuleBroken
from marketplace.sas import Signer

NOW = datetime(2024, 5, 20, 12, tzinfo=UTC)
FINE = "sv=2022-11-02&sr=c&sp=rl&st=2024-05-10T00%3A00%3A00Z&se=2024-08-10T00%3A00%3A00Z&sig=c2VjcmV0"
EXPIRED = FINE.replace("2024-08", "2024-05")
VM_MAP = "microsoft-azure-virtualmachines.vmImages"
CORE_MAP = "microsoft-azure-corevm.vmImagesPublicAzure"
SIGNER = Signer({"fabrikamimages": base64.b64encode(b"invented").decode()})


def url(name: str, query: str = "", account: str = "fabrikamimages") -> str:
    address = f"https://{account}.blob.core.windows.net/vhds/{name}.vhd"
    return f"{address}?{query}" if query else address


def entry(os: str, *data: str) -> dict[str, Any]:
    return {"osVhdUrl": os, "lunVhdDetails": [{"lun": lun, "vhdUrl": each} for lun, each in enumerate(data)]}


def document(images: dict[str, Any], **of_plan: object) -> str:
    plan = {"planId": "lts", VM_MAP: images, **of_plan}
    offer = {"offerTypeId": "microsoft-azure-virtualmachines", "definition": {"plans": [plan]}}
    return json.dumps(offer, indent=1)


def marked(address: str) -> str | None:
    """Sign with a fixed signature that a test recognises."""
    return f"{address}?sig=made" if "//fabrikamimages." in address else None


def signed(text: str, stored: str = "{}", *, at: datetime = NOW) -> str:
    return with_signed_disks(text, lambda address: SIGNER.signed(address, at), stored=stored)


def urls(text: str) -> list[str]:
    (plan,) = json.loads(text)["definition"]["plans"]
    return [
        each
        for one in plan[VM_MAP].values()
        for each in (one["osVhdUrl"], *(disk["vhdUrl"] for disk in one["lunVhdDetails"]))
    ]


# Signing


spaces = st.sampled_from(["", " ", "\n  ", "\t"])
odd_members = st.sampled_from(
    [
        '"price" : 1.10',
        '"ticks":638351234567890123',
        '"logo":"https:\\/\\/fabrikamimages.blob.core.windows.net\\/a.png"',
        '"osVhdUrl":"https://fabrikamimages.blob.core.windows.net/vhds/elsewhere.vhd"',
        '"t\\u00e9":"\\u00e9\\ud83d & é"',
        '"twice":1,"twice":2',
    ]
)
ours = st.sampled_from(["a.vhd", "a%20b.vhd", "über.vhd", "\\u00e9.vhd", "&.vhd"]).map(
    lambda name: f"https://fabrikamimages.blob.core.windows.net/vhds/{name}"
)
written_urls = st.one_of(
    ours,
    ours.map(lambda each: each.replace("/", "\\/")),
    ours.map(lambda each: f"{each}?{FINE}"),
    ours.map(lambda each: f"{each}?snapshot=1"),
    st.sampled_from(
        ["https://stranger.blob.core.windows.net/vhds/a.vhd", "", "tbd", "http://[", "https://x.example/"]
    ),
)


@st.composite
def offers_before_and_after(draw: st.DrawFn) -> tuple[str, str]:
    """Draw the text of an offer, and the same text with all URLs as they should be."""

    def members(*parts: str) -> str:
        mixed = [*draw(st.lists(odd_members, max_size=2)), *parts, *draw(st.lists(odd_members, max_size=2))]
        return "{" + draw(spaces) + f"{draw(spaces)},{draw(spaces)}".join(mixed) + draw(spaces) + "}"

    def image() -> str:
        key = draw(st.sampled_from(["vhdUrl", "Uri"]))
        disks = ",".join(f'{draw(spaces)}{{"lun":{lun}, "{key}":"@"}}' for lun in range(draw(st.integers(0, 2))))
        return f'{{"osVhdUrl" :"@",{draw(spaces)}"lunVhdDetails":[{disks}]}}'

    def image_map(key: str) -> str:
        versions = draw(st.lists(st.sampled_from(["1.0.0", "2018.09.09", "junk", "1.1.0"]), unique=True, max_size=2))
        return f'"{key}":{{' + ",".join(f'"{version}":{draw(spaces)}{image()}' for version in versions) + "}"

    second = members('"generation":"2"', image_map(CORE_MAP))
    plans = [
        members('"planId":"lts"', image_map(VM_MAP)),
        members('"planId":"core"', image_map(CORE_MAP), f'"diskGenerations":[{second}]'),
    ]
    definition = members('"plans":[' + ",".join(plans) + "]")
    text = members(f'"definition":{definition}')
    before, after = "", ""
    for index, piece in enumerate(text.split("@")):
        if index:
            given_url = draw(written_urls)
            before += given_url
            decoded = json.loads(f'"{given_url}"')
            new = marked(decoded) if "?" not in decoded else None
            after += json.dumps(new)[1:-1] if new else given_url
        before += piece
        after += piece
    return before, after


@given(offers_before_and_after())
def test_everything_except_the_urls_stays_byte_for_byte(offer: tuple[str, str]) -> None:
    before, after = offer
    assert with_signed_disks(before, marked) == after


@given(offers_before_and_after())
def test_signing_twice_changes_nothing(offer: tuple[str, str]) -> None:
    once = signed(offer[0])
    assert signed(once, at=NOW + timedelta(days=1)) == once


@given(offers_before_and_after())
def test_a_signed_document_has_the_content_of_the_unsigned_one(offer: tuple[str, str]) -> None:
    before, _ = offer
    assert says_the_same(before, signed(before))
    assert held_images(before) == held_images(signed(before))


@given(offers_before_and_after())
def test_a_draft_that_is_replaced_by_its_own_definition_does_not_change(offer: tuple[str, str]) -> None:
    before, _ = offer
    stored = signed(before)
    assert signed(before, stored, at=NOW + timedelta(days=1)) == stored


def test_disks_of_every_image_map_are_signed() -> None:
    generations = [{"generation": "2", VM_MAP: {"1.0.0": entry(url("second"))}}]
    text = signed(document({"1.0.0": entry(url("os"), url("0"), url("1"))}, diskGenerations=generations))
    assert text.count("sp=rl") == 4
    assert check_disks(text, NOW) == []


def test_a_disk_of_an_account_without_a_key_is_left_alone() -> None:
    text = document({"1.0.0": entry(url("os", account="stranger"))})
    assert signed(text) == text


def test_a_url_with_a_lone_surrogate_is_left_alone() -> None:
    text = document({"1.0.0": entry(url("\ud83d"))})
    assert signed(text) == text


# Images that the stored draft holds


@pytest.mark.parametrize("query", [FINE, EXPIRED, ""])
def test_an_image_that_the_draft_holds_keeps_its_exact_urls(query: str) -> None:
    stored = document({"1.0.0": entry(url("os", query).replace("https", "HTTPS"), url("0", FINE))})
    text = signed(document({"1.0.0": entry(url("os"), url("0")), "1.1.0": entry(url("new"), url("new-0"))}), stored)
    assert urls(text)[:2] == urls(stored)
    assert all("sp=rl" in each for each in urls(text)[2:])


def test_a_sas_given_for_an_image_that_the_draft_holds_is_used() -> None:
    text = document({"1.0.0": entry(url("os", FINE))})
    assert signed(text, document({"1.0.0": entry(url("os", EXPIRED))})) == text


@pytest.mark.parametrize(
    "other",
    [
        {"1.0.0": entry(url("other", EXPIRED), url("0", EXPIRED))},
        {"1.0.0": entry(url("os", EXPIRED), url("other", EXPIRED))},
        {"1.0.0": entry(url("os", EXPIRED))},
        {"1.0.1": entry(url("os", EXPIRED), url("0", EXPIRED))},
    ],
)
def test_an_image_that_the_draft_holds_with_other_disks_is_new(other: dict[str, Any]) -> None:
    text = document({"1.0.0": entry(url("os"), url("0"))})
    assert signed(text, document(other)) == signed(text)
    with pytest.raises(RuleBroken):
        check_disks(text, NOW, stored=document(other))


# Checking


def test_an_unreadable_disk_is_refused_with_its_plan_and_version() -> None:
    generations = [{"generation": "2", VM_MAP: {"1.0.0": entry(url("os", FINE.replace("&sr=c", "")))}}]
    text = document({"1.0.0": entry(url("os", EXPIRED), url("0", account="stranger"))}, diskGenerations=generations)
    with pytest.raises(RuleBroken) as caught:
        check_disks(text, NOW)
    expired, unsigned, of_nothing = str(caught.value).splitlines()
    assert expired.startswith("lts 1.0.0: the SAS of the OS disk: se (expiry) 2024-05-10T00:00:00Z has passed")
    assert unsigned.startswith("lts 1.0.0: the URL of the data disk at lun 0 has no SAS")
    assert "no key of the storage account stranger" in unsigned
    assert of_nothing.startswith("lts 1.0.0 (generation 2): the SAS of the OS disk: sr (what the SAS is for) is miss")
    assert "c2VjcmV0" not in str(caught.value)


def test_a_problem_of_an_image_that_the_draft_holds_is_a_warning() -> None:
    stored = document({"1.0.0": entry(url("os", EXPIRED), url("0"))})
    assert check_disks(stored, NOW, stored=stored) == [
        "lts 1.0.0: the SAS of the OS disk: se (expiry) 2024-05-10T00:00:00Z has passed: make a new SAS.",
        "lts 1.0.0: the URL of the data disk at lun 0 stays without a SAS, as the draft has it.",
    ]


def test_a_sas_that_expires_soon_is_a_warning_for_any_image() -> None:
    (warning,) = check_disks(document({"1.0.0": entry(url("os", FINE.replace("2024-08-10", "2024-05-30")))}), NOW)
    assert warning.startswith("lts 1.0.0: the SAS of the OS disk: se (expiry)")


def test_sentences_are_bounded_in_number_and_length() -> None:
    many = {f"1.0.{patch}" + "\u202e\n" * 300: entry(url("os", EXPIRED)) for patch in range(50)}
    with pytest.raises(RuleBroken) as caught:
        check_disks(document(many), NOW)
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "… and 30 more."
    assert all(line.isprintable() and len(line) < 400 for line in lines)
    assert len(check_disks(document(many), NOW, stored=document(many))) == 21


def test_a_value_that_is_not_a_url_is_left_to_the_service() -> None:
    text = document({"1.0.0": {"osVhdUrl": "", "lunVhdDetails": [{"lun": 0}, None, "tbd"]}, "1.1.0": None})
    assert signed(text) == text
    assert check_disks(text, NOW) == []
