"""The resources of an offer in one target: draft, preview or live.

The service lists resources in any order, and adds undocumented kinds. Resources are found by their IDs, and unknown
ones are kept. For comparisons, members that say nothing about the offer are left out; see `normal`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, InvalidOperation
from functools import cached_property
from typing import Any

from marketplace import sas
from marketplace.json_text import Node, Number, parse
from marketplace.product_ingestion.references import (
    CONFIGURATION,
    CORE_CONFIGURATION,
    PLAN,
    PRODUCT,
    SUBMISSION,
    external_id,
    kind_of,
    number_of,
    resource_name,
)
from marketplace.wording import MAX_NAME, one_line

VERSIONS = "vmImageVersions"
AVAILABLE = "generallyAvailable"

_IGNORED = frozenset({"$schema", "id", "validations", "resourceName"})
_ASSETS = ("listing-asset", "listing-trailer")

MAX_DEPTH = 50
MAX_MEMBERS = 6
"""How many members of a resource a sentence names."""

_EXACT = Context(prec=1_000_000)


@dataclass(frozen=True)
class Resource:
    """A resource at its place in a text.

    Attributes:
        id: The durable ID, empty if there is none.
        kind: The kind, such as ``plan-listing``.
    """

    node: Node
    id: str
    kind: str

    @cached_property
    def members(self) -> dict[str, Any]:
        """The members that describe the offer, in the form that `normal` returns."""
        drop = frozenset({"url"} if self.kind.startswith(_ASSETS) else ())
        value = self.node.value
        members = {key: each for key, each in value.items() if key not in _IGNORED}
        if members.get("lifecycleState") == AVAILABLE:
            del members["lifecycleState"]  # the default
        found: dict[str, Any] = normal(members, drop)
        return found

    @property
    def is_configuration(self) -> bool:
        """Whether it is the technical configuration of a plan."""
        return self.kind in {CONFIGURATION, CORE_CONFIGURATION}


@dataclass(frozen=True)
class Tree:
    """The resources of a target, without submissions.

    Attributes:
        submission: The number of the target's submission, if the tree names it.
    """

    resources: list[Resource] = field(repr=False)
    submission: str | None = None

    @cached_property
    def by_id(self) -> dict[str, Resource]:
        """The resources by ID. A resource without an ID has its kind and content as the key."""
        return {one.id or f"{one.kind}#{_sorted(one.members)}": one for one in self.resources}

    @cached_property
    def product(self) -> Resource | None:
        """The product."""
        return next((one for one in self.resources if one.kind == PRODUCT), None)

    @cached_property
    def plans(self) -> dict[str, Resource]:
        """The plans by external ID."""
        found: dict[str, Resource] = {}
        for one in self.resources:
            name = external_id(_decoded(one.node.get("identity"))) if one.kind == PLAN else None
            if name is not None:
                found.setdefault(name, one)
        return found

    @cached_property
    def _plan_names(self) -> dict[str, str]:
        return {resource.id: name for name, resource in self.plans.items() if resource.id}

    def plan_of(self, resource: Resource) -> str | None:
        """Return the external ID of the plan that a resource belongs to, ``None`` if it belongs to no plan."""
        if resource.kind == PLAN:
            return external_id(_decoded(resource.node.get("identity")))
        reference = _decoded(resource.node.get("plan"))
        found = self.plan_named(reference) if reference is not None else None
        if found is None and resource.id:
            parts = resource.id.split("/")
            found = next(
                (
                    name
                    for part in parts[2:]
                    if (name := self._plan_names.get(f"{PLAN}/{parts[1]}/{part}")) is not None
                ),
                None,
            )
        return found

    def plan_named(self, reference: object) -> str | None:
        """Return the external ID of the plan that a reference names."""
        if isinstance(reference, str):
            return self._plan_names.get(reference)
        name = resource_name(reference)
        of_name = (plan for plan, one in self.plans.items() if _decoded(one.node.get("resourceName")) == name)
        return external_id(reference) or (next(of_name, None) if name is not None else None)

    @cached_property
    def configurations(self) -> dict[str, Resource]:
        """The technical configurations by the external ID of the plan."""
        of_core_vm = self.product is not None and _decoded(self.product.node.get("type")) == "coreVirtualMachine"
        usual = CORE_CONFIGURATION if of_core_vm else CONFIGURATION
        found: dict[str, Resource] = {}
        for one in self.resources:
            plan = self.plan_of(one) if one.is_configuration else None
            if plan is not None and (plan not in found or one.kind == usual):
                found[plan] = one
        return found

    def title(self, resource: Resource) -> str:
        """Return a resource's title for a person: its kind, and its plan if it belongs to one."""
        plan = self.plan_of(resource)
        if resource.kind == PLAN and plan:
            return one_line(f"plan {plan}", 2 * MAX_NAME)
        place = "/".join(resource.id.split("/")[2:])
        name = f"{resource.kind} of plan {plan}" if plan else f"{resource.kind} {place}".rstrip()
        return one_line(name, 2 * MAX_NAME)


