"""The marketplace's own state, as the model sees it."""

import json
from functools import lru_cache
from typing import Literal

from bench.chaos.scenarios import images_of
from bench.model.inputs import MAIL
from bench.model.nouns import Images, Operation, Sight, State
from sandbox.state import Offer, Snapshot
from sandbox.state import Operation as Known


def sight_of(offer: Offer | None) -> Sight:
    """Return how an offer stands."""
    if offer is None:
        return Sight()
    operations = [each for each in offer.operations if each.kind != "cancel"]
    return Sight(
        draft=_images(offer.draft.text),
        preview=_slot(offer.preview),
        production=_slot(offer.production),
        operations=[_operation(offer, each, number) for number, each in enumerate(operations, 1)],
    )


def _operation(offer: Offer, known: Known, number: int) -> Operation:
    kind: Literal["publish", "go_live"] = "go_live" if known.kind == "goLive" else "publish"
    return Operation(
        id=known.id,
        name=f"{kind.replace('_', '-')}-{number}",
        kind=kind,
        asked_by=known.emails.removesuffix(MAIL).partition("@")[0],
        content=_images(known.snapshot.text),
        state=_state(offer, known),
    )


def _state(offer: Offer, known: Known) -> State:
    if offer.waiting_operation == known.id and known.cancel_at is None:
        return "waits"
    if known.outcome is None:
        return "canceling" if known.cancel_at else "running"
    return known.outcome


def _slot(snapshot: Snapshot | None) -> Images | None:
    return _images(snapshot.text) if snapshot else None


@lru_cache(maxsize=256)
def _images(text: str) -> Images:
    return images_of(json.loads(text))
