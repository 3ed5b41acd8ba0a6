"""SAS are checked, made and redacted."""

import json
from datetime import UTC, datetime, timedelta
from html import escape
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace import sas

NOW = datetime(2024, 5, 20, 12, 0, 30, 500_000, tzinfo=UTC)
BLOB = "https://fabrikamimages.blob.core.windows.net/vhds/webstack-4.2.0.vhd"
SIGNATURE = "aB3/x+Y%2Bq="


def signed(**changes: str | None) -> str:
    values: dict[str, str | None] = {
        "sv": "2022-11-02",
        "sr": "c",
        "sp": "rl",
        "st": "2024-05-10T00%3A00%3A00Z",
        "se": "2024-08-10T00%3A00%3A00Z",
        "sig": "c2VjcmV0",
    }
    values |= changes
    return BLOB + "?" + "&".join(f"{name}={value}" for name, value in values.items() if value is not None)


def test_a_sas_that_meets_the_requirements_has_no_problems() -> None:
    assert sas.problems(signed(), NOW) == sas.Problems()
    assert sas.usable(signed(), NOW)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sig": None}, "sig (the signature) is missing"),
        ({"sig": ""}, "sig (the signature) is missing"),
        ({"sr": "d"}, "sr (what the SAS is for) is d"),
        ({"sr": None}, "sr (what the SAS is for) is missing"),
        ({"sp": "r"}, "sp (permissions) r lacks l; use sp=rl"),
        ({"sp": "wd"}, "sp (permissions) wd lacks r and l"),
        ({"sp": None}, "sp (permissions) is missing; use sp=rl"),
        ({"st": "2024-05-20T12%3A01%3A00Z"}, "st (start) 2024-05-20T12:01:00Z is in the future"),
        ({"se": None}, "se (expiry) is missing"),
        ({"se": "2024-05-20T12%3A00%3A00Z"}, "se (expiry) 2024-05-20T12:00:00Z has passed"),
    ],
)
def test_a_sas_that_does_not_let_the_service_read_is_an_error(changes: dict[str, str | None], expected: str) -> None:
    found = sas.problems(signed(**changes), NOW)
    assert len(found.errors) == 1
    assert found.errors[0].startswith(expected)
    assert not found.warnings
    assert not sas.usable(signed(**changes), NOW)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"st": "2024-05-20T00%3A00%3A00Z"}, "st (start) 2024-05-20T00:00:00Z should be a day in the past"),
        ({"se": "2024-06-01T00:00:00Z"}, "se (expiry) 2024-06-01T00:00:00Z should be three weeks ahead"),
        ({"st": "2024-05-01"}, "st (start) 2024-05-01 has no time of day"),
        ({"se": "2024-09-01"}, "se (expiry) 2024-09-01 has no time of day"),
        ({"se": "next year"}, "se (expiry) next year is not a date-time"),
        ({"st": "yesterday"}, "st (start) yesterday is not a date-time"),
    ],
)
def test_a_sas_that_works_but_misses_a_requirement_is_a_warning(
    changes: dict[str, str | None], expected: str
) -> None:
    found = sas.problems(signed(**changes), NOW)
    assert not found.errors
    assert [warning[: len(expected)] for warning in found.warnings] == [expected]