def read(text: str) -> Tree:
    """Return the resources of a tree or of a `configure` document, except submissions.

    The number of the target's submission is kept, if the tree names it.

    Raises:
        ValueError: The text is not JSON, or not an object with an array of resources.
    """
    root = parse(text)
    resources = _resources(root)
    target = _target(root)
    named = {number_of(one.id) for one in resources if one.kind == SUBMISSION and _target(one.node) == target}
    own = named - {None} if target else set()
    return Tree([one for one in resources if one.kind != SUBMISSION], own.pop() if len(own) == 1 else None)


def resources_in(text: str) -> list[Resource]:
    """Return the resources of a text, including submissions.

    Raises:
        ValueError: The text is not JSON, or not an object with an array of resources.
    """
    return _resources(parse(text))


def _resources(root: Node) -> list[Resource]:
    array = root.get("resources") if root.kind == "object" else None
    if array is None or array.kind != "array":
        raise ValueError("it has no array of resources")
    return [_resource(item) for item in array.items()]


def _target(node: Node) -> str:
    """Return the target of a tree or a submission."""
    target = node.get("target")
    where = target.get("targetType") if target is not None else None
    return (where.string or "").casefold() if where is not None else ""


def _resource(node: Node) -> Resource:
    if node.kind != "object":
        raise ValueError(f"one of its resources is of kind {node.kind}, not an object")
    durable_id = _decoded(node.get("id"))
    return Resource(
        node=node,
        id=durable_id if isinstance(durable_id, str) else "",
        kind=kind_of(_decoded(node.get("$schema")), durable_id),
    )


def normal(value: Any, drop: frozenset[str], depth: int = 0) -> Any:
    """Return a JSON value in a form in which equal values have the same meaning.

    Members and items are sorted, since the service promises no order. A ``null`` counts as absent. Numbers are
    compared by value, and URLs without their SAS.

    Args:
        value: The value, with numbers as `Number`.
        drop: The names of members that are left out at any depth.
        depth: The depth of the value.
    """
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        return {
            key: normal(each, drop, depth + 1)
            for key, each in sorted(value.items())
            if each is not None and key not in drop
        }
    if isinstance(value, list):
        return sorted((normal(each, drop, depth + 1) for each in value), key=_sorted)
    if isinstance(value, Number):
        return {"number": _by_value(value)}
    if isinstance(value, str) and value[:4].lower() == "http":
        return sas.address(value)
    return value


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the names of the members in which two resources differ. Empty arrays and objects count as absent."""
    unequal = (key for key in {*before, *after} if before.get(key) != after.get(key))
    return sorted(key for key in unequal if _filled(before.get(key)) != _filled(after.get(key)))


def with_members(name: str, members: Iterable[str]) -> str:
    """Return a sentence with the first of the members that differ."""
    names = [one_line(one, MAX_NAME) for one in members]
    more = f" and {len(names) - MAX_MEMBERS} more" if len(names) > MAX_MEMBERS else ""
    return one_line(f"{name}: {', '.join(names[:MAX_MEMBERS])}{more}", 600)


def _filled(value: Any) -> Any:
    """Return a `normal` value without empty arrays and objects, ``None`` if nothing is left."""
    if isinstance(value, dict):
        return {key: kept for key, each in value.items() if (kept := _filled(each)) is not None} or None
    if isinstance(value, list):
        return sorted((kept for each in value if (kept := _filled(each)) is not None), key=_sorted) or None
    return value


def _by_value(number: Number) -> str:
    try:
        return str(Decimal(number).normalize(_EXACT))
    except InvalidOperation:
        return str(number)


def _sorted(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _decoded(node: Node | None) -> Any:
    return node.value if node is not None else None
