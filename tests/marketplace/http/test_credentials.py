"""Tokens are renewed in time, once for concurrent callers, and never shown."""

import asyncio
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError
from azure.identity import CredentialUnavailableError
from pydantic import SecretStr

from marketplace.cloud_partner.calls import MARKETPLACE_SCOPE
from marketplace.errors import MarketplaceError, Unauthorized, Unreachable
from marketplace.http.credentials import EntraCredentials, FixedToken, default_credential

LIFETIME = 4_500

CHAIN = (
    "DefaultAzureCredential failed to retrieve a token from the included credentials."
    "\nAttempted credentials:\n\t{}"
    "\nTo mitigate this issue, please refer to the troubleshooting guidelines here at https://aka.ms/x."
)
NOT_CONFIGURED = (
    "EnvironmentCredential: EnvironmentCredential authentication unavailable. Environment variables are not set."
    "\n\tManagedIdentityCredential: ManagedIdentityCredential authentication unavailable, no response from IMDS."
    "\n\tAzureCliCredential: Azure CLI not found on path"
)
SILENT = "ManagedIdentityCredential authentication unavailable, no response from the IMDS endpoint."
BEHIND_A_PROXY = "407, message='Proxy Authentication Required', url='http://proxy.example:3128'"
TRANSIENT = (
    "Microsoft Entra ID error '(temporarily_unavailable) AADSTS90033: A transient error has occurred. Please try"
    " again.\r\nTrace ID: 1\r\nCorrelation ID: 2'"
)


def answered(status: int, code: str) -> ClientAuthenticationError:
    """The error of a credential outside of a chain, with the answer and its status."""
    error = ClientAuthenticationError(f"Microsoft Entra ID error '{code}'")
    error.response = cast("Any", SimpleNamespace(status_code=status))
    return error


