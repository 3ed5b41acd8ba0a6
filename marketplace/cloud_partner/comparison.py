"""Comparison of a stored offer document with the document that was sent.

A connection may break while a document is being put. Whether the service stored it shows only in the stored document.
The stored document is never quite the one that was sent. The API's documentation names the members that the service
adds, drops and rewrites.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from marketplace import sas
from marketplace.cloud_partner.plans import is_image_map
from marketplace.json_text import Number, parse

_SERVER_OWNED = frozenset({"eTag", "version", "status", "changedTime", "offerTypeVersions"})
"""Members of the offer itself. Deeper inside, the same names mean something else."""

_DROPPED = "windowsOSType"
_SECRETIVE = "LeadConfiguration"
_URL = re.compile(r"https?://", re.IGNORECASE)


def says_the_same(wanted: str, stored: str) -> bool:
    """Return whether ``stored`` has the content of ``wanted``, apart from what the service changes.

    Every member of ``wanted`` must be in ``stored`` with an equal value, with these exceptions:

    * The offer's own ``eTag``, ``version``, ``status``, ``changedTime`` and ``offerTypeVersions`` are ignored.
    * ``windowsOSType`` is ignored, because the service drops it.
    * A ``null`` may be absent in ``stored``.
    * ``stored`` may have more members. It may not have more image versions, plans or other items of an array.
    * Credentials in the configuration of sales leads may be missing, because reads leave secrets out.
    * Numbers are compared by value, and disks by their address without SAS.
    * Any other http(s) URL may differ, because the service copies logos and the like to its own storage.

    Return ``False`` for text that is not JSON or is nested too deeply.
    """
    try:
        ours, theirs = parse(wanted).value, parse(stored).value
        if isinstance(ours, dict) and isinstance(theirs, dict):
            ours = {key: value for key, value in ours.items() if key not in _SERVER_OWNED}
        return _same(ours, theirs, disks=False)
    except (ValueError, RecursionError):
        return False


def _same(ours: Any, theirs: Any, *, disks: bool) -> bool:
    if isinstance(ours, dict):
        return isinstance(theirs, dict) and _same_members(ours, theirs, disks=disks)
    if isinstance(ours, list):
        return isinstance(theirs, list) and _same_items(ours, theirs, disks=disks)
    if isinstance(ours, Number) or isinstance(theirs, Number):
        return isinstance(ours, Number) and isinstance(theirs, Number) and _same_number(ours, theirs)
    if isinstance(ours, str) and isinstance(theirs, str) and _URL.match(ours) and _URL.match(theirs):
        return not disks or sas.address(ours) == sas.address(theirs)
    return type(ours) is type(theirs) and bool(ours == theirs)


def _same_members(ours: Mapping[str, Any], theirs: Mapping[str, Any], *, disks: bool) -> bool:
    for key, value in ours.items():
        if key.rsplit(".", 1)[-1] == _DROPPED:
            continue
        if is_image_map(key) and not disks:
            if not _same_images(value, theirs.get(key)):
                return False
        elif key.endswith(_SECRETIVE) and isinstance(value, dict) and isinstance(theirs.get(key), dict):
            known = {name: each for name, each in value.items() if name in theirs[key]}
            if not _same(known, theirs[key], disks=disks):
                return False
        elif value is None and key not in theirs:
            continue
        elif key not in theirs or not _same(value, theirs[key], disks=disks):
            return False
    return True


def _same_images(ours: Any, theirs: Any) -> bool:
    """Compare image maps. A version that only the stored map has was written by somebody else."""
    ours, theirs = ({} if one is None else one for one in (ours, theirs))
    if isinstance(ours, dict) and isinstance(theirs, dict) and set(ours) != set(theirs):
        return False
    return _same(ours, theirs, disks=True)


def _same_items(ours: Sequence[Any], theirs: Sequence[Any], *, disks: bool) -> bool:
    return len(ours) == len(theirs) and all(
        _same(one, other, disks=disks) for one, other in zip(ours, theirs, strict=True)
    )


def _same_number(ours: Number, theirs: Number) -> bool:
    if str(ours) == str(theirs):
        return True
    try:
        return Decimal(ours) == Decimal(theirs)
    except InvalidOperation:  # the exponent is out of range
        return False
