"""Moments as this API writes them."""

from datetime import UTC, datetime


def timestamp(moment: datetime) -> str:
    """The moment in UTC, to the microsecond."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
