"""The resources of a snapshot: a JSON array whose numbers and unknown members keep their spelling."""

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from sandbox.json_text import members_of, objects_in, parse, parse_plain, render
from sandbox.product_ingestion.ids import external_id_of
from sandbox.product_ingestion.schemas import TECHNICAL_CONFIGURATIONS, Schema

Tree = dict[str, Any]

_ACTIVE = "generallyAvailable"


@dataclass(frozen=True)
class Resource:
    """One resource: what it means, and how it was written."""

    plain: Tree
    spelled: Tree

    @property
    def id(self) -> str:
        """Its durable id."""
        return str(self.plain["id"])

    @property
    def type(self) -> str:
        """Its type."""
        return self.id.split("/", 1)[0]

    def copy(self) -> "Resource":
        """A copy to change."""
        return Resource(copy.deepcopy(self.plain), copy.deepcopy(self.spelled))


@lru_cache(maxsize=512)
def resources_in(text: str) -> tuple[Resource, ...]:
    """The resources of a snapshot; not to be changed."""
    return tuple(
        Resource(plain, cast("Tree", spelled))
        for plain, spelled in zip(objects_in(parse_plain(text)), cast("list[Any]", parse(text)), strict=True)
    )


def text_of(resources: Iterable[Resource]) -> str:
    """The text of a snapshot."""
    return render([resource.spelled for resource in resources])


def plan_ids_in(resources: Iterable[Resource]) -> dict[str, str]:
    """The external ids of the plans, by their durable ids."""
    return {
        resource.id: external_id_of(resource.plain) or resource.id
        for resource in resources
        if resource.type == "plan"
    }


def configurations_in(resources: Iterable[Resource]) -> Iterator[Resource]:
    """The technical configurations."""
    return (resource for resource in resources if resource.type in TECHNICAL_CONFIGURATIONS)


def versions_of(configuration: Tree | None) -> list[Tree]:
    """The entries of the list of image versions."""
    return objects_in(members_of(configuration).get("vmImageVersions"))


def number_of(entry: Tree) -> str:
    """The number of an image version."""
    return str(entry.get("versionNumber"))


def state_of(resource: Tree) -> str:
    """The lifecycle state of anything."""
    return str(resource.get("lifecycleState") or _ACTIVE)


def is_active(entry: Tree) -> bool:
    """Whether an image version is neither deprecated nor deleted."""
    return state_of(entry) == _ACTIVE


def images_of(entry: Tree) -> list[Tree]:
    """The images of an image version, one for each image type."""
    return objects_in(entry.get("vmImages"))


def skus_of(configuration: Tree | None) -> list[Tree]:
    """The SKUs of a technical configuration."""
    return objects_in(members_of(configuration).get("skus"))


def schema_of(resource: Tree) -> Schema | None:
    """The schema of a resource."""
    return Schema.of(resource.get("$schema"))
