"""The Cloud Partner Portal API, as a desk uses it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from marketplace.cloud_partner.calls import Portal
from marketplace.cloud_partner.marketplace import CloudPartnerMarketplace
from marketplace.http.credentials import FixedToken
from sandbox import DEFAULT_TOKEN
from tests.apis.api import ByHand
from tests.desk import OFFER, SAS, SIGNER, vhd

IMAGES = "microsoft-azure-virtualmachines.vmImages"


class CloudPartnerApi:
    """Implements `tests.apis.api.Api`."""

    name = "cloud-partner"
    calls: Mapping[str, Sequence[str]] = {"look": ["read_operation"], "read_slot": ["read_offer"]}
    looks_at_an_edit = 0
    first_step = "Validate Pre-Requisites"
    go_live_step = "Live"

    def marketplace(self, http: httpx.AsyncClient, sandbox_url: str) -> CloudPartnerMarketplace:
        """Return the marketplace with a fixed token."""
        portal = Portal(http, FixedToken(SecretStr(DEFAULT_TOKEN)), url=sandbox_url)
        return CloudPartnerMarketplace(portal, signer=SIGNER)

    def document(self, publisher: str, versions: Sequence[str]) -> dict[str, Any]:
        """Return the example offer."""
        return offer_document(publisher, versions)

    def creation(self, _publisher: str, document: dict[str, Any]) -> dict[str, Any]:
        """Return the document under its name in the input."""
        return {"offer": document}

    def writes(self, request: httpx.Request) -> bool:
        """Return whether a request is a PUT of an offer."""
        return request.method == "PUT" and "/api/publishers/" in request.url.path

    def put(self, publisher: str, document: dict[str, Any]) -> ByHand:
        """Return the request that creates the offer or replaces its draft, whatever the draft holds."""
        return ByHand("PUT", _path(publisher), document, {"If-Match": "*"})

    def publish(self, publisher: str) -> ByHand:
        """Return the request that publishes the draft."""
        return ByHand("POST", _path(publisher, "/publish"), {"metadata": {"notification-emails": ""}})

    def go_live(self, publisher: str, _publish_id: str) -> ByHand:
        """Return the request that promotes the preview."""
        return ByHand("POST", _path(publisher, "/golive"))


def _path(publisher: str, call: str = "") -> str:
    return f"/api/publishers/{publisher}/offers/{OFFER}{call}?api-version=2017-10-31"


def offer_document(publisher: str, versions: Sequence[str], offer: str = OFFER) -> dict[str, Any]:
    """Return the example offer with some image versions."""
    text = (Path(__file__).parents[1] / "offer.json").read_text()
    document: dict[str, Any] = json.loads(text)
    document |= {"publisherId": publisher, "id": offer}
    document["definition"]["plans"][0][IMAGES] = {
        version: {"osVhdUrl": f"{vhd(version)}?{SAS}", "lunVhdDetails": []} for version in versions
    }
    return document
