"""The marketplace's client, as the settings want it."""

from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from marketplace.cloud_partner_portal import CloudPartnerPortal
from marketplace.credentials import Credentials, EntraCredentials, FixedToken
from marketplace.pace import Pace
from marketplace.portal import Portal
from marketplace.sas import Signer
from worker.settings import Settings
from worker.transport import transport

MAX_CONNECTIONS = 100
"""As many as activities run at a time."""


def http_client() -> httpx.AsyncClient:
    """Return what carries the requests of a worker; keeps no cookies, which would pile up over weeks."""
    return httpx.AsyncClient(
        transport=transport(MAX_CONNECTIONS),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


def credentials_of(settings: Settings) -> Credentials:
    """Return where tokens come from."""
    if settings.marketplace_access_token is not None:
        return FixedToken(settings.marketplace_access_token)
    return EntraCredentials()


def marketplace_of(
    settings: Settings, http: httpx.AsyncClient, credentials: Credentials, pace: Pace | None = None
) -> CloudPartnerPortal:
    """Return the client; nothing is sent yet."""
    portal = Portal(http, credentials, url=settings.marketplace_url, pace=pace)
    return CloudPartnerPortal(portal, signer=Signer(settings.storage_account_keys()))
