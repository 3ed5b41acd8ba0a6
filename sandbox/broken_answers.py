"""Answers that break the connection."""

import asyncio
from typing import Protocol

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_TRANSPORT = "sandbox.transport"


class Transport(Protocol):
    """The part of an asyncio transport needed to hang up."""

    def close(self) -> None:
        """Close after what was written has been sent."""
        ...


class BreakableApp(Starlette):
    """Remembers the connection of each request.

    The transport is only reachable here, from uvicorn's own `send`: inner layers get a wrapped one.
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
        # Without a server, as under httpx.ASGITransport, an exception is the only way not to answer.
        message = "the sandbox closed the connection"
        raise ConnectionResetError(message)
    transport.close()
    async with asyncio.timeout(5):
        while (await receive())["type"] != "http.disconnect":
            pass


class Dropped(Response):
    """No answer: the connection closes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Hang up."""
        await _hang_up(scope, receive)


class Truncated(Response):
    """The start of another answer, which announces all of it."""

    def __init__(self, whole: Response, length: int) -> None:
        """Cut `whole` to `length` bytes of its body."""
        super().__init__(status_code=whole.status_code)
        self.raw_headers = [header for header in whole.raw_headers if header[0] != b"content-length"]
        announced = max(len(whole.body), length + 1)
        self.raw_headers.append((b"content-length", str(announced).encode()))
        self.part = bytes(whole.body)[:length]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the start and hang up."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.part, "more_body": True})
        await _hang_up(scope, receive)
