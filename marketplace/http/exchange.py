"""What can be told of a request to the marketplace once it is over: for measurements and traces."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

from marketplace.http.answers import Call


@dataclass(frozen=True)
class Exchange:
    """One request, and what came of it. Holds neither a token nor a body, nor a query.

    Attributes:
        call: What was asked.
        method: The HTTP method.
        host: Whom it was asked of.
        began: When it was sent, in seconds since 1970.
        took: Seconds from then until the answer was read.
        waited: Seconds that it was held back before it was sent.
        status: The HTTP status, ``None`` when there was no answer.
        failure: Why there was none, in one word.
        asked: How long the service asked us to stay away.
        ids: By what names the service knows it, by header.
    """

    call: Call
    method: str
    host: str
    began: float
    took: float
    waited: float
    status: int | None = None
    failure: str | None = None
    asked: timedelta | None = None
    ids: Mapping[str, str] = field(default_factory=dict)


Observer: TypeAlias = Callable[[Exchange], None]
"""Is told of each request, also of one that is broken off. Raises nothing."""


def nobody(_exchange: Exchange) -> None:
    """Observe nothing."""
