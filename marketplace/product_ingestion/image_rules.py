"""The marketplace's rules for new image versions, checked before anything is sent.

Each rule is a function that raises an error with one sentence for each violation, or returns such sentences.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from marketplace import sas
from marketplace.disks import no_better_sas, sas_problems
from marketplace.errors import RuleBroken, VersionTaken
from marketplace.model import Image, ImageVersion, Slot
from marketplace.product_ingestion.configurations import Configuration, VersionEntry, named
from marketplace.product_ingestion.sources import Source
from marketplace.product_ingestion.wanted_images import WantedImage
from marketplace.versions import SortKey, sort_key
from marketplace.wording import MAX_NAME, one_line

MAX_LUN = 15
MAX_VERSION_LENGTH = 32


def members_refused(images: Iterable[Image]) -> list[str]:
    """Return a sentence for each member of an image with a value that this API cannot hold."""
    broken: list[str] = []
    for image in images:
        if len(image.version) > MAX_VERSION_LENGTH:
            broken.append(
                f"images.version: {image.version} is longer than {MAX_VERSION_LENGTH} characters. Shorten it."
            )
        broken += [
            f"images.data_disks.lun: {disk.lun} is above {MAX_LUN}, the greatest one allowed. Lower it."
            for disk in image.data_disks
            if disk.lun > MAX_LUN
        ]
    return broken


def refuse_taken(wanted: Sequence[WantedImage]) -> None:
    """Refuse a version that is there with another source or in another spelling.

    A published version cannot get another image type. A version that is only in the draft can.
    """
    broken: list[str] = []
    asked: dict[tuple[str, SortKey], str] = {}
    for one in wanted:
        first = asked.setdefault((one.plan.plan_id, sort_key(one.image.version)), one.image.version)
        if first != one.image.version:
            broken.append(
                f"Plan {one.plan.plan_id}: versions {first} and {one.image.version} are the same number, in two "
                "spellings; keep one of them."
            )
        for slot, held in one.plan.slots.items():
            found = objections(held, one.image.version, {one.image_type}, one.source, slot)
            found += [] if found or slot is Slot.DRAFT else _lacks_type(held, one, slot)
            if found:
                broken.append(found[0])
                break
    VersionTaken.raise_for(broken)


def objections(
    held: Configuration, number: str, image_types: Collection[str], source: Source, slot: Slot | None = None
) -> list[str]:
    """Return a sentence for each entry in a slot that rules out a wanted image.

    Args:
        held: The configuration of the image's plan in the slot.
        number: The image's version.
        image_types: The image types that the image is wanted for.
        source: The image's source.
        slot: The slot, ``None`` to leave it out of the sentences.
    """
    where = f" in the {slot}" if slot else ""
    found: list[str] = []
    for version in held.by_number.get(sort_key(number), ()):
        there = _shown(named(held.plan_id, version.number))
        if version.number != number:
            found.append(
                f"{there} is there{where}, and {number} is the same number in another spelling. Spell the version as "
                "it is there, or give the new image another one."
            )
            continue
        found += [
            f"{_shown(named(held.plan_id, version.number, image.image_type))} is there{where} with another source: "
            f"{image.source}. A version never changes its source; give the new image a new version."
            for image in version.images
            if image.image_type in image_types and not image.source.same(source)
        ]
    return found


def _lacks_type(held: Configuration, one: WantedImage, slot: Slot) -> list[str]:
    versions: list[VersionEntry] = held.by_number.get(sort_key(one.image.version), [])
    if not versions or held.image(one.image.version, one.image_type) is not None:
        return []
    there = _shown(named(held.plan_id, one.image.version))
    sentence = (
        f"{there} is in the {slot} without an image of type {one.image_type}, and published versions get no more "
        "images. Give the new image a new version."
    )
    return [sentence]


def refuse_unreadable_disks(wanted: Iterable[WantedImage], now: datetime) -> list[str]:
    """Refuse disks that the service could not read. Return warnings about the others."""
    problems = sas.Problems()
    images = {(one.plan.plan_id, one.image.version, one.image.generation): one for one in wanted}
    for one in images.values():
        found = sas_problems(_shown(one.image.image_version), one.source.disks, now)
        problems.errors.extend(found.errors)
        problems.warnings.extend(found.warnings)
    RuleBroken.raise_for(problems.errors)
    return problems.warnings


def renewals(wanted: Iterable[WantedImage], now: datetime) -> tuple[list[WantedImage], list[str]]:
    """Return the unpublished images that need a new SAS, and warnings where the given SAS is no better.

    The SAS of a published image is never touched, since its blob may be deleted.
    """
    renewed: list[WantedImage] = []
    warnings: list[str] = []
    for one in wanted:
        if one.held is None or one.published is not None or one.source.gallery:
            continue
        if all(sas.usable(disk.url, now) for disk in one.held.image.source.disks):
            continue
        if all(sas.usable(disk.url, now) for disk in one.source.disks):
            renewed.append(one)
        else:
            warnings.append(no_better_sas(one.image.image_version))
    return renewed, warnings


def deprecated(wanted: Iterable[WantedImage]) -> list[str]:
    """Return a warning for each image that is there and deprecated. Asking for it does not restore it."""
    found = ((one, one.held or one.published) for one in wanted)
    return [
        f"{one.image.image_version}: it is there, but deprecated, and stays so. Restore it in Partner Center if "
        "customers should find it."
        for one, held in found
        if held is not None and not held.entry.is_active
    ]


def _shown(version: ImageVersion) -> str:
    return one_line(str(version), 2 * MAX_NAME)
