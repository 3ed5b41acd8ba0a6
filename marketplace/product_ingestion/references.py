"""Names of resources in the Product Ingestion API: durable IDs, external IDs, and kinds.

A durable ID starts with the resource's kind: ``plan/<product>/<plan>``. A reference to a resource may be a durable
ID, an external ID, or the name of a resource in the same request. The documentation spells the member of the external
ID in two letter cases. Both are read.
"""

import re

from marketplace.wording import lower_keys

PRODUCT = "product"
PLAN = "plan"
PROPERTY = "property"
SUBMISSION = "submission"
CONFIGURATION = "virtual-machine-plan-technical-configuration"
CORE_CONFIGURATION = f"core-{CONFIGURATION}"

SCHEMA_HOST = "schema.mp.microsoft.com"

_SCHEMA = re.compile(r"https?://[^/]+/schema/([^/]+)/[^/]+/*", re.IGNORECASE)
_RETIRED = re.compile(r"https?://product-ingestion\.azureedge\.net/", re.IGNORECASE)
_SEGMENT = re.compile(r"[A-Za-z0-9-]+")
_NUMBER = re.compile(r"[0-9]{1,40}")


def schema(kind: str, version: str) -> str:
    """Return the URL of a schema."""
    return f"https://{SCHEMA_HOST}/schema/{kind}/{version}"


def kind_of(schema_address: object, durable_id: object) -> str:
    """Return a resource's kind from its schema, or else its ID. Empty if neither names it."""
    found = _SCHEMA.fullmatch(schema_address.strip()) if isinstance(schema_address, str) else None
    if found:
        return found[1].lower()
    return durable_id.split("/", 1)[0] if isinstance(durable_id, str) else ""


def hosted_today(schema_address: str) -> str:
    """Return a schema's URL at today's host. Reads still show the retired host, but writes with it are refused."""
    return _RETIRED.sub(f"https://{SCHEMA_HOST}/", schema_address)


def external_id(value: object) -> str | None:
    """Return the external ID in an identity or a reference."""
    found = lower_keys(value).get("externalid")
    return found if isinstance(found, str) and found else None


def resource_name(value: object) -> str | None:
    """Return the name in a reference to a resource of the same request."""
    found = lower_keys(value).get("resourcename")
    return found if isinstance(found, str) and found else None


def shown(reference: object) -> str:
    """Return a reference for a person."""
    if isinstance(reference, str):
        return reference
    return external_id(reference) or resource_name(reference) or ""


def product_of(durable_id: object) -> str | None:
    """Return the last part of a product's durable ID, ``None`` if it could not be part of a URL."""
    parts = durable_id.split("/") if isinstance(durable_id, str) else []
    named = len(parts) > 1 and parts[0] == PRODUCT and _SEGMENT.fullmatch(parts[1])
    return parts[1] if named else None


def number_of(durable_id: object) -> str | None:
    """Return a submission's number, ``None`` for anything else and for the draft's placeholder, number 0."""
    if not isinstance(durable_id, str):
        return None
    kind, _, rest = durable_id.partition("/")
    last = rest.rsplit("/", 1)[-1]
    return last if kind == SUBMISSION and _NUMBER.fullmatch(last) and last.strip("0") else None
