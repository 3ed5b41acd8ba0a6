"""The Product Ingestion API, as a desk uses it."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from marketplace.http.credentials import FixedToken
from marketplace.product_ingestion.calls import ProductIngestion
from marketplace.product_ingestion.marketplace import ProductIngestionMarketplace
from sandbox import DEFAULT_TOKEN
from sandbox.product_ingestion.ids import product_guid
from tests.apis.api import ByHand
from tests.desk import OFFER, PLAN, SAS, SIGNER, vhd

BASE = "/rp/product-ingestion"
SCHEMAS = "https://schema.mp.microsoft.com/schema"
CONFIGURATION = "virtual-machine-plan-technical-configuration"
IMAGE_TYPES = ("x64Gen1", "x64Gen2")
TENANT = "c2d8b7a4-54a6-4bf0-9b7e-0f8f3a1d6e90"


class ProductIngestionApi:
    """Implements `tests.apis.api.Api`."""

    name = "product-ingestion"
    calls: Mapping[str, Sequence[str]] = {
        "put_offer": ["configure_draft"],
        "publish": ["configure_preview"],
        "go_live": ["configure_live"],
        "cancel": ["cancel_job"],
        "look": ["read_job", "read_submission"],
        "list_operations": ["list_submissions"],
        "read_slot": ["read_tree"],
    }
    looks_at_an_edit = 2
    first_step = "Publish to preview"
    go_live_step = "Go live"

    def marketplace(self, http: httpx.AsyncClient, sandbox_url: str) -> ProductIngestionMarketplace:
        """Return the marketplace with a fixed token, which does not pause between reads of the job of an edit."""
        calls = ProductIngestion(http, FixedToken(SecretStr(DEFAULT_TOKEN)), url=f"{sandbox_url}{BASE}")
        return ProductIngestionMarketplace(calls, signer=SIGNER, tenant_id=TENANT, pause=_no_pause)

    def document(self, _publisher: str, versions: Sequence[str]) -> dict[str, Any]:
        """Return the example offer."""
        text = (Path(__file__).parents[1] / "offer_configure.json").read_text()
        document: dict[str, Any] = json.loads(text)
        resource_of(document, CONFIGURATION)["vmImageVersions"] = [version_entry(version) for version in versions]
        return document

    def creation(self, publisher: str, document: dict[str, Any]) -> dict[str, Any]:
        """Return the publisher and the document under their names in the input."""
        return {"publisher_id": publisher, "configure": document}

    def writes(self, request: httpx.Request) -> bool:
        """Return whether a request is the API's only write, which also publishes."""
        return request.method == "POST" and request.url.path.endswith("/configure")

    def put(self, _publisher: str, document: dict[str, Any]) -> ByHand:
        """Return the request that applies the resources of a document."""
        return ByHand("POST", f"{BASE}/configure", document)

    def publish(self, _publisher: str) -> ByHand:
        """Return the request that publishes the draft."""
        return configure(submission({"externalId": OFFER}, "preview"))

    def go_live(self, publisher: str, publish_id: str) -> ByHand:
        """Return the request that promotes the preview of a submission."""
        product = product_guid(publisher, OFFER)
        return configure(
            submission(f"product/{product}", "live") | {"id": f"submission/{product}/{publish_id}"},
        )


async def _no_pause(_time: timedelta) -> None:
    await asyncio.sleep(0)


def configure(*resources: dict[str, Any]) -> ByHand:
    """Return the request that configures resources."""
    body = {"$schema": f"{SCHEMAS}/configure/2022-03-01-preview2", "resources": list(resources)}
    return ByHand("POST", f"{BASE}/configure", body)


def submission(product: object, target: str) -> dict[str, Any]:
    """Return a submission of a product."""
    schema = f"{SCHEMAS}/submission/2022-03-01-preview2"
    return {"$schema": schema, "product": product, "target": {"targetType": target}}


def resource_of(document: dict[str, Any], kind: str, number: int = 0) -> dict[str, Any]:
    """Return a resource of a type, by default the first."""
    found: list[dict[str, Any]] = [each for each in document["resources"] if f"/{kind}/" in each["$schema"]]
    return found[number]


def version_entry(version: str, image_types: Sequence[str] = IMAGE_TYPES) -> dict[str, Any]:
    """Return an image version with one disk for all its image types."""
    source = {"sourceType": "sasUri", "osDisk": {"uri": f"{vhd(version)}?{SAS}"}, "dataDisks": []}
    return {
        "versionNumber": version,
        "vmImages": [{"imageType": each, "source": source} for each in image_types],
        "lifecycleState": "generallyAvailable",
    }


def with_plan(document: dict[str, Any], plan: str, versions: Sequence[str]) -> dict[str, Any]:
    """Return a document with one more plan like its first."""
    first = "lts"
    of_first = [each for each in document["resources"] if each.get("plan") == {"resourceName": first}]
    first_plan = next(each for each in document["resources"] if each.get("resourceName") == first)
    more = [first_plan | {"resourceName": plan, "identity": {"externalId": plan}, "alias": plan}]
    for each in of_first:
        resource = each | {"plan": {"resourceName": plan}}
        if CONFIGURATION in resource["$schema"]:
            resource |= {
                "skus": [sku | {"skuId": sku["skuId"].replace(PLAN, plan)} for sku in resource["skus"]],
                "vmImageVersions": [version_entry(version) for version in versions],
            }
        more.append(resource)
    return document | {"resources": [*document["resources"], *more]}
