"""The disks of images, as both APIs name them: an address with a SAS, and a place in the image."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from marketplace import sas
from marketplace.json_text import Node
from marketplace.model import Image, ImageVersion
from marketplace.wording import MAX_NAME, one_line

OS = "os"
"""The place of the operating system's disk."""


@dataclass(frozen=True)
class Disk:
    """A disk of an image version.

    Attributes:
        place: ``"os"``, or a data disk's logical unit number; of one without a number its index.
        url: Where it is, with its SAS; empty where the document does not say.
        node: The string that ``url`` was read from.
    """

    place: str
    url: str = field(repr=False)
    node: Node | None = None

    @property
    def title(self) -> str:
        """What a person calls the disk."""
        return "the OS disk" if self.place == OS else f"the data disk at lun {self.place}"

    @property
    def rank(self) -> tuple[bool, int, str]:
        """What it is sorted by: the disk of the system comes first, the others by number."""
        return self.place != OS, len(self.place), self.place


AnyDisk = TypeVar("AnyDisk", bound=Disk)


def given_disks(image: Image) -> list[Disk]:
    """Return the disks of an image that somebody asks for."""
    return [Disk(OS, image.os_vhd_url or ""), *(Disk(str(disk.lun), disk.vhd_url) for disk in image.data_disks)]


def addressed(disks: Iterable[AnyDisk]) -> list[AnyDisk]:
    """Return the disks that have an http(s) URL; what else is in the place of one is left to the service."""
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
    """Say what is wrong with the SAS of an image's disks; that there is none is an error.

    Args:
        image: The image, as a person is shown it.
        disks: Its disks.
        now: The present time, with a time zone.
    """
    said = sas.Problems()
    for disk in disks:
        title = one_line(disk.title, MAX_NAME)
        if sas.unsigned(disk.url):
            account = one_line(sas.account(disk.url), MAX_NAME)
            said.errors.append(
                f"{image}: the URL of {title} has no SAS, and the worker has no key of the storage account "
                f"{account} to make one. Add a SAS to the URL, or set AZURE_STORAGE_ACCOUNT_KEYS={account}=<key> "
                "for the worker."
            )
        found = sas.problems(disk.url, now)
        said.errors.extend(f"{image}: the SAS of {title}: {problem}." for problem in found.errors)
        said.warnings.extend(f"{image}: the SAS of {title}: {problem}." for problem in found.warnings)
    return said


def no_better(image: ImageVersion) -> str:
    """Say that the draft has an image with a SAS of no use, and that the one given is of none either."""
    return (
        f"{image}: it is in the draft with a SAS that does not work, or not for three weeks more, and the one given "
        "is no better; the service may fail to copy the disks."
    )
