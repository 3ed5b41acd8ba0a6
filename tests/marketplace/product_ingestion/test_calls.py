"""The calls on the wire: URLs, headers, pages, and no secrets."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from marketplace import errors
from marketplace.http.credentials import FixedToken
from marketplace.product_ingestion.calls import ProductIngestion
from tests.marketplace.canned import CannedService
from tests.marketplace.product_ingestion.mocked import JOB, OFFER, Mocked
from tests.marketplace.product_ingestion.offers import P, product
from tests.marketplace.product_ingestion.test_failures import IN_PROGRESS, INVALID

Asked = Callable[[ProductIngestion], Awaitable[object]]

CALLS: dict[str, tuple[Asked, str, str, Any]] = {
    "products": (lambda calls: calls.products(OFFER), "GET", "product", {"value": []}),
    "tree": (lambda calls: calls.tree(OFFER, P, "live"), "GET", f"resource-tree/product/{P}", {}),
    "submissions": (lambda calls: calls.submissions(OFFER, P), "GET", f"submission/{P}", {"value": []}),
    "submission": (lambda calls: calls.submission(OFFER, P, "12"), "GET", f"submission/{P}/12", {}),
    "configure": (lambda calls: calls.configure(OFFER, "{}", verb="edit"), "POST", "configure", {"jobId": JOB}),
    "job": (lambda calls: calls.job(OFFER, JOB), "GET", f"configure/{JOB}/status", {}),
    "outcome": (lambda calls: calls.job_resources(OFFER, JOB), "GET", f"configure/{JOB}", {}),
    "cancel": (lambda calls: calls.cancel(OFFER, JOB), "POST", f"configure/{JOB}/cancel", {}),
}
every_call = pytest.mark.parametrize("name", CALLS)


def against(*answers: httpx.Response, **members: Any) -> tuple[CannedService, ProductIngestion]:
    service = CannedService(*answers)
    return service, ProductIngestion(service.client(), FixedToken(SecretStr("hunter2-token")), **members)


@every_call
async def test_every_call_has_its_url_and_headers(name: str) -> None:
    ask, method, path, body = CALLS[name]
    service, calls = against(httpx.Response(200, json=body), schema_version="2026-04-01-preview1")
    await ask(calls)
    [request] = service.requests
    assert (request.method, request.url.path) == (method, f"/rp/product-ingestion/{path}")
    assert request.url.host == "graph.microsoft.com"
    assert request.url.params["$version"] == "2026-04-01-preview1"
    assert request.headers["authorization"] == "Bearer hunter2-token"
    assert ("content-length" in request.headers) is (method == "POST")


async def test_the_target_and_the_external_id_are_in_the_query() -> None:
    service, calls = against(httpx.Response(200, json={"value": []}))
    await calls.products(OFFER)
    assert service.requests[0].url.params["externalId"] == "webstack"
    service, calls = against(httpx.Response(200, json={}))
    await calls.tree(OFFER, P, "preview")
    assert service.requests[0].url.params["targetType"] == "preview"


@every_call
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, errors.Unauthorized),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (423, errors.Conflict),
        (429, errors.Unavailable),
        (503, errors.Unavailable),
        (400, errors.Refused),
    ],
)
async def test_a_refusal_becomes_its_error(name: str, status: int, error: type[Exception]) -> None:
    _, calls = against(httpx.Response(status, text="sorry"))
    with pytest.raises(error, match=r"fabrikam-linux/webstack: the marketplace answered \d+: sorry"):
        await CALLS[name][0](calls)


async def test_an_unauthorised_call_says_what_to_check() -> None:
    _, calls = against(httpx.Response(403))
    with pytest.raises(errors.Forbidden, match=r"Partner Center account of publisher fabrikam-linux.*Manager role"):
        await calls.submissions(OFFER, P)


@pytest.mark.parametrize(("body", "error"), [(IN_PROGRESS, errors.Conflict), (INVALID, errors.Invalid)])
async def test_a_bad_request_is_classified_by_its_body(body: object, error: type[Exception]) -> None:
    _, calls = against(httpx.Response(400, json={"error": body}))
    with pytest.raises(error) as caught:
        await calls.configure(OFFER, "{}", verb="edit")
    assert "(lts)" in str(caught.value) or "(submission/p/0)" in str(caught.value)


@pytest.mark.parametrize(("header", "seconds"), [("1.5", 1.5), ("2.1347", 2.1347), ("30", 30), ("soon", None)])
async def test_retry_after_may_have_fractions_of_a_second(header: str, seconds: float | None) -> None:
    _, calls = against(httpx.Response(429, headers={"Retry-After": header}))
    with pytest.raises(errors.Unavailable) as caught:
        await calls.job(OFFER, JOB)
    assert caught.value.retry_after == (timedelta(seconds=seconds) if seconds is not None else None)


@pytest.mark.parametrize("spelling", ["jobId", "jobID"])
async def test_the_job_of_a_request_is_read_in_either_spelling(spelling: str) -> None:
    _, calls = against(httpx.Response(202, json={spelling: JOB, "jobStatus": "notStarted"}))
    assert await calls.configure(OFFER, "{}", verb="edit") == JOB


@pytest.mark.parametrize("text", ["", "{", "{}", '{"jobId": 7}', f'{{"jobId": "{JOB}", "jobSta'])
async def test_an_accepted_request_stays_accepted_even_if_its_answer_is_cut_off(text: str) -> None:
    _, calls = against(httpx.Response(202, text=text))
    assert await calls.configure(OFFER, "{}", verb="publish") == (JOB if JOB in text else None)


async def test_a_document_is_sent_as_it_is() -> None:
    text = '{ "resources" : [ {"n": 1.50, "é": "\\u00e9"} ] }'
    service, calls = against(httpx.Response(202, json={"jobId": JOB}))
    await calls.configure(OFFER, text, verb="put")
    assert service.requests[0].content.decode() == text
    with pytest.raises(errors.Refused, match="half a character"):
        await calls.configure(OFFER, '"\ud800"', verb="put")


@pytest.mark.parametrize("name", ["products", "tree", "submissions", "submission", "job", "outcome"])
@pytest.mark.parametrize("text", ["", "[]", "7", "null", "<html>gateway</html>", '{"value": ', '{"value": {}}'])
async def test_a_success_of_an_undocumented_shape_is_unreadable(name: str, text: str) -> None:
    _, calls = against(httpx.Response(200, text=text))
    if name in {"tree", "submission", "job", "outcome"} and text == '{"value": {}}':
        await CALLS[name][0](calls)
        return
    with pytest.raises(errors.Unreadable):
        await CALLS[name][0](calls)


@pytest.mark.parametrize(
    "link",
    [
        "https://graph.microsoft.com/rp/product-ingestion/product?$version=x&continuationToken=two",
        "/rp/product-ingestion/product?continuationToken=two",
        "https://product-ingestion.mp.microsoft.com/product?continuationToken=two",
        "https://evil.example/?continuationToken=two",
    ],
)
async def test_further_pages_are_requested_from_the_base_url_only(link: str) -> None:
    first = httpx.Response(200, json={"value": [{"id": "a"}], "@nextLink": link})
    service, calls = against(first, httpx.Response(200, json={"value": [{"id": "b"}]}))
    assert await calls.products(OFFER) == [{"id": "a"}, {"id": "b"}]
    second = service.requests[1].url
    assert (second.host, second.path) == ("graph.microsoft.com", "/rp/product-ingestion/product")
    assert dict(second.params) == {
        "$version": "2026-04-01-preview1",
        "externalId": "webstack",
        "continuationToken": "two",
    }


async def test_a_further_page_may_be_named_by_a_continuation_token() -> None:
    first = httpx.Response(200, json={"value": [], "continuationToken": "two"})
    service, calls = against(first, httpx.Response(200, json={"value": [1]}))
    assert await calls.submissions(OFFER, P) == [1]
    assert service.requests[1].url.params["continuationToken"] == "two"


async def test_endless_pages_are_unreadable() -> None:
    again = httpx.Response(200, json={"value": [], "@nextLink": "?continuationToken=one"})
    _, calls = against(again)
    with pytest.raises(errors.Unreadable, match="names a page that was read before"):
        await calls.submissions(OFFER, P)


@pytest.mark.parametrize(
    "more", [{"@nextLink": "https://["}, {"nextLink": 7}, {"continuationToken": {"token": "two"}}]
)
async def test_a_list_whose_next_page_cannot_be_read_is_unreadable(more: dict[str, object]) -> None:
    _, calls = against(httpx.Response(200, json={"value": [1], **more}))
    with pytest.raises(errors.Unreadable, match="has an unreadable link to its next page"):
        await calls.submissions(OFFER, P)


@pytest.mark.parametrize("link", [None, ""])
async def test_a_list_with_an_empty_link_has_no_further_page(link: object) -> None:
    _, calls = against(httpx.Response(200, json={"value": [1], "@nextLink": link, "continuationToken": link}))
    assert await calls.submissions(OFFER, P) == [1]


async def test_an_id_cannot_leave_its_segment_of_the_path() -> None:
    service, calls = against(httpx.Response(200, json={}))
    await calls.job(OFFER, "../../x?y#z")
    await calls.job(OFFER, "..")
    assert [each.url.raw_path.split(b"?")[0] for each in service.requests] == [
        b"/rp/product-ingestion/configure/..%2F..%2Fx%3Fy%23z/status",
        b"/rp/product-ingestion/configure/%2E%2E/status",
    ]


async def test_the_product_with_the_external_id_is_taken() -> None:
    others = [{"id": "product/x", "identity": {"externalId": "other"}}, "odd", {"id": 7}, {"id": "product/../x"}]
    service = Mocked({"GET product": {"value": [*others, product()]}, "GET submission": {"value": []}})
    assert await service.marketplace().operations(OFFER) == []
    assert service.requests[-1].url.path.endswith(f"/submission/{P}")
    nothing = Mocked({"GET product": {"value": others}})
    with pytest.raises(errors.NotFound):
        await nothing.marketplace().operations(OFFER)


async def test_the_external_id_may_be_spelled_in_either_letter_case() -> None:
    spelled = product(identity={"externalID": "webstack"})
    service = Mocked({"GET product": {"value": [spelled]}, "GET submission": {"value": []}})
    assert await service.marketplace().operations(OFFER) == []


async def test_no_secret_of_a_tree_is_in_an_error() -> None:
    body = json.dumps({"error": {"message": "bad url https://x/y.vhd?sv=1&sig=hunter2 with Bearer hunter2-token"}})
    _, calls = against(httpx.Response(400, text=body))
    with pytest.raises(errors.Refused) as caught:
        await calls.configure(OFFER, "{}", verb="edit")
    assert "hunter2" not in str(caught.value)