class Entra:
    """A fake Microsoft Entra with a clock. Each credential returns the same numbered token until it is replaced."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.asked: list[tuple[str, ...]] = []
        self.made = 0
        self.closed = 0
        self.error: Exception | None = None

    def make(self) -> Any:
        self.made += 1
        return Credential(self)

    def credentials(self) -> EntraCredentials:
        return EntraCredentials(MARKETPLACE_SCOPE, make=self.make, clock=lambda: self.now)


class Credential:
    def __init__(self, entra: Entra) -> None:
        self.entra = entra

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.entra.asked.append(scopes)
        number = len(self.entra.asked)
        await asyncio.sleep(0)
        if self.entra.error:
            raise self.entra.error
        return AccessToken(f"hunter2-{number}", int(self.entra.now) + LIFETIME)

    async def close(self) -> None:
        self.entra.closed += 1


async def test_a_token_is_cached() -> None:
    entra = Entra()
    credentials = entra.credentials()
    assert entra.made == 0
    assert [await credentials.token() for _ in range(3)] == ["hunter2-1"] * 3
    assert entra.asked == [("https://cloudpartner.azure.com/.default",)]
    assert entra.asked[0][0] == MARKETPLACE_SCOPE


async def test_a_token_is_renewed_five_minutes_before_it_expires() -> None:
    entra = Entra()
    credentials = entra.credentials()
    await credentials.token()
    entra.now += LIFETIME - 301
    assert await credentials.token() == "hunter2-1"
    entra.now += 1
    assert await credentials.token() == "hunter2-2"


async def test_concurrent_callers_share_a_renewal() -> None:
    entra = Entra()
    credentials = entra.credentials()
    assert set(await asyncio.gather(*(credentials.token() for _ in range(20)))) == {"hunter2-1"}
    assert set(await asyncio.gather(*(credentials.renewed("hunter2-1") for _ in range(20)))) == {"hunter2-2"}
    assert len(entra.asked) == 2


async def test_a_refused_token_is_renewed_with_a_new_credential() -> None:
    entra = Entra()
    credentials = entra.credentials()
    await credentials.token()
    assert await credentials.renewed("hunter2-1") == "hunter2-2"
    assert await credentials.token() == "hunter2-2"
    assert (entra.made, entra.closed) == (2, 1)
    await credentials.close()
    await credentials.close()
    assert entra.closed == 2


async def test_the_refusal_of_an_older_token_does_not_discard_the_new_one() -> None:
    entra = Entra()
    credentials = entra.credentials()
    old = await credentials.token()
    assert [await credentials.renewed(old) for _ in range(3)] == ["hunter2-2"] * 3
    assert len(entra.asked) == 2
    assert await credentials.renewed("hunter2-2") == "hunter2-3"


async def test_after_a_failure_the_next_call_asks_again() -> None:
    entra = Entra()
    credentials = entra.credentials()
    entra.error = ServiceRequestError("no route")
    with pytest.raises(Unreachable):
        await credentials.token()
    entra.error = None
    assert await credentials.token() == "hunter2-2"


@pytest.mark.parametrize("raised", [ClientAuthenticationError, ServiceRequestError, ValueError])
async def test_a_secret_that_comes_back_in_a_failure_is_not_shown(
    raised: Callable[[str], Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "hunter2 hunter3")
    entra = Entra()
    entra.error = raised("no: client_secret=hunter2+hunter3&grant_type=x, 'hunter2 hunter3' is unknown")
    with pytest.raises(MarketplaceError) as caught:
        await entra.credentials().token()
    assert "hunter" not in str(caught.value)
    assert "client_secret=REDACTED&grant_type=x, 'REDACTED' is unknown" in str(caught.value)


@pytest.mark.parametrize(
    ("raised", "error", "words"),
    [
        pytest.param(
            ClientAuthenticationError(
                "Authentication failed: AADSTS7000215: Invalid client secret provided. Ensure the secret being sent"
                " in the request is the client secret value. Trace ID: 1 Correlation ID: 2"
            ),
            Unauthorized,
            "AADSTS7000215: Invalid client secret provided. - check AZURE_TENANT_ID",
            id="a wrong secret",
        ),
        pytest.param(
            ClientAuthenticationError(
                CHAIN.format(
                    "EnvironmentCredential: Authentication failed: AADSTS90002: Tenant 'x' not found. Check."
                )
            ),
            Unauthorized,
            "AADSTS90002: Tenant 'x' not found.",
            id="a wrong tenant, in the chain",
        ),
        pytest.param(
            ClientAuthenticationError(CHAIN.format(NOT_CONFIGURED)),
            Unauthorized,
            "no credentials are configured",
            id="nothing is configured",
        ),
        pytest.param(
            CredentialUnavailableError("EnvironmentCredential is not configured. See more."),
            Unauthorized,
            "EnvironmentCredential is not configured.",
            id="not configured",
        ),
        pytest.param(
            ValueError("Failed to load a certificate"), Unauthorized, "Failed to load", id="an invalid certificate"
        ),
        pytest.param(FileNotFoundError("cert.pem"), Unauthorized, "cert.pem", id="a missing certificate file"),
        pytest.param(
            ClientAuthenticationError(
                CHAIN.format(
                    "EnvironmentCredential: Cannot connect to host login.microsoftonline.com:443 ssl:default"
                    " [Name or service not known]"
                )
            ),
            Unreachable,
            "Cannot connect to host login.microsoftonline.com",
            id="no network, in the chain",
        ),
        pytest.param(
            ClientAuthenticationError(CHAIN.format(f"EnvironmentCredential: {BEHIND_A_PROXY}")),
            Unreachable,
            f"{BEHIND_A_PROXY} - check HTTPS_PROXY",
            id="a proxy that asks for a password, in the chain",
        ),
        pytest.param(
            ServiceResponseError(BEHIND_A_PROXY),
            Unreachable,
            f"{BEHIND_A_PROXY} - check HTTPS_PROXY",
            id="a proxy that asks for a password",
        ),
        pytest.param(ServiceRequestError("no route"), Unreachable, "no route", id="no network"),
        pytest.param(
            answered(503, "(invalid_request) AADSTS90014: oops."),
            Unreachable,
            "AADSTS90014: oops.",
            id="the status of an outage",
        ),
        pytest.param(
            answered(429, "(x) AADSTS90055: Slow down."),
            Unreachable,
            "AADSTS90055: Slow down.",
            id="too many requests",
        ),
        pytest.param(
            answered(401, "(invalid_client) AADSTS7000215: No."),
            Unauthorized,
            "AADSTS7000215: No.",
            id="the status of a refusal",
        ),
        pytest.param(
            ClientAuthenticationError(CHAIN.format(f"EnvironmentCredential: {TRANSIENT}")),
            Unreachable,
            "AADSTS90033: A transient error has occurred.",
            id="an outage, in the chain",
        ),
        pytest.param(
            ClientAuthenticationError(
                CHAIN.format("EnvironmentCredential: Microsoft Entra ID error '{'error': 'temporarily_unavailable'}'")
            ),
            Unreachable,
            "{'error': 'temporarily_unavailable'}",
            id="an outage without a description, in the chain",
        ),
        pytest.param(
            ClientAuthenticationError(
                CHAIN.format("EnvironmentCredential: No response content from Microsoft Entra ID")
            ),
            Unreachable,
            "No response content",
            id="an empty answer, in the chain",
        ),
        pytest.param(
            ClientAuthenticationError(
                CHAIN.format("EnvironmentCredential: Unexpected response from Microsoft Entra ID: <html>Unavailable")
            ),
            Unreachable,
            "",
            id="a gateway's page, in the chain",
        ),
        pytest.param(
            ClientAuthenticationError(CHAIN.format("ManagedIdentityCredential: No token received.")),
            Unreachable,
            "No token received.",
            id="an empty answer of the managed identity",
        ),
        pytest.param(
            CredentialUnavailableError(SILENT), Unauthorized, "no response from the IMDS", id="no managed identity"
        ),
        pytest.param(ServiceResponseError("cut"), Unreachable, "cut", id="a broken answer"),
        pytest.param(ConnectionResetError("reset"), Unreachable, "reset", id="a broken connection"),
    ],
)
async def test_a_failure_says_what_to_check(raised: Exception, error: type[MarketplaceError], words: str) -> None:
    entra = Entra()
    entra.error = raised
    with pytest.raises(error) as caught:
        await entra.credentials().token()
    assert words in str(caught.value)
    assert ("MARKETPLACE_ACCESS_TOKEN" in str(caught.value)) is (error is Unauthorized)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "silent",
    [CredentialUnavailableError(SILENT), ClientAuthenticationError(CHAIN.format(NOT_CONFIGURED))],
    ids=["the credential that worked", "the whole chain, after a refused token"],
)
async def test_credentials_that_worked_once_and_are_unavailable_now_are_asked_again(silent: Exception) -> None:
    entra = Entra()
    credentials = entra.credentials()
    await credentials.token()
    entra.now += LIFETIME
    entra.error = silent
    with pytest.raises(Unreachable):
        await credentials.token()
    entra.error = None
    assert await credentials.token() == "hunter2-3"


async def test_a_credential_that_cannot_be_created_is_a_failure_too() -> None:
    def broken() -> Any:
        raise ValueError("Invalid value for AZURE_TOKEN_CREDENTIALS")

    with pytest.raises(Unauthorized, match="AZURE_TOKEN_CREDENTIALS"):
        await EntraCredentials(MARKETPLACE_SCOPE, make=broken).token()


@pytest.mark.parametrize("make", [lambda: Entra().credentials(), lambda: FixedToken(SecretStr("hunter2"))])
async def test_no_token_is_in_a_repr_or_a_log(make: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    credentials = make()
    token = await credentials.token()
    assert "hunter2" in token
    assert "hunter2" in await credentials.renewed(token)
    assert "hunter2" not in repr(credentials) + str(vars(credentials)) + caplog.text


async def test_a_fixed_token_never_changes() -> None:
    credentials = FixedToken(SecretStr("hunter2\n"))
    assert await credentials.token() == await credentials.renewed("hunter2") == "hunter2"
    await credentials.close()


async def test_the_default_credential_covers_what_a_release_engineer_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AZURE_TOKEN_CREDENTIALS", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(variable, raising=False)
    credential = default_credential()
    names = [type(each).__name__ for each in credential.credentials]  # type: ignore[attr-defined]
    await credential.close()
    assert [name for name in names if "Failed" not in name] == [
        "EnvironmentCredential",
        "ManagedIdentityCredential",
        "AzureCliCredential",
    ]
