"""A publisher who uses the marketplace with our client and by hand."""

import json
from collections.abc import Sequence
from typing import Any

from marketplace.model import (
    Change,
    EditOutcome,
    Image,
    OfferDefinition,
    OfferKey,
    OperationKind,
    OperationReport,
    OperationState,
    Slot,
)
from marketplace.product_ingestion.contents import OfferContents
from marketplace.product_ingestion.marketplace import ProductIngestionMarketplace
from marketplace.protocol import Attempt, PutOutcome
from tests.sandbox.product_ingestion.ingestion_client import DAY, OFFER, PLAN, SAS, IngestionClient


def image(version: str, **members: Any) -> Image:
    url = f"https://images.blob.core.windows.net/vhds/web-{version}.vhd?{SAS}"
    return Image(**{"plan_id": PLAN, "version": version, "os_vhd_url": url} | members)


class Publisher:
    """A publisher with the client, and with Partner Center."""

    def __init__(self, marketplace: ProductIngestionMarketplace, by_hand: IngestionClient) -> None:
        self.marketplace = marketplace
        self.by_hand = by_hand
        self.offer = OfferKey(publisher_id=by_hand.publisher, offer_id=OFFER)
        self.handles: list[str] = []

    def attempt(self, **members: Any) -> Attempt:
        """Return an attempt that records the names of accepted requests."""
        return Attempt(accepted=self.handles.append, **members)

    def definition(self, **changes: Any) -> OfferDefinition:
        return OfferDefinition(member="configure", text=json.dumps(self.by_hand.sample | changes, indent=2))

    async def put(self, definition: OfferDefinition | None = None, **members: Any) -> PutOutcome | None:
        given: dict[str, Any] = {"replace": False, "sole_writer": True, "attempt": self.attempt()} | members
        return await self.marketplace.put_offer(self.offer, definition or self.definition(), **given)

    async def slot(self, slot: Slot) -> OfferContents | None:
        return await self.marketplace.read_slot(self.offer, slot)

    async def slots(self) -> dict[str, OfferContents | None]:
        return {"preview": await self.slot(Slot.PREVIEW), "production": await self.slot(Slot.PRODUCTION)}

    async def edit(self, *images: Image, attempt: Attempt | None = None, **members: Any) -> EditOutcome:
        sole_writer = members.pop("sole_writer", True)
        return await self.marketplace.edit_images(
            self.offer,
            Change(images=list(images), **members),
            **await self.slots(),
            sole_writer=sole_writer,
            attempt=attempt or self.attempt(),
        )

    async def plan(self, *images: Image, **members: Any) -> EditOutcome:
        change = Change(images=list(images), **members)
        return await self.marketplace.planned_edit(self.offer, change, **await self.slots())

    async def publish(self, *images: Image, **members: Any) -> str:
        change = Change(images=list(images), **members)
        handle = await self.marketplace.publish(self.offer, change, [], attempt=self.attempt())
        assert handle is not None
        return handle

    async def published(self, *images: Image, **members: Any) -> str:
        """Publish, wait for the preview, and return the submission's number."""
        handle = await self.publish(*images, **members)
        self.by_hand.clock.advance(8 * DAY)
        return (await self.marketplace.look(self.offer, handle, OperationKind.PUBLISH)).operation_id

    async def ended(self, handle: str, kind: OperationKind) -> OperationReport:
        """Look at a job that ends after a few looks."""
        for _ in range(5):
            report = await self.marketplace.look(self.offer, handle, kind)
            if report.state is not OperationState.RUNNING:
                return report
        raise AssertionError(report)

    async def go_live(self, number: str) -> str:
        handle = await self.marketplace.go_live(self.offer, number, attempt=self.attempt())
        assert handle is not None
        return handle

    async def live(self) -> str:
        """Put the sample offer, publish it, go live, and return the submission's number."""
        await self.put()
        number = await self.published()
        await self.go_live(number)
        self.by_hand.clock.advance(5 * DAY)
        await self.known()
        return number

    async def known(self) -> None:
        """Look up the product for requests by hand."""
        listed = await self.by_hand.get(f"product?externalId={OFFER}")
        self.by_hand.product = listed["value"][0]["id"].removeprefix("product/")

    async def requests(self, *calls: str) -> list[dict[str, Any]]:
        """Return the log of requests, or of some calls only."""
        return [each for each in await self.by_hand.requests() if not calls or each["call"] in calls]

    async def calls_since(self, before: Sequence[object]) -> list[str]:
        return [each["call"] for each in (await self.requests())[len(before) :]]
