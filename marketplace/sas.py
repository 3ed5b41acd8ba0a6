"""Shared access signatures (SAS) of disks: checking, redacting and signing.

The query of a VHD's URL is the permission to read it. According to its documentation, the marketplace requires a SAS
of the container (``sr=c``) that may read and list (``sp=rl``). It must have been valid for at least a day, and stay
valid for three more weeks. Both times need a time of day.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote, urlsplit, urlunsplit

RECOMMENDED_VALIDITY = timedelta(weeks=3)
"""How long a SAS should still be valid. Certification alone takes days."""

RECOMMENDED_AGE = timedelta(days=1)
"""How long ago the validity of a SAS should have started, because clocks of the service may be slow."""

SIGNED_VALIDITY = timedelta(days=92)
"""How long a SAS from `Signer` is valid: longer than any certification and approval."""

_PARAMETERS = re.compile(
    "sv|sr|sig|st|se|sp|spr|sip|si|ss|srt|sdd|ses|scid|tn|spk|srk|epk|erk|srh|srq|saoid|suoid|sduoid|"
    "skoid|sktid|skt|ske|sks|skv|skdutid|rscc|rscd|rsce|rscl|rsct|api-version",
    re.IGNORECASE,
)

_EQUALS = r"(?:=|%(?:25)*3D|\\+u003D|\\+x3D|&#x0*3D;|&#0*61;|&equals;|\\*[\"']\s*:\s*\[?\s*\\*[\"'])"
_SIGNATURE_CHARACTER = r"(?:[A-Za-z0-9+/=%_.~*$-]|\\+u[0-9A-F]{4}|\\+x[0-9A-F]{2}|\\+/|&#x?[0-9A-F]+;|&equals;)"
# "sig" counts inside a longer word too. The characters before it may be the end of an escape, such as `%3Fsig` or
# `\nsig`. Hiding a word is better than showing a signature.
_SIGNATURE = re.compile(f"(sig{_EQUALS}){_SIGNATURE_CHARACTER}+", re.IGNORECASE)

_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_BLOB_HOST = re.compile(
    r"([a-z0-9]{3,24})\.blob\.(core\.(windows\.net|chinacloudapi\.cn|usgovcloudapi\.net|cloudapi\.de))"
)


@dataclass(frozen=True)
class Problems:
    """Problems of a SAS, in words for a person that never contain the signature.

    Attributes:
        errors: Why the service cannot read the disk with it.
        warnings: Where it does not meet the service's requirements, although it works now.
    """

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def address(url: str) -> str:
    """Return a disk's URL without its SAS. Two URLs name the same disk if their addresses are equal.

    Scheme and host are in lower case, and escapes have one spelling. The query keeps what is not part of a SAS, since
    another ``snapshot`` or ``versionid`` is another disk. Credentials in front of the host are dropped. Text that is
    not a URL is returned as it is, with signatures redacted.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return redacted(url)
    if not parts.scheme or not host:
        return redacted(url)
    if port is not None and (parts.scheme, port) not in {("https", 443), ("http", 80)}:
        host = f"{host}:{port}"
    query = "&".join(
        _spelled(part)
        for part in parts.query.split("&")
        if part and not _PARAMETERS.fullmatch(unquote(part.split("=", 1)[0]))
    )
    return redacted(urlunsplit((parts.scheme, host, _spelled(parts.path), query, "")))


def redacted(text: str) -> str:
    """Return ``text`` with the signature of every SAS replaced by ``REDACTED``.

    Finds signatures in URLs that are plain, percent-encoded (also repeatedly), HTML-escaped or JSON-escaped, and in
    objects with a member ``sig``, in any letter case. Where the end of a signature is unclear, more text is redacted.
    """
    return _SIGNATURE.sub(r"\1REDACTED", text)


def unsigned(url: str) -> bool:
    """Return whether a URL has no query. The worker is asked to sign such a disk."""
    try:
        return not urlsplit(url).query
    except ValueError:
        return False


def account(url: str) -> str:
    """Return the storage account in a disk's URL: the first part of the host."""
    try:
        return (urlsplit(url).hostname or "").split(".")[0]
    except ValueError:
        return ""


def problems(url: str, now: datetime) -> Problems:
    """Check a SAS against the marketplace's requirements and the clock. An unsigned URL has no problems here.

    A SAS that refers to a stored access policy (``si``) may leave permissions and times to the policy.

    Args:
        url: A disk's URL with its SAS.
        now: The present time, with a time zone.
    """
    if unsigned(url):
        return Problems()
    found = Problems()
    values = _parameters(url)
    if not values.get("sig"):
        found.errors.append("sig (the signature) is missing")
    resource, permissions = values.get("sr", ""), values.get("sp")
    if resource not in {"c", "b"}:
        problem = f"is {_shown(resource)}" if resource else "is missing"
        found.errors.append(f"sr (what the SAS is for) {problem}; make a SAS of the container, sr=c")
    if permissions is not None or "si" not in values:
        lacking = [letter for letter in ("rl" if resource == "c" else "r") if letter not in (permissions or "")]
        if lacking:
            problem = f"{_shown(permissions)} lacks {' and '.join(lacking)}" if permissions else "is missing"
            found.errors.append(f"sp (permissions) {problem}; use sp=rl")
    _check_start(values, now, found)
    _check_expiry(values, now, found)
    return found


