"""The marketplace's rules for new image versions, checked before anything is sent.

Each is a function that raises, or returns, a sentence for everything that breaks it.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from marketplace import sas
from marketplace.disks import no_better_sas, sas_problems
from marketplace.errors import RuleBroken, VersionTaken
from marketplace.model import Image, ImageVersion
from marketplace.product_ingestion.configurations import Configuration, HeldVersion, named
from marketplace.product_ingestion.placements import DRAFT, Placement
from marketplace.product_ingestion.sources import Source
from marketplace.versions import SortKey, sort_key
from marketplace.wording import MAX_NAME, one_line

MAX_LUN = 15
MAX_VERSION_LENGTH = 32


def members_refused(images: Iterable[Image]) -> list[str]:
    """Say what of images no offer of this API can hold."""
    said: list[str] = []
    for image in images:
        if len(image.version) > MAX_VERSION_LENGTH:
            said.append(f"images.version: {image.version} is longer than {MAX_VERSION_LENGTH} characters.")
        said += [
            f"images.data_disks.lun: {disk.lun} is above {MAX_LUN}, the greatest that the marketplace knows."
            for disk in image.data_disks
            if disk.lun > MAX_LUN
        ]
    return said


def refuse_taken(placements: Sequence[Placement]) -> None:
    """Refuse a version that is there with another source, which it never changes, or in another spelling.

    A version that was published gets no further image type either; one that is in the draft only may.
    """
    broken: list[str] = []
    asked: dict[tuple[str, SortKey], str] = {}
    for one in placements:
        first = asked.setdefault((one.shelf.plan_id, sort_key(one.image.version)), one.image.version)
        if first != one.image.version:
            broken.append(
                f"Plan {one.shelf.plan_id}: versions {first} and {one.image.version} are the same number, in two "
                "spellings; keep one of them."
            )
        for name, held in one.shelf.slots.items():
            found = objections(held, one.image.version, {one.image_type}, one.source, name)
            found += [] if found or name == DRAFT else _lacks_type(held, one, name)
            if found:
                broken.append(found[0])
                break
    VersionTaken.raise_for(broken)


def objections(
    held: Configuration, number: str, image_types: Collection[str], source: Source, name: str | None = None
) -> list[str]:
    """Say what a slot has against an image: its version in another spelling, or with another source.

    Args:
        held: What the slot holds of the image's plan.
        number: The image's version.
        image_types: What the image is wanted as.
        source: The image's source.
        name: The slot's name.
    """
    where = f" in the {name}" if name else ""
    said: list[str] = []
    for version in held.by_number.get(sort_key(number), ()):
        there = _shown(named(held.plan_id, version.number))
        if version.number != number:
            said.append(
                f"{there} is there{where}, and {number} is the same number in another spelling. Spell the version as "
                "it is there, or give the new image another one."
            )
            continue
        said += [
            f"{_shown(named(held.plan_id, version.number, image.image_type))} is there{where} with another source: "
            f"{image.source}. A version never changes its source; give the new image a new version."
            for image in version.images
            if image.image_type in image_types and not image.source.same(source)
        ]
    return said


def _lacks_type(held: Configuration, one: Placement, name: str) -> list[str]:
    versions: list[HeldVersion] = held.by_number.get(sort_key(one.image.version), [])
    if not versions or held.held(one.image.version, one.image_type) is not None:
        return []
    there = _shown(named(held.plan_id, one.image.version))
    sentence = (
        f"{there} is in the {name} without an image of type {one.image_type}, and what was published gets no further "
        "images. Give the new image a new version."
    )
    return [sentence]


def refuse_unreadable_disks(placements: Iterable[Placement], now: datetime) -> list[str]:
    """Refuse disks that the service could not read; return sentences of what it may not like."""
    said = sas.Problems()
    images = {(one.shelf.plan_id, one.image.version, one.image.generation): one for one in placements}
    for one in images.values():
        found = sas_problems(_shown(one.image.image_version), one.source.disks, now)
        said.errors.extend(found.errors)
        said.warnings.extend(found.warnings)
    RuleBroken.raise_for(said.errors)
    return said.warnings


def renewals(placements: Iterable[Placement], now: datetime) -> tuple[list[Placement], list[str]]:
    """Find unpublished images whose SAS is of no use any more; warn where the given one is no better.

    That of a published one is never touched: its blob may be deleted.
    """
    renewed: list[Placement] = []
    warnings: list[str] = []
    for one in placements:
        if one.present is None or one.published is not None or one.source.gallery:
            continue
        if all(sas.usable(disk.url, now) for disk in one.present[1].source.disks):
            continue
        if all(sas.usable(disk.url, now) for disk in one.source.disks):
            renewed.append(one)
        else:
            warnings.append(no_better_sas(one.image.image_version))
    return renewed, warnings


def deprecated(placements: Iterable[Placement]) -> list[str]:
    """Say which images are there and deprecated: being asked for does not bring them back to customers."""
    found = ((one, one.present or one.published) for one in placements)
    return [
        f"{one.image.image_version}: it is there, but deprecated, and stays so. Restore it in Partner Center if "
        "customers should find it."
        for one, held in found
        if held is not None and not held[0].is_active
    ]


def _shown(version: ImageVersion) -> str:
    return one_line(str(version), 2 * MAX_NAME)
