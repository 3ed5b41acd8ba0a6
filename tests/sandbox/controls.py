"""The control API for one publisher, whatever the API of its offers."""

from typing import Any

import httpx

from sandbox import ManualClock


class Controls:
    """The calls of the control API."""

    def __init__(self, http: httpx.AsyncClient, clock: ManualClock, publisher: str) -> None:
        self.http, self.clock, self.publisher = http, clock, publisher

    async def control(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Call the control API below the path of the publisher."""
        return await self.http.request(method, f"/_control/publishers/{self.publisher}/{path}", json=body)

    async def switch(self, **changes: object) -> None:
        """Set switches."""
        response = await self.control("PUT", "switches", changes)
        assert response.status_code == 200, response.text

    async def fault(self, call: str, action: dict[str, object], **options: object) -> None:
        """Add a fault."""
        response = await self.control("POST", "faults", {"call": call, "action": action, **options})
        assert response.status_code == 201, response.text

    async def step(self, step: str, **fault: object) -> None:
        """Set the fault of a step."""
        response = await self.control("PUT", f"steps/{step}", fault)
        assert response.status_code == 200, response.text

    async def requests(self) -> list[dict[str, Any]]:
        """Read the log of the publisher's requests."""
        response = await self.http.get("/_control/requests", params={"publisher": self.publisher})
        entries: list[dict[str, Any]] = response.json()
        return entries
