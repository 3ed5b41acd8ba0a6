"""The marketplace of the benchmark. It answers as documented at very low cost, and counts requests.

The sandbox is not suitable. Here an operation settles at the same look for every contestant, however fast they look.
The sandbox also takes 0.3 to 0.7 ms of CPU time for a request, which would add to the contestants' figures.
"""

import asyncio
import json
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

from bench.compare.offers import document

PUBLISHER = "fabrikam-linux"
LOOKS = 5
"""The look at which an operation has settled."""

_STEPS = (
    ("displaydummycertify", "Validate Pre-Requisites"),
    ("displaycertify", "Certification"),
    ("displayprovision", "Provisioning"),
    ("displaypackage", "Packaging and Lead Generation Registration"),
    ("publisher-signoff", "Publisher signoff"),
    ("live", "Live"),
)
_SIGN_OFF = 4
_STARTS: "dict[str, Kind]" = {"publish": "publish", "golive": "goLive"}

Kind = Literal["publish", "goLive"]


@dataclass(slots=True)
class Operation:
    """A publish or a go-live."""

    id: str
    kind: Kind
    looks: int = 0
    settled: bool = False


@dataclass(slots=True)
class Offer:
    """An offer and its requests. A slot that is ``None`` holds the first document."""

    etag: int = 1
    draft: str | None = None
    preview: str | None = None
    production: str | None = None
    operations: list[Operation] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)


class Marketplace:
    """A marketplace in which any offer exists, with one image version in all slots.

    Attributes:
        on_event: Called with an event, an offer and the time (`time.monotonic`). The events are ``publish`` and
            ``go_live`` when such a request arrives, ``looked`` at each look, ``preview`` and ``live`` at the last
            look of an operation, and ``notified_`` plus the name of the webhook's event.
        read_seconds: How long a read takes.
        write_seconds: How long the answer to a write takes after the effect.
        looks: The look at which an operation has settled.
        requests: The number of requests.
    """

    def __init__(self) -> None:
        self.on_event: Callable[[str, str, float], None] = lambda *_: None
        self.read_seconds = 0.0
        self.write_seconds = 0.0
        self.looks = LOOKS
        self.offers: dict[str, Offer] = {}
        self.requests = 0

    def await_sign_off(self, offer_id: str) -> None:
        """Give an offer a preview with the new image, which waits for sign-off."""
        offer = self.offers[offer_id] = Offer(draft=document(offer_id, new=True))
        offer.preview = offer.draft
        offer.operations.append(Operation(str(uuid.uuid4()), "publish", self.looks, settled=True))

    def count(self, call: str) -> int:
        """Count the calls of a kind."""
        return sum(offer.calls[call] for offer in self.offers.values())

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        self.requests += 1
        body = await request.read() if request.body_exists else b""
        parts = request.path.strip("/").split("/")
        if parts[:2] == ["api", "publishers"] and len(parts) > 4:
            return await self._call(request, parts[4], [part.lower() for part in parts[5:]], body)
        if parts == ["webhook"]:
            notification = json.loads(body)
            self.on_event(f"notified_{notification['event']}", notification["offer_id"], time.monotonic())
            return web.Response()
        return web.Response(status=404)

    async def _call(self, request: web.BaseRequest, offer_id: str, rest: list[str], body: bytes) -> web.Response:
        offer = self.offers.get(offer_id)
        if offer is None:
            offer = self.offers[offer_id] = Offer()
        answer = None
        if request.method == "GET":
            await asyncio.sleep(self.read_seconds)
            answer = self._reads(offer_id, offer, rest)
        elif request.method == "PUT" and not rest:
            answer = await self._put(request, offer, body)
        elif request.method == "POST" and "".join(rest) in _STARTS:
            answer = await self._start(offer_id, offer, _STARTS["".join(rest)])
        return web.Response(status=404) if answer is None else answer

    def _reads(self, offer_id: str, offer: Offer, rest: list[str]) -> web.Response | None:
        match rest:
            case [] | ["slot", _]:
                slots = {"preview": offer.preview, "production": offer.production}
                offer.calls["read"] += 1
                text = slots.get(rest[-1] if rest else "draft", offer.draft)
                return _json(text or document(offer_id, new=False), ETag=f'"{offer.etag}"')
            case ["submissions"]:
                offer.calls["operations"] += 1
                return _json(json.dumps(_submissions(offer_id, offer)))
            case ["operations", operation_id]:
                return self._look(offer_id, offer, operation_id)
            case ["status"]:
                offer.calls["status"] += 1
                waits = bool(offer.operations) and _waits(offer.operations[-1])
                return _json(json.dumps({"status": "waitingForPublisherReview" if waits else "running", "steps": []}))
        return None

    def _look(self, offer_id: str, offer: Offer, operation_id: str) -> web.Response:
        offer.calls["look"] += 1
        operation = next((each for each in offer.operations if each.id == operation_id), None)
        if operation is None:
            return web.Response(status=404)
        self.on_event("looked", offer_id, time.monotonic())
        if not operation.settled:
            operation.looks += 1
            if operation.looks >= self.looks:
                operation.settled = True
                if operation.kind == "publish":
                    offer.preview = offer.draft
                else:
                    offer.production = offer.preview
                self.on_event("preview" if operation.kind == "publish" else "live", offer_id, time.monotonic())
        return _json(_shown(operation, self.looks))

    async def _put(self, request: web.BaseRequest, offer: Offer, body: bytes) -> web.Response:
        offer.calls["put"] += 1
        if request.headers.get("If-Match", "*") not in {"*", f'"{offer.etag}"'}:
            return web.Response(status=412)
        offer.draft = body.decode()
        offer.etag += 1
        etag = f'"{offer.etag}"'
        await asyncio.sleep(self.write_seconds)
        return _json(offer.draft, ETag=etag)

    async def _start(self, offer_id: str, offer: Offer, kind: Kind) -> web.Response:
        """Start an operation, or join the running one of this kind. A second request is counted and has no effect."""
        call = "publish" if kind == "publish" else "go_live"
        offer.calls[call] += 1
        self.on_event(call, offer_id, time.monotonic())
        operation = next((each for each in offer.operations if each.kind == kind), None)
        if operation is None:
            operation = Operation(str(uuid.uuid4()), kind)
            offer.operations.append(operation)
        await asyncio.sleep(self.write_seconds)
        path = f"/api/publishers/{PUBLISHER}/offers/{offer_id}/operations/{operation.id}?api-version=2017-10-31"
        return web.Response(status=202, headers={"Location": path})


