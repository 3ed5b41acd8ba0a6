"""What somebody else does to an offer, on demand."""

from datetime import datetime

from sandbox import offers
from sandbox.behaviours import behaviour_of
from sandbox.faults import StrangerAct, StrangerChange, StrangerEdit
from sandbox.marketplace import SandboxMarketplace
from sandbox.refusals import RefusedError
from sandbox.state import Publisher


def act_as_stranger(
    marketplace: SandboxMarketplace,
    publisher: Publisher,
    offer_id: str,
    action: StrangerEdit | StrangerChange | StrangerAct,
    now: datetime,
) -> str | None:
    """Change an offer as somebody else would. Return the refusal's message, or None if it worked."""
    offer = publisher.offers[offer_id]

    def tick() -> int:
        return marketplace.tick(now)

    try:
        if isinstance(action, StrangerEdit | StrangerChange):
            behaviour, text = behaviour_of(offer), offer.draft.text
            if isinstance(action, StrangerEdit):
                text = behaviour.with_added_version(text, action.plan_id, action.version)
            else:
                text = behaviour.with_changed_text(text, action.resource, action.plan_id, action.text)
            offers.check_editable(offer, publisher.switches)
            behaviour.check_draft(publisher.id, offer, text, publisher.switches)
            offers.store_draft(publisher, offer, text, now, tick)
        elif action.kind == "stranger_publish":
            offers.publish(publisher, offer, "stranger@example.com", now, tick)
        elif action.kind == "stranger_cancel":
            offers.cancel(publisher, offer, now, tick)
        else:
            offers.go_live(publisher, offer, now, tick)
    except RefusedError as refused:
        return refused.message
    return None
