"""Disks of images, as both APIs describe them: a place in the image, and an address with a SAS."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeVar

from marketplace import sas
from marketplace.json_text import Node
from marketplace.model import Image, ImageVersion
from marketplace.wording import MAX_NAME, one_line

OS = "os"
"""The place of the operating system's disk."""


class DiskAddress(NamedTuple):
    """A disk without its SAS. Two of them are equal where they name the same disk in the same place.

    Attributes:
        place: See `Disk`.
        address: The URL without its SAS; see `marketplace.sas.address`.
    """

    place: str
    address: str

    def __str__(self) -> str:
        """Describe the disk for a person."""
        return f"{_title(self.place)} {self.address}"


@dataclass(frozen=True)
class Disk:
    """A disk of an image version.

    Attributes:
        place: ``"os"``, or the logical unit number of a data disk. If the document gives no number, the position
            among the data disks stands for it.
        url: The address with its SAS. Empty where the document has none.
        node: The JSON string that ``url`` was read from.
    """

    place: str
    url: str = field(repr=False)
    node: Node | None = None

    @property
    def title(self) -> str:
        """The disk as a person calls it."""
        return _title(self.place)

    @property
    def rank(self) -> tuple[bool, int, str]:
        """The sort key: the OS disk first, data disks by number."""
        return self.place != OS, len(self.place), self.place

    @property
    def without_sas(self) -> DiskAddress:
        """The disk without its SAS."""
        return DiskAddress(self.place, sas.address(self.url))


AnyDisk = TypeVar("AnyDisk", bound=Disk)


def given_disks(image: Image) -> list[Disk]:
    """Return the disks of an image from an input."""
    return [Disk(OS, image.os_vhd_url or ""), *(Disk(str(disk.lun), disk.vhd_url) for disk in image.data_disks)]


def addresses(disks: Iterable[Disk]) -> list[DiskAddress]:
    """Return disks without their SAS: the OS disk first, data disks by number."""
    found = sorted((disk.rank, disk.without_sas) for disk in disks)
    return [each for _, each in found]


def with_http_url(disks: Iterable[AnyDisk]) -> list[AnyDisk]:
    """Return the disks that have an http(s) URL. The service judges any other value."""
    return [disk for disk in disks if disk.url.lower().startswith(("https://", "http://"))]


def signed(image: Image, sign: Callable[[str], str | None]) -> Image:
    """Return an image with a SAS for each disk that needs one.

    Args:
        image: The image.
        sign: Returns a URL with a SAS, ``None`` where it cannot sign.
    """
    disks = [disk.model_copy(update={"vhd_url": sign(disk.vhd_url) or disk.vhd_url}) for disk in image.data_disks]
    given = image.os_vhd_url
    return image.model_copy(update={"os_vhd_url": given and (sign(given) or given), "data_disks": disks})


def sas_problems(image: str, disks: Iterable[Disk], now: datetime) -> sas.Problems:
    """Return what is wrong with the SAS of an image's disks. A missing SAS is an error.

    Args:
        image: The image, as a person is shown it.
        disks: Its disks.
        now: The present time, with a time zone.
    """
    problems = sas.Problems()
    for disk in disks:
        title = one_line(disk.title, MAX_NAME)
        if sas.unsigned(disk.url):
            account = one_line(sas.account(disk.url), MAX_NAME)
            problems.errors.append(
                f"{image}: the URL of {title} has no SAS, and the worker has no key of the storage account "
                f"{account} to make one. Add a SAS to the URL, or set AZURE_STORAGE_ACCOUNT_KEYS={account}=<key> "
                "for the worker."
            )
        found = sas.problems(disk.url, now)
        problems.errors.extend(f"{image}: the SAS of {title}: {problem}." for problem in found.errors)
        problems.warnings.extend(f"{image}: the SAS of {title}: {problem}." for problem in found.warnings)
    return problems


def no_better_sas(image: ImageVersion) -> str:
    """Return the warning for an image whose SAS should be renewed when the given SAS is no better."""
    return (
        f"{image}: its SAS in the draft does not work or expires within three weeks, and the one given is no better. "
        "The service may fail to copy the disks. Give a SAS that is valid for longer."
    )


def _title(place: str) -> str:
    return "the OS disk" if place == OS else f"the data disk at lun {place}"
