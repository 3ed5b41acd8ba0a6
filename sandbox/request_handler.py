"""How every API request is handled: faults, the access token, the call itself, the log."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from sandbox.api_call import ApiCall, Subject
from sandbox.broken_answers import Dropped, Truncated
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
from sandbox.marketplace import SandboxMarketplace
from sandbox.refusals import RefusedError
from sandbox.strangers import act_as_stranger
from sandbox.switches import Switches
from sandbox.tokens import bearer_of, digest_of, is_valid


class Api(Protocol):
    """One of the APIs that present the marketplace."""

    def subject_of(self, marketplace: SandboxMarketplace, name: str, request: Request, body: bytes) -> Subject:
        """Return what a request is about."""
        ...

    def check(self, call: ApiCall) -> None:
        """Refuse a request for a reason that all calls of this API share."""
        ...

    def answer(self, call: ApiCall) -> Response:
        """Do what the call asks for."""
        ...

    def refusal(self, refused: RefusedError, switches: Switches) -> Response:
        """Return the answer to a refused call."""
        ...

    def too_many(self, retry_after: float, call: ApiCall) -> Response:
        """Return the answer to one request too many, with the seconds after which to send it again."""
        ...


async def handle_request(marketplace: SandboxMarketplace, api: Api, name: str, request: Request) -> Response:
    """Answer one API request. `name` is the name of the call, as far as the route says."""
    arrived, retry_after = datetime.now(UTC), marketplace.retry_after()
    body = await request.body()
    subject = api.subject_of(marketplace, name, request, body)
    if retry_after is not None:
        call = ApiCall(marketplace, request, subject, body, await marketplace.clock.now(), arrived)
        response = api.too_many(retry_after, call)
        _log(call, response, [])
        return response
    known = marketplace.state.publishers.get(subject.publisher_id)
    actions = take_due(known.faults, subject.call, subject.offer_id, subject.slot) if known else []
    await _delay(actions, "before")
    now = await marketplace.clock.now()
    # Nothing is awaited between here and the log, so that the effects of two requests never interleave.
    call = ApiCall(marketplace, request, subject, body, now, arrived)
    settled = marketplace.settle(known, now) if known else False
    response = _answer_with_faults(api, call, actions)
    if settled or actions or call.effect or call.changed:
        marketplace.save(now)
    _log(call, response, actions)
    await _delay(actions, "after")
    return response


async def _delay(actions: Sequence[Action], when: str) -> None:
    for action in actions:
        if isinstance(action, Delay) and action.when == when:
            await asyncio.sleep(action.seconds)


def _log(call: ApiCall, response: Response, actions: Sequence[Action]) -> None:
    call.marketplace.log(
        {
            "method": call.request.method,
            "path": call.request.url.path,
            "call": call.name,
            "publisher": call.publisher_id,
            "offer": call.subject.offer_id,
            "status": None if isinstance(response, Dropped) else response.status_code,
            "effect": call.effect,
            "operation_id": call.operation_id,
            "job_id": call.job_id,
            "if_match": call.request.headers.get("if-match"),
            "client_request_id": call.request.headers.get("client-request-id"),
            "faults": [action.kind for action in actions],
            "arrived": call.arrived.isoformat(),
            "sandbox_time": call.now.isoformat(),
            "wall_time": datetime.now(UTC).isoformat(),
        }
    )


def _answer_with_faults(api: Api, call: ApiCall, actions: Sequence[Action]) -> Response:
    if any(isinstance(action, ExpireTokens) for action in actions):
        _expire_tokens(call)
    for action in actions:
        if isinstance(action, Respond):
            return Response(action.body, action.status, action.headers)
        if isinstance(action, Drop) and action.when == "before":
            return Dropped()
    try:
        _check_token(call)
        api.check(call)
        _let_strangers_act(call, actions, "before")
        response = api.answer(call)
    except RefusedError as refused:
        response = api.refusal(refused, call.switches)
    _let_strangers_act(call, actions, "after")
    for action in actions:
        if isinstance(action, RespondAfter):
            return Response(action.body, action.status, action.headers)
        if isinstance(action, Drop):
            return Dropped()
        if isinstance(action, Truncate):
            return Truncated(response, action.bytes)
    return response


def _expire_tokens(call: ApiCall) -> None:
    call.publisher.refused_tokens |= set(call.marketplace.state.issued_tokens)
    token = bearer_of(call.request.headers)
    if token:
        call.publisher.refused_tokens.add(digest_of(token))


def _check_token(call: ApiCall) -> None:
    token, marketplace = bearer_of(call.request.headers), call.marketplace
    if not is_valid(token, marketplace.token, marketplace.state, call.known_publisher):
        raise RefusedError(401, "Unauthorized", "The access token is missing, unknown or expired.")


def _let_strangers_act(call: ApiCall, actions: Sequence[Action], when: str) -> None:
    for action in actions:
        if isinstance(action, StrangerEdit | StrangerChange | StrangerAct) and action.when == when:
            known = call.publisher
            if call.subject.offer_id in known.offers:
                act_as_stranger(call.marketplace, known, call.offer_id, action, call.now)
