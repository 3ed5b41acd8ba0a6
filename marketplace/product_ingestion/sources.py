"""The sources of images: disks with SAS URLs, or image versions of a gallery."""

from collections.abc import Iterable
from dataclasses import dataclass

from marketplace import sas
from marketplace.disks import OS, Disk, addresses, given_disks
from marketplace.json_text import Node, array_text, object_text, string_of, value_text
from marketplace.model import Image
from marketplace.wording import MAX_NAME, one_line


@dataclass(frozen=True)
class Source:
    """The source of an image.

    Attributes:
        disks: The OS disk first, data disks by number.
        gallery: The resource ID of the gallery's image version, in lower case.
        tenant: The gallery's tenant, in lower case.
        other: The source type, if it is unknown.
    """

    disks: tuple[Disk, ...] = ()
    gallery: str | None = None
    tenant: str | None = None
    other: str | None = None

    def same(self, another: "Source") -> bool:
        """Return whether two sources are the same.

        Disks are compared by their addresses without SAS, gallery images by their IDs. Tenants are compared if both
        sources name one.
        """
        if self.tenant and another.tenant and self.tenant != another.tenant:
            return False
        ours, theirs = addresses(self.disks), addresses(another.disks)
        return (self.gallery, self.other, ours) == (another.gallery, another.other, theirs)

    def __str__(self) -> str:
        """Describe the source for a person, without signatures."""
        if self.gallery:
            return f"the gallery image {one_line(self.gallery, 300)}"
        if self.disks:
            count = len(self.disks) - 1
            more = f" and {count} data disk{'' if count == 1 else 's'}" if count else ""
            return f"the disk {one_line(sas.address(self.disks[0].url), 300)}{more}"
        return f"a source of kind {one_line(self.other or 'none', MAX_NAME)}"


def wanted(image: Image, tenant_id: str | None) -> Source:
    """Return the source of a wanted image.

    Args:
        image: The image.
        tenant_id: The gallery's tenant, if the image names none.
    """
    if image.gallery_image_id is not None:
        tenant = image.gallery_tenant_id or tenant_id
        return Source(gallery=image.gallery_image_id.lower(), tenant=tenant.lower() if tenant else None)
    return Source(disks=_in_order(given_disks(image)))


def read(source: Node | None) -> Source:
    """Return the source in an image's JSON text."""
    if source is None or source.kind != "object":
        return Source(other="none")
    shared = source.get("sharedImage")
    if shared is not None and shared.kind == "object":
        resource_id, tenant = string_of(shared.get("resourceId")), string_of(shared.get("tenantId"))
        if resource_id:
            return Source(gallery=resource_id.lower(), tenant=tenant.lower() if tenant else None)
    os_disk = source.get("osDisk")
    uri = os_disk.get("uri") if os_disk is not None else None
    if uri is None or uri.string is None:
        return Source(other=string_of(source.get("sourceType")) or "none")
    array = source.get("dataDisks")
    found = [_data_disk(index, item) for index, item in enumerate(array.items() if array is not None else ())]
    return Source(disks=_in_order([Disk(OS, uri.string, uri), *found]))


def text(image: Image, tenant_id: str | None) -> str:
    """Return the JSON text of a wanted image's source."""
    if image.gallery_image_id is not None:
        shared = {"tenantId": image.gallery_tenant_id or tenant_id or "", "resourceId": image.gallery_image_id}
        return object_text({"sourceType": value_text("sharedImageGallery"), "sharedImage": value_text(shared)})
    disks = [
        value_text({"lunNumber": disk.lun, "uri": disk.vhd_url})
        for disk in sorted(image.data_disks, key=lambda disk: disk.lun)
    ]
    return object_text(
        {
            "sourceType": value_text("sasUri"),
            "osDisk": value_text({"uri": image.os_vhd_url}),
            "dataDisks": array_text(disks),
        }
    )


def _data_disk(index: int, item: Node) -> Disk:
    lun, uri = item.get("lunNumber"), item.get("uri")
    place = str(lun.value) if lun is not None and lun.kind in {"number", "string"} else f"#{index}"
    url = string_of(uri)
    return Disk(place, url or "", uri if url is not None else None)


def _in_order(disks: Iterable[Disk]) -> tuple[Disk, ...]:
    return tuple(sorted(disks, key=lambda disk: disk.rank))
