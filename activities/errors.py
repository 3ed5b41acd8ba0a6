"""Maps errors of the marketplace to errors of activities, in one table.

==================  ==================  =========  =====================================================
marketplace error   type                retried    why
==================  ==================  =========  =====================================================
Unreachable         MarketplaceError    yes        the connection is at fault, not the request
Unavailable         MarketplaceError    yes        after Retry-After, if the service sent one
Unreadable          MarketplaceError    yes        an answer was cut off, or a gateway answered
Conflict            MarketplaceError    yes        somebody else wrote: read again, apply again
Unauthorized        NotAuthorized       no         a new token did not help
Forbidden           NotAuthorized       no         a person has to give access
NotFound            OfferNotFound       no
Invalid             ValidationFailed    no         the message is the service's own
Refused             MarketplaceError    no
PlanMissing         PlanNotFound        no
VersionTaken        VersionConflict     no
PlanFull            ImageLimitReached   no
ForeignChanges      ForeignEdits        no
RuleBroken          InvalidInput        no
==================  ==================  =========  =====================================================

The number of attempts is unlimited. The time that a run allows for its stage bounds them.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.attempts import Trail
from marketplace import errors

_TABLE: dict[type[Exception], tuple[str, bool]] = {
    errors.Unreachable: ("MarketplaceError", True),
    errors.Unavailable: ("MarketplaceError", True),
    errors.Unreadable: ("MarketplaceError", True),
    errors.Conflict: ("MarketplaceError", True),
    errors.Unauthorized: ("NotAuthorized", False),
    errors.Forbidden: ("NotAuthorized", False),
    errors.NotFound: ("OfferNotFound", False),
    errors.Invalid: ("ValidationFailed", False),
    errors.Refused: ("MarketplaceError", False),
    errors.PlanMissing: ("PlanNotFound", False),
    errors.VersionTaken: ("VersionConflict", False),
    errors.PlanFull: ("ImageLimitReached", False),
    errors.ForeignChanges: ("ForeignEdits", False),
    errors.RuleBroken: ("InvalidInput", False),
}

MOST_SPREAD = timedelta(minutes=5)

MAX_MESSAGE = 3000

BEAT_AFTER = timedelta(seconds=3)
"""Short calls send no heartbeat. For longer ones, a lost worker is noticed within seconds."""


def application_error(error: errors.MarketplaceError | errors.RuleBroken, attempt: int = 1) -> ApplicationError:
    """Return the activity's error for an error of the marketplace, by the table above.

    Args:
        error: The marketplace's error.
        attempt: The attempt number. It spreads the retries that the service asked to delay.
    """
    error_type, retried = next(_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE)
    asked = error.retry_after if isinstance(error, errors.MarketplaceError) else None
    delay = None
    message = str(error)
    if len(message) > MAX_MESSAGE:
        message = f"{message[: MAX_MESSAGE - 1]}…"
    if asked is not None and retried:
        message += f" (the service asked to wait {asked.total_seconds():g} s)"
        delay = asked + _spread(attempt)
    return ApplicationError(message, type=error_type, non_retryable=not retried, next_retry_delay=delay)


def _spread(attempt: int) -> timedelta:
    """Return a random time to add to the delay that the service asked for, so that callers do not return together.

    The range doubles with every attempt.
    """
    return random.uniform(0, 1) * min(timedelta(seconds=2 ** min(attempt, 30)), MOST_SPREAD)  # noqa: S311 - no secret


@asynccontextmanager
async def marketplace_call(trail: Trail | None = None) -> AsyncIterator[Trail]:
    """Run requests to the marketplace inside an activity: translate errors, and heartbeat.

    Args:
        trail: What earlier requests of this attempt have recorded. Each heartbeat replaces the last one.
    """
    trail = trail or Trail()
    beating = asyncio.create_task(_send_heartbeats(trail))
    try:
        yield trail
    except (errors.MarketplaceError, errors.RuleBroken) as error:
        raise application_error(error, activity.info().attempt) from error
    finally:
        beating.cancel()


async def _send_heartbeats(trail: Trail) -> None:
    while True:
        await asyncio.sleep(BEAT_AFTER.total_seconds())
        trail.heartbeat()
