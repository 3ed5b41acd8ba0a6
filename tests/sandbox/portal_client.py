"""A client of the Cloud Partner Portal API for the tests, and an offer that is ready to publish."""

import copy
import json
from datetime import UTC, datetime
from typing import Any

import httpx

from sandbox import DEFAULT_TOKEN, ManualClock
from tests.sandbox.controls import Controls

START = datetime(2024, 3, 1, 9, 0, tzinfo=UTC)
SAS = "sv=2022-11-02&sr=c&sp=rl&st=2024-02-20T00%3A00%3A00Z&se=2199-05-01T00%3A00%3A00Z&sig=SECRET%2Bsig"
MINUTE, HOUR, DAY = 60, 3_600, 86_400
VM = "microsoft-azure-virtualmachines"
LISTING = "microsoft-azure-marketplace"


def image(version: str, sas: str = SAS) -> dict[str, Any]:
    """Return an image with one disk."""
    return {
        "osVhdUrl": f"https://images.blob.core.windows.net/vhds/web-{version}.vhd?{sas}",
        "lunVhdDetails": [],
    }


def offer_document(publisher: str, offer: str = "webstack", versions: tuple[str, ...] = ("1.0.0",)) -> dict[str, Any]:
    """Return a virtual machine offer that is ready to publish."""
    listing: dict[str, Any] = {
        f"{LISTING}.{name}": f"The {name}."
        for name in (
            "title",
            "summary",
            "longSummary",
            "description",
            "offerMarketingUrlIdentifier",
            "smallLogo",
            "mediumLogo",
            "largeLogo",
            "wideLogo",
            "privacyURL",
            "termsOfUse",
            "engineeringContactName",
            "engineeringContactEmail",
            "engineeringContactPhone",
            "supportContactName",
            "supportContactEmail",
            "supportContactPhone",
        )
    }
    listing[f"{LISTING}.allowedSubscriptions"] = ["7d3e1f0a-9b52-4c7e-8f61-5a0c2e44d913"]
    listing[f"{LISTING}.categoryMap"] = [{"categoryL1": "compute", "categoryL2-compute": ["other"]}]
    plan = {
        "planId": "lts",
        "regions": ["PT", "US"],
        "virtualMachinePricing": {"isByol": True, "freeTrialDurationInMonths": 0},
        f"{VM}.skuTitle": "LTS",
        f"{VM}.skuSummary": "LTS",
        f"{VM}.skuDescription": "LTS",
        f"{VM}.hideSKUForSolutionTemplate": False,
        f"{VM}.cloudAvailability": ["PublicAzure"],
        f"{VM}.operatingSystemFamily": "Linux",
        f"{VM}.operationSystem": "Debian 12",
        f"{VM}.recommendedVMSizes": ["d2s-standard-v3"],
        f"{VM}.openPorts": [],
        f"{VM}.vmImages": {version: image(version) for version in versions},
    }
    return {
        "publisherId": publisher,
        "offerTypeId": VM,
        "id": offer,
        "definition": {"displayText": "Webstack", "offer": listing, "plans": [plan]},
    }


class PortalClient(Controls):
    """The API and the control API, as one publisher uses them."""

    def __init__(self, http: httpx.AsyncClient, clock: ManualClock, publisher: str) -> None:
        """Use `http` for one publisher."""
        super().__init__(http, clock, publisher)
        self.offer = f"/api/publishers/{publisher}/offers/webstack"
        self.document = offer_document(publisher)

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Call the API, by default below the path of the offer."""
        headers = {"Authorization": f"Bearer {DEFAULT_TOKEN}"} | options.pop("headers", {})
        params = {"api-version": "2017-10-31"} | options.pop("params", {})
        address = path if path.startswith("/") else f"{self.offer}/{path}".rstrip("/")
        return await self.http.request(method, address, headers=headers, params=params, **options)

    async def get(self, path: str, **options: Any) -> Any:
        """Read JSON; the answer must be 200."""
        response = await self.call("GET", path, **options)
        assert response.status_code == 200, response.text
        return response.json()

    async def put(self, document: dict[str, Any] | str | None = None, if_match: str | None = "*") -> httpx.Response:
        """Put the draft."""
        text = document if isinstance(document, str) else json.dumps(document or self.document)
        return await self.call("PUT", "", content=text, headers={"If-Match": if_match} if if_match else {})

    async def publish(self) -> httpx.Response:
        """Publish the draft."""
        return await self.call("POST", "publish", json={"metadata": {"notification-emails": "a@b.example"}})

    async def published(self) -> str:
        """Put and publish. Return the ID of the operation."""
        assert (await self.put()).status_code in (200, 201)
        response = await self.publish()
        assert response.status_code == 202, response.text
        return str(response.headers["Location"]).split("/operations/")[1].split("?")[0]

    async def waiting(self) -> str:
        """Put, publish and let time pass until the preview waits for sign-off. Return the ID of the publish."""
        operation = await self.published()
        self.clock.advance(8 * DAY)
        return operation

    async def live(self) -> str:
        """Put, publish and go live. Return the ID of the go-live."""
        await self.waiting()
        response = await self.call("POST", "golive")
        assert response.status_code == 202, response.text
        self.clock.advance(4 * DAY)
        return str(response.headers["Location"]).split("/operations/")[1].split("?")[0]

    def with_versions(self, *versions: str) -> dict[str, Any]:
        """Return the document with exactly these image versions."""
        document = copy.deepcopy(self.document)
        document["definition"]["plans"][0][f"{VM}.vmImages"] = {version: image(version) for version in versions}
        return document
