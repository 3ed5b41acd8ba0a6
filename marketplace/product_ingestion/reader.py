"""Reads of an offer: its product, the resource trees of its slots, and its submissions."""

from asyncio import to_thread
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta

from marketplace.errors import MarketplaceError, NotFound, Refused, Unreadable
from marketplace.model import OfferKey, Slot
from marketplace.product_ingestion import resources, submissions
from marketplace.product_ingestion.calls import ProductIngestion
from marketplace.product_ingestion.failures import Unexplained
from marketplace.product_ingestion.jobs import JobProgress
from marketplace.product_ingestion.plan_configurations import Trees, trees
from marketplace.product_ingestion.references import PRODUCT, external_id, product_of
from marketplace.product_ingestion.resources import Tree
from marketplace.product_ingestion.submissions import Submission
from marketplace.wording import listed, lower_keys

_TARGETS = {Slot.DRAFT: "draft", Slot.PREVIEW: submissions.PREVIEW, Slot.PRODUCTION: submissions.LIVE}
_ABSENT = frozenset({400, 404})
_UNSUPPORTED = "is not supported"
"""Words in the refusal of an offer that this API does not support. The status is that of an empty target."""

JUST_NOW = timedelta(seconds=5)
"""How long a list of submissions can be trusted to show which targets are empty, if no operation runs."""


@dataclass(frozen=True)
class _List:
    """A list of submissions, its offer, and when and by whom it was read."""

    reader: "Reader"
    offer_id: str
    at: datetime
    submissions: Sequence[Submission]


_last: ContextVar[_List | None] = ContextVar("_last", default=None)
"""The list that was read last in the current activity."""


class Reader:
    """Reads offers.

    It caches the product of each offer ID until the service does not know the product any more. It also keeps the
    operations that the last read showed. No call names a publisher. The credentials decide whose offers are visible.
    """

    def __init__(self, calls: ProductIngestion, clock: Callable[[], datetime]) -> None:
        self._calls = calls
        self._clock = clock
        self._products: dict[str, str] = {}
        self._listed: dict[str, frozenset[str]] = {}

    async def product(self, offer: OfferKey) -> str:
        """Return the last part of the product's durable ID.

        Raises:
            NotFound: There is no such offer.
            Refused: There are several offers with the ID.
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
        """Request the product of the offer. Return ``None`` if there is no such offer.

        Raises:
            Refused: The credentials see offers with the ID of several publishers, and no call names a publisher.
        """
        self._products.pop(offer.offer_id, None)
        found: dict[str, None] = {}
        for item in await self._calls.products(offer):
            members = lower_keys(item)
            product = product_of(members.get("id"))
            if product is not None and external_id(members.get("identity")) == offer.offer_id:
                found[product] = None
        if len(found) > 1:
            raise Refused(
                f"find {offer}: these credentials see {len(found)} offers of that id, product {listed(list(found))},"
                " and the API does not say whose each is; give the worker credentials that see one of them only",
                call=f"find {offer}",
            )
        product = next(iter(found), None)
        if product is not None:
            self._products[offer.offer_id] = product
        return product

    async def tree(self, offer: OfferKey, slot: Slot) -> Tree | None:
        """Return the resource tree of a slot, ``None`` if the slot is empty.

        The service refuses to show an empty target, with words that can mean anything. Another read has to confirm
        that the target is empty. For the preview and Production, it is the list of submissions. For the draft, it is
        the read of a single resource, since single resources are shown from drafts only.

        Raises:
            NotFound: There is no such offer.
            Unreadable: The service does not show the target, and it is not confirmed that the target is empty.
        """
        product = await self.product(offer)
        try:
            text = await self._calls.tree(offer, product, _TARGETS[slot])
        except MarketplaceError as refusal:
            if refusal.status not in _ABSENT or _UNSUPPORTED in str(refusal):
                raise
            if slot is Slot.DRAFT and isinstance(refusal, Unexplained):
                raise _unconfirmed(refusal, "it does not say that there is none") from refusal
            is_there = await (self._has_draft(offer) if slot is Slot.DRAFT else self._is_filled(offer, slot))
            if self._products.get(offer.offer_id) != product:
                return await self.tree(offer, slot)  # the offer was deleted and created again meanwhile
            if is_there:
                witness = "resources" if slot is Slot.DRAFT else "submissions"
                raise _unconfirmed(refusal, f"its {witness} say that there is one") from refusal
            return None
        try:
            return await to_thread(resources.read, text)
        except ValueError as error:
            raise Unreadable(
                f"read the {_TARGETS[slot]} of {offer}: the marketplace's resources are not as documented: {error}",
                call=f"read the {_TARGETS[slot]} of {offer}",
            ) from None

    async def _is_filled(self, offer: OfferKey, slot: Slot) -> bool:
        """Return whether a target is not empty, according to the submissions."""
        # If the last list agrees with the refusal, it is not read again.
        return self._may_be_filled(offer, slot) and _is_target_filled(await self.submissions(offer), slot)

    def _may_be_filled(self, offer: OfferKey, slot: Slot) -> bool:
        last = _last.get()
        if last is None or last.reader is not self or last.offer_id != offer.offer_id:
            return True
        is_old = not timedelta(0) <= self._clock() - last.at <= JUST_NOW
        return (
            is_old
            or any(not one.progress.has_ended for one in last.submissions)
            or _is_target_filled(last.submissions, slot)
        )

    async def _has_draft(self, offer: OfferKey) -> bool:
        """Return whether there is a draft. Single resources are shown from drafts only."""
        published = await self.tree(offer, Slot.PRODUCTION) or await self.tree(offer, Slot.PREVIEW)
        # The product of a live offer is shown even without a draft.
        ids = [one.id for one in published.configurations.values() if one.id] if published is not None else []
        try:
            await self._calls.resource(offer, next(iter(ids), f"{PRODUCT}/{await self.product(offer)}"))
        except Unexplained as refusal:
            raise _unconfirmed(refusal, "it does not say that there is no draft") from refusal
        except NotFound:
            return False
        return True

    async def trees(self, offer: OfferKey) -> Trees | None:
        """Return the trees of all slots, ``None`` if there is no such offer. The cached product is not trusted."""
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
        _last.set(_List(self, offer.offer_id, self._clock(), listed))
        self._listed[offer.offer_id] = frozenset(each.id for each in submissions.operations(listed))
        return listed

    def seen(self, offer: OfferKey) -> frozenset[str]:
        """Return the IDs of the operations that the last read showed."""
        return self._listed.get(offer.offer_id, frozenset())


def _is_target_filled(listed: Sequence[Submission], slot: Slot) -> bool:
    """Return whether a target is not empty. A preview may be cleared after its promotion."""
    ended_well = [one for one in listed if one.progress is JobProgress.SUCCEEDED]
    live = {one.number for one in ended_well if one.target == submissions.LIVE}
    previews = {one.number for one in ended_well if one.target == submissions.PREVIEW}
    return bool(live if slot is Slot.PRODUCTION else previews - live)


def _unconfirmed(refusal: MarketplaceError, why: str) -> Unreadable:
    return Unreadable(f"{refusal} - but {why}", call=refusal.call, status=refusal.status)
