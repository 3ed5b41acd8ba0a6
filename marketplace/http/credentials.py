"""Bearer tokens for the marketplace. No token appears in a repr, a log line or an error.

The service accepts tokens of a Microsoft Entra service principal from the client-credentials flow, for the scope of
each API. They live for 60 to 90 minutes, and a publication takes days.
"""

import asyncio
import os
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from pydantic import SecretStr

from marketplace.errors import Unauthorized, Unreachable
from marketplace.wording import hide, one_line

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.exceptions import ClientAuthenticationError

RENEWED_BEFORE_EXPIRY_SECONDS = 5 * 60

_CALL = "get a Microsoft Entra token"
_NETWORK = re.compile(
    r"cannot connect|connection (?:refused|reset|aborted|closed|timed out)|timed? ?out|name resolution"
    r"|name or service not known|getaddrinfo|server disconnected|unreachable|temporarily unavailable",
    re.IGNORECASE,
)

_PROXY = re.compile(r"\b\d{3}, message=")
"""aiohttp's words for an answer of the proxy, such as a 407, instead of Microsoft Entra."""

_NOT_CONFIGURED = re.compile(r"\bunavailable|not found on path|not installed", re.IGNORECASE)
_NONE_CONFIGURED = "no credentials are configured"

_OUTAGE = re.compile(
    r"\b(?:temporarily_unavailable|server_error)\b"
    # An empty answer, or the page of a gateway. Microsoft Entra itself refuses with JSON.
    r"|No response content|No token received|Unexpected response from Microsoft Entra"
)
"""azure-identity's words for an outage. Its chain of credentials keeps the words and drops the status."""

_SECRETS = ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_PASSWORD")

_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = 500


class Credentials(Protocol):
    """Provides a token for each request."""

    async def token(self) -> str:
        """Return a token that is valid for some more minutes."""
        ...

    async def renewed(self, refused: str, /) -> str:
        """Return another token after the service refused one, if there is another."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


class FixedToken:
    """A token from elsewhere, for the sandbox and for tests."""

    def __init__(self, token: SecretStr) -> None:
        # A token read from a file ends with a line break, which no header may hold.
        self._token = SecretStr(token.get_secret_value().strip())

    async def token(self) -> str:
        """Return the token."""
        return self._token.get_secret_value()

    async def renewed(self, _refused: str, /) -> str:
        """Return the same token, since there is no other."""
        return self._token.get_secret_value()

    async def close(self) -> None:
        """Do nothing, since there is no connection."""


class EntraCredentials:
    """Tokens of Microsoft Entra, cached until five minutes before they expire.

    The methods raise ``Unauthorized`` when credentials are missing or wrong, and ``Unreachable`` when Microsoft Entra
    cannot be reached or has an outage.
    """

    def __init__(
        self,
        scope: str,
        *,
        make: "Callable[[], AsyncTokenCredential] | None" = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Create the credentials without requesting a token yet.

        Args:
            scope: The scope of the tokens.
            make: Creates the credential. The default is `default_credential`.
            clock: The time in seconds since 1970.
        """
        self._scope = scope
        self._make = make or default_credential
        self._clock = clock
        self._credential: AsyncTokenCredential | None = None
        self._token = SecretStr("")
        self._expires_at = 0.0
        self._renewals = 0
        self._lock = asyncio.Lock()

    async def token(self) -> str:
        """Return the cached token, or a new one if it expires within five minutes."""
        if self._expires_soon():
            async with self._lock:
                if self._expires_soon():
                    await self._renew()
        return self._token.get_secret_value()

    async def renewed(self, refused: str, /) -> str:
        """Return another token than the refused one. Concurrent callers share one renewal."""
        async with self._lock:
            # The refusal of an older token says nothing about the cached one.
            if self._token.get_secret_value() == refused:
                # azure-identity caches the refused token and would return it again. A new credential has no cache.
                await self._discard()
                await self._renew()
        return self._token.get_secret_value()

    async def close(self) -> None:
        """Close the connections to Microsoft Entra."""
        async with self._lock:
            await self._discard()

    def _expires_soon(self) -> bool:
        return self._clock() >= self._expires_at - RENEWED_BEFORE_EXPIRY_SECONDS

    async def _discard(self) -> None:
        credential, self._credential = self._credential, None
        self._expires_at = 0.0
        if credential is not None:
            await credential.close()

    async def _renew(self) -> None:
        # Imported here: azure-identity takes most of a second, which a fixed token need not cost.
        from azure.core.exceptions import AzureError, ClientAuthenticationError  # noqa: PLC0415
        from azure.identity import CredentialUnavailableError  # noqa: PLC0415

        try:
            if self._credential is None:
                self._credential = self._make()
            token = await self._credential.get_token(self._scope)
        except ClientAuthenticationError as error:
            reason = _reason(_hidden(error.message or ""))
            unavailable = isinstance(error, CredentialUnavailableError) or reason == _NONE_CONFIGURED
            # A credential that has provided a token is configured. The managed identity's endpoint may be silent.
            if (self._renewals and unavailable) or _is_outage(error) or _is_network(reason):
                raise _unreachable(reason) from None
            raise _unauthorized(reason) from None
        except (ValueError, FileNotFoundError, PermissionError) as error:
            # An invalid or unreadable certificate, or an unknown value of AZURE_TOKEN_CREDENTIALS.
            raise _unauthorized(one_line(_hidden(str(error)), 300)) from None
        except (AzureError, OSError) as error:
            raise _unreachable(one_line(_hidden(f"{type(error).__name__}: {error}"), 300)) from None
        self._token = SecretStr(token.token)
        self._expires_at = float(token.expires_on)
        self._renewals += 1


