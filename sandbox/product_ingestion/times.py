"""Timestamps of the Product Ingestion API."""

from datetime import UTC, datetime


def timestamp(moment: datetime) -> str:
    """Return a moment as text, in UTC and to the microsecond."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
