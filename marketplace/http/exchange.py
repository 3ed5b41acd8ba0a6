"""Records of requests to the marketplace, for metrics and traces."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

from marketplace.http.answers import Call


@dataclass(frozen=True)
class Exchange:
    """One request and its outcome. Contains no token, no body and no query.

    Attributes:
        call: The call.
        method: The HTTP method.
        host: The host that was asked.
        started_at: When it was sent, in seconds since 1970.
        seconds: Seconds from then until the answer was read.
        waited: Seconds for which it was held back before it was sent.
        status: The HTTP status, ``None`` when there was no answer.
        failure: Why there was no answer, in one word.
        retry_after: How long the service asked us to wait.
        ids: The service's IDs of the request, by header.
    """

    call: Call
    method: str
    host: str
    started_at: float
    seconds: float
    waited: float
    status: int | None = None
    failure: str | None = None
    retry_after: timedelta | None = None
    ids: Mapping[str, str] = field(default_factory=dict)


Observer: TypeAlias = Callable[[Exchange], None]
"""Is called after each request, also after one that failed or was cancelled. Must not raise."""


def ignore(_exchange: Exchange) -> None:
    """Do nothing."""
