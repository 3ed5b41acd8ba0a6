"""The calls on the wire: URLs, headers, timeouts, the only case of a second attempt, and no secrets."""

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from marketplace import errors
from marketplace.cloud_partner import calls
from marketplace.cloud_partner.calls import Portal
from marketplace.http.credentials import FixedToken
from marketplace.http.pace import Pace
from marketplace.model import OfferKey, Slot
from tests.marketplace.canned import CannedService, NumberedTokens

OFFER = OfferKey(publisher_id="fabrikam-linux", offer_id="webstack-appliance")
PATH = "/api/publishers/fabrikam-linux/offers/webstack-appliance"
LOCATION = f"{PATH}/operations/0f4c7a1e-63d7-4c0f-9f3a-2a1d7a5be911?api-version=2017-10-31"
DOCUMENT = '{ "id" : "webstack-appliance", "big": 638350915370000000, "url": "https://x/?a=1&b=2", "é": 1.50 }'


class Service(CannedService):
    """A service and its portal."""

    def portal(self, credentials: Any = None, **more: Any) -> Portal:
        return Portal(self.client(), credentials or FixedToken(SecretStr("hunter2-token")), **more)


CALLS: dict[str, tuple[Callable[[Portal], Awaitable[object]], str, str, Any]] = {
    "read the draft": (lambda portal: portal.read_offer(OFFER), "GET", PATH, {}),
    "read a slot": (lambda portal: portal.read_offer(OFFER, Slot.PREVIEW), "GET", f"{PATH}/slot/Preview", {}),
    "put": (lambda portal: portal.put_offer(OFFER, DOCUMENT, if_match="*"), "PUT", PATH, {}),
    "status": (lambda portal: portal.status(OFFER), "GET", f"{PATH}/status", {}),
    "publish": (lambda portal: portal.publish(OFFER, ["a@b.example"]), "POST", f"{PATH}/publish", None),
    "go live": (lambda portal: portal.go_live(OFFER), "POST", f"{PATH}/golive", None),
    "cancel": (lambda portal: portal.cancel(OFFER), "POST", f"{PATH}/cancel", None),
    "list operations": (lambda portal: portal.submissions(OFFER), "GET", f"{PATH}/submissions/", []),
    "read an operation": (
        lambda portal: portal.operation(OFFER, "op-1"),
        "GET",
        f"{PATH}/operations/op-1",
        {"status": "running"},
    ),
}
every_call = pytest.mark.parametrize("name", CALLS)


@every_call
async def test_every_call_has_its_url_and_headers(name: str) -> None:
    call, method, path, body = CALLS[name]
    service = Service(httpx.Response(200, json=body))
    await call(service.portal())
    [request] = service.requests
    assert (request.method, request.url.path) == (method, path)
    assert request.url.host == "cloudpartner.azure.com"
    assert request.url.params["api-version"] == "2017-10-31"
    assert request.headers["authorization"] == "Bearer hunter2-token"
    assert request.headers["content-type"] == "application/json"
    assert ("content-length" in request.headers) is (method != "GET")
    assert ("if-match" in request.headers) is (method == "PUT")
    timeouts = request.extensions["timeout"]
    assert timeouts["connect"] == 10
    assert timeouts["read"] == {"GET": 20, "POST": 30, "PUT": 600}[method]


@every_call
async def test_after_a_401_the_call_is_repeated_once_with_a_new_token(name: str) -> None:
    call, _, _, body = CALLS[name]
    service = Service(httpx.Response(401), httpx.Response(200, json=body))
    await call(service.portal(NumberedTokens()))
    assert [request.headers["authorization"] for request in service.requests] == [
        "Bearer hunter2-1",
        "Bearer hunter2-2",
    ]
    assert service.requests[0].content == service.requests[1].content


