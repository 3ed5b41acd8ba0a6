"""An id stays in its place in an address, whatever it is."""

from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.http.addresses import segment


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("webstack-1.0_x~", "webstack-1.0_x~"),
        ("a/b", "a%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("...", "..."),
        ("%2e%2e", "%252e%252e"),
        ("a$b é", "a%24b%20%C3%A9"),
        ("\ud800", "%3F"),
    ],
)
def test_what_would_leave_its_place_is_escaped(text: str, written: str) -> None:
    assert segment(text) == written


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.sampled_from([".", "..", "../..", "//x"]))
def test_any_text_is_one_segment_and_can_be_read_back(text: str) -> None:
    parts = urlsplit(urljoin("https://marketplace.example/offers/", segment(text)))
    assert (parts.netloc, parts.query, parts.fragment) == ("marketplace.example", "", "")
    assert parts.path.startswith("/offers/")
    assert unquote(parts.path.removeprefix("/offers/")) == text
