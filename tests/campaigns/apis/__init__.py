"""The two APIs for the campaigns: their offers, their documents and their differences."""

from tests.campaigns.apis.api import Call, CampaignApi, Images
from tests.campaigns.apis.cloud_partner import CloudPartnerCampaignApi
from tests.campaigns.apis.product_ingestion import ProductIngestionCampaignApi

CLOUD_PARTNER: CampaignApi = CloudPartnerCampaignApi()
PRODUCT_INGESTION: CampaignApi = ProductIngestionCampaignApi()
APIS: dict[str, CampaignApi] = {api.name: api for api in (CLOUD_PARTNER, PRODUCT_INGESTION)}

__all__ = ["APIS", "CLOUD_PARTNER", "PRODUCT_INGESTION", "Call", "CampaignApi", "Images"]
