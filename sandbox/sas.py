"""Checks whether the service could copy a disk from an address with a shared access signature (SAS)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from urllib.parse import parse_qs, urlsplit


def problem_with(address: str, now: datetime, hosts: Sequence[str], min_days: float) -> str | None:
    """Return what is wrong with the address of a disk, or None."""
    parts = urlsplit(address)
    if " " in address or parts.scheme not in ("http", "https") or not parts.hostname:
        return "incorrect SAS URI"
    if not any(fnmatch(parts.hostname, pattern) for pattern in hosts):
        return f"the disk must be in Azure Blob storage, not at {parts.hostname}"
    if not parts.path.casefold().endswith(".vhd"):
        return "incorrect SAS URI: it must name a .vhd blob"
    query = parse_qs(parts.query)
    return _problem_with_rights(query) or _problem_with_times(query, now, min_days)


def blob_of(address: str) -> str:
    """Return the address of a blob without its SAS."""
    return address.split("?", 1)[0]


def _problem_with_rights(query: dict[str, list[str]]) -> str | None:
    if not query.get("sig"):
        return "authorization error: the SAS is not signed"
    if query.get("sr") != ["c"]:
        return "authorization error: the SAS must be for the container (sr=c)"
    if not {"r", "l"} <= set(query.get("sp", [""])[0]):
        return "authorization error: the SAS must allow read and list (sp=rl)"
    return None


def _problem_with_times(query: dict[str, list[str]], now: datetime, min_days: float) -> str | None:
    starts = _moment(query.get("st"))
    expires = _moment(query.get("se"))
    if expires is None or ("st" in query and starts is None):
        return "incorrect SAS URI: its times cannot be read"
    if starts and starts > now:
        return "the blob could not be downloaded: the SAS is not valid yet"
    if expires <= now:
        return "the blob could not be downloaded: the SAS has expired"
    if expires < now + timedelta(days=min_days):
        return f"the SAS expires too soon: it must be valid for {min_days:g} more days"
    return None


def _moment(values: list[str] | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat((values or [""])[0])
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