@pytest.mark.parametrize(
    "expiry",
    [
        "2024-08-10T00:00Z",
        "2024-08-10t00:00:00z",
        "2024-08-10T00%253A00%253A00Z",
        "2024-08-10T00:00:00.1234567Z",
        "2024-08-10T02:00:00%2B02:00",
        "2024-08-10T02:00:00 02:00",
        "2024-08-10T00:00:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_dates_are_read_in_every_form_that_tools_write(expiry: str) -> None:
    assert sas.problems(signed(se=expiry), NOW) == sas.Problems()


def test_a_blob_sas_needs_no_list_permission() -> None:
    assert sas.problems(signed(sr="b", sp="r"), NOW) == sas.Problems()


def test_a_stored_access_policy_may_define_permissions_and_times() -> None:
    assert sas.problems(signed(si="images", sp=None, st=None, se=None), NOW) == sas.Problems()


def test_parameter_names_are_read_in_any_letter_case() -> None:
    assert sas.problems(signed().replace("sig=", "SIG=").replace("sr=", "Sr="), NOW) == sas.Problems()


def test_a_url_without_a_query_is_unsigned_and_has_no_sas_problem() -> None:
    assert sas.unsigned(BLOB)
    assert sas.unsigned(BLOB + "?")
    assert not sas.unsigned(BLOB + "?snapshot=1")
    assert sas.problems(BLOB, NOW) == sas.Problems()
    assert not sas.usable(BLOB, NOW)


def test_problems_never_quote_the_signature() -> None:
    url = signed(st="sig=c2VjcmV0", se="%26sig%3Dc2VjcmV0", sp="sig=c2VjcmV0", sr="sig%3Dc2VjcmV0")
    assert "c2VjcmV0" not in str(sas.problems(url, NOW))


@given(st.text(max_size=40))
def test_any_text_can_be_checked(text: str) -> None:
    for url in (text, f"https://{text}", signed(se=text, st=text, sp=text)):
        sas.problems(url, NOW)
        sas.unsigned(url)
        sas.usable(url, NOW)
        sas.account(url)
        assert sas.address(sas.address(url)) == sas.address(url)
        assert sas.Signer({"fabrikamimages": "a2V5"}).signed(url, NOW) is None


def test_urls_that_differ_only_in_their_sas_are_the_same_disk() -> None:
    assert sas.address(signed()) == BLOB
    assert sas.address(signed(sig="other", se=None, skoid="1", SKTID="2", spr="https")) == BLOB
    assert sas.address("HTTPS://FabrikamImages.blob.core.windows.net:443/vhds/webstack%2D4.2.0.vhd#x") == BLOB


def test_a_snapshot_or_a_version_of_a_blob_is_another_disk() -> None:
    snapshot = sas.address(signed(snapshot="2024-01-01T00%3a00%3a00Z"))
    assert snapshot == BLOB + "?snapshot=2024-01-01T00%3A00%3A00Z"
    assert sas.address(signed(versionid="7")) == BLOB + "?versionid=7"


def test_the_path_of_a_disk_keeps_its_letter_case_and_its_escaped_slashes() -> None:
    assert sas.address("https://h.example/A%2fb/%C3%A9.vhd") == "https://h.example/A%2Fb/%C3%A9.vhd"
    assert sas.address("https://h.example/A%2Fb/é.vhd") == "https://h.example/A%2Fb/%C3%A9.vhd"


def test_credentials_in_front_of_the_host_are_not_part_of_an_address() -> None:
    assert sas.address("https://me:secret@h.example:8443/a.vhd") == "https://h.example:8443/a.vhd"


@pytest.mark.parametrize(
    "text",
    [
        f"GET {BLOB}?sr=c&sig={SIGNATURE}&se=2024 failed",
        f"{BLOB}?SIG={SIGNATURE}",
        quote(f"{BLOB}?sr=c&sig={SIGNATURE}", safe=""),
        quote(quote(f"{BLOB}?sr=c&sig={SIGNATURE}", safe=""), safe=""),
        escape(f"{BLOB}?sr=c&sig={SIGNATURE}&se=1"),
        f"{BLOB}?sr=c&#38;sig&#61;aB3/x&#43;Y%2Bq&#x3d;",
        json.dumps(f"{BLOB}?sr=c&sig={SIGNATURE}")
        .replace("&", r"\u0026")
        .replace("=", r"\u003d")
        .replace("/", r"\/"),
        json.dumps(json.dumps(f"{BLOB}?sig={SIGNATURE}".replace("+", r"\u002b"))),
        json.dumps({"sig": SIGNATURE}),
        json.dumps(json.dumps({"sig": SIGNATURE})),
        repr({"sig": [SIGNATURE]}),
        repr(f"first line\nsig={SIGNATURE}"),
    ],
)
def test_a_signature_is_redacted_in_every_kind_of_escaping(text: str) -> None:
    hidden = sas.redacted(text)
    assert "REDACTED" in hidden
    for piece in ("aB3", "Y%2Bq", "Yq", "%2Bq"):
        assert piece not in hidden
    assert sas.redacted(hidden) == hidden


def test_text_after_a_signature_stays_readable() -> None:
    assert sas.redacted(f"<a href='?sig={SIGNATURE}&amp;se=2024'>disk</a>, and more") == (
        "<a href='?sig=REDACTED&amp;se=2024'>disk</a>, and more"
    )


@given(st.text(max_size=60))
def test_text_without_a_signature_stays_as_it_is(text: str) -> None:
    if "sig" not in text.lower():
        assert sas.redacted(text) == text


def test_redaction_takes_linear_time() -> None:
    assert len(sas.redacted("sig" * 300_000 + "sig\\" * 50_000 + "sig=" * 50_000)) < 2_000_000


def test_a_disk_of_a_known_account_is_signed_for_its_container() -> None:
    signer = sas.Signer({"fabrikamimages": "a2V5"})
    url = signer.signed(BLOB, NOW)
    assert url is not None
    assert sas.address(url) == BLOB
    assert sas.problems(url, NOW) == sas.Problems()
    query = dict(part.split("=", 1) for part in url.partition("?")[2].split("&"))
    assert (query["sr"], query["sp"]) == ("c", "rl")
    assert query["st"] == "2024-05-19T12%3A00%3A30Z"
    assert query["se"] == "2024-08-20T12%3A00%3A30Z"
    assert query["sig"]
    other = signer.signed(BLOB.replace("4.2.0", "4.2.1"), NOW + timedelta(microseconds=1))
    assert other is not None
    assert other.partition("?")[2] == url.partition("?")[2]


@pytest.mark.parametrize(
    "url",
    [
        signed(),
        BLOB + "?snapshot=1",
        BLOB.replace("fabrikamimages", "contoso"),
        BLOB.replace("windows.net", "windows.net.evil.example"),
        BLOB.replace(".blob.", ".file."),
        "https://fabrikamimages.evil.example/blob.core.windows.net/a.vhd",
        "https://[/a.vhd",
    ],
)
def test_a_url_of_an_unknown_account_or_with_a_query_is_not_signed(url: str) -> None:
    assert sas.Signer({"fabrikamimages": "a2V5"}).signed(url, NOW) is None


def test_account_names_are_compared_in_lower_case() -> None:
    assert sas.Signer({"FabrikamImages": "a2V5"}).signed(BLOB, NOW)


def test_a_signer_shows_its_accounts_and_never_their_keys() -> None:
    signer = sas.Signer({"fabrikamimages": "a2V5c2VjcmV0"})
    assert repr(signer) == str(signer) == "Signer(fabrikamimages)"
