"""The webhook that tells people."""

import httpx
from pydantic import SecretStr


class HttpWebhook:
    """Posts notifications; its address is a secret, since chat tools put their token there."""

    def __init__(self, client: httpx.AsyncClient, url: SecretStr) -> None:
        self._client = client
        self._url = url

    async def post(self, body: str) -> int | None:
        """Post JSON; answers with the HTTP status, ``None`` when nobody answered."""
        try:
            async with self._client.stream(
                "POST",
                self._url.get_secret_value(),
                content=body,
                headers={"Content-Type": "application/json"},
                timeout=10,
            ) as response:
                return response.status_code  # what else it says is not read, however long it is
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError):
            # The last two are about a redirect, which would not be followed.
            return None
