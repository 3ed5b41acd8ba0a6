"""Access tokens: one fixed token, and the tokens that the token endpoint issues. Only digests are kept."""

import hashlib
import secrets
import time
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.state import MarketplaceState, Publisher

WRONG_SECRET = "wrong"
"""The only client secret that the token endpoint refuses."""

OPENID_CONFIGURATIONS = (
    "/{tenant}/v2.0/.well-known/openid-configuration",
    "/{tenant}/.well-known/openid-configuration",
)


def digest_of(token: str) -> str:
    """Return the digest by which a token is remembered."""
    return hashlib.sha256(token.encode()).hexdigest()


def bearer_of(headers: Mapping[str, str]) -> str | None:
    """Return the bearer token of a request."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.casefold() == "bearer" else None


def account_of(token: str | None) -> str | None:
    """Return the only publisher that a token is for, which follows an `@`: `sandbox-token@fabrikam`."""
    return (token or "").partition("@")[2] or None


def is_valid(token: str | None, fixed_token: str, state: MarketplaceState, publisher: Publisher | None) -> bool:
    """Return whether the token is known, has not expired, and is not refused because of a fault."""
    if token is None:
        return False
    digest = digest_of(token)
    if publisher and digest in publisher.refused_tokens:
        return False
    return secrets.compare_digest(token.partition("@")[0].encode(), fixed_token.encode()) or (
        state.issued_tokens.get(digest, 0.0) > time.time()
    )


async def token_response(request: Request, state: MarketplaceState, lifetime: float) -> Response:
    """Issue a token, as the Microsoft identity platform does in the client credentials flow."""
    form = dict(parse_qsl((await request.body()).decode(errors="replace")))
    if form.get("grant_type") != "client_credentials":
        return _refusal(400, "unsupported_grant_type", "AADSTS70003: only client_credentials is supported.")
    if not form.get("client_id") or not form.get("client_secret"):
        return _refusal(401, "invalid_client", "AADSTS7000216: client_id and client_secret are required.")
    if form.get("client_secret") == WRONG_SECRET:
        return _refusal(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
    second_version = "/v2.0/" in request.url.path
    if not form.get("scope" if second_version else "resource"):
        return _refusal(400, "invalid_request", "AADSTS900144: the request must name a scope or a resource.")
    now = time.time()
    state.issued_tokens = {digest: expires for digest, expires in state.issued_tokens.items() if expires > now}
    token = f"sandbox.{secrets.token_urlsafe(24)}"
    state.issued_tokens[digest_of(token)] = now + lifetime
    if second_version:
        whole = int(lifetime)
        body: dict[str, object] = {"token_type": "Bearer", "expires_in": whole, "ext_expires_in": whole}
    else:
        body = {
            "token_type": "Bearer",
            "expires_in": str(int(lifetime)),
            "ext_expires_in": str(int(lifetime)),
            "expires_on": str(int(now + lifetime)),
            "not_before": str(int(now)),
            "resource": str(form.get("resource")),
        }
    return JSONResponse(body | {"access_token": token}, headers={"Cache-Control": "no-store"})


def _refusal(status: int, error: str, description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status)


def openid_configuration(request: Request) -> Response:
    """Return the addresses of a tenant's endpoints, which Microsoft's libraries read first."""
    tenant = request.path_params["tenant"]
    base = f"{str(request.base_url).rstrip('/')}/{tenant}"
    return JSONResponse(
        {
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "issuer": f"{base}/v2.0",
        }
    )
