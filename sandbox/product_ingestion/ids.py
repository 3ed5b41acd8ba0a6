"""Durable IDs and external IDs of products, plans and their other resources."""

import re
import uuid
from functools import lru_cache
from typing import Any

from sandbox.spelled_json import members_of

DURABLE = re.compile(r"[a-z](-?[a-z0-9]+)*/[a-z0-9-]+(/?[a-z0-9-])*")
PRODUCT_EXTERNAL_ID = re.compile(r"[a-z0-9][a-z0-9-_]{2,49}")
PLAN_EXTERNAL_ID = re.compile(r"[a-z0-9-_]{1,50}")

_NAMESPACE = uuid.UUID("5e0f3f0e-7c1d-4b1a-9c57-2f6d0a8b41c3")
_LANGUAGE = "en-us"


@lru_cache(maxsize=10_000)
def product_guid(publisher_id: str, offer_id: str) -> str:
    """Return the ID of a product. It is the same in every sandbox."""
    return str(uuid.uuid5(_NAMESPACE, f"{publisher_id}/{offer_id}"))


@lru_cache(maxsize=10_000)
def plan_guid(product: str, external_id: str) -> str:
    """Return the ID of a plan."""
    return str(uuid.uuid5(uuid.UUID(product), external_id))


def external_id_of(resource: dict[str, Any]) -> str | None:
    """Return the external ID of a product or plan."""
    return external_id_in(resource.get("identity"))


def external_id_in(reference: object) -> str | None:
    """Return the external ID in a reference to a product or plan."""
    members = members_of(reference)
    found = members.get("externalId", members.get("externalID"))
    return found if isinstance(found, str) else None


def durable_id(kind: str, product: str, plan: str | None, resource: dict[str, Any]) -> str:
    """Return the ID of a resource, which belongs to a product and perhaps to one of its plans."""
    language = str(resource.get("languageId", _LANGUAGE)).lower()
    number = resource.get("displayOrder")
    number = number + 1 if isinstance(number, int) else 1
    main = f"{kind}/{product}/public/main"
    forms = {
        "product": f"product/{product}",
        "plan": f"plan/{product}/{plan}",
        "property": main,
        "listing": f"{main}/default/{language}",
        "plan-listing": f"{main}/{plan}/{language}",
        "listing-asset": f"{main}/default/{language}/{str(resource.get('type', 'other')).lower()}/{number}",
        "listing-trailer": f"{main}/default/{number}",
    }
    return forms.get(kind, f"{kind}/{product}/{plan}" if plan else f"{kind}/{product}")


def product_in(durable: str) -> str | None:
    """Return the ID of the product in a durable ID."""
    parts = durable.split("/")
    return parts[1] if len(parts) > 1 else None
