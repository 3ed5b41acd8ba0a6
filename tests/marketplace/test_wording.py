"""Text of the service becomes one clean, bounded line."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.wording import error_sentences, one_line, plain_text

SIGNATURE = "hunter2Signature%2Bx%3D"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        pytest.param("Plan has <b>no</b> image.", "Plan has no image.", id="tags are dropped"),
        pytest.param("web<b>stack</b>", "webstack", id="an inline tag does not split a word"),
        pytest.param("<p>One.</p><p>Two.</p>", "One. Two.", id="paragraphs are separated"),
        pytest.param("a &lt; b &amp; c &#x41;&nbsp;d", "a < b & c A d", id="entities are decoded"),
        pytest.param("<script>alert(1)</script><style>p{}</style>ok", "ok", id="scripts and styles are dropped"),
        pytest.param("<script>never closed", "", id="a script without an end hides the rest"),
        pytest.param("<!-- x -->y<![odd[z]]>w", "y w", id="comments and declarations are dropped"),
        pytest.param("1 < 2", "1 < 2", id="a bare less-than stays"),
        pytest.param("a\r\n\tb\x00c\x1b[31md\x9b", "a b c [31md", id="control characters are dropped"),
        pytest.param("\u202eabc\u200b\ud800d", "abcd", id="direction marks and lone surrogates are dropped"),
    ],
)
def test_html_becomes_one_line_of_text(html: str, expected: str) -> None:
    assert plain_text(html, 100) == expected


def test_a_long_line_ends_with_an_ellipsis() -> None:
    assert one_line("x" * 500, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    "text",
    [
        f"cannot read https://a.blob.core.windows.net/v/x.vhd?sv=1&sig={SIGNATURE}",
        f"cannot read https://a.blob.core.windows.net/v/x.vhd?sv=1&amp;sig={SIGNATURE}&amp;se=2",
        f"Authorization: Bearer {SIGNATURE}",
        f"token eyJ0eXAiOiJKV1Qi.{SIGNATURE}.abc",
    ],
)
def test_secrets_are_replaced(text: str) -> None:
    assert "hunter2" not in plain_text(text, 400)


@pytest.mark.parametrize(
    "piece",
    ["<", "<!", "<!--", "&", "<a ", "<![", "</", "<script>", "<script", "</script", "<a", "a", "x<b>", "\x00", " "],
)
def test_megabytes_are_read_quickly(piece: str) -> None:
    begun = time.process_time()
    assert len(plain_text(piece * 2_000_000, 400)) <= 400
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({"error": {"code": "Bad", "message": "No."}}, ["Bad: No."], id="documented"),
        pytest.param(
            {"error": {"code": "A", "message": "B", "details": [{"code": "C", "message": "D", "target": "t"}]}},
            ["A: B", "C: t: D"],
            id="with details",
        ),
        pytest.param({"message": "No."}, ["No."], id="a message"),
        pytest.param({"Message": "No."}, ["No."], id="a message in upper case"),
        pytest.param({"errors": ["one", {"message": "two"}]}, ["one", "two"], id="errors of two kinds"),
        pytest.param({"odata.error": {"code": "", "message": {"lang": "en", "value": "No."}}}, ["No."], id="odata"),
        pytest.param(["one", {"code": 7, "message": "two"}], ["one", "7: two"], id="a list"),
        pytest.param("No.", ["No."], id="a bare string"),
        pytest.param({"plans[0].title": ["is required"]}, ["plans[0].title: is required"], id="by member"),
        pytest.param({"errors": {"title": ["too long"]}}, ["title: too long"], id="errors by member"),
        pytest.param({"message": "<b>No</b>&amp;"}, ["No&"], id="HTML in a message"),
        pytest.param([["a", "a"], "a"], ["a"], id="repeated"),
        pytest.param(None, [], id="null"),
        pytest.param({}, [], id="nothing"),
    ],
)
def test_every_known_shape_of_an_error_body_is_read(body: object, expected: list[str]) -> None:
    assert error_sentences(body) == expected


@given(JSON)
def test_any_json_is_accepted(body: object) -> None:
    assert all(saying.isprintable() for saying in error_sentences(body))


@given(st.text(alphabet="<>!-[]/a&;#x\"'= ", max_size=60))
def test_any_html_is_accepted(html: str) -> None:
    assert plain_text(html, 40).isprintable()
