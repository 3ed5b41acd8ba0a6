"""The source of an image: disks with a SAS, or an image version in a Compute Gallery."""

from typing import Any

from sandbox.sas import blob_of
from sandbox.spelled_json import members_of, objects_in


def addresses_of(source: dict[str, Any]) -> list[str]:
    """Return the addresses of the disks; a gallery image has none."""
    if source.get("sourceType") != "sasUri":
        return []
    disks = [members_of(source.get("osDisk")), *objects_in(source.get("dataDisks"))]
    return [str(disk.get("uri", "")) for disk in disks]


def identity_of(source: dict[str, Any]) -> object:
    """Return what must not change once it is published. A renewed SAS of the same blob is no change."""
    if source.get("sourceType") == "sharedImageGallery":
        shared = members_of(source.get("sharedImage"))
        return str(shared.get("tenantId")).casefold(), str(shared.get("resourceId")).casefold()
    data = sorted(
        (str(disk.get("lunNumber")), blob_of(str(disk.get("uri", ""))))
        for disk in objects_in(source.get("dataDisks"))
    )
    return blob_of(str(members_of(source.get("osDisk")).get("uri", ""))), data
