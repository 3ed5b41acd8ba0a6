"""How notifications are posted to the webhook."""

import hashlib
import hmac
from typing import Any

import httpx
from pydantic import SecretStr

from worker.settings import Settings
from worker.webhook import webhook_of

SECRET = "0123456789abcdef-invented"


async def posted(body: str, **settings: Any) -> httpx.Request:
    """Post a body and return the request that was sent."""
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(204)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        webhook = webhook_of(
            Settings(notify_webhook_url=SecretStr("https://chat.example/hooks/abc"), **settings), client
        )
        assert webhook is not None
        assert await webhook.post(body) == 204
    [request] = requests
    return request


async def test_with_a_secret_each_post_is_signed() -> None:
    body = '{"text": "Grüße"}'
    request = await posted(body, notify_secret=SecretStr(SECRET + "\n"))

    assert request.content == body.encode()
    expected = hmac.new(SECRET.encode(), body.encode(), hashlib.sha256).hexdigest()
    assert request.headers["X-Signature-256"] == f"sha256={expected}"
    assert request.headers["Content-Type"] == "application/json"


async def test_without_a_secret_nothing_is_signed() -> None:
    assert "X-Signature-256" not in (await posted("{}")).headers


async def test_without_an_address_there_is_no_webhook() -> None:
    async with httpx.AsyncClient() as client:
        assert webhook_of(Settings(), client) is None