@every_call
async def test_a_second_401_is_an_error(name: str) -> None:
    service = Service(httpx.Response(401, text="no"))
    with pytest.raises(errors.Unauthorized, match="MARKETPLACE_ACCESS_TOKEN"):
        await CALLS[name][0](service.portal(NumberedTokens()))
    assert len(service.requests) == 2


@every_call
@pytest.mark.parametrize("status", [302, 400, 403, 404, 409, 412, 422, 429, 500, 503])
async def test_no_other_status_is_repeated(name: str, status: int) -> None:
    service = Service(httpx.Response(status, text="No.", headers={"location": "https://elsewhere.example/"}))
    with pytest.raises(errors.MarketplaceError) as caught:
        await CALLS[name][0](service.portal())
    assert caught.value.status == status
    assert len(service.requests) == 1


@every_call
async def test_no_answer_is_unreachable(name: str) -> None:
    service = Service(httpx.ReadTimeout("slow"))
    with pytest.raises(errors.Unreachable, match=r"fabrikam-linux.*no answer from the marketplace: ReadTimeout"):
        await CALLS[name][0](service.portal())
    assert len(service.requests) == 1


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if call[1] == "GET"])
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>Sign in</html>", id="HTML"),
        pytest.param(b'{"id": ', id="cut off"),
        pytest.param(b'{"id": "\xff"}', id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="nested too deeply"),
    ],
)
async def test_a_success_that_cannot_be_read_is_unreadable(name: str, content: bytes) -> None:
    with pytest.raises(errors.Unreadable, match="fabrikam-linux"):
        await CALLS[name][0](Service(httpx.Response(200, content=content)).portal())


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("read the draft", []),
        ("read the draft", None),
        ("read a slot", "x"),
        ("list operations", "x"),
        ("list operations", 5),
        ("read an operation", []),
        ("read an operation", {}),
        ("read an operation", None),
        ("read an operation", ["x"]),
    ],
)
async def test_a_success_of_an_undocumented_shape_is_unreadable(name: str, body: object) -> None:
    with pytest.raises(errors.Unreadable, match="answered 200, but the answer is not"):
        await CALLS[name][0](Service(httpx.Response(200, content=json.dumps(body))).portal())


async def test_an_endless_answer_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MAX_DOCUMENT_BYTES", 1000)
    with pytest.raises(errors.Unreadable, match="more than 1,000 bytes"):
        await Service(httpx.Response(200, json={"a": "x" * 1000})).portal().read_offer(OFFER)


async def test_a_broken_compression_is_unreadable() -> None:
    answer = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Bytes([b"no gzip"]))
    with pytest.raises(errors.Unreadable):
        await Service(answer).portal().read_offer(OFFER)


class Bytes(httpx.AsyncByteStream):
    """A body in pieces. A piece may be an exception, which is raised."""

    def __init__(self, pieces: list[bytes | Exception]) -> None:
        self.pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece


async def test_a_read_that_breaks_off_is_unreachable() -> None:
    answer = httpx.Response(200, stream=Bytes([b'{"id":', httpx.ReadError("reset")]))
    with pytest.raises(errors.Unreachable, match="ReadError"):
        await Service(answer).portal().read_offer(OFFER)


async def test_the_id_of_a_publish_survives_an_answer_that_breaks_off() -> None:
    answer = httpx.Response(202, headers={"location": LOCATION}, stream=Bytes([b"x", httpx.ReadError("reset")]))
    assert await Service(answer).portal().publish(OFFER) == "0f4c7a1e-63d7-4c0f-9f3a-2a1d7a5be911"


async def test_the_status_of_a_failure_survives_an_answer_that_breaks_off() -> None:
    answer = httpx.Response(422, stream=Bytes([b'{"message": "No title.', httpx.ReadError("reset")]))
    with pytest.raises(errors.Invalid, match=r"answered 422: No title\."):
        await Service(answer).portal().publish(OFFER)


