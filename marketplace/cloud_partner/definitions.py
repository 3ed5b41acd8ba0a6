"""The disks in a whole offer document, which are signed and checked before the document is sent.

A published version cannot be edited, not even its URLs. The document does not say which versions are published.
Therefore an image counts as settled once the stored draft holds it with the same disks. Settled images are not signed
again. A problem with their SAS is only a warning, because published versions keep a SAS that expired long ago.
"""

import json
from collections.abc import Callable, Hashable
from datetime import datetime

from marketplace import sas
from marketplace.cloud_partner.image_rules import named
from marketplace.cloud_partner.plans import ImageEntry, read
from marketplace.disks import sas_problems, with_http_url
from marketplace.errors import RuleBroken
from marketplace.json_text import Splice, apply, set_value
from marketplace.wording import MAX_NAME, bounded, one_line

NO_OFFER = "{}"
"""The stored draft of an offer that does not exist yet."""


def with_signed_disks(document: str, sign: Callable[[str], str | None], *, stored: str = NO_OFFER) -> str:
    """Add a SAS to the disks that have none. The rest of the document stays as it is, byte for byte.

    A disk of a settled image gets the URL of the stored draft, even if that URL has no SAS or an expired one. Any
    other disk gets the URL that ``sign`` returns. A URL with a query is kept, so signing twice changes nothing.

    Args:
        document: The offer from the input.
        sign: Returns a URL with a SAS, ``None`` where it cannot sign.
        stored: The draft that will be replaced.

    Raises:
        ValueError: A document is not JSON, or not an object.
    """
    settled = _settled(stored)
    splices: list[Splice] = []
    for entry in read(document).entries():
        there = settled.get(_key(entry))
        texts = {disk.without_sas: disk.node.text for disk in there.disks if disk.node} if there else {}
        for disk in with_http_url(entry.disks):
            if disk.node is None or not sas.unsigned(disk.url):
                continue
            if there:
                splices.append(set_value(disk.node, texts[disk.without_sas]))
            elif signed := sign(disk.url):
                splices.append(set_value(disk.node, json.dumps(signed)))
    return apply(document, splices)


def check_disks(document: str, now: datetime, *, stored: str = NO_OFFER) -> list[str]:
    """Refuse disks that the service could not read, except those of settled images.

    Args:
        document: The offer as it will be sent.
        now: The present time, with a time zone.
        stored: The draft that will be replaced.

    Returns:
        Warnings for a person, at most 21. Each names plan and version.

    Raises:
        RuleBroken: A disk has no SAS, or one that does not work.
        ValueError: A document is not JSON, or not an object.
    """
    settled = _settled(stored)
    errors: list[str] = []
    warnings: list[str] = []
    for entry in read(document).entries():
        name, disks = named(entry.held), with_http_url(entry.disks)
        if _key(entry) not in settled:
            found = sas_problems(name, disks, now)
            errors += found.errors
        else:
            found = sas_problems(name, [disk for disk in disks if not sas.unsigned(disk.url)], now)
            warnings += found.errors
            warnings += [
                f"{one_line(name, 2 * MAX_NAME)}: the URL of {one_line(disk.title, MAX_NAME)} stays "
                "without a SAS, as the draft has it."
                for disk in disks
                if sas.unsigned(disk.url)
            ]
        warnings += found.warnings
    RuleBroken.raise_for(errors)
    return bounded(warnings)


def _settled(stored: str) -> dict[Hashable, ImageEntry]:
    return {_key(entry): entry for entry in read(stored).entries()}


def _key(entry: ImageEntry) -> Hashable:
    held = entry.held
    return held.plan_id, held.version, held.generation, *held.disks
