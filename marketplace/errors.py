"""What can go wrong with the marketplace, as a tree.

::

    MarketplaceError                 anything the service, or the way to it, did
    ├── Unreachable                  no answer: refused, broken, timed out          try again
    ├── Unavailable                  429, 5xx; ``retry_after`` when the service said try again
    ├── Unreadable                   a success whose body is not what is documented  try again
    ├── Unauthorized                 401, also after a new token                    a person must act
    ├── Forbidden                    403                                            a person must act
    ├── NotFound                     404
    ├── Conflict                     409, 412, 423: somebody else was first         read again, apply again
    ├── Invalid                      422: the draft failed the service's validation
    └── Refused                      every other 4xx, and an unexpected 1xx or 3xx

    RuleBroken                       found by us before anything was sent
    ├── Unguarded                    no write can be conditional, others may write  write it alone
    ├── ForeignChanges               the draft holds changes by others, which would be published along
    ├── PlanMissing                  the draft has no such plan
    ├── VersionTaken                 the version is there with another disk, or in another spelling
    └── PlanFull                     the plan holds as many versions as it may

Messages never hold a token or the signature of a SAS.
"""

from collections.abc import Iterable
from datetime import timedelta

from marketplace.wording import bounded


class MarketplaceError(Exception):
    """The marketplace did not do what it was asked.

    Attributes:
        call: What was asked, for a person: ``"publish fabrikam/webstack"``.
        status: The HTTP status, ``None`` when there was no answer.
        retry_after: How long the service asked us to stay away.
    """

    def __init__(
        self, message: str, *, call: str, status: int | None = None, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(message)
        self.call = call
        self.status = status
        self.retry_after = retry_after


class Unreachable(MarketplaceError):
    """No answer came: connection refused, broken, or timed out. The call may have had its effect."""


class Unavailable(MarketplaceError):
    """429 or 5xx: the service asks for patience. The call may have had its effect."""


class Unreadable(MarketplaceError):
    """The service said yes, but its answer is cut off or of another shape than documented."""


class Unauthorized(MarketplaceError):
    """401: the token is missing, expired or for another audience, and a new one did not help."""


class Forbidden(MarketplaceError):
    """403: the token is fine, but its principal has no rights in this publisher."""


class NotFound(MarketplaceError):
    """404: no such publisher, offer, version, operation, or nothing in that slot yet."""


class Conflict(MarketplaceError):
    """409, 412 or 423: the offer changed between our read and our write, or something else runs on it."""


class Invalid(MarketplaceError):
    """422: the draft failed the service's validation; the message carries its words."""


class Refused(MarketplaceError):
    """Another 4xx: the service will not do this, however often it is asked."""


class RuleBroken(Exception):
    """A rule of the marketplace that we checked ourselves; nothing was sent."""

    @classmethod
    def raise_for(cls, sentences: Iterable[str]) -> None:
        """Raise with a line for each of the first sentences; nothing happens where there is none."""
        lines = bounded(sentences)
        if lines:
            raise cls("\n".join(lines))


class Unguarded(RuleBroken):
    """No write can be conditional, and the caller is not the only writer: another run's images could be lost."""


class ForeignChanges(RuleBroken):
    """The draft holds changes by others that were never published and are no image versions."""


class PlanMissing(RuleBroken):
    """The draft has no plan of that id (or none of that generation)."""


class VersionTaken(RuleBroken):
    """The plan already has this version, with another disk or in another spelling."""


class PlanFull(RuleBroken):
    """The plan holds as many versions as it may, and none may be dropped."""
