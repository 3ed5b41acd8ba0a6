"""Every outcome of a request becomes its error, and headers are read."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace import errors
from marketplace.cloud_partner.calls import DIALECT
from marketplace.http.answers import Answer, Call, Dialect, error_for, json_of, retry_after, words
from marketplace.model import OfferKey

NOW = datetime(2024, 3, 1, 9, 0, tzinfo=UTC)
CALL = Call("publish", "publish", OfferKey(publisher_id="fabrikam-linux", offer_id="webstack-appliance"))
TOKEN = "opaque-token-of-the-sandbox"


def answer(status: int, text: str = "", **headers: str) -> Answer:
    return Answer(status, httpx.Headers({name.replace("_", "-"): text for name, text in headers.items()}), text)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_success_is_not_a_failure(status: int) -> None:
    assert error_for(CALL, answer(status), now=NOW) is None


@pytest.mark.parametrize(
    ("status", "error"),
    [
        pytest.param(status, error, id=f"{status} is {error.__name__}")
        for error, statuses in {
            errors.Refused: (100, 101, 301, 302, 304, 307, 400, 402, 405, 410, 411, 413, 415, 428, 451),
            errors.Unauthorized: (401,),
            errors.Forbidden: (403,),
            errors.NotFound: (404,),
            errors.Conflict: (409, 412, 423),
            errors.Invalid: (422,),
            errors.Unavailable: (408, 429, 500, 501, 502, 503, 504, 599),
        }.items()
        for status in statuses
    ],
)
def test_a_status_is_an_error(status: int, error: type[errors.MarketplaceError]) -> None:
    failed = error_for(CALL, answer(status), now=NOW)
    assert type(failed) is error
    assert failed.status == status
    assert failed.call == "publish fabrikam-linux/webstack-appliance"
    assert str(failed).startswith(f"publish fabrikam-linux/webstack-appliance: the marketplace answered {status}")


@pytest.mark.parametrize(
    ("exception", "error"),
    [
        pytest.param(exception, error, id=f"{type(exception).__name__} is {error.__name__}")
        for exception, error in [
            (httpx.ConnectError("refused"), errors.Unreachable),
            (httpx.ConnectTimeout("slow"), errors.Unreachable),
            (httpx.ReadTimeout(""), errors.Unreachable),
            (httpx.WriteTimeout(""), errors.Unreachable),
            (httpx.PoolTimeout(""), errors.Unreachable),
            (httpx.ReadError(""), errors.Unreachable),
            (httpx.WriteError(""), errors.Unreachable),
            (httpx.RemoteProtocolError("cut"), errors.Unreachable),
            (httpx.ProxyError("no"), errors.Unreachable),
            (ConnectionResetError("reset"), errors.Unreachable),
            (ValueError("no"), errors.Unreachable),
            (httpx.DecodingError("gzip"), errors.Unreadable),
        ]
    ],
)
def test_no_answer_is_an_error(exception: Exception, error: type[errors.MarketplaceError]) -> None:
    failed = error_for(CALL, exception, now=NOW)
    assert type(failed) is error
    assert failed.status is None
    assert type(exception).__name__ in str(failed)


def test_a_message_says_call_status_words_and_request_id() -> None:
    body = json.dumps({"error": {"code": "Invalid", "message": "No title.", "details": [{"message": "Nor logo."}]}})
    failed = error_for(CALL, answer(422, body, x_ms_request_id="r-1"), now=NOW, dialect=DIALECT)
    assert str(failed) == (
        "publish fabrikam-linux/webstack-appliance: the marketplace answered 422:"
        " Invalid: No title.; Nor logo. - correct the offer's draft and start the run again (request id r-1)"
    )


@pytest.mark.parametrize("header", ["x-ms-request-id", "x-ms-correlation-id", "x-ms-requestid", "request-id"])
def test_every_request_id_is_returned(header: str) -> None:
    failed = error_for(CALL, Answer(500, httpx.Headers({header: "abc\x1b"}), ""), now=NOW)
    assert "(request id abc)" in str(failed)


def test_a_401_says_what_to_check() -> None:
    message = str(error_for(CALL, answer(401), now=NOW, dialect=DIALECT))
    assert all(
        hint in message
        for hint in ["MARKETPLACE_ACCESS_TOKEN", "AZURE_", "https://cloudpartner.azure.com", "expired"]
    )


def test_a_403_says_what_to_check() -> None:
    message = str(error_for(CALL, answer(403), now=NOW, dialect=DIALECT))
    assert "publisher fabrikam-linux" in message
    assert "Object ID of the enterprise application" in message


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 423, 500])
def test_hints_come_from_the_dialect_only(status: int) -> None:
    hinted = Dialect(hints={status: "see {publisher_id}'s account"})
    plain = str(error_for(CALL, answer(status, "No.", request_id="r-1"), now=NOW))
    assert plain == f"{CALL}: the marketplace answered {status}: No. (request id r-1)"
    message = str(error_for(CALL, answer(status, "No.", request_id="r-1"), now=NOW, dialect=hinted))
    assert message == plain.replace(" (request", " - see fabrikam-linux's account (request")


def test_the_dialect_decides_the_error_of_a_refusal_by_its_body() -> None:
    dialect = Dialect(error=lambda answer: errors.Unavailable if "later" in answer.text else None)
    later = error_for(CALL, answer(400, "later", retry_after="5"), now=NOW, dialect=dialect)
    assert type(later) is errors.Unavailable
    assert (later.status, later.retry_after) == (400, timedelta(seconds=5))
    assert type(error_for(CALL, answer(400, "no"), now=NOW, dialect=dialect)) is errors.Refused
    assert type(error_for(CALL, answer(409, "no"), now=NOW, dialect=dialect)) is errors.Conflict


def test_a_success_is_not_a_failure_whatever_the_dialect_says() -> None:
    assert error_for(CALL, answer(200, "later"), now=NOW, dialect=Dialect(error=lambda _: errors.Conflict)) is None


def test_the_dialect_reads_the_words_of_a_refusal_without_the_token() -> None:
    dialect = Dialect(words=lambda body: f"{body!r} of {len(body)}")
    message = str(error_for(CALL, answer(400, f"no {TOKEN}"), now=NOW, secret=TOKEN, dialect=dialect))
    assert message.endswith("answered 400: 'no REDACTED' of 11")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("", "", id="empty"),
        pytest.param("   \n", "", id="blank"),
        pytest.param('"No."', "No.", id="a bare JSON string"),
        pytest.param("No.", "No.", id="plain text"),
        pytest.param(
            "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad &amp; gone</h1></body></html>",
            "502 Bad Gateway Bad & gone",
            id="HTML",
        ),
        pytest.param(
            '{"error": {"code": "Invalid", "message": "No \\"title\\" \\u0026 log',
            'Invalid: No "title" & log',
            id="JSON that was cut off",
        ),
        pytest.param('{"odd": 1', '{"odd": 1', id="cut-off JSON without a message"),
        pytest.param("[" * 100_000, "[" * 599 + "…", id="nested too deeply"),
    ],
)
def test_any_error_body_becomes_words(body: str, expected: str) -> None:
    assert words(body) == expected


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("utf-8", "replace")))
def test_any_error_body_is_accepted(body: str) -> None:
    assert len(words(body)) <= 600


@pytest.mark.parametrize("status", [400, 401, 403, 404, 412, 422, 429, 500, 302])
@pytest.mark.parametrize(
    "body",
    [
        '{"message": "cannot read https://a.blob/x.vhd?se=1&sig=hunter2"}',
        '{"message": "cannot read https://a.blob/x.vhd?se=1\\u0026sig=hunter2',
        "<p>https://a.blob/x.vhd?se=1&amp;sig=hunter2</p>",
        "you sent Authorization: Bearer hunter2",
        "you sent Authorization: Bearer eyJhbGciOi.hunter2.hunter2",
        f'{{"message": "{TOKEN} is not known hunter"}}',
    ],
)
def test_no_secret_is_in_an_error(status: int, body: str) -> None:
    message = str(error_for(CALL, answer(status, body), now=NOW, secret=TOKEN))
    assert "hunter2" not in message
    assert TOKEN not in message


def test_a_refused_header_is_not_quoted() -> None:
    failed = error_for(CALL, httpx.LocalProtocolError("Illegal header value b'Bearer hunter2'"), now=NOW)
    assert "hunter2" not in str(failed)


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        pytest.param("120", timedelta(minutes=2), id="seconds"),
        pytest.param("0", timedelta(0), id="at once"),
        pytest.param("1.5", timedelta(seconds=1.5), id="fractions"),
        pytest.param("86400", timedelta(hours=1), id="a day is capped at an hour"),
        pytest.param("9" * 500, timedelta(hours=1), id="a number without end"),
        pytest.param("Fri, 01 Mar 2024 09:05:00 GMT", timedelta(minutes=5), id="a date"),
        pytest.param("Sat, 02 Mar 2024 09:05:00 GMT", timedelta(hours=1), id="a far date is capped"),
        pytest.param("Fri, 01 Mar 2024 08:00:00 GMT", None, id="a past date"),
        pytest.param("-5", None, id="negative"),
        pytest.param("soon", None, id="garbage"),
        pytest.param("", None, id="empty"),
        pytest.param("Fri, 99 Mar 2024 99:00:00 GMT", None, id="an invalid date"),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_read_as_seconds_or_a_date(value: str, wait: timedelta | None, status: int) -> None:
    failed = error_for(CALL, answer(status, retry_after=value), now=NOW)
    assert failed is not None
    assert failed.retry_after == wait


def test_retry_after_trusts_the_clock_of_the_answer() -> None:
    headers = httpx.Headers({"date": "Fri, 01 Mar 2030 09:00:00 GMT", "retry-after": "Fri, 01 Mar 2030 09:00:30 GMT"})
    assert retry_after(headers, NOW) == timedelta(seconds=30)


def test_a_permanent_refusal_has_no_retry_after() -> None:
    failed = error_for(CALL, answer(400, retry_after="5"), now=NOW)
    assert failed is not None
    assert failed.retry_after is None


@given(st.text(max_size=40))
def test_any_retry_after_is_accepted(value: str) -> None:
    wait = retry_after(httpx.Headers([(b"retry-after", value.encode("utf-8", "replace"))]), NOW)
    assert wait is None or timedelta(0) <= wait <= timedelta(hours=1)


@pytest.mark.parametrize("text", ["", "<html>Sign in</html>", '{"id": 1', "nope", "[" * 100_000, '{"a": 1} x'])
def test_a_success_that_is_not_json_is_unreadable(text: str) -> None:
    with pytest.raises(errors.Unreadable, match="answered 200, but the answer is not JSON") as caught:
        json_of(CALL, answer(200, text))
    assert len(str(caught.value)) < 400
