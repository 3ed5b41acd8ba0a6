"""The resources of a snapshot, which is a JSON array. Numbers and unknown members keep their spelling."""

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from sandbox.product_ingestion.ids import external_id_of
from sandbox.product_ingestion.schemas import TECHNICAL_CONFIGURATIONS, Schema
from sandbox.spelled_json import members_of, objects_in, parse, parse_plain, render

Tree = dict[str, Any]

STICKY_PROPERTIES = ("supportsNVMe", "supportsCloudInit", "supportsSriov", "supportsBackup")
"""Members of `vmProperties` that cannot be switched off once they are live."""

_ACTIVE = "generallyAvailable"


@dataclass(frozen=True)
class Resource:
    """A resource, as plain values and as it was spelled."""

    plain: Tree
    spelled: Tree

    @property
    def id(self) -> str:
        """Its durable ID."""
        return str(self.plain["id"])

    @property
    def type(self) -> str:
        """Its type."""
        return self.id.split("/", 1)[0]

    def copy(self) -> "Resource":
        """Return a copy that can be changed."""
        return Resource(copy.deepcopy(self.plain), copy.deepcopy(self.spelled))


@lru_cache(maxsize=512)
def resources_in(text: str) -> tuple[Resource, ...]:
    """Return the resources of a snapshot. They are cached and must not be changed."""
    return tuple(
        Resource(plain, cast("Tree", spelled))
        for plain, spelled in zip(objects_in(parse_plain(text)), cast("list[Any]", parse(text)), strict=True)
    )


def text_of(resources: Iterable[Resource]) -> str:
    """Return the text of a snapshot."""
    return render([resource.spelled for resource in resources])


def plan_ids_in(resources: Iterable[Resource]) -> dict[str, str]:
    """Return the external IDs of the plans, by their durable IDs."""
    return {
        resource.id: external_id_of(resource.plain) or resource.id
        for resource in resources
        if resource.type == "plan"
    }


def configurations_in(resources: Iterable[Resource]) -> Iterator[Resource]:
    """Yield the technical configurations."""
    return (resource for resource in resources if resource.type in TECHNICAL_CONFIGURATIONS)


def versions_of(configuration: Tree | None) -> list[Tree]:
    """Return the image versions of a technical configuration."""
    return objects_in(members_of(configuration).get("vmImageVersions"))


def number_of(entry: Tree) -> str:
    """Return the number of an image version."""
    return str(entry.get("versionNumber"))


def state_of(resource: Tree) -> str:
    """Return the lifecycle state of a resource or an image version."""
    return str(resource.get("lifecycleState") or _ACTIVE)


def is_active(entry: Tree) -> bool:
    """Return whether an image version is neither deprecated nor deleted."""
    return state_of(entry) == _ACTIVE


def images_of(entry: Tree) -> list[Tree]:
    """Return the images of an image version, one for each image type."""
    return objects_in(entry.get("vmImages"))


def skus_of(configuration: Tree | None) -> list[Tree]:
    """Return the SKUs of a technical configuration."""
    return objects_in(members_of(configuration).get("skus"))


def schema_of(resource: Tree) -> Schema | None:
    """Return the schema of a resource."""
    return Schema.of(resource.get("$schema"))
