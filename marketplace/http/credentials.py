"""Where the bearer token comes from. No token ever stands in a repr, a log line or an error.

The service takes tokens of a Microsoft Entra service principal, obtained with the client-credentials flow for the
scope that each API names. They live 60 to 90 minutes, a publication takes days.
"""

import asyncio
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from pydantic import SecretStr

from marketplace.errors import Unauthorized, Unreachable
from marketplace.wording import one_line

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

_NOT_CONFIGURED = re.compile(r"\bunavailable|not found on path|not installed", re.IGNORECASE)
_NONE_CONFIGURED = "no credentials are configured"

_OUTAGE = re.compile(
    r"\b(?:temporarily_unavailable|server_error)\b"
    # An empty answer, and the page of a gateway: Microsoft Entra refuses with JSON.
    r"|No response content|No token received|Unexpected response from Microsoft Entra"
)
"""What azure-identity says of an outage; its chain of credentials keeps the words and drops the status."""

_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = 500


class Credentials(Protocol):
    """Gives the token of each request."""

    async def token(self) -> str:
        """Return a token that is good for some minutes yet."""
        ...

    async def renewed(self) -> str:
        """Return a new token, because the service refused the last one."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


class FixedToken:
    """A token that somebody else got, for the sandbox and for tests."""

    def __init__(self, token: SecretStr) -> None:
        # A token read from a file ends with a line break, which no header may hold.
        self._token = SecretStr(token.get_secret_value().strip())

    async def token(self) -> str:
        """Return the token."""
        return self._token.get_secret_value()

    async def renewed(self) -> str:
        """Return the same token: there is no other."""
        return self._token.get_secret_value()

    async def close(self) -> None:
        """Do nothing: there is no connection."""


class EntraCredentials:
    """Tokens of Microsoft Entra, kept until five minutes before they expire.

    Every method that gives a token raises ``Unauthorized`` when there are no credentials or they are wrong,
    and ``Unreachable`` when Microsoft Entra cannot be asked, or is not well.
    """

    def __init__(
        self,
        scope: str,
        *,
        make: "Callable[[], AsyncTokenCredential] | None" = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Remember where tokens come from; nothing is asked yet.

        Args:
            scope: What the token is for.
            make: Makes the credential that is asked; `default_credential` unless a test has another.
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
        """Return the token, a new one when it expires within five minutes."""
        if self._expires_soon():
            async with self._lock:
                if self._expires_soon():
                    await self._renew()
        return self._token.get_secret_value()

    async def renewed(self) -> str:
        """Return a new token; who asks while one is being fetched gets that one."""
        seen = self._renewals
        async with self._lock:
            if seen == self._renewals:
                # azure-identity keeps the refused token and would give it again: a new credential has none.
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
            reason = _reason(error.message or "")
            unavailable = isinstance(error, CredentialUnavailableError) or reason == _NONE_CONFIGURED
            # What has given a token is configured: the managed identity's endpoint is silent for a moment.
            if (self._renewals and unavailable) or _is_outage(error) or _is_network(reason):
                raise _unreachable(reason) from None
            raise _unauthorized(reason) from None
        except (ValueError, FileNotFoundError, PermissionError) as error:
            # A certificate that is none or cannot be read, an unknown AZURE_TOKEN_CREDENTIALS.
            raise _unauthorized(one_line(str(error), 300)) from None
        except (AzureError, OSError) as error:
            raise _unreachable(one_line(f"{type(error).__name__}: {error}", 300)) from None
        self._token = SecretStr(token.token)
        self._expires_at = float(token.expires_on)
        self._renewals += 1


def default_credential() -> "AsyncTokenCredential":
    """Return the credentials of this machine, as ``azure-identity`` finds them.

    In this order: the ``AZURE_*`` variables, workload identity, managed identity, and the Azure CLI, with
    which a release engineer tries things out. What belongs to an editor or to another shell is left out.
    """
    from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415

    return DefaultAzureCredential(
        exclude_shared_token_cache_credential=True,
        exclude_visual_studio_code_credential=True,
        exclude_powershell_credential=True,
        exclude_developer_cli_credential=True,
    )


def _reason(message: str) -> str:
    """Return the sentence that matters: with its AADSTS code, else of the credential that was tried last.

    ``DefaultAzureCredential`` lists every credential it tried, one a line, and stops at the one that failed
    rather than was not configured. It reports a broken connection in the same way.
    """
    code = re.search(r"AADSTS\d+[^\n]*", message)
    if code:
        return one_line(re.split(r"(?<=[.!?])\s|Trace ID", code[0], maxsplit=1)[0], 300)
    attempts = [line.strip() for line in message.splitlines() if line.startswith("\t")]
    failed = [attempt for attempt in attempts if not _NOT_CONFIGURED.search(attempt)]
    if attempts and not failed:
        return _NONE_CONFIGURED
    return one_line(re.split(r"(?<=[.!?])\s", (failed or [message])[-1], maxsplit=1)[0], 300)


def _is_outage(error: "ClientAuthenticationError") -> bool:
    status = getattr(error.response, "status_code", None) or 0
    return status == _TOO_MANY_REQUESTS or status >= _SERVER_ERRORS or _OUTAGE.search(error.message or "") is not None


def _is_network(reason: str) -> bool:
    return _NETWORK.search(reason) is not None and "AADSTS" not in reason


def _unauthorized(reason: str) -> Unauthorized:
    return Unauthorized(
        f"{_CALL}: {reason} - check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET (or the"
        " certificate, workload identity or managed identity), or set MARKETPLACE_ACCESS_TOKEN",
        call=_CALL,
    )


def _unreachable(reason: str) -> Unreachable:
    return Unreachable(f"{_CALL}: Microsoft Entra gives none at the moment: {reason}", call=_CALL)
