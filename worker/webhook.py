"""The webhook for notifications."""

import hashlib
import hmac

import httpx
from pydantic import SecretStr

from worker.settings import Settings


class HttpWebhook:
    """Posts notifications. The address is a secret: chat tools put a token into it."""

    def __init__(self, client: httpx.AsyncClient, url: SecretStr, secret: SecretStr | None = None) -> None:
        """Create a webhook.

        Args:
            client: Sends the requests.
            url: The address.
            secret: Signs each body, so that the receiver can verify the sender.
        """
        self._client = client
        self._url = url
        self._secret = secret

    async def post(self, body: str) -> int | None:
        """Post JSON. Return the HTTP status, or ``None`` without an answer."""
        content = body.encode()
        headers = {"Content-Type": "application/json"}
        if self._secret is not None:
            signature = hmac.new(self._secret.get_secret_value().encode(), content, hashlib.sha256).hexdigest()
            headers["X-Signature-256"] = f"sha256={signature}"
        try:
            async with self._client.stream(
                "POST",
                self._url.get_secret_value(),
                content=content,
                headers=headers,
                timeout=10,
            ) as response:
                return response.status_code  # the body is not read, however long it is
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError):
            # The last two concern a redirect, which is not followed anyway.
            return None


def webhook_of(settings: Settings, client: httpx.AsyncClient) -> HttpWebhook | None:
    """Return the webhook of the settings, if there is one."""
    url = settings.notify_webhook_url
    return HttpWebhook(client, url, settings.notify_secret) if url is not None else None
