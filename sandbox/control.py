"""The control API: switches, faults, the clock, and the inside view, for tests and rehearsals."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.behaviours import behaviour_of
from sandbox.cloud_partner import answers
from sandbox.faults import Fault, StepFault, Stranger
from sandbox.marketplace import SandboxMarketplace
from sandbox.state import Offer, Publisher, Snapshot
from sandbox.strangers import act_as_stranger
from sandbox.switches import Switches

_STRANGER: TypeAdapter[Any] = TypeAdapter(Stranger)
_PUBLISHER = "/_control/publishers/{publisher}"
_OFFER = "/_control/offers/{publisher}/{offer}"

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


class _InvalidRequestError(Exception):
    """The control API cannot do what a request asks for."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Advance(_Body):
    advance_seconds: float = Field(ge=0)


class _Limit(_Body):
    requests_per_second: int | None = Field(ge=1)


class _Account(_Body):
    publisher: str = Field(min_length=1)
    alone: bool = Field(default=False, description="true: the products of other publishers are not listed")


class _Owner(_Body):
    publisher: str = Field(min_length=1)


class _TokenLifetime(_Body):
    lifetime_seconds: float = Field(ge=0)


def _explained(error: ValidationError) -> str:
    problems = []
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"]) or "body"
        problems.append(f"{place}: {'unknown' if problem['type'] == 'extra_forbidden' else problem['msg']}")
    return "; ".join(problems)


async def _object_of(request: Request) -> dict[str, Any]:
    try:
        content = json.loads(await request.body() or b"{}")
    except ValueError:
        raise _InvalidRequestError(400, "The body is not JSON.") from None
    if not isinstance(content, dict):
        raise _InvalidRequestError(400, "The body must be an object.")
    return content


def _publisher_of(marketplace: SandboxMarketplace, request: Request) -> Publisher:
    return marketplace.publisher(str(request.path_params["publisher"]))


def _offer_of(marketplace: SandboxMarketplace, request: Request) -> tuple[Publisher, Offer]:
    publisher = marketplace.state.publishers.get(str(request.path_params["publisher"]))
    offer = publisher.offers.get(str(request.path_params["offer"])) if publisher else None
    if publisher is None or offer is None:
        raise _InvalidRequestError(404, "There is no such offer.")
    return publisher, offer


def control_routes(marketplace: SandboxMarketplace) -> Sequence[Route]:
    """Return the routes below `/_control`."""

    def route(path: str, method: str, endpoint: Endpoint) -> Route:
        async def guarded(request: Request) -> Response:
            try:
                response = await endpoint(request)
            except _InvalidRequestError as invalid:
                return JSONResponse({"error": str(invalid)}, invalid.status)
            except ValidationError as error:
                return JSONResponse({"error": _explained(error)}, 400)
            if method != "GET":
                marketplace.save(await marketplace.clock.now())
            return response

        return Route(path, guarded, methods=[method])

    return [
        *_switch_routes(marketplace, route),
        *_fault_routes(marketplace, route),
        *_clock_routes(marketplace, route),
        *_offer_routes(marketplace, route),
    ]


_Routed: TypeAlias = Callable[[str, str, Endpoint], Route]


def _switch_routes(marketplace: SandboxMarketplace, route: _Routed) -> list[Route]:
    async def read(request: Request) -> Response:
        return JSONResponse(_publisher_of(marketplace, request).switches.model_dump(mode="json"))

    async def change(request: Request) -> Response:
        publisher = _publisher_of(marketplace, request)
        changes = await _object_of(request)
        marketplace.settle(publisher, await marketplace.clock.now())
        publisher.switches = Switches.model_validate(publisher.switches.model_dump() | changes)
        return JSONResponse(publisher.switches.model_dump(mode="json"))

    async def reset(request: Request) -> Response:
        publisher = _publisher_of(marketplace, request)
        marketplace.settle(publisher, await marketplace.clock.now())
        publisher.switches = marketplace.default_switches
        return JSONResponse(publisher.switches.model_dump(mode="json"))

    path = _PUBLISHER + "/switches"
    return [route(path, "GET", read), route(path, "PUT", change), route(path, "DELETE", reset)]


def _fault_routes(marketplace: SandboxMarketplace, route: _Routed) -> list[Route]:
    async def read(request: Request) -> Response:
        return JSONResponse([fault.model_dump(mode="json") for fault in _publisher_of(marketplace, request).faults])

    async def add(request: Request) -> Response:
        fault = Fault.model_validate(await _object_of(request))
        marketplace.add_fault(_publisher_of(marketplace, request), fault)
        return JSONResponse(fault.model_dump(mode="json"), 201)

    async def clear(request: Request) -> Response:
        publisher = _publisher_of(marketplace, request)
        publisher.faults.clear()
        publisher.refused_tokens.clear()
        return Response(status_code=204)

    async def read_steps(request: Request) -> Response:
        faults = _publisher_of(marketplace, request).step_faults
        return JSONResponse({step: fault.model_dump(mode="json") for step, fault in faults.items()})

    async def set_step(request: Request) -> Response:
        fault = StepFault.model_validate(await _object_of(request))
        publisher, step = _publisher_of(marketplace, request), str(request.path_params["step"])
        marketplace.set_step_fault(publisher, step, fault, await marketplace.clock.now())
        return JSONResponse(fault.model_dump(mode="json"))

    async def clear_step(request: Request) -> Response:
        publisher, step = _publisher_of(marketplace, request), str(request.path_params["step"])
        marketplace.set_step_fault(publisher, step, None, await marketplace.clock.now())
        return Response(status_code=204)

    faults, steps = _PUBLISHER + "/faults", _PUBLISHER + "/steps"
    return [
        route(faults, "GET", read),
        route(faults, "POST", add),
        route(faults, "DELETE", clear),
        route(steps, "GET", read_steps),
        route(steps + "/{step}", "PUT", set_step),
        route(steps + "/{step}", "DELETE", clear_step),
    ]


