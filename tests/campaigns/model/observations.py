"""Translate the sandbox's state into observations of the model."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from sandbox.state import Offer, Snapshot
from sandbox.state import Operation as SandboxOperation
from tests.campaigns.apis import CampaignApi
from tests.campaigns.model.entities import Images, Observation, Operation, State
from tests.campaigns.model.inputs import MAIL


def observe(offer: Offer | None, api: CampaignApi, askers: Mapping[str, str]) -> Observation:
    """Observe an offer.

    Args:
        offer: The offer, if there is one.
        api: The API that it is published through.
        askers: The intents that published, by operation ID, where the operations do not name them.
    """
    if offer is None:
        return Observation()
    published = offer.preview or offer.production
    operations = [each for each in offer.operations if each.kind != "cancel"]
    return Observation(
        draft=_images(offer.draft.text, api),
        preview=_slot(offer.preview, api),
        production=_slot(offer.production, api),
        operations=[_operation(offer, each, number, api, askers) for number, each in enumerate(operations, 1)],
        deprecated=api.deprecated_in(_document(offer.draft.text)),
        listing=api.listing_in(_document(offer.draft.text)),
        published_listing=api.listing_in(_document(published.text)) if published else None,
    )


def _operation(
    offer: Offer, known: SandboxOperation, number: int, api: CampaignApi, askers: Mapping[str, str]
) -> Operation:
    kind: Literal["publish", "go_live"] = "go_live" if known.kind == "goLive" else "publish"
    return Operation(
        id=known.id,
        name=f"{kind.replace('_', '-')}-{number}",
        kind=kind,
        asked_by=askers.get(known.id) or known.emails.removesuffix(MAIL).partition("@")[0],
        content=_images(known.snapshot.text, api),
        state=_state(offer, known),
        listing=api.listing_in(_document(known.snapshot.text)),
    )


def _state(offer: Offer, known: SandboxOperation) -> State:
    if offer.waiting_operation == known.id and known.cancel_at is None:
        return "waits"
    if known.outcome is None:
        return "canceling" if known.cancel_at else "running"
    return known.outcome


def _slot(snapshot: Snapshot | None, api: CampaignApi) -> Images | None:
    return _images(snapshot.text, api) if snapshot else None


def _images(text: str, api: CampaignApi) -> Images:
    return api.images_in(_document(text))


@lru_cache(maxsize=256)
def _document(text: str) -> dict[str, Any]:
    document = json.loads(text)
    return document if isinstance(document, dict) else {"resources": document}
