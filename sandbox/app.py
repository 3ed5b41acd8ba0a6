"""The web application: both APIs, the token endpoint, the control API and the page."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.broken_answers import BreakableApp
from sandbox.cloud_partner import api as cloud_partner
from sandbox.cloud_partner.errors import error_response
from sandbox.control import Endpoint, control_routes
from sandbox.marketplace import SandboxMarketplace
from sandbox.page import render_page
from sandbox.product_ingestion import api as product_ingestion
from sandbox.refusals import RefusedError
from sandbox.request_handler import Api, handle_request
from sandbox.tokens import OPENID_CONFIGURATIONS, openid_configuration, token_response

_APIS: Sequence[tuple[Api, Sequence[tuple[str, str, str]]]] = (
    (cloud_partner.CloudPartnerApi(), cloud_partner.ROUTES),
    (product_ingestion.ProductIngestionApi(), product_ingestion.ROUTES),
)


def create_app(marketplace: SandboxMarketplace) -> Starlette:
    """Return the application that serves a marketplace."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        marketplace.save(await marketplace.clock.now())

    routes = [*_api_routes(marketplace), *control_routes(marketplace), *_page_routes(marketplace)]
    return BreakableApp(routes=routes, lifespan=lifespan, exception_handlers={404: _not_found})


async def _not_found(_request: Request, _error: Exception) -> Response:
    return error_response(RefusedError(404, "NotFound", "There is no such call."), "documented")


def _api_routes(marketplace: SandboxMarketplace) -> list[Route]:
    def endpoint_of(api: Api, name: str) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            return await handle_request(marketplace, api, name, request)

        return endpoint

    async def token(request: Request) -> Response:
        response = await token_response(request, marketplace.state, marketplace.token_lifetime)
        marketplace.save(await marketplace.clock.now())
        return response

    async def configuration(request: Request) -> Response:
        return openid_configuration(request)

    return [
        *(
            Route(path, endpoint_of(api, name), methods=[method])
            for api, routes in _APIS
            for method, path, name in routes
        ),
        Route("/{tenant}/oauth2/v2.0/token", token, methods=["POST"]),
        Route("/{tenant}/oauth2/token", token, methods=["POST"]),
        *(Route(path, configuration, methods=["GET"]) for path in OPENID_CONFIGURATIONS),
    ]


def _page_routes(marketplace: SandboxMarketplace) -> list[Route]:
    async def page(_request: Request) -> Response:
        now = await marketplace.clock.now()
        for publisher in marketplace.state.publishers.values():
            marketplace.settle(publisher, now)
        return HTMLResponse(render_page(marketplace, now))

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def icon(_request: Request) -> Response:
        return Response(status_code=204)

    return [
        Route("/healthz", health, methods=["GET"]),
        Route("/favicon.ico", icon, methods=["GET"]),
        Route("/", page, methods=["GET"]),
    ]
