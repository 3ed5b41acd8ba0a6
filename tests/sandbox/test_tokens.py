"""Access tokens, and who can call the API."""

import pytest

from tests.sandbox.portal_client import PortalClient

FORM = {"grant_type": "client_credentials", "client_id": "id", "client_secret": "key"}


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer other", "Basic sandbox-token", "Bearer sandbox-tokén"])
async def test_missing_and_unknown_tokens_are_refused(client: PortalClient, header: str) -> None:
    await client.put()
    response = await client.call("GET", "", headers={"Authorization": header.encode()})
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "Unauthorized"


async def test_a_call_without_access_to_the_publisher_is_forbidden(client: PortalClient) -> None:
    await client.switch(forbidden=True)
    assert (await client.put()).status_code == 403


async def test_issued_tokens_are_accepted(client: PortalClient) -> None:
    await client.put()
    second = await client.http.post("/t/oauth2/v2.0/token", data=FORM | {"scope": "https://x/.default"})
    first = await client.http.post("/t/oauth2/token", data=FORM | {"resource": "https://x"})
    assert second.json()["expires_in"] == 4500
    assert first.json()["expires_in"] == "4500"
    for answer in (first, second):
        header = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        assert (await client.call("GET", "", headers=header)).status_code == 200


async def test_issued_tokens_expire(client: PortalClient) -> None:
    await client.put()
    await client.http.put("/_control/tokens", json={"lifetime_seconds": 0})
    answer = await client.http.post("/t/oauth2/v2.0/token", data=FORM | {"scope": "s"})
    await client.http.put("/_control/tokens", json={"lifetime_seconds": 4500})
    header = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await client.call("GET", "", headers=header)).status_code == 401


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"client_secret": "wrong"}, 401, "AADSTS7000215"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": ""}, 400, "invalid_request"),
    ],
)
async def test_the_token_endpoint_refuses_wrong_credentials(
    client: PortalClient, change: dict[str, str], status: int, words: str
) -> None:
    response = await client.http.post("/t/oauth2/v2.0/token", data=FORM | {"scope": "s"} | change)
    assert response.status_code == status
    assert words in response.text