def usable(url: str, now: datetime) -> bool:
    """Return whether a URL has a SAS that works now and for three more weeks."""
    if unsigned(url) or problems(url, now).errors:
        return False
    expiry = _moment(_parameters(url).get("se", ""))
    return expiry is None or expiry >= now + RECOMMENDED_VALIDITY


class Signer:
    """Signs disks of storage accounts whose keys the worker has. Inputs then need no secrets."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        """Create a signer.

        Args:
            keys: The base64 key of each storage account.
        """
        self._keys = {name.lower(): key for name, key in keys.items()}

    def __repr__(self) -> str:
        """Name the accounts, never the keys."""
        return f"Signer({', '.join(sorted(self._keys))})"

    def signed(self, url: str, now: datetime) -> str | None:
        """Return ``url`` with a SAS of its container that may read and list.

        The SAS is valid from a day ago until 92 days from now, in whole seconds UTC.

        Args:
            url: A disk's URL.
            now: The present time, with a time zone.

        Returns:
            ``None`` if the URL has a query already, or the account's key is unknown. Only hosts of Azure count,
            because no SAS must be sent to somebody else's server.
        """
        try:
            parts = urlsplit(url)
            host = _BLOB_HOST.fullmatch(parts.hostname or "")
        except ValueError:
            return None
        if parts.query or not host or host[1] not in self._keys:
            return None
        # Imported here because it takes most of a second, and few workers sign.
        from azure.storage.blob import generate_container_sas  # noqa: PLC0415

        folders = unquote(parts.path).lstrip("/").split("/")
        moment = now.astimezone(UTC).replace(microsecond=0)
        query = generate_container_sas(
            account_name=host[1],
            container_name=folders[0] if len(folders) > 1 else "$root",
            account_key=self._keys[host[1]],
            permission="rl",
            start=moment - RECOMMENDED_AGE,
            expiry=moment + SIGNED_VALIDITY,
        )
        return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def _check_start(values: Mapping[str, str], now: datetime, found: Problems) -> None:
    text = values.get("st")
    if not text:
        return
    start = _moment(text)
    if start is None:
        found.warnings.append(f"st (start) {_shown(text)} is not a date-time such as 2024-05-31T00:00:00Z")
        return
    if start > now:
        found.errors.append(f"st (start) {_shown(text)} is in the future: the SAS is not valid yet")
    elif start > now - RECOMMENDED_AGE:
        found.warnings.append(f"st (start) {_shown(text)} should be a day in the past at least")
    _check_time_of_day("st (start)", text, found)


def _check_expiry(values: Mapping[str, str], now: datetime, found: Problems) -> None:
    text = values.get("se")
    if not text:
        if "si" not in values:
            found.errors.append("se (expiry) is missing")
        return
    expiry = _moment(text)
    if expiry is None:
        found.warnings.append(f"se (expiry) {_shown(text)} is not a date-time such as 2024-05-31T00:00:00Z")
        return
    if expiry <= now:
        found.errors.append(f"se (expiry) {_shown(text)} has passed: make a new SAS")
    elif expiry < now + RECOMMENDED_VALIDITY:
        found.warnings.append(f"se (expiry) {_shown(text)} should be three weeks ahead at least")
    _check_time_of_day("se (expiry)", text, found)


def _check_time_of_day(name: str, text: str, found: Problems) -> None:
    if ":" not in unquote(text):
        found.warnings.append(f"{name} {_shown(text)} has no time of day; the service asks for a full date-time")


def _parameters(url: str) -> dict[str, str]:
    """Return the query's parameters under lower-case names. The first of duplicates counts."""
    values: dict[str, str] = {}
    for part in url.partition("#")[0].partition("?")[2].split("&"):
        name, _, value = part.partition("=")
        values.setdefault(unquote(name).lower(), unquote(value).strip())
    return values


def _moment(text: str) -> datetime | None:
    """Read a time in any form that SAS tools write, such as without seconds, with an offset, or encoded twice."""
    text = unquote(text).strip()
    # An offset's plus sign may have been decoded as a space.
    text = re.sub(r" (?=\d\d:?\d\d$)", "+", text)
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _shown(text: str | None) -> str:
    return redacted(text or "")[:40]


def _spelled(text: str) -> str:
    """Return a path or parameter with one spelling of escapes, and without unneeded ones."""

    def escape(found: re.Match[str]) -> str:
        character = chr(int(found[1], 16))
        return character if _UNRESERVED.fullmatch(character) else f"%{found[1].upper()}"

    return quote(_ESCAPE.sub(escape, text), safe="%!$&'()*+,;=:@/?-._~", errors="replace")
