"""Faults, access tokens and restarts, through the Product Ingestion API."""

import json
from pathlib import Path

import httpx
import pytest

from sandbox import DEFAULT_TOKEN, ManualClock, SandboxMarketplace, create_app, serve
from tests.sandbox.portal_client import START, offer_document
from tests.sandbox.product_ingestion.ingestion_client import OFFER, IngestionClient


async def test_an_answer_may_be_lost_after_the_effect(client: IngestionClient) -> None:
    await client.create()
    await client.fault("configure_preview", {"kind": "drop", "when": "after"})
    with pytest.raises(httpx.RemoteProtocolError):
        await client.configure(client.submission("preview"))
    assert await client.submissions() == [("preview", "running", "pending")]
    (entry,) = [entry for entry in await client.requests() if entry["call"] == "configure_preview"]
    assert (entry["status"], entry["effect"]) == (None, True)


async def test_an_answer_may_be_an_error_after_the_effect(client: IngestionClient) -> None:
    await client.create()
    await client.fault("configure_preview", {"kind": "respond_after", "status": 503})
    assert (await client.configure(client.submission("preview"))).status_code == 503
    assert await client.submissions() == [("preview", "running", "pending")]


@pytest.mark.parametrize(
    ("call", "path"),
    [
        ("list_products", f"product?externalId={OFFER}"),
        ("list_plans", "plan?product=product/{0}"),
        ("read_tree", "resource-tree/product/{0}"),
        ("read_resource", "product/{0}"),
        ("list_submissions", "submission/{0}"),
        ("read_submission", "submission/{0}/0"),
        ("read_job", "configure/{1}/status"),
        ("read_job_detail", "configure/{1}"),
    ],
)
async def test_every_read_can_fail(client: IngestionClient, call: str, path: str) -> None:
    product = await client.create()
    job = (await client.requests())[0]["job_id"]
    await client.fault(call, {"kind": "respond", "status": 503}, offer=OFFER)
    address = path.format(product, job)
    assert (await client.call("GET", address)).status_code == 503
    assert (await client.call("GET", address)).status_code == 200


@pytest.mark.parametrize("call", ["configure_draft", "configure_live", "cancel_job"])
async def test_every_write_can_fail(client: IngestionClient, call: str) -> None:
    await client.create()
    number = await client.previewed()
    await client.fault(call, {"kind": "respond", "status": 500})
    if call == "cancel_job":
        answer = await client.call("POST", f"configure/{(await client.requests())[0]['job_id']}/cancel")
    elif call == "configure_live":
        answer = await client.configure(client.submission("live", number))
    else:
        answer = await client.configure(*client.sample["resources"])
    assert answer.status_code == 500
    assert not (await client.requests())[-1]["effect"]


async def test_a_fault_may_hit_one_target_only(client: IngestionClient) -> None:
    product = await client.create()
    await client.previewed()
    await client.fault("read_tree", {"kind": "respond", "status": 503}, slot="Preview")
    assert (await client.call("GET", f"resource-tree/product/{product}")).status_code == 200
    assert (await client.call("GET", f"resource-tree/product/{product}?targetType=preview")).status_code == 503


async def test_tokens_expire_between_two_calls(client: IngestionClient) -> None:
    product = await client.create()
    form = {"grant_type": "client_credentials", "client_id": "id", "client_secret": "key", "scope": "s"}
    client.token = (await client.http.post("/t/oauth2/v2.0/token", data=form)).json()["access_token"]
    await client.fault("read_tree", {"kind": "expire_tokens"})
    refused = await client.call("GET", f"resource-tree/product/{product}")
    assert refused.status_code == 401
    assert refused.json()["error"]["code"] == "unauthorized"
    client.token = (await client.http.post("/t/oauth2/v2.0/token", data=form)).json()["access_token"]
    await client.tree()


async def test_an_application_without_access_is_forbidden(client: IngestionClient) -> None:
    await client.create()
    await client.switch(forbidden=True)
    refused = await client.call("GET", f"submission/{client.product}")
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "forbidden"


async def test_an_error_has_the_shape_of_the_switch(client: IngestionClient) -> None:
    await client.switch(error_shape="html")
    assert "<h1>404</h1>" in (await client.call("GET", "product/unknown")).text
    await client.switch(error_shape="empty")
    assert (await client.call("GET", "product/unknown")).text == ""


async def test_the_openid_configuration_has_the_token_endpoint(client: IngestionClient) -> None:
    for path in ("/common/v2.0/.well-known/openid-configuration", "/adfs/.well-known/openid-configuration"):
        found = (await client.http.get(path)).json()
        assert set(found) == {"authorization_endpoint", "token_endpoint", "issuer"}
        form = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b", "scope": "s"}
        assert "access_token" in (await client.http.post(found["token_endpoint"], data=form)).json()


async def test_retry_after_has_a_fraction_of_a_second() -> None:
    async with serve(SandboxMarketplace(requests_per_second=1)) as url, httpx.AsyncClient(base_url=url) as http:
        for expected in (401, 429):
            answer = await http.get("/rp/product-ingestion/product")
            assert answer.status_code == expected
        assert answer.json()["error"]["code"] == "TooManyRequests"
        assert set(answer.json()["error"]["innerError"]) == {"date", "request-id", "client-request-id"}
        assert 0 < float(answer.headers["retry-after"]) <= 1
        assert "." in answer.headers["retry-after"]


async def test_jobs_and_submissions_survive_a_restart(tmp_path: Path) -> None:
    path, clock = tmp_path / "state.json", ManualClock(START)

    def started() -> IngestionClient:
        marketplace = SandboxMarketplace(clock=clock, state_path=path)
        transport = httpx.ASGITransport(create_app(marketplace))
        http = httpx.AsyncClient(transport=transport, base_url="http://sandbox")
        return IngestionClient(http, clock, "fabrikam")

    before = started()
    await before.create()
    draft = (await before.configure(*before.sample["resources"])).json()["jobId"]
    assert (await before.job(draft))["jobStatus"] == "running"
    publish = await before.publish()
    after = started()
    after.product = before.product
    assert (await after.job(draft))["jobStatus"] == "completed"
    assert (await after.job(publish))["jobStatus"] == "running"
    clock.advance(8 * 86_400)
    assert (await after.job(publish))["jobResult"] == "succeeded"
    assert (await started().job(publish))["jobResult"] == "succeeded"
    assert await after.submissions() == [("preview", "completed", "succeeded")]


async def test_an_offer_id_belongs_to_the_api_that_created_the_offer(client: IngestionClient) -> None:
    portal = f"/api/publishers/{client.publisher}/offers/{OFFER}"
    document = offer_document(client.publisher, OFFER)
    headers = {"Authorization": f"Bearer {DEFAULT_TOKEN}"}
    put = await client.http.put(
        portal, content=json.dumps(document), headers=headers, params={"api-version": "2017-10-31"}
    )
    assert put.status_code == 201
    assert await client.refused(*client.sample["resources"]) == [f"The offer id '{OFFER}' is taken."]
    assert (await client.get("product"))["value"] == []
