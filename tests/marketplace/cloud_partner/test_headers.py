"""Operation IDs and ETags are read from headers, or not at all."""

import httpx
import pytest

from marketplace.cloud_partner.headers import etag, operation_id

GUID = "0f4c7a1e-63d7-4c0f-9f3a-2a1d7a5be911"
NEW_FORM = f"/api/publishers/p/offers/o/operations/{GUID}"


@pytest.mark.parametrize(
    ("header", "value", "found"),
    [
        pytest.param("location", f"{NEW_FORM}?api-version=2017-10-31", GUID, id="relative"),
        pytest.param("location", NEW_FORM, GUID, id="without a query"),
        pytest.param("location", f"{NEW_FORM}/", GUID, id="with a trailing slash"),
        pytest.param("LOCATION", NEW_FORM.upper(), GUID.upper(), id="in upper case"),
        pytest.param("location", f"https://cloudpartner.azure.com{NEW_FORM}?x=1", GUID, id="absolute"),
        pytest.param("Operation-Location", f"https://cloudpartner.azure.com{NEW_FORM}", GUID, id="the old header"),
        pytest.param("location", f"https://elsewhere.example{NEW_FORM}", GUID, id="another host"),
        pytest.param("location", f"//elsewhere.example{NEW_FORM}#x", GUID, id="without a scheme"),
        pytest.param(
            "location",
            "/api/operations/fabrikam$webstack$2$preview?api-version=2017-10-31",
            None,
            id="the oldest form",
        ),
        pytest.param("location", "/api/operations/fabrikam%24webstack%242%24preview", None, id="the same, encoded"),
        pytest.param("location", "/api/publishers/p/offers/o/operations/", None, id="no id"),
        pytest.param("location", "/api/publishers/p/offers/o/operations/..", None, id="a parent folder"),
        pytest.param(
            "location", "/api/publishers/p/offers/o/operations/a%2F..%2Fb", None, id="an encoded parent folder"
        ),
        pytest.param("location", "/api/publishers/p/offers/o", None, id="another address"),
        pytest.param("location", "http://[", None, id="not a URL"),
        pytest.param("location", "", None, id="empty"),
        pytest.param("x-other", NEW_FORM, None, id="no header"),
    ],
)
def test_the_operation_is_read_from_every_form_of_location(header: str, value: str, found: str | None) -> None:
    assert operation_id(httpx.Headers({header: value})) == found


def test_the_header_that_names_an_operation_is_found_next_to_another() -> None:
    headers = httpx.Headers({"location": "/api/operations/a$b$2$preview", "operation-location": NEW_FORM})
    assert operation_id(headers) == GUID


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("W/\"datetime'2023-11-09T08%3A41%3A27.5093316Z'\"", "W/\"datetime'2023-11-09T08%3A41%3A27.5093316Z'\""),
        ("  ", None),
        ("a\x00b", None),
        ("é", None),
        ("x" * 2000, None),
    ],
)
def test_an_etag_is_kept_as_it_was_read_or_not_at_all(value: str, read: str | None) -> None:
    assert etag(httpx.Headers([(b"ETag", value.encode())])) == read
