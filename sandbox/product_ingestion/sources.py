"""Where an image comes from: a disk behind a SAS address, or a version in a Compute Gallery."""

from typing import Any

from sandbox.json_text import members_of, objects_in


def addresses_of(source: dict[str, Any]) -> list[str]:
    """The addresses of the disks; none for a gallery."""
    if source.get("sourceType") != "sasUri":
        return []
    disks = [members_of(source.get("osDisk")), *objects_in(source.get("dataDisks"))]
    return [str(disk.get("uri", "")) for disk in disks]


def identity_of(source: dict[str, Any]) -> object:
    """What must not change once it is published; a renewed signature of the same blob is no change."""
    if source.get("sourceType") == "sharedImageGallery":
        shared = members_of(source.get("sharedImage"))
        return str(shared.get("tenantId")).casefold(), str(shared.get("resourceId")).casefold()
    data = sorted(
        (str(disk.get("lunNumber")), _blob(str(disk.get("uri", "")))) for disk in objects_in(source.get("dataDisks"))
    )
    return _blob(str(members_of(source.get("osDisk")).get("uri", ""))), data


def _blob(address: str) -> str:
    return address.split("?", 1)[0]
