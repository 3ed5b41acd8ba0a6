"""Requests of both APIs: tokens, further attempts, errors, and IDs in paths."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from marketplace import errors
from marketplace.http.answers import PLAIN, Answer, Call, Dialect
from marketplace.http.credentials import FixedToken
from marketplace.http.sender import Headers, Sender, segment
from marketplace.model import OfferKey
from tests.marketplace.canned import CannedService, NumberedTokens

CALL = Call("publish", "publish", OfferKey(publisher_id="fabrikam-linux", offer_id="webstack-appliance"))
URL = "https://marketplace.example/publish"
TOKEN = "hunter2-token"


class Service(CannedService):
    """A service and the requests that are sent to it."""

    @property
    def sent(self) -> list[str | None]:
        return [request.headers.get("x-again") for request in self.requests]

    async def asked(self, dialect: Dialect = PLAIN, **more: Any) -> Answer:
        sender = Sender(self.client(), more.pop("credentials", FixedToken(SecretStr(TOKEN))), dialect)
        return await sender.send(CALL, "POST", URL, content=b"{}", **more)


class Amending:
    """Asks for one more attempt after a refusal, and records its arguments."""

    def __init__(self) -> None:
        self.calls: list[tuple[Answer | Exception, Headers]] = []

    def __call__(self, outcome: Answer | Exception, headers: Headers) -> Headers | None:
        self.calls.append((outcome, headers))
        refused = isinstance(outcome, Exception) or outcome.status == 400
        return {**headers, "X-Again": "yes"} if refused and "X-Again" not in headers else None


async def test_an_api_may_ask_for_one_more_attempt_with_changed_headers() -> None:
    service, amending = Service(httpx.Response(400), httpx.Response(202, text="done")), Amending()
    answer = await service.asked(headers={"X-Own": "1"}, resend_with=amending)
    assert (answer.status, answer.text) == (202, "done")
    assert service.sent == [None, "yes"]
    assert [request.headers["x-own"] for request in service.requests] == ["1", "1"]
    assert [request.content for request in service.requests] == [b"{}", b"{}"]


async def test_a_request_that_is_refused_again_fails() -> None:
    service = Service(httpx.Response(400), httpx.Response(400))
    with pytest.raises(errors.Refused):
        await service.asked(resend_with=Amending())
    assert service.sent == [None, "yes"]


async def test_an_api_may_ask_for_one_more_attempt_after_an_exception() -> None:
    service = Service(httpx.ReadTimeout("slow"), httpx.Response(202))
    assert (await service.asked(resend_with=Amending())).status == 202
    assert service.sent == [None, "yes"]


async def test_nothing_is_sent_again_unless_the_api_asks_for_it() -> None:
    for answer in (httpx.Response(400), httpx.ReadTimeout("slow")):
        service = Service(answer)
        with pytest.raises(errors.MarketplaceError):
            await service.asked()
        assert service.sent == [None]


async def test_a_new_token_and_other_headers_may_both_be_needed() -> None:
    service = Service(httpx.Response(401), httpx.Response(400), httpx.Response(202))
    await service.asked(credentials=NumberedTokens(), resend_with=Amending())
    assert service.sent == [None, None, "yes"]
    assert [request.headers["authorization"] for request in service.requests] == [
        "Bearer hunter2-1",
        "Bearer hunter2-2",
        "Bearer hunter2-2",
    ]


async def test_a_token_is_renewed_once_even_if_headers_were_changed() -> None:
    service = Service(httpx.Response(400), httpx.Response(401), httpx.Response(401))
    with pytest.raises(errors.Unauthorized):
        await service.asked(credentials=NumberedTokens(), resend_with=Amending())
    assert service.sent == [None, "yes", "yes"]


async def test_other_headers_cannot_replace_the_token() -> None:
    def amended(_: Answer | Exception, headers: Headers) -> Mapping[str, str] | None:
        return None if headers else {"Authorization": "Bearer stolen", "X-Again": "yes"}

    service = Service(httpx.Response(400), httpx.Response(202))
    await service.asked(resend_with=amended)
    assert service.sent == [None, "yes"]
    assert [request.headers["authorization"] for request in service.requests] == [f"Bearer {TOKEN}"] * 2


async def test_the_decision_about_another_attempt_never_sees_the_token() -> None:
    service = Service(httpx.Response(400, text=f"what is {TOKEN}?", headers={"x-echo": TOKEN}), httpx.Response(202))
    amending = Amending()
    await service.asked(resend_with=amending)
    assert [headers for _, headers in amending.calls] == [{}, {"X-Again": "yes"}]
    refusal = amending.calls[0][0]
    assert isinstance(refusal, Answer)
    assert (refusal.text, refusal.headers["x-echo"]) == ("what is REDACTED?", "REDACTED")


@pytest.mark.parametrize(
    "raised", [httpx.LocalProtocolError, httpx.ReadError, ValueError, UnicodeError, httpx.InvalidURL, OSError]
)
async def test_an_exception_that_quotes_the_token_is_an_error_without_it(raised: type[Exception]) -> None:
    with pytest.raises(errors.MarketplaceError) as caught:
        await Service(raised(f"illegal header: Bearer {TOKEN}")).asked()
    assert TOKEN not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


async def test_a_refusal_is_reported_in_the_dialect_of_the_api() -> None:
    dialect = Dialect(
        hints={400: "ask {publisher_id} about it"},
        words=lambda body: f"it said {body!r}",
        error=lambda answer: errors.Conflict if "busy" in answer.text else None,
    )
    with pytest.raises(errors.Conflict) as caught:
        await Service(httpx.Response(400, text="busy")).asked(dialect)
    assert str(caught.value) == (
        "publish fabrikam-linux/webstack-appliance: the marketplace answered 400: it said 'busy'"
        " - ask fabrikam-linux about it"
    )
    with pytest.raises(errors.Refused):
        await Service(httpx.Response(400, text="no")).asked(dialect)


# IDs in paths


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
def test_characters_that_would_leave_the_segment_are_escaped(text: str, written: str) -> None:
    assert segment(text) == written


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.sampled_from([".", "..", "../..", "//x"]))
def test_any_text_is_one_segment_and_can_be_read_back(text: str) -> None:
    parts = urlsplit(urljoin("https://marketplace.example/offers/", segment(text)))
    assert (parts.netloc, parts.query, parts.fragment) == ("marketplace.example", "", "")
    assert parts.path.startswith("/offers/")
    assert unquote(parts.path.removeprefix("/offers/")) == text
