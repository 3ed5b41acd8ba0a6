"""The errors of the marketplace.

::

    MarketplaceError                 the service, or the connection to it, failed
    ├── Unreachable                  no answer: refused, broken, timed out           try again
    ├── Unavailable                  429 or 5xx; ``retry_after`` if it was given      try again
    ├── Unreadable                   a success with an undocumented body             try again
    ├── Unauthorized                 401, also after a new token                     a person must act
    ├── Forbidden                    403                                             a person must act
    ├── NotFound                     404
    ├── Conflict                     409, 412, 423: somebody else was first          read again, apply again
    ├── Invalid                      422: the draft failed the service's validation
    └── Refused                      any other 4xx, and an unexpected 1xx or 3xx

    RuleBroken                       found before anything was sent
    ├── Unguarded                    writes are not conditional, others may write    write as the sole writer
    ├── ForeignChanges               a publish would include changes by others
    ├── PlanMissing                  the draft has no such plan
    ├── VersionTaken                 the version exists with another disk, or in another spelling
    └── PlanFull                     the plan holds as many versions as it may

No message contains a token or the signature of a SAS.
"""

from collections.abc import Iterable
from datetime import timedelta

from marketplace.wording import bounded


class MarketplaceError(Exception):
    """A call to the marketplace failed.

    Attributes:
        call: The call in a person's words: ``"publish fabrikam/webstack"``.
        status: The HTTP status, ``None`` when there was no answer.
        retry_after: How long the service asked us to wait.
    """

    def __init__(
        self, message: str, *, call: str, status: int | None = None, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(message)
        self.call = call
        self.status = status
        self.retry_after = retry_after


class Unreachable(MarketplaceError):
    """There was no answer: connection refused, broken, or timed out. The call may have had its effect."""


class Unavailable(MarketplaceError):
    """429 or 5xx: the service cannot answer now. The call may have had its effect."""


class Unreadable(MarketplaceError):
    """The call succeeded, but the answer is cut off or differs from the documentation."""


class Unauthorized(MarketplaceError):
    """401: the token is missing, expired or for another audience, and a new one did not help."""


class Forbidden(MarketplaceError):
    """403: the token is valid, but its principal has no rights in this publisher."""


class NotFound(MarketplaceError):
    """404: there is no such publisher, offer, version or operation, or the slot is empty."""


class Conflict(MarketplaceError):
    """409, 412 or 423: the offer changed between our read and our write, or something else runs on it."""


class Invalid(MarketplaceError):
    """422: the draft failed the service's validation. The message has the service's words."""


class Refused(MarketplaceError):
    """Another 4xx: the service would refuse the same request again."""


class RuleBroken(Exception):
    """A rule of the marketplace is broken. Nothing was sent."""

    @classmethod
    def raise_for(cls, sentences: Iterable[str]) -> None:
        """Raise the error with one line for each of the first sentences. Do nothing if there are no sentences."""
        lines = bounded(sentences)
        if lines:
            raise cls("\n".join(lines))


class Unguarded(RuleBroken):
    """The write is not conditional, and the caller is not the sole writer. Another run's images could be lost."""


class ForeignChanges(RuleBroken):
    """The draft has unpublished changes by others, apart from image versions."""


class PlanMissing(RuleBroken):
    """The draft has no plan with that ID, or the plan does not have the generation."""


class VersionTaken(RuleBroken):
    """The plan already has this version, with another disk or in another spelling."""


class PlanFull(RuleBroken):
    """The plan holds as many versions as it may, and not enough of them may be removed."""
