"""The two APIs as the campaigns see them: the offers they publish, and the sandbox's names for the calls."""

from tests.campaigns.apis.api import Api, Call, Images
from tests.campaigns.apis.cloud_partner import CloudPartner
from tests.campaigns.apis.product_ingestion import ProductIngestion

CLOUD_PARTNER: Api = CloudPartner()
PRODUCT_INGESTION: Api = ProductIngestion()
APIS: dict[str, Api] = {api.name: api for api in (CLOUD_PARTNER, PRODUCT_INGESTION)}

__all__ = ["APIS", "CLOUD_PARTNER", "PRODUCT_INGESTION", "Api", "Call", "Images"]
