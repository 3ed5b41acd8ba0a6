"""The rules that the schema of a resource sets, whatever else the offer has."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from sandbox.product_ingestion.schemas import CORE_VM_CONFIGURATION, TECHNICAL_CONFIGURATIONS, Schema
from sandbox.spelled_json import members_of, objects_in

Problem: TypeAlias = str

_REQUIRED: Mapping[str, Sequence[str]] = {
    "product": ("identity", "type", "alias"),
    "plan": ("product", "identity", "alias"),
    "property": ("product", "kind", "categories", "termsConditions"),
    "listing": ("product", "kind", "languageId"),
    "plan-listing": ("product", "plan", "kind", "languageId"),
    "listing-asset": ("kind", "type"),
    "price-and-availability-offer": ("product", "previewAudiences"),
    "price-and-availability-plan": ("product", "plan", "visibility", "audience"),
    "customer-leads": ("product", "leadDestination"),
    "reseller": ("product", "resellerChannelState"),
    "submission": ("product", "target"),
    "virtual-machine-plan-technical-configuration": ("product", "plan"),
    "core-virtual-machine-plan-technical-configuration": ("product", "plan"),
}
_WORDS: Mapping[tuple[str, str], Sequence[str]] = {
    ("product", "type"): ("azureVirtualMachine", "coreVirtualMachine"),
    ("property", "kind"): ("azureVM",),
    ("property", "termsConditions"): ("custom", "standardMicrosoft"),
    ("listing", "kind"): ("azureVM",),
    ("plan-listing", "kind"): ("azureVM-plan",),
    ("listing-asset", "kind"): ("azure",),
    ("price-and-availability-plan", "visibility"): ("visible", "hidden"),
    ("price-and-availability-plan", "audience"): ("public", "private"),
    ("reseller", "resellerChannelState"): ("notSet", "none", "some", "all", "terminated"),
    (
        "customer-leads",
        "leadDestination",
    ): ("none", "blob", "dynamics", "email", "httpsEndpoint", "marketo", "salesforce", "table"),
}
_ARRAYS = (
    "recommendedVmSizes",
    "openPorts",
    "skus",
    "vmImageVersions",
    "previewAudiences",
    "generalLinks",
    "markets",
)
_NOT_SUPPORTED = ("price-and-availability-update-private-audiences",)
_MAY_BE_NULL = ("trial",)

_BOTH_PROPERTIES = (
    "supportsExtensions",
    "supportsRemoteConnection",
    "supportsBackup",
    "supportsCloudInit",
    "supportsAadLogin",
    "supportsHibernation",
    "supportsNVMe",
    "requiresCustomArmTemplate",
    "networkVirtualAppliance",
    "isNetworkVirtualAppliance",
)
_VM_PROPERTIES = (*_BOTH_PROPERTIES, "supportsAcceleratedNetworking")
_CORE_PROPERTIES = (
    *_BOTH_PROPERTIES,
    "availableToFreeAccounts",
    "supportsClientHub",
    "supportsHubOnOffSwitch",
    "supportsSriov",
)

_WANTS_SOURCES = "2022-03-01-preview7"
_VERSION_NUMBER = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
_SKU_ID = re.compile(r"[a-z0-9-_]+")
_IMAGE_TYPES = ("x64Gen1", "x64Gen2", "arm64Gen2")
_STATES = ("generallyAvailable", "deprecated", "deleted")
_LARGEST_PART = 2**31 - 1
_MOST_SIZES, _MOST_PORTS, _MOST_DISKS, _MOST_CHARACTERS = 6, 100, 16, 32


def problems_with_resource(resource: dict[str, Any], schema: Schema) -> list[Problem]:
    """Return what breaks the schema of a resource. A resource of an unknown type can have any members."""
    if schema.type in _NOT_SUPPORTED:
        return [f"The sandbox does not support resources of the type {schema.type}."]
    if schema.type not in _REQUIRED:
        return []
    return list(_problems(resource, schema))


def _problems(resource: dict[str, Any], schema: Schema) -> Iterator[Problem]:
    for name in _REQUIRED[schema.type]:
        if name not in resource:
            yield f"The property '{name}' is required."
    for name, value in resource.items():
        if value is None and name not in _MAY_BE_NULL:
            yield f"The property '{name}' must not be null."
        elif name in _ARRAYS and not isinstance(value, list):
            yield f"The property '{name}' must be an array."
        words = _WORDS.get((schema.type, name))
        if words and value is not None and value not in words:
            yield f"The property '{name}' must be one of {', '.join(words)}, not {value!r}."
    state = resource.get("lifecycleState", "generallyAvailable")
    if state not in _STATES and state is not None:
        yield f"The property 'lifecycleState' must be one of {', '.join(_STATES)}, not {state!r}."
    if schema.type == "submission":
        yield from _problems_with_submission(resource, schema)
    if schema.type in TECHNICAL_CONFIGURATIONS:
        yield from _problems_with_configuration(resource, core=schema.type == CORE_VM_CONFIGURATION)


def _problems_with_submission(resource: dict[str, Any], schema: Schema) -> Iterator[Problem]:
    if resource.get("lifecycleState") == "deprecated":
        yield "The sandbox does not support the deprecation of a whole offer."
    if schema.version == _WANTS_SOURCES and not resource.get("sources"):
        yield "The property 'sources' is required."


def _problems_with_configuration(resource: dict[str, Any], *, core: bool) -> Iterator[Problem]:
    for name, most in (("recommendedVmSizes", _MOST_SIZES), ("openPorts", _MOST_PORTS)):
        value = resource.get(name)
        if isinstance(value, list) and len(value) > most:
            yield f"The property '{name}' has {len(value)} items; at most {most} are allowed."
    allowed = _CORE_PROPERTIES if core else _VM_PROPERTIES
    properties = resource.get("vmProperties", {})
    if not isinstance(properties, dict):
        yield "The property 'vmProperties' must be an object."
    for name, value in members_of(properties).items():
        if name not in allowed:
            yield f"The property 'vmProperties.{name}' is not allowed: the schema has no such property."
        elif not isinstance(value, bool):
            yield f"The property 'vmProperties.{name}' must be a boolean."
    for number, sku in enumerate(objects_in(resource.get("skus"))):
        yield from _problems_with_sku(sku, f"skus[{number}]")
    versions = resource.get("vmImageVersions")
    for number, entry in enumerate(versions if isinstance(versions, list) else []):
        yield from _problems_with_version(entry, f"vmImageVersions[{number}]")


def _problems_with_sku(sku: dict[str, Any], place: str) -> Iterator[Problem]:
    if sku.get("imageType") not in _IMAGE_TYPES:
        yield f"The property '{place}.imageType' must be one of {', '.join(_IMAGE_TYPES)}."
    if not isinstance(sku.get("skuId"), str) or not _SKU_ID.fullmatch(sku["skuId"]):
        yield f"The property '{place}.skuId' must consist of a-z, 0-9, - and _."
    types = sku.get("securityType", [])
    if not isinstance(types, list) or not set(types) <= {"trusted", "confidential"}:
        yield f"The property '{place}.securityType' must be an array of trusted, confidential."


def _problems_with_version(entry: object, place: str) -> Iterator[Problem]:
    if not isinstance(entry, dict):
        yield f"'{place}' must be an object."
        return
    number = entry.get("versionNumber")
    if not isinstance(number, str) or not _VERSION_NUMBER.fullmatch(number) or len(number) > _MOST_CHARACTERS:
        yield f"The property '{place}.versionNumber' must be three numbers such as 1.2.3, not {number!r}."
    elif max(int(part) for part in number.split(".")) > _LARGEST_PART:
        yield f"The property '{place}.versionNumber' has a part above {_LARGEST_PART}."
    if entry.get("lifecycleState", "generallyAvailable") not in _STATES:
        yield f"The property '{place}.lifecycleState' must be one of {', '.join(_STATES)}."
    images = entry.get("vmImages")
    if not isinstance(images, list) or not 1 <= len(images) <= len(_IMAGE_TYPES):
        yield f"The property '{place}.vmImages' must be an array of 1 to {len(_IMAGE_TYPES)} images."
        return
    types = [members_of(image).get("imageType") for image in images]
    if len(set(map(str, types))) < len(types):
        yield f"The property '{place}.vmImages' holds an image type twice."
    for index, image in enumerate(images):
        where = f"{place}.vmImages[{index}]"
        if types[index] not in _IMAGE_TYPES:
            yield f"The property '{where}.imageType' must be one of {', '.join(_IMAGE_TYPES)}, not {types[index]!r}."
        yield from _problems_with_source(members_of(image).get("source"), f"{where}.source")


def _problems_with_source(source: object, place: str) -> Iterator[Problem]:
    members = members_of(source)
    kind = members.get("sourceType")
    if kind == "sasUri":
        if not isinstance(members_of(members.get("osDisk")).get("uri"), str):
            yield f"The property '{place}.osDisk.uri' is required."
        if "sharedImage" in members:
            yield f"The property '{place}.sharedImage' is not allowed with sasUri."
        yield from _problems_with_data_disks(members.get("dataDisks", []), f"{place}.dataDisks")
    elif kind == "sharedImageGallery":
        shared = members_of(members.get("sharedImage"))
        for name in ("tenantId", "resourceId"):
            if not isinstance(shared.get(name), str) or not shared[name]:
                yield f"The property '{place}.sharedImage.{name}' is required."
        for name in ("osDisk", "dataDisks"):
            if name in members:
                yield f"The property '{place}.{name}' is not allowed with sharedImageGallery."
    else:
        yield f"The property '{place}.sourceType' must be sasUri or sharedImageGallery, not {kind!r}."


def _problems_with_data_disks(disks: object, place: str) -> Iterator[Problem]:
    if not isinstance(disks, list) or len(disks) > _MOST_DISKS:
        yield f"The property '{place}' must be an array of at most {_MOST_DISKS} disks."
        return
    numbers = [members_of(disk).get("lunNumber") for disk in disks]
    if any(isinstance(number, bool) or number not in range(_MOST_DISKS) for number in numbers):
        yield f"Every 'lunNumber' of '{place}' must be a number from 0 to {_MOST_DISKS - 1}."
    if len(set(map(str, numbers))) < len(numbers):
        yield f"Every 'lunNumber' of '{place}' must be unique."
    if not all(isinstance(members_of(disk).get("uri"), str) for disk in disks):
        yield f"Every disk of '{place}' needs a 'uri'."
