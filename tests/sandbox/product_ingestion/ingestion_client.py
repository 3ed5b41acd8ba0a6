"""A client of the Product Ingestion API for the tests."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from sandbox import DEFAULT_TOKEN, ManualClock
from tests.sandbox.controls import Controls

BASE = "/rp/product-ingestion"
SCHEMA = "https://schema.mp.microsoft.com/schema"
OFFER, PLAN = "webstack-appliance", "webstack-lts"
CONFIGURATION = "virtual-machine-plan-technical-configuration"
SAS = "sv=2022-11-02&sr=c&sp=rl&st=2024-02-20T00%3A00%3A00Z&se=2199-05-01T00%3A00%3A00Z&sig=SECRET%2Bsig"
DAY = 86_400

SAMPLE: dict[str, Any] = json.loads((Path(__file__).parents[2] / "offer_configure.json").read_text())


def image(version: str, image_type: str, sas: str = SAS) -> dict[str, Any]:
    """Return an image with one disk."""
    address = f"https://images.blob.core.windows.net/vhds/web-{version}.vhd?{sas}"
    return {"imageType": image_type, "source": {"sourceType": "sasUri", "osDisk": {"uri": address}, "dataDisks": []}}


def gallery_image(version: str, image_type: str) -> dict[str, Any]:
    """Return an image from a Compute Gallery."""
    resource = (
        f"/subscriptions/s/resourceGroups/r/providers/Microsoft.Compute/galleries/g/images/w/versions/{version}"
    )
    shared = {"tenantId": "c2d8b7a4-54a6-4bf0-9b7e-0f8f3a1d6e90", "resourceId": resource}
    return {"imageType": image_type, "source": {"sourceType": "sharedImageGallery", "sharedImage": shared}}


def version_entry(version: str, *image_types: str, **members: Any) -> dict[str, Any]:
    """Return an image version."""
    types = image_types or ("x64Gen1", "x64Gen2")
    return {"versionNumber": version, "vmImages": [image(version, each) for each in types], **members}


def resource_in(document: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the first resource of a type."""
    found: dict[str, Any] = next(each for each in document["resources"] if f"/schema/{kind}/" in each["$schema"])
    return found


def leaves(errors: Any) -> list[str]:
    """Return the messages of the innermost errors."""
    found: list[str] = []
    for error in errors:
        details = error.get("details")
        found += leaves(details) if isinstance(details, list) and details else [error["message"]]
    return found


