"""Timestamps of the Product Ingestion API."""

import re
from datetime import UTC, datetime

_NEVER = 1
"""The year of what has not happened yet."""

_FINER = re.compile(r"(\.\d{6})\d+")


def moment(text: object) -> datetime | None:
    """Return a timestamp in UTC, which it is in without a zone; ``None`` for what has not happened yet or is none."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(_FINER.sub(r"\1", text.strip()))
        if found.year == _NEVER:
            return None
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
