"""Reads an offer: which product its id stands for, the trees of its targets, its submissions."""

from asyncio import to_thread

from marketplace.errors import MarketplaceError, NotFound, Unreadable
from marketplace.model import OfferKey, Slot
from marketplace.product_ingestion import resources, submissions
from marketplace.product_ingestion.calls import ProductIngestion
from marketplace.product_ingestion.jobs import Progress
from marketplace.product_ingestion.placements import Trees, trees
from marketplace.product_ingestion.references import external_id, product_of
from marketplace.product_ingestion.resources import Tree
from marketplace.product_ingestion.submissions import Submission
from marketplace.wording import lowered

_TARGETS = {Slot.DRAFT: "draft", Slot.PREVIEW: submissions.PREVIEW, Slot.PRODUCTION: submissions.LIVE}
_ABSENT = frozenset({400, 404})
_OF_NO_USE = "is not supported"
"""What the service says of offers that this API does not know, with the status of a target that was never reached."""


class Reader:
    """Reads offers.

    Remembered are which product an offer's id stands for, until the service does not know that any more, and which
    operations were seen last. No call names a publisher: to whom an offer belongs the credentials tell.
    """

    def __init__(self, calls: ProductIngestion) -> None:
        self._calls = calls
        self._products: dict[str, str] = {}
        self._listed: dict[str, frozenset[str]] = {}

    async def product(self, offer: OfferKey) -> str:
        """Return the product's own part of its durable id.

        Raises:
            NotFound: There is no such offer.
        """
        found = self._products.get(offer.offer_id) or await self.product_if_any(offer)
        if found is None:
            raise NotFound(
                f"find {offer}: there is no such offer, or these credentials are of another Partner Center account;"
                " check the offer id, and the AZURE_* variables",
                call=f"find {offer}",
                status=404,
            )
        return found

    async def product_if_any(self, offer: OfferKey) -> str | None:
        """Ask which product the offer's id stands for, ``None`` when there is no such offer."""
        self._products.pop(offer.offer_id, None)
        for item in await self._calls.products(offer):
            members = lowered(item)
            product = product_of(members.get("id"))
            if product is not None and external_id(members.get("identity")) == offer.offer_id:
                self._products[offer.offer_id] = product
                return product
        return None

    async def tree(self, offer: OfferKey, slot: Slot) -> Tree | None:
        """Return what a slot's target holds, ``None`` when it was never reached.

        The service refuses to show a target that was never reached in words that may mean anything: the submissions
        have to confirm it.

        Raises:
            NotFound: There is no such offer.
            Unreadable: The target was reached, say the submissions, and the service does not show it.
        """
        product = await self.product(offer)
        try:
            text = await self._calls.tree(offer, product, _TARGETS[slot])
        except MarketplaceError as refusal:
            if refusal.status not in _ABSENT or _OF_NO_USE in str(refusal):
                raise
            listed = await self.submissions(offer)
            if self._products.get(offer.offer_id) != product:
                return await self.tree(offer, slot)  # deleted and created anew since we asked
            if any(one.target == _TARGETS[slot] and one.progress is Progress.SUCCEEDED for one in listed):
                raise Unreadable(
                    f"{refusal} - but its submissions say that there is one", call=refusal.call, status=refusal.status
                ) from refusal
            return None
        try:
            return await to_thread(resources.read, text)
        except ValueError as error:
            raise Unreadable(
                f"read the {_TARGETS[slot]} of {offer}: the marketplace's resources are odd: {error}",
                call=f"read the {_TARGETS[slot]} of {offer}",
            ) from None

    async def trees(self, offer: OfferKey) -> Trees | None:
        """Return the trees that there are; ``None`` when there is no such offer, whatever was known before."""
        if await self.product_if_any(offer) is None:
            return None
        return trees(*[await self.tree(offer, slot) for slot in (Slot.DRAFT, Slot.PREVIEW, Slot.PRODUCTION)])

    async def submissions(self, offer: OfferKey) -> list[Submission]:
        """Return the offer's submissions, newest first.

        Raises:
            NotFound: There is no such offer.
        """
        known = offer.offer_id in self._products
        product = await self.product(offer)
        try:
            items = await self._calls.submissions(offer, product)
        except NotFound:
            if not known:
                raise
            self._products.pop(offer.offer_id, None)
            items = await self._calls.submissions(offer, await self.product(offer))
        listed = submissions.read(items)
        self._listed[offer.offer_id] = frozenset(each.id for each in submissions.operations(listed))
        return listed

    def seen(self, offer: OfferKey) -> frozenset[str]:
        """Return the ids of the operations that the last read showed."""
        return self._listed.get(offer.offer_id, frozenset())