class IngestionClient(Controls):
    """The API and the control API, as one publisher uses them."""

    def __init__(self, http: httpx.AsyncClient, clock: ManualClock, publisher: str) -> None:
        super().__init__(http, clock, publisher)
        self.token = f"{DEFAULT_TOKEN}@{publisher}"
        self.sample = copy.deepcopy(SAMPLE)
        self.product = ""

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Call the API."""
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        return await self.http.request(method, f"{BASE}/{path}", headers=headers, **options)

    async def get(self, path: str, **options: Any) -> Any:
        """Read JSON; the answer must be 200."""
        response = await self.call("GET", path, **options)
        assert response.status_code == 200, response.text
        return response.json()

    async def configure(self, *resources: dict[str, Any], **options: Any) -> httpx.Response:
        """Send resources."""
        body = {"$schema": f"{SCHEMA}/configure/2022-03-01-preview2", "resources": list(resources)}
        return await self.call("POST", "configure", json=body, **options)

    async def ended(self, response: httpx.Response) -> dict[str, Any]:
        """Read the status of an accepted job until it has ended. Return it."""
        assert response.status_code == 202, response.text
        job = response.json()["jobId"]
        for _ in range(5):
            status: dict[str, Any] = await self.get(f"configure/{job}/status")
            if status["jobStatus"] == "completed":
                return status
        raise AssertionError(status)

    async def written(self, *resources: dict[str, Any]) -> dict[str, Any]:
        """Write resources into the draft, which must succeed. Return the status of the job."""
        status = await self.ended(await self.configure(*resources))
        assert status["jobResult"] == "succeeded", status
        return status

    async def refused(self, *resources: dict[str, Any]) -> list[str]:
        """Send resources whose job must fail. Return its innermost messages."""
        status = await self.ended(await self.configure(*resources))
        assert status["jobResult"] == "failed", status
        return leaves(status["errors"])

    async def create(self) -> str:
        """Create the sample offer. Return the ID of the product."""
        await self.written(*self.sample["resources"])
        self.product = (await self.get(f"product?externalId={OFFER}"))["value"][0]["id"].removeprefix("product/")
        return self.product

    def submission(self, target: str, number: str | None = None) -> dict[str, Any]:
        """Return a submission to send."""
        return {
            "$schema": f"{SCHEMA}/submission/2022-03-01-preview2",
            "product": f"product/{self.product}",
            "target": {"targetType": target},
        } | ({"id": f"submission/{self.product}/{number}"} if number else {})

    async def publish(self, *resources: dict[str, Any]) -> str:
        """Publish to preview. Return the ID of the job."""
        response = await self.configure(*resources, self.submission("preview"))
        assert response.status_code == 202, response.text
        return str(response.json()["jobId"])

    async def previewed(self) -> str:
        """Publish and let time pass. Return the number of the submission."""
        await self.publish()
        self.clock.advance(8 * DAY)
        return await self.number_at("preview")

    async def go_live(self, number: str) -> str:
        """Go live. Return the ID of the job."""
        response = await self.configure(self.submission("live", number))
        assert response.status_code == 202, response.text
        return str(response.json()["jobId"])

    async def live(self) -> str:
        """Create the sample offer, publish it and go live. Return the number of the submission."""
        await self.create()
        number = await self.previewed()
        await self.go_live(number)
        self.clock.advance(5 * DAY)
        return number

    async def job(self, job: str) -> dict[str, Any]:
        """Read the status of a job."""
        status: dict[str, Any] = await self.get(f"configure/{job}/status")
        return status

    async def submissions(self) -> list[tuple[str, str, str]]:
        """Return target, status and result of the active submissions, sorted and without the draft."""
        entries = (await self.get(f"submission/{self.product}"))["value"]
        return sorted(
            (each["target"]["targetType"], each["status"], each["result"]) for each in entries if "status" in each
        )

    async def number_at(self, target: str) -> str:
        """Return the number of the submission at a target."""
        entries = (await self.get(f"submission/{self.product}"))["value"]
        durable: str = next(each["id"] for each in entries if each["target"]["targetType"] == target)
        return durable.rsplit("/", 1)[1]

    async def tree(self, target: str = "draft") -> dict[str, Any]:
        """Read a tree."""
        tree: dict[str, Any] = await self.get(f"resource-tree/product/{self.product}?targetType={target}")
        return tree

    async def configuration(self, target: str = "draft") -> dict[str, Any]:
        """Read the technical configuration."""
        return resource_in(await self.tree(target), CONFIGURATION)

    async def versions(self, target: str = "draft") -> list[str]:
        """Read the numbers of the image versions."""
        return [entry["versionNumber"] for entry in (await self.configuration(target))["vmImageVersions"]]

    async def changed(self, change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Return the technical configuration of the draft with a change that is not sent yet."""
        configuration = await self.configuration()
        change(configuration)
        return configuration

    async def add(self, *versions: str) -> None:
        """Add image versions to the draft."""
        await self.written(
            await self.changed(lambda each: each["vmImageVersions"].extend(map(version_entry, versions)))
        )

    async def stranger(self, kind: str, **options: object) -> str | None:
        """Let somebody else act. Return the refusal, if there is one."""
        path = f"/_control/offers/{self.publisher}/{OFFER}/stranger"
        response = await self.http.post(path, json={"kind": kind, **options})
        assert response.status_code == 200, response.text
        refused: str | None = response.json()["refused"]
        return refused

    async def inside(self) -> dict[str, Any]:
        """Return the inside view of the offer."""
        view: dict[str, Any] = (await self.http.get(f"/_control/offers/{self.publisher}/{OFFER}")).json()
        return view
