"""The schemas of resources: their addresses, their versions, and the ceiling that a call sets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

HOST = "schema.mp.microsoft.com"
RETIRED_HOST = "product-ingestion.azureedge.net"

VM_CONFIGURATION = "virtual-machine-plan-technical-configuration"
CORE_VM_CONFIGURATION = "core-virtual-machine-plan-technical-configuration"
TECHNICAL_CONFIGURATIONS = (VM_CONFIGURATION, CORE_VM_CONFIGURATION)

_ADDRESS = re.compile(r"https://([a-z0-9.-]+)/schema/([a-z0-9-]+)/([^/?#]+)")
_VERSION = re.compile(r"(\d{4}-\d{2}-\d{2})(?:-preview(\d+))?")
_MARCH = "2022-03-01-preview"

KNOWN: Mapping[str, tuple[str, ...]] = {
    "configure": (f"{_MARCH}2", "2022-07-01"),
    "submission": (f"{_MARCH}2", f"{_MARCH}7"),
    "product": (f"{_MARCH}2", f"{_MARCH}3"),
    "plan": (f"{_MARCH}2", f"{_MARCH}3"),
    "property": (f"{_MARCH}2", f"{_MARCH}3", f"{_MARCH}4", f"{_MARCH}5"),
    "listing": (f"{_MARCH}2", f"{_MARCH}3", f"{_MARCH}4", f"{_MARCH}5"),
    "listing-asset": (f"{_MARCH}2", f"{_MARCH}3", f"{_MARCH}4", f"{_MARCH}5"),
    "listing-trailer": (f"{_MARCH}2", f"{_MARCH}3", f"{_MARCH}4", f"{_MARCH}5"),
    "plan-listing": (f"{_MARCH}2", f"{_MARCH}3", f"{_MARCH}4", f"{_MARCH}5"),
    "price-and-availability-offer": (f"{_MARCH}2", f"{_MARCH}3"),
    "price-and-availability-plan": (f"{_MARCH}2", f"{_MARCH}3", f"{_MARCH}4"),
    "customer-leads": (f"{_MARCH}2", f"{_MARCH}3"),
    "reseller": (f"{_MARCH}2",),
    "test-drive": (f"{_MARCH}2",),
    "commercial-marketplace-setup": (f"{_MARCH}2",),
    VM_CONFIGURATION: (f"{_MARCH}2", f"{_MARCH}3", f"{_MARCH}5", f"{_MARCH}6", "2026-04-01-preview1"),
    CORE_VM_CONFIGURATION: (f"{_MARCH}3", f"{_MARCH}5", f"{_MARCH}6"),
}
"""The schema versions of each type of resource, oldest first."""


@dataclass(frozen=True)
class Schema:
    """The parts of a `$schema`."""

    host: str
    type: str
    version: str

    @classmethod
    def of(cls, address: object) -> Self | None:
        """Read a `$schema`. Return None if it is invalid."""
        match = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
        if match is None or schema_order(match[3]) is None:
            return None
        return cls(match[1], match[2], match[3])

    @property
    def known(self) -> bool:
        """Whether there is such a version. Every version of an unknown type counts as known."""
        return self.type not in KNOWN or self.version in KNOWN[self.type]


def address_of(kind: str, version: str, host: str = HOST) -> str:
    """Return the `$schema` of a version."""
    return f"https://{host}/schema/{kind}/{version}"


def schema_order(version: str) -> tuple[str, float] | None:
    """Return a key that sorts schema versions: by date, then previews by number, then the release.

    Return None if it is no version.
    """
    match = _VERSION.fullmatch(version)
    return (match[1], float(match[2]) if match[2] else float("inf")) if match else None


def is_newer(version: str, than: str) -> bool:
    """Return whether a version is newer than another."""
    return (schema_order(version) or ("", 0.0)) > (schema_order(than) or ("", 0.0))


def newest_below(kind: str, version: str, ceiling: str | None) -> str:
    """Return the version in which a resource is answered under a ceiling."""
    if ceiling is None or not is_newer(version, ceiling):
        return version
    allowed = [known for known in KNOWN.get(kind, ()) if not is_newer(known, ceiling)]
    return allowed[-1] if allowed else version