def _json(text: str, **headers: str) -> web.Response:
    return web.Response(text=text, content_type="application/json", headers=headers)


def _waits(operation: Operation) -> bool:
    return operation.kind == "publish" and operation.settled


def _submissions(offer_id: str, offer: Offer) -> list[dict[str, object]]:
    past: list[tuple[str, str, str]] = [
        ("0f4c7a1e-63d7-4c0f-9f3a-2a1d7a5be901", "publish", "completed"),
        ("0f4c7a1e-63d7-4c0f-9f3a-2a1d7a5be902", "goLive", "completed"),
    ]
    replaced = any(each.kind == "goLive" for each in offer.operations)
    now = [
        (each.id, each.kind, "completed" if each.settled and (replaced or each.kind == "goLive") else "running")
        for each in offer.operations
    ]
    return [
        {
            "id": operation_id,
            "offerId": offer_id,
            "submissionType": kind,
            "submissionState": state,
            "slot": "staging" if kind == "publish" else "production",
            "changedTime": f"2026-11-{number:02}T11:00:00.0000000Z",
        }
        for number, (operation_id, kind, state) in reversed(list(enumerate([*past, *now], start=1)))
    ]


def _shown(operation: Operation, looks: int) -> str:
    """Return an operation's document. A publish shows a new step at every look. A go-live has only one step."""
    publishes = operation.kind == "publish"
    under_way = min(operation.looks - 1, _SIGN_OFF - 1) if publishes else _SIGN_OFF + 1
    if operation.looks >= looks:
        under_way = _SIGN_OFF if publishes else len(_STEPS)
    steps = []
    for number, (step_id, name) in enumerate(_STEPS):
        status = "complete" if number < under_way else "notStarted" if number > under_way else "inProgress"
        if number == under_way == _SIGN_OFF:
            status = "waitingForPublisherReview"
        percent = {"complete": 100, "inProgress": 10 * operation.looks}.get(status, 0)
        steps.append(
            {"id": step_id, "stepName": name, "status": status, "messages": [], "progressPercentage": percent}
        )
    done = operation.settled and not publishes
    return json.dumps({"status": "completed" if done else "running", "messages": [], "steps": steps})


@asynccontextmanager
async def serve(marketplace: Marketplace) -> AsyncIterator[str]:
    """Serve on a free loopback port, and yield the URL."""
    runner = web.ServerRunner(web.Server(marketplace.answer, access_log=None, keepalive_timeout=3600))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096, shutdown_timeout=0.1)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
