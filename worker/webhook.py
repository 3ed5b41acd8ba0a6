"""The webhook that tells people."""

import hashlib
import hmac

import httpx
from pydantic import SecretStr

from worker.settings import Settings


class HttpWebhook:
    """Posts notifications; its address is a secret, since chat tools put their token there."""

    def __init__(self, client: httpx.AsyncClient, url: SecretStr, secret: SecretStr | None = None) -> None:
        """Post to an address.

        Args:
            client: Carries the requests.
            url: The address.
            secret: Signs each body, where given, so that the receiver knows whose it is.
        """
        self._client = client
        self._url = url
        self._secret = secret

    async def post(self, body: str) -> int | None:
        """Post JSON; answers with the HTTP status, ``None`` when nobody answered."""
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
                return response.status_code  # what else it says is not read, however long it is
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError):
            # The last two are about a redirect, which would not be followed.
            return None


def webhook_of(settings: Settings, client: httpx.AsyncClient) -> HttpWebhook | None:
    """Return where the settings want people to be told."""
    url = settings.notify_webhook_url
    return HttpWebhook(client, url, settings.notify_secret) if url is not None else None
