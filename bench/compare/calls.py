"""The requests of one publication, for all contestants except ours. They use aiohttp, the cheapest client."""

import os
import time
from types import TracebackType
from typing import Any, Self

import aiohttp

from bench.compare.offers import document

WAIT = float(os.environ.get("BENCH_WAIT", "1"))
"""Seconds between two looks."""

CONNECTIONS = 100
TOKEN = "sandbox-token"  # noqa: S105 - the benchmark's marketplace takes any
PUBLISHER = "fabrikam-linux"
_VERSION = {"api-version": "2017-10-31"}


def has_settled(operation: dict[str, Any]) -> bool:
    """Return whether an operation has ended or waits for sign-off."""
    return operation["status"] == "completed" or any(
        step["status"] == "waitingForPublisherReview" for step in operation["steps"]
    )


def time_to_next_look(began: float) -> float:
    """Return the seconds until the next look, which begins `WAIT` after the last one began (`time.monotonic`)."""
    return max(WAIT - (time.monotonic() - began), 0.0)


class Calls:
    """The requests of a publication."""

    def __init__(self) -> None:
        self._url = f"{os.environ['MARKETPLACE_URL']}/api/publishers/{PUBLISHER}/offers"
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {TOKEN}"},
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            raise_for_status=True,
        )

    async def __aenter__(self) -> Self:
        """Return the calls."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._session.close()

    async def put(self, offer: str) -> None:
        """Put the offer with its new image."""
        body = document(offer, new=True)
        headers = {"Content-Type": "application/json", "If-Match": "*"}
        async with self._session.put(f"{self._url}/{offer}", data=body, headers=headers, params=_VERSION):
            pass

    async def publish(self, offer: str) -> str:
        """Publish, and return the operation's ID."""
        return await self._start(offer, "publish")

    async def go_live(self, offer: str) -> str:
        """Go live, and return the operation's ID."""
        return await self._start(offer, "golive")

    async def started(self, offer: str, kind: str) -> str | None:
        """Return the running operation of a kind. A repeated step finds the one that it started before."""
        async with self._session.get(f"{self._url}/{offer}/submissions/", params=_VERSION) as answer:
            listed = await answer.json()
        found = (each for each in listed if each["submissionType"] == kind and each["submissionState"] == "running")
        return next((str(each["id"]) for each in found), None)

    async def publish_once(self, offer: str) -> str:
        """Publish, unless a publish is running."""
        return await self.started(offer, "publish") or await self.publish(offer)

    async def go_live_once(self, offer: str) -> str:
        """Go live, unless a go-live is running."""
        return await self.started(offer, "goLive") or await self.go_live(offer)

    async def look(self, offer: str, operation: str) -> bool:
        """Return whether an operation has settled."""
        async with self._session.get(f"{self._url}/{offer}/operations/{operation}", params=_VERSION) as answer:
            return has_settled(await answer.json())

    async def _start(self, offer: str, action: str) -> str:
        body: dict[str, Any] = {"metadata": {}}
        async with self._session.post(f"{self._url}/{offer}/{action}", json=body, params=_VERSION) as answer:
            return answer.headers["Location"].partition("?")[0].rpartition("/")[2]
