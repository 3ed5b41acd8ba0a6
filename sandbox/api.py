"""The way of every API request: faults, token, the call itself, the log."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from sandbox import offers
from sandbox.connection import Dropped, Truncated
from sandbox.faults import (
    Action,
    Delay,
    Drop,
    ExpireTokens,
    Respond,
    RespondAfter,
    StrangerAct,
    StrangerChange,
    StrangerEdit,
    Truncate,
    take_due,
)
from sandbox.kinds import kind_of
from sandbox.marketplace import SandboxMarketplace
from sandbox.refusals import RefusedError
from sandbox.state import Publisher
from sandbox.switches import Switches
from sandbox.tokens import bearer_of, digest_of, is_valid
from sandbox.visit import Place, Visit


class Api(Protocol):
    """One of the APIs that present the marketplace."""

    def place_of(self, marketplace: SandboxMarketplace, call: str, request: Request, body: bytes) -> Place:
        """Return what a request is about."""
        ...

    def check(self, visit: Visit) -> None:
        """Refuse a request for what has nothing to do with its call."""
        ...

    def answer(self, visit: Visit) -> Response:
        """Do what is asked for."""
        ...

    def refusal(self, refused: RefusedError, switches: Switches) -> Response:
        """Say that it was refused."""
        ...

    def too_many(self, stay_away: float, visit: Visit) -> Response:
        """Say that there were too many requests, and for how many seconds to stay away."""
        ...


async def answer_call(marketplace: SandboxMarketplace, api: Api, call: str, request: Request) -> Response:
    """Answer one API request."""
    arrived, stay_away = datetime.now(UTC), marketplace.too_many()
    body = await request.body()
    place = api.place_of(marketplace, call, request, body)
    if stay_away is not None:
        visit = Visit(marketplace, request, place, body, await marketplace.clock.now(), arrived)
        response = api.too_many(stay_away, visit)
        _log(visit, response, [])
        return response
    known = marketplace.state.publishers.get(place.publisher_id)
    actions = take_due(known.faults, place.call, place.offer_id, place.slot) if known else []
    await _delay(actions, "before")
    now = await marketplace.clock.now()
    # From here to the effect and its log nothing waits, so a request's effect is never interleaved with another's.
    visit = Visit(marketplace, request, place, body, now, arrived)
    settled = marketplace.settle(known, now) if known else False
    response = _answer_with_faults(api, visit, actions)
    if settled or actions or visit.effect or visit.changed:
        marketplace.save(now)
    _log(visit, response, actions)
    await _delay(actions, "after")
    return response


async def _delay(actions: Sequence[Action], when: str) -> None:
    for action in actions:
        if isinstance(action, Delay) and action.when == when:
            await asyncio.sleep(action.seconds)


def _log(visit: Visit, response: Response, actions: Sequence[Action]) -> None:
    visit.marketplace.log(
        {
            "method": visit.request.method,
            "path": visit.request.url.path,
            "call": visit.call,
            "publisher": visit.publisher_id,
            "offer": visit.place.offer_id,
            "status": None if isinstance(response, Dropped) else response.status_code,
            "effect": visit.effect,
            "operation_id": visit.operation_id,
            "job_id": visit.job_id,
            "if_match": visit.request.headers.get("if-match"),
            "client_request_id": visit.request.headers.get("client-request-id"),
            "faults": [action.kind for action in actions],
            "arrived": visit.arrived.isoformat(),
            "sandbox_time": visit.now.isoformat(),
            "wall_time": datetime.now(UTC).isoformat(),
        }
    )


def _answer_with_faults(api: Api, visit: Visit, actions: Sequence[Action]) -> Response:
    _expire_tokens(visit, actions)
    for action in actions:
        if isinstance(action, Respond):
            return Response(action.body, action.status, action.headers)
        if isinstance(action, Drop) and action.when == "before":
            return Dropped()
    try:
        _check_token(visit)
        api.check(visit)
        _let_strangers_act(visit, actions, "before")
        response = api.answer(visit)
    except RefusedError as refused:
        response = api.refusal(refused, visit.switches)
    _let_strangers_act(visit, actions, "after")
    for action in actions:
        if isinstance(action, RespondAfter):
            return Response(action.body, action.status, action.headers)
        if isinstance(action, Drop):
            return Dropped()
        if isinstance(action, Truncate):
            return Truncated(response, action.bytes)
    return response


def _expire_tokens(visit: Visit, actions: Sequence[Action]) -> None:
    token = bearer_of(visit.request.headers)
    if any(isinstance(action, ExpireTokens) for action in actions):
        visit.publisher.refused_tokens |= set(visit.marketplace.state.issued_tokens)
        if token:
            visit.publisher.refused_tokens.add(digest_of(token))


def _check_token(visit: Visit) -> None:
    marketplace, publisher = visit.marketplace, visit.marketplace.state.publishers.get(visit.publisher_id)
    if not is_valid(bearer_of(visit.request.headers), marketplace.token, marketplace.state, publisher):
        raise RefusedError(401, "Unauthorized", "The access token is missing, unknown or expired.")


def _let_strangers_act(visit: Visit, actions: Sequence[Action], when: str) -> None:
    for action in actions:
        if isinstance(action, StrangerEdit | StrangerChange | StrangerAct) and action.when == when:
            offer_id = visit.place.offer_id
            if offer_id in visit.publisher.offers:
                act_as_stranger(visit.marketplace, visit.publisher, str(offer_id), action, visit.now)


def act_as_stranger(
    marketplace: SandboxMarketplace,
    publisher: Publisher,
    offer_id: str,
    action: StrangerEdit | StrangerChange | StrangerAct,
    now: datetime,
) -> str | None:
    """Change an offer as somebody else would; answers with why that was refused, if it was."""
    offer = publisher.offers[offer_id]

    def tick() -> int:
        return marketplace.tick(now)

    try:
        if isinstance(action, StrangerEdit | StrangerChange):
            kind, text = kind_of(offer), offer.draft.text
            if isinstance(action, StrangerEdit):
                text = kind.with_strange_version(text, action.plan_id, action.version)
            else:
                text = kind.with_strange_change(text, action.resource, action.plan_id, action.text)
            offers.check_editable(offer, publisher.switches)
            kind.check_draft(publisher.id, offer, text, publisher.switches)
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