async def test_a_large_failure_is_read_in_part() -> None:
    answer = httpx.Response(500, content=b"x" * 3_000_000)
    with pytest.raises(errors.Unavailable) as caught:
        await Service(answer).portal().status(OFFER)
    assert len(str(caught.value)) < 800


async def test_a_document_is_returned_as_it_is() -> None:
    answer = httpx.Response(200, content=DOCUMENT.encode(), headers={"etag": 'W/"1"'})
    read = await Service(answer).portal().read_offer(OFFER)
    assert (read.text, read.etag) == (DOCUMENT, 'W/"1"')


async def test_a_byte_order_mark_and_compression_are_accepted() -> None:
    content = gzip.compress(b"\xef\xbb\xbf" + DOCUMENT.encode())
    answer = httpx.Response(200, content=content, headers={"content-encoding": "gzip"})
    read = await Service(answer).portal().read_offer(OFFER)
    assert (read.text, read.etag) == (DOCUMENT, None)


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("if_match", [None, "*", "W/\"datetime'2023-11-09T08%3A41%3A27.5093316Z'\""])
async def test_a_document_is_sent_as_it_is(status: int, if_match: str | None) -> None:
    service = Service(httpx.Response(status, text="whatever"))
    await service.portal().put_offer(OFFER, DOCUMENT, if_match=if_match)
    [request] = service.requests
    assert request.content == DOCUMENT.encode()
    assert request.headers.get("if-match") == if_match


@pytest.mark.parametrize("name", ["put", "publish", "go live", "cancel"])
async def test_the_page_of_a_gateway_is_not_mistaken_for_an_accepted_write(name: str) -> None:
    service = Service(httpx.Response(200, text=" <html>Sign in, please</html>"))
    with pytest.raises(errors.Unreadable, match="Sign in, please"):
        await CALLS[name][0](service.portal())


async def test_a_lone_surrogate_is_refused_before_anything_is_sent() -> None:
    service = Service(httpx.Response(200))
    with pytest.raises(errors.Refused, match="half a character"):
        await service.portal().put_offer(OFFER, '{"a": "\ud800"}', if_match=None)
    assert not service.requests


async def test_a_publish_has_the_notification_addresses() -> None:
    service = Service(httpx.Response(202, headers={"location": LOCATION}))
    await service.portal().publish(OFFER, ["release@fabrikam.example", "qa@fabrikam.example"])
    assert json.loads(service.requests[0].content) == {
        "metadata": {"notification-emails": "release@fabrikam.example,qa@fabrikam.example"}
    }


@pytest.mark.parametrize("name", ["publish", "cancel"])
async def test_the_documented_body_is_sent_even_without_addresses(name: str) -> None:
    service = Service(httpx.Response(202))
    await getattr(service.portal(), name)(OFFER)
    assert json.loads(service.requests[0].content) == {"metadata": {}}


async def test_an_empty_post_has_a_content_length() -> None:
    service = Service(httpx.Response(202))
    assert await service.portal().go_live(OFFER) is None
    [request] = service.requests
    assert request.content == b""
    assert request.headers.get_list("content-length") == ["0"]


@pytest.mark.parametrize("status", [400, 412, 428])
@pytest.mark.parametrize(
    "words", ["", '{"error": {"code": "MissingIfMatch"}}', "<p>The If-Match header is required."]
)
@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if call[1] != "PUT"])
async def test_a_call_that_is_refused_for_lack_of_if_match_is_sent_with_it(
    name: str, words: str, status: int
) -> None:
    call, _, _, body = CALLS[name]
    service = Service(httpx.Response(status, text=words), httpx.Response(200, json=body))
    await call(service.portal())
    assert [request.headers.get("if-match") for request in service.requests] == [None, "*"]


