"""The disks that a whole offer document names: signed before it is sent, and checked.

Of every disk in every image map that the module `plans` finds; what is no http(s) URL is left to the service.

A published version cannot be edited, not even its URLs. Which versions are published the document does not
tell, so an image counts as settled once the stored draft holds it with the same disks: it is not signed anew,
and what is wrong with it is a warning, because published versions keep a SAS that expired long ago.
"""

import json
from collections.abc import Callable, Hashable
from datetime import datetime

from marketplace import sas
from marketplace.cloud_partner.image_rules import named
from marketplace.cloud_partner.plans import Entry, identity, read
from marketplace.disks import addressed, sas_problems
from marketplace.errors import RuleBroken
from marketplace.json_text import Splice, apply, set_value
from marketplace.wording import MAX_NAME, bounded, one_line

NO_OFFER = "{}"
"""The stored draft of an offer that does not exist yet."""


def with_signed_disks(document: str, sign: Callable[[str], str | None], *, stored: str = NO_OFFER) -> str:
    """Give the disks without a SAS one; everything else comes back byte for byte.

    A disk of an image that the stored draft holds with the same disks gets its URL as it is written there,
    even where that has no SAS or an expired one; any other gets what ``sign`` makes of it. A URL with a query
    stays, so a document signed twice is signed once.

    Args:
        document: The offer as it was given.
        sign: Returns a URL with a SAS, ``None`` where it cannot sign.
        stored: The draft that will be replaced.

    Raises:
        ValueError: A document is not JSON, or not an object.
    """
    settled = _settled(stored)
    splices: list[Splice] = []
    for entry in read(document).entries():
        there = settled.get(_key(entry))
        texts = {identity(disk): disk.node.text for disk in there.disks if disk.node} if there else {}
        for disk in addressed(entry.disks):
            if disk.node is None or not sas.unsigned(disk.url):
                continue
            if there:
                splices.append(set_value(disk.node, texts[identity(disk)]))
            elif signed := sign(disk.url):
                splices.append(set_value(disk.node, json.dumps(signed)))
    return apply(document, splices)


def check_disks(document: str, now: datetime, *, stored: str = NO_OFFER) -> list[str]:
    """Refuse disks that the service could not read, but for those of images that the stored draft holds alike.

    Args:
        document: The offer as it will be sent.
        now: The present time, with a time zone.
        stored: The draft that will be replaced.

    Returns:
        Sentences for a person, each naming plan and version, at most 21.

    Raises:
        RuleBroken: A disk has no SAS, or one that does not work.
        ValueError: A document is not JSON, or not an object.
    """
    settled = _settled(stored)
    errors: list[str] = []
    warnings: list[str] = []
    for entry in read(document).entries():
        name, disks = named(entry.held), addressed(entry.disks)
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


def _settled(stored: str) -> dict[Hashable, Entry]:
    return {_key(entry): entry for entry in read(stored).entries()}


def _key(entry: Entry) -> Hashable:
    held = entry.held
    return held.plan_id, held.version, held.generation, *held.disks
