"""Creates the marketplace client from the settings."""

from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from marketplace.cloud_partner import calls as cloud_partner
from marketplace.cloud_partner.marketplace import CloudPartnerMarketplace
from marketplace.http.credentials import Credentials, EntraCredentials, FixedToken
from marketplace.http.exchange import Observer, ignore
from marketplace.http.pace import Pace
from marketplace.product_ingestion import calls as product_ingestion
from marketplace.product_ingestion.marketplace import ProductIngestionMarketplace
from marketplace.protocol import Marketplace
from marketplace.sas import Signer
from worker.settings import Settings
from worker.transport import transport

MAX_CONNECTIONS = 100
"""The number of concurrent activities."""

_APIS = {"cloud-partner": cloud_partner, "product-ingestion": product_ingestion}


def http_client() -> httpx.AsyncClient:
    """Return the HTTP client of a worker. It keeps no cookies, which would pile up over weeks.

    Raises:
        SettingsError: A proxy in the environment is wrong.
    """
    return httpx.AsyncClient(
        transport=transport(MAX_CONNECTIONS),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


def credentials_of(settings: Settings) -> Credentials:
    """Return the source of access tokens."""
    if settings.marketplace_access_token is not None:
        return FixedToken(settings.marketplace_access_token)
    return EntraCredentials(_APIS[settings.marketplace_api].MARKETPLACE_SCOPE)


def url_of(settings: Settings) -> str:
    """Return the marketplace's base address."""
    return settings.marketplace_url or _APIS[settings.marketplace_api].MARKETPLACE_URL


def marketplace_of(
    settings: Settings,
    http: httpx.AsyncClient,
    credentials: Credentials,
    pace: Pace | None = None,
    observe: Observer = ignore,
) -> Marketplace:
    """Return the marketplace client. Nothing is sent yet."""
    signer = Signer(settings.azure_storage_account_keys)
    if settings.marketplace_api == "product-ingestion":
        api = product_ingestion.ProductIngestion(
            http,
            credentials,
            url=url_of(settings),
            schema_version=settings.marketplace_schema_version or product_ingestion.SCHEMA_VERSION,
            pace=pace,
            observe=observe,
        )
        return ProductIngestionMarketplace(api, signer=signer, tenant_id=settings.azure_tenant_id)
    portal = cloud_partner.Portal(http, credentials, url=url_of(settings), pace=pace, observe=observe)
    return CloudPartnerMarketplace(portal, signer=signer)