async def test_a_put_without_if_match_never_overwrites() -> None:
    service = Service(httpx.Response(400, json={"message": "The If-Match header is required."}))
    with pytest.raises(errors.Refused):
        await service.portal().put_offer(OFFER, DOCUMENT, if_match=None)
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("part", "encoded"),
    [
        ("a/b", b"a%2Fb"),
        ("..", b"%2E%2E"),
        (".", b"%2E"),
        ("a?b#c", b"a%3Fb%23c"),
        ("a$b é", b"a%24b%20%C3%A9"),
        ("%2e%2e", b"%252e%252e"),
    ],
)
async def test_an_id_cannot_leave_its_segment_of_the_path(part: str, encoded: bytes) -> None:
    service = Service(httpx.Response(200, json={}))
    await service.portal().read_offer(OfferKey(publisher_id=part, offer_id=part))
    raw = service.requests[0].url.raw_path
    assert raw == b"/api/publishers/%b/offers/%b?api-version=2017-10-31" % (encoded, encoded)


async def test_the_path_of_the_base_url_is_kept() -> None:
    service = Service(httpx.Response(200, json={}))
    await service.portal(url="http://127.0.0.1:8400/proxy/").status(OFFER)
    assert str(service.requests[0].url) == f"http://127.0.0.1:8400/proxy{PATH}/status?api-version=2017-10-31"


async def test_every_request_is_paced() -> None:
    pace = Pace(2)
    pace.share(1)
    service = Service(httpx.Response(401), httpx.Response(200, json={}))
    paced = service.portal(NumberedTokens(), pace=pace)
    await paced.status(OFFER)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(paced.status(OFFER), 0.3)
    assert len(service.requests) == 2


@pytest.mark.parametrize("token", ["", "hunter2\nx", "hunter2 x", "hunter2é"])
async def test_a_token_that_no_header_can_hold_is_refused_and_not_quoted(token: str) -> None:
    service = Service(httpx.Response(200, json={}))
    with pytest.raises(errors.Unauthorized, match="MARKETPLACE_ACCESS_TOKEN") as caught:
        await service.portal(FixedToken(SecretStr(token))).status(OFFER)
    assert "hunter2" not in str(caught.value)
    assert not service.requests


def chain(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield f"{error!r} {error}"
        error = error.__cause__ or error.__context__


@every_call
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(httpx.Response(401, text="Bearer hunter2-token is expired"), id="401"),
        pytest.param(httpx.Response(400, json={"message": "hunter2-token?"}), id="400"),
        pytest.param(httpx.Response(422, text='{"message": "https://x/y.vhd?sig=hunter2-sig'), id="422"),
        pytest.param(httpx.Response(200, text="<p>https://x/y.vhd?se=1&amp;sig=hunter2-sig"), id="200"),
        pytest.param(httpx.LocalProtocolError("Illegal header value b'Bearer'"), id="a protocol error"),
    ],
)
async def test_no_secret_is_in_an_error_or_a_log(
    name: str, answer: httpx.Response | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    text = ""
    try:
        await CALLS[name][0](Service(answer).portal())
    except errors.MarketplaceError as error:
        text = " ".join(chain(error))
    assert "hunter2" not in text + caplog.text


async def test_a_request_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "marketplace.http.sender")
    await Service(httpx.Response(200, json={})).portal().status(OFFER)
    [record] = [record for record in caplog.records if record.name == "marketplace.http.sender"]
    assert record.levelno == logging.DEBUG
    assert record.getMessage().startswith(f"GET {PATH}/status: 200 in 0.")


async def test_retry_after_is_counted_from_the_clock_given() -> None:
    answer = httpx.Response(503, headers={"retry-after": "Fri, 01 Mar 2024 09:01:00 GMT"})
    now = datetime(2024, 3, 1, 9, 0, tzinfo=UTC)
    with pytest.raises(errors.Unavailable) as caught:
        await Service(answer).portal(clock=lambda: now).status(OFFER)
    assert caught.value.retry_after is not None
    assert caught.value.retry_after.total_seconds() == 60
