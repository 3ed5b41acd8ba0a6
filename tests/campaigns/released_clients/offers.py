"""Offers in the sandbox's Product Ingestion API: bring them live, and read their state from the control API."""

import asyncio
import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import httpx

from sandbox import DEFAULT_TOKEN
from tests.harness.waiting import until

Json: TypeAlias = dict[str, Any]

API = "/rp/product-ingestion"
PLAN, OTHER_PLAN = "webstack-lts", "webstack-edge"
IMAGE_TYPES = ("x64Gen1", "x64Gen2")
FIRST, GALLERY_VERSION = "4.2.0", "4.1.0"
TENANT = "c2d8b7a4-54a6-4bf0-9b7e-0f8f3a1d6e90"

_SAS = "sv=2022-11-02&sr=c&sp=rl&st=2024-02-20T00%3A00%3A00Z&se=2199-05-01T00%3A00%3A00Z&sig=INVENTED"
_SCHEMA = "https://schema.mp.microsoft.com/schema"
_CONFIGURATION = f"{_SCHEMA}/virtual-machine-plan-technical-configuration/"
_PLAN_RESOURCES = (
    "plan",
    "plan-listing",
    "price-and-availability-plan",
    "virtual-machine-plan-technical-configuration",
)
_DOCUMENT: Json = json.loads((Path(__file__).parents[2] / "offer_configure.json").read_text())
_BEFORE_THE_PREVIEW = ("displaydummycertify", "displaycertify", "displayprovision", "displaypackage")


def vhd(version: str, plan: str = PLAN) -> str:
    """Return the URL of a disk."""
    return f"https://fabrikamimages.blob.core.windows.net/vhds/{plan}-{version}.vhd?{_SAS}"


def gallery_image(version: str) -> str:
    """Return the resource ID of an image version in a Compute Gallery."""
    group = "/subscriptions/11112222-3333-4444-5555-666677778888/resourceGroups/images"
    return f"{group}/providers/Microsoft.Compute/galleries/fabrikam/images/webstack/versions/{version}"


@dataclass(frozen=True)
class State:
    """The state of an offer. Submissions are counted from when it first went live.

    Attributes:
        versions: The image versions by slot and plan.
        publishes: The number of submissions to preview.
        go_lives: The number of submissions to live.
        running: Whether a submission is running.
    """

    versions: Mapping[str, Mapping[str, Sequence[str]]]
    publishes: int
    go_lives: int
    running: bool


