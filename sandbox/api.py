"""The way of every API request: faults, token, version, the call itself, the log."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from sandbox import documents, offers
from sandbox.calls import CALLS, Visit
from sandbox.connection import Dropped, Truncated
from sandbox.faults import (
    Action,
    Delay,
    Drop,
    ExpireTokens,
    Respond,
    RespondAfter,
    StrangerAct,
    StrangerEdit,
    Truncate,
    take_due,
)
from sandbox.marketplace import SandboxMarketplace
from sandbox.refusals import API_VERSIONS, RefusedError, error_response, too_many_response
from sandbox.state import Publisher
from sandbox.tokens import bearer_of, digest_of, is_valid


async def answer_call(marketplace: SandboxMarketplace, call: str, request: Request) -> Response:
    """Answer one API request."""
    publisher_id = str(request.path_params["publisher"])
    offer_id = request.path_params.get("offer")
    arrived, stay_away = datetime.now(UTC), marketplace.too_many()
    body = await request.body()
    if stay_away is not None:
        visit = Visit(marketplace, request, call, body, publisher_id, await marketplace.clock.now(), arrived)
        response = too_many_response(stay_away, visit.switches.error_shape)
        _log(visit, offer_id, response, [])
        return response
    known = marketplace.state.publishers.get(publisher_id)
    slot = request.path_params.get("slot", "Draft") if call == "read_offer" else None
    actions = take_due(known.faults, call, offer_id, slot) if known else []
    await _delay(actions, "before")
    now = await marketplace.clock.now()
    # From here to the effect and its log nothing waits, so a request's effect is never interleaved with another's.
    visit = Visit(marketplace, request, call, body, publisher_id, now, arrived)
    settled = marketplace.settle(known, now) if known else False
    response = _answer_with_faults(visit, actions)
    if settled or actions or visit.effect:
        marketplace.save(now)
    _log(visit, offer_id, response, actions)
    await _delay(actions, "after")
    return response


async def _delay(actions: Sequence[Action], when: str) -> None:
    for action in actions:
        if isinstance(action, Delay) and action.when == when:
            await asyncio.sleep(action.seconds)


def _log(visit: Visit, offer_id: str | None, response: Response, actions: Sequence[Action]) -> None:
    visit.marketplace.log(
        {
            "method": visit.request.method,
            "path": visit.request.url.path,
            "call": visit.call,
            "publisher": visit.publisher_id,
            "offer": offer_id,
            "status": None if isinstance(response, Dropped) else response.status_code,
            "effect": visit.effect,
            "operation_id": visit.operation_id,
            "if_match": visit.request.headers.get("if-match"),
            "faults": [action.kind for action in actions],
            "arrived": visit.arrived.isoformat(),
            "sandbox_time": visit.now.isoformat(),
            "wall_time": datetime.now(UTC).isoformat(),
        }
    )


def _answer_with_faults(visit: Visit, actions: Sequence[Action]) -> Response:
    _expire_tokens(visit, actions)
    for action in actions:
        if isinstance(action, Respond):
            return Response(action.body, action.status, action.headers)
        if isinstance(action, Drop) and action.when == "before":
            return Dropped()
    try:
        _check_request(visit)
        _let_strangers_act(visit, actions, "before")
        response = CALLS[visit.call](visit)
    except RefusedError as refused:
        response = error_response(refused, visit.switches.error_shape)
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


def _check_request(visit: Visit) -> None:
    marketplace, request, switches = visit.marketplace, visit.request, visit.switches
    publisher = marketplace.state.publishers.get(visit.publisher_id)
    if not is_valid(bearer_of(request.headers), marketplace.token, marketplace.state, publisher):
        raise RefusedError(401, "Unauthorized", "The access token is missing, unknown or expired.")
    if request.query_params.get("api-version") not in API_VERSIONS:
        given = request.query_params.get("api-version", "")
        message = f"api-version '{given}' is not recognised. Known: [{', '.join(API_VERSIONS)}]"
        raise RefusedError(400, "InvalidAPIVersion", message)
    if switches.forbidden:
        message = f"The principal has no access to the publisher '{visit.publisher_id}'."
        raise RefusedError(403, "Forbidden", message)
    if request.method == "POST" and switches.length_required and "content-length" not in request.headers:
        raise RefusedError(411, "LengthRequired", "A POST needs a Content-Length.")
    if switches.if_match_required == "every_call" and "if-match" not in request.headers:
        raise offers.missing_if_match(switches)


def _let_strangers_act(visit: Visit, actions: Sequence[Action], when: str) -> None:
    for action in actions:
        if isinstance(action, StrangerEdit | StrangerAct) and action.when == when:
            offer_id = visit.request.path_params.get("offer")
            if offer_id in visit.publisher.offers:
                act_as_stranger(visit.marketplace, visit.publisher, str(offer_id), action, visit.now)


def act_as_stranger(
    marketplace: SandboxMarketplace,
    publisher: Publisher,
    offer_id: str,
    action: StrangerEdit | StrangerAct,
    now: datetime,
) -> str | None:
    """Change an offer as somebody else would; answers with why that was refused, if it was."""
    offer = publisher.offers[offer_id]

    def tick() -> int:
        return marketplace.tick(now)

    try:
        if isinstance(action, StrangerEdit):
            text = documents.with_strange_version(offer.draft.text, action.plan_id, action.version)
            offers.put(publisher, offer_id, text, "*", now, tick)
        elif action.kind == "stranger_publish":
            offers.publish(publisher, offer, "stranger@example.com", now, tick)
        elif action.kind == "stranger_cancel":
            offers.cancel(publisher, offer, now, tick)
        else:
            offers.go_live(publisher, offer, now, tick)
    except RefusedError as refused:
        return refused.message
    return None
