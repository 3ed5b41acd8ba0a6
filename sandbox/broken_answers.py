"""Answers that break the connection."""

import asyncio
from typing import Protocol

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_TRANSPORT = "sandbox.transport"


class Transport(Protocol):
    """The part of an asyncio transport that closes the connection."""

    def close(self) -> None:
        """Close the connection after everything written has been sent."""
        ...


class BreakableApp(Starlette):
    """An application that keeps the transport of each request.

    Only here is `send` uvicorn's own, from which the transport can be reached. Inner layers get a wrapped `send`.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        if transport is not None:
            scope[_TRANSPORT] = transport
        await super().__call__(scope, receive, send)


async def _hang_up(scope: Scope, receive: Receive) -> None:
    transport: Transport | None = scope.get(_TRANSPORT)
    if transport is None:
        # Without a server, as with httpx.ASGITransport, an exception is the only way to give no answer.
        raise ConnectionResetError("the sandbox closed the connection")
    transport.close()
    async with asyncio.timeout(5):
        while (await receive())["type"] != "http.disconnect":
            pass


class Dropped(Response):
    """No answer: the connection is closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Close the connection."""
        await _hang_up(scope, receive)


class Truncated(Response):
    """The first bytes of an answer whose headers announce all of it."""

    def __init__(self, whole: Response, length: int) -> None:
        """Keep `length` bytes of the body of `whole`."""
        super().__init__(status_code=whole.status_code)
        self.raw_headers = [header for header in whole.raw_headers if header[0] != b"content-length"]
        announced = max(len(whole.body), length + 1)
        self.raw_headers.append((b"content-length", str(announced).encode()))
        self.part = bytes(whole.body)[:length]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send these bytes and close the connection."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.part, "more_body": True})
        await _hang_up(scope, receive)
