"""The present time, and the service's timestamps."""

import re
from datetime import UTC, datetime

_FORMAT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d*))?\s*(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)
_NEVER = 1
"""The year in the timestamp of an event that has not happened yet."""


def utc_now() -> datetime:
    """Return the present time."""
    return datetime.now(UTC)


def timestamp(text: object) -> datetime | None:
    """Return a timestamp in UTC, ``None`` for anything else and for an event that has not happened yet.

    UTC times with ``Z`` and up to seven fractional digits are documented. Any number of digits and any offset are
    read too. A timestamp without an offset is in UTC. Fractions of a microsecond are dropped.
    """
    found = _FORMAT.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        return None
    day, time, fraction, offset = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{time}.{(fraction or '')[:6]:0<6}{(offset or 'Z').upper()}")
        return None if moment.year == _NEVER else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