class Offer:
    """The only offer of a publisher."""

    def __init__(self, http: httpx.AsyncClient, name: str) -> None:
        self.name = self.publisher = name
        self._http = http
        self._headers = {"Authorization": f"Bearer {DEFAULT_TOKEN}@{name}"}
        self._known: set[str] = set()
        self._before = 0

    async def bring_live(self, *, plans: Sequence[str] = (PLAN,), with_gallery: bool = False) -> None:
        """Create the offer and take it live."""
        await self.set_durations(preview=0, live=0)
        await self._finish(await self._post(_document(self.name, plans, with_gallery=with_gallery)))
        found = (await self._get(f"product?externalId={self.name}"))["value"]
        product = found[0]["id"].removeprefix("product/")
        await self._finish(await self._post([_submission(product, "preview")]))
        entries = (await self._get(f"submission/{product}"))["value"]
        preview = next(entry["id"] for entry in entries if entry["target"]["targetType"] == "preview")
        await self._finish(await self._post([_submission(product, "live", preview)]))
        view = await self.view()
        self._known = {operation["job_id"] for operation in view["operations"]}
        self._before = len(await self.requests())

    async def set_durations(self, *, preview: float, live: float) -> None:
        """Set how long publishing and going live take, in seconds of the marketplace's clock."""
        durations = dict.fromkeys(_BEFORE_THE_PREVIEW, preview / len(_BEFORE_THE_PREVIEW)) | {"live": live}
        await self.switch(step_durations=durations)

    async def switch(self, **switches: object) -> None:
        """Set switches of the sandbox for the publisher."""
        await self._control("PUT", "switches", switches)

    async def fault(self, call: str, action: Json, *, times: int = 1) -> None:
        """Add a fault for the next requests of a call."""
        await self._control("POST", "faults", {"call": call, "times": times, "action": action})

    async def stranger_adds(self, version: str, plan: str) -> None:
        """Let somebody else add a version to the draft."""
        action = {"kind": "stranger_edit", "plan_id": plan, "version": version}
        answer = await self._http.post(f"/_control/offers/{self.publisher}/{self.name}/stranger", json=action)
        if answer.raise_for_status().json()["refused"]:
            raise AssertionError(answer.text)

    async def lifecycle(self, version: str, plan: str = PLAN) -> str:
        """Return the state of a version in the draft."""
        resources = (await self.view())["slots"]["Draft"]["document"]["resources"]
        plans = {each["id"]: each["identity"]["externalId"] for each in resources if each["id"].startswith("plan/")}
        entries = (
            entry
            for each in resources
            if each["$schema"].startswith(_CONFIGURATION) and plans[each["plan"]] == plan
            for entry in each["vmImageVersions"]
        )
        return next(str(entry["lifecycleState"]) for entry in entries if entry["versionNumber"] == version)

    async def faults(self) -> Sequence[Json]:
        """Return the faults that have not struck yet."""
        found: list[Json] = (await self._http.get(f"/_control/publishers/{self.publisher}/faults")).json()
        return found

    async def view(self) -> Json:
        """Return the offer as the control API shows it."""
        found: Json = (await self._http.get(f"/_control/offers/{self.publisher}/{self.name}")).json()
        return found

    async def state(self) -> State:
        """Return the state of the offer."""
        view = await self.view()
        operations = [one for one in view["operations"] if one["job_id"] not in self._known]
        kinds = [one["kind"] for one in operations]
        return State(
            versions={slot: (held or {}).get("images", {}) for slot, held in view["slots"].items()},
            publishes=kinds.count("publish"),
            go_lives=kinds.count("goLive"),
            running=any(one["outcome"] is None for one in operations),
        )

    async def requests(self) -> list[Json]:
        """Return the requests about the offer since it first went live."""
        found = await self._http.get("/_control/requests", params={"publisher": self.publisher})
        entries: list[Json] = found.json()
        return entries[self._before :]

    async def changes(self) -> list[datetime]:
        """Return when each operation ended or reached its sign-off, by the sandbox's clock."""
        view = await self.view()
        jobs = [one["job_id"] for one in view["operations"] if one["job_id"] not in self._known]
        answers = [await self._get(f"configure/{job}/status") for job in jobs]
        return [datetime.fromisoformat(answer["jobEnd"]) for answer in answers if answer["jobStatus"] == "completed"]

    async def until_publishing(self) -> None:
        """Wait until a publish runs."""

        async def publishes() -> bool:
            return (await self.state()).publishes > 0

        await until(publishes, f"a publish runs on {self.name}", seconds=120)

    async def until_idle(self) -> State:
        """Wait until nothing is running, and return the state."""

        async def is_idle() -> bool:
            return not (await self.state()).running

        await until(is_idle, f"nothing runs on {self.name} any more", seconds=900)
        return await self.state()

    async def _control(self, method: str, path: str, body: Json) -> None:
        answer = await self._http.request(method, f"/_control/publishers/{self.publisher}/{path}", json=body)
        answer.raise_for_status()

    async def _get(self, path: str) -> Json:
        found: Json = (await self._http.get(f"{API}/{path}", headers=self._headers)).raise_for_status().json()
        return found

    async def _post(self, resources: Sequence[Json]) -> str:
        body = {"$schema": f"{_SCHEMA}/configure/2022-07-01", "resources": resources}
        answer = await self._http.post(f"{API}/configure", headers=self._headers, json=body)
        return str(answer.raise_for_status().json()["jobId"])

    async def _finish(self, job: str) -> None:
        for _ in range(100):
            status = await self._get(f"configure/{job}/status")
            if status["jobStatus"] == "completed":
                break
            await asyncio.sleep(0.02)
        if status["jobResult"] != "succeeded":
            raise AssertionError(status)


def _submission(product: str, target: str, durable: str | None = None) -> Json:
    submission = {
        "$schema": f"{_SCHEMA}/submission/2022-03-01-preview2",
        "product": f"product/{product}",
        "target": {"targetType": target},
    }
    return submission | ({"id": durable} if durable else {})


def _document(offer: str, plans: Sequence[str], *, with_gallery: bool) -> list[Json]:
    """Return the resources of an offer with these plans, each with its first version."""
    resources: list[Json] = []
    for resource in _DOCUMENT["resources"]:
        kind = resource["$schema"].split("/")[-2]
        for number, plan in enumerate(plans if kind in _PLAN_RESOURCES else plans[:1]):
            made = copy.deepcopy(resource)
            if kind == "product":
                made["identity"]["externalId"] = offer
            elif kind == "plan":
                made |= {"resourceName": f"plan-{number}", "identity": {"externalId": plan}}
            elif kind in _PLAN_RESOURCES:
                made["plan"] = {"resourceName": f"plan-{number}"}
            if made["$schema"].startswith(_CONFIGURATION):
                _fill(made, plan, with_gallery=with_gallery)
            resources.append(made)
    return resources


def _fill(configuration: Json, plan: str, *, with_gallery: bool) -> None:
    for sku in configuration["skus"]:
        sku["skuId"] = plan if sku["imageType"] == "x64Gen2" else f"{plan}-gen1"
    disk = {"sourceType": "sasUri", "osDisk": {"uri": vhd(FIRST, plan)}, "dataDisks": []}
    shared = {
        "sourceType": "sharedImageGallery",
        "sharedImage": {"tenantId": TENANT, "resourceId": gallery_image(GALLERY_VERSION)},
    }
    sources = {FIRST: disk} | ({GALLERY_VERSION: shared} if with_gallery else {})
    configuration["vmImageVersions"] = [
        {
            "versionNumber": version,
            "vmImages": [{"imageType": each, "source": source} for each in IMAGE_TYPES],
            "lifecycleState": "generallyAvailable",
        }
        for version, source in sources.items()
    ]
