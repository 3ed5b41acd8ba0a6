"""The rules on what a draft must have to be published."""

from collections.abc import Iterator, Sequence

from sandbox.product_ingestion.errors import BUSINESS_ERROR
from sandbox.product_ingestion.ids import external_id_of
from sandbox.product_ingestion.resources import Resource, configurations_in, is_active, state_of, versions_of
from sandbox.refusals import Detail

_OF_PRODUCT = ("property", "listing", "listing-asset", "price-and-availability-offer")
_OF_PLAN = ("plan-listing", "price-and-availability-plan")


def problems_with_publishing(resources: Sequence[Resource]) -> list[Detail]:
    """Return what a draft lacks to be published."""
    return list(_problems(resources))


def _problems(resources: Sequence[Resource]) -> Iterator[Detail]:
    product = next((resource.id for resource in resources if resource.type == "product"), "product")
    types = {resource.type for resource in resources}
    for name in _OF_PRODUCT:
        if name not in types:
            yield Detail(BUSINESS_ERROR, f"The offer has no {name}.", product)
    plans = [resource for resource in resources if resource.type == "plan"]
    if not plans:
        yield Detail(BUSINESS_ERROR, "The offer has no plan.", product)
    configurations = {str(found.plain.get("plan")): found for found in configurations_in(resources)}
    for plan in plans:
        if state_of(plan.plain) == "deprecated":
            continue
        name = external_id_of(plan.plain) or plan.id
        own = {resource.type for resource in resources if resource.plain.get("plan") == plan.id}
        for wanted in _OF_PLAN:
            if wanted not in own:
                yield Detail(BUSINESS_ERROR, f"The plan '{name}' has no {wanted}.", plan.id)
        found = configurations.get(plan.id)
        if found is None or not any(is_active(entry) for entry in versions_of(found.plain)):
            yield Detail(BUSINESS_ERROR, f"The plan '{name}' requires at least one active image.", plan.id)
