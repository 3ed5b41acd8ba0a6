"""A publisher for one test, in the sandbox process that all tests share."""

from dataclasses import dataclass
from typing import Any

import httpx

from tests.apis.cloud_partner import IMAGES


@dataclass(frozen=True)
class Publisher:
    """A publisher. Its methods set how the sandbox treats its requests, and read what the sandbox received."""

    name: str
    url: str

    async def control(self, method: str, path: str, body: object = None) -> None:
        """Change how the marketplace behaves towards the publisher."""
        async with httpx.AsyncClient(base_url=self.url) as http:
            (await http.request(method, f"/_control/publishers/{self.name}/{path}", json=body)).raise_for_status()

    async def delay(self, call: str, seconds: float) -> None:
        """Delay the answer to the next request of a call."""
        await self.control("POST", "faults", {"call": call, "action": {"kind": "delay", "seconds": seconds}})

    def is_delaying(self) -> bool:
        """Return whether the request to delay has arrived."""
        return httpx.get(f"{self.url}/_control/publishers/{self.name}/faults").text == "[]"

    def requests(self, call: str | None = None) -> list[dict[str, Any]]:
        """Return the requests that were answered, of one call or of all."""
        asked = {"publisher": self.name} | ({"call": call} if call else {})
        entries: list[dict[str, Any]] = httpx.get(f"{self.url}/_control/requests", params=asked).json()
        return entries

    def versions(self, offer: str, slot: str) -> list[str]:
        """Return the image versions in the first plan of an offer's slot."""
        held = httpx.get(f"{self.url}/_control/offers/{self.name}/{offer}").json()["slots"][slot]
        return list(held["document"]["definition"]["plans"][0][IMAGES])

    def effects(self, call: str) -> int:
        """Count the requests of a call that changed something."""
        return sum(bool(entry["effect"]) for entry in self.requests(call))