def _clock_routes(marketplace: SandboxMarketplace, route: _Routed) -> list[Route]:
    async def read(_request: Request) -> Response:
        now = await marketplace.clock.now()
        return JSONResponse({"now": now.isoformat(), "speed": getattr(marketplace.clock, "speed", None)})

    async def advance(request: Request) -> Response:
        asked = _Advance.model_validate(await _object_of(request))
        move = getattr(marketplace.clock, "advance", None)
        if move is None:
            raise _InvalidRequestError(409, "This clock cannot be moved.")
        move(asked.advance_seconds)
        return await read(request)

    async def set_lifetime(request: Request) -> Response:
        marketplace.token_lifetime = _TokenLifetime.model_validate(await _object_of(request)).lifetime_seconds
        return JSONResponse({"lifetime_seconds": marketplace.token_lifetime})

    async def set_limit(request: Request) -> Response:
        asked = _Limit.model_validate(await _object_of(request))
        marketplace.requests_per_second = asked.requests_per_second
        return JSONResponse(asked.model_dump())

    async def set_account(request: Request) -> Response:
        asked = _Account.model_validate(await _object_of(request))
        marketplace.account, marketplace.account_alone = asked.publisher, asked.alone
        return JSONResponse(asked.model_dump())

    async def set_owner(request: Request) -> Response:
        asked = _Owner.model_validate(await _object_of(request))
        marketplace.owners[str(request.path_params["offer"])] = asked.publisher
        return JSONResponse(asked.model_dump())

    return [
        route("/_control/account", "PUT", set_account),
        route("/_control/owners/{offer}", "PUT", set_owner),
        route("/_control/clock", "GET", read),
        route("/_control/clock", "POST", advance),
        route("/_control/tokens", "PUT", set_lifetime),
        route("/_control/limit", "PUT", set_limit),
    ]


def _offer_routes(marketplace: SandboxMarketplace, route: _Routed) -> list[Route]:
    async def requests(request: Request) -> Response:
        wanted = {name: request.query_params.get(name) for name in ("publisher", "offer", "call")}
        after = request.query_params.get("after", "0")
        if not after.isdecimal():
            raise _InvalidRequestError(400, "after: must be the number of a request")
        return JSONResponse(
            [
                entry
                for entry in marketplace.requests_after(int(after))
                if all(value is None or entry[name] == value for name, value in wanted.items())
            ]
        )

    async def read(request: Request) -> Response:
        publisher, offer = _offer_of(marketplace, request)
        now = await marketplace.clock.now()
        marketplace.settle(publisher, now)
        jobs = [job for job in publisher.jobs.values() if job.offer == offer.id]
        operations = [
            answers.operation_answer(offer, operation, publisher.switches, now)
            | {
                "id": operation.id,
                "kind": operation.kind,
                "outcome": operation.outcome,
                "submission": operation.snapshot.publish_id if offer.api == "product_ingestion" else None,
                "fingerprint": operation.snapshot.fingerprint,
                "job_id": next((job.id for job in reversed(jobs) if job.operation == operation.id), None),
            }
            for operation in offer.operations
        ]
        return JSONResponse(
            {
                "id": offer.id,
                "publisher": publisher.id,
                "api": offer.api,
                "offer_type": offer.offer_type,
                "status": offer.status,
                "version": offer.version,
                "etag": offer.etag,
                "slots": {name: _shown(offer, snapshot) for name, snapshot in offer.slots.items()},
                "operations": operations,
            }
        )

    async def let_stranger_act(request: Request) -> Response:
        publisher, offer = _offer_of(marketplace, request)
        action = _STRANGER.validate_python(await _object_of(request))
        now = await marketplace.clock.now()
        marketplace.settle(publisher, now)
        refused = act_as_stranger(marketplace, publisher, offer.id, action, now)
        return JSONResponse({"refused": refused})

    return [
        route("/_control/requests", "GET", requests),
        route(_OFFER, "GET", read),
        route(_OFFER + "/stranger", "POST", let_stranger_act),
    ]


def _shown(offer: Offer, snapshot: Snapshot | None) -> object:
    if snapshot is None:
        return None
    content = json.loads(snapshot.text)
    document = content if isinstance(content, dict) else {"resources": content}
    return {"version": snapshot.version, "document": document, "images": behaviour_of(offer).images(snapshot.text)}
