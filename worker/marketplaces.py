"""The marketplace's client, as the settings want it."""

from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
from aiolimiter import AsyncLimiter

from marketplace.cloud_partner_portal import CloudPartnerPortal
from marketplace.credentials import Credentials, EntraCredentials, FixedToken
from marketplace.portal import Portal
from marketplace.sas import Signer
from worker.settings import Settings
from worker.transport import transport

MAX_CONNECTIONS = 100
"""As many as activities run at a time."""

SHARE_OF_THE_CAP = 0.95
"""What is left of the cap allows for 50 ms that the network may hold a request back."""


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


def marketplace_of(settings: Settings, http: httpx.AsyncClient, credentials: Credentials) -> CloudPartnerPortal:
    """Return the client; nothing is sent yet."""
    rate = settings.marketplace_requests_per_second
    portal = Portal(http, credentials, url=settings.marketplace_url, limiter=pace(rate) if rate is not None else None)
    return CloudPartnerPortal(portal, signer=Signer(settings.storage_account_keys()))


def pace(requests_per_second: float) -> AsyncLimiter:
    """Return a limiter that lets requests pass one by one, evenly.

    A limiter of ``requests_per_second`` a second would let that many pass at once and as many again in the
    course of the same second: nearly twice the cap.
    """
    return AsyncLimiter(1, time_period=1 / (requests_per_second * SHARE_OF_THE_CAP))