def default_credential() -> "AsyncTokenCredential":
    """Return the credentials of this machine, as ``azure-identity`` finds them.

    The order is: the ``AZURE_*`` variables, workload identity, managed identity, and the Azure CLI, which release
    engineers use to try things out. Credentials of editors and other shells are excluded.
    """
    from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415

    return DefaultAzureCredential(
        exclude_shared_token_cache_credential=True,
        exclude_visual_studio_code_credential=True,
        exclude_powershell_credential=True,
        exclude_developer_cli_credential=True,
    )


def _reason(message: str) -> str:
    """Return the sentence that matters: the one with the AADSTS code, else that of the last credential.

    ``DefaultAzureCredential`` lists every credential that it tried, one per line. It stops at the first one that is
    configured and fails. It reports a broken connection in the same way.
    """
    code = re.search(r"AADSTS\d+[^\n]*", message)
    if code:
        return one_line(re.split(r"(?<=[.!?])\s|Trace ID", code[0], maxsplit=1)[0], 300)
    attempts = [line.strip() for line in message.splitlines() if line.startswith("\t")]
    failed = [attempt for attempt in attempts if not _NOT_CONFIGURED.search(attempt)]
    if attempts and not failed:
        return _NONE_CONFIGURED
    return one_line(re.split(r"(?<=[.!?])\s", (failed or [message])[-1], maxsplit=1)[0], 300)


def _hidden(message: str) -> str:
    """Return the message without the secrets that were sent. The answer may echo the request."""
    return hide(message, *(os.environ.get(name, "") for name in _SECRETS))


def _is_outage(error: "ClientAuthenticationError") -> bool:
    status = getattr(error.response, "status_code", None) or 0
    return status == _TOO_MANY_REQUESTS or status >= _SERVER_ERRORS or _OUTAGE.search(error.message or "") is not None


def _is_network(reason: str) -> bool:
    return "AADSTS" not in reason and bool(_NETWORK.search(reason) or _PROXY.search(reason))


def _unauthorized(reason: str) -> Unauthorized:
    return Unauthorized(
        f"{_CALL}: {reason} - check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET (or the"
        " certificate, workload identity or managed identity), or set MARKETPLACE_ACCESS_TOKEN",
        call=_CALL,
    )


def _unreachable(reason: str) -> Unreachable:
    hint = " - check HTTPS_PROXY, with its user and password" if _PROXY.search(reason) else ""
    return Unreachable(f"{_CALL}: Microsoft Entra cannot be reached or has an outage: {reason}{hint}", call=_CALL)
