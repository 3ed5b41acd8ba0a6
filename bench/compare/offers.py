"""The offer document that all contestants put."""

import json
from functools import lru_cache
from pathlib import Path

IMAGE = "4.2.1"
PLAN = "webstack-lts"
VHD = "https://fabrikamimages.blob.core.windows.net/vhds/webstack-{}.vhd"
_NAME = "the-offer's-name"


def document(offer_id: str, *, new: bool) -> str:
    """Return the document of an offer, with or without the new image."""
    return _template(new=new).replace(_NAME, offer_id)


@lru_cache
def _template(*, new: bool) -> str:
    example = Path(__file__).parents[2] / "examples" / "create.json"
    offer = json.loads(example.read_text())["offer"]
    offer["id"] = _NAME
    versions = offer["definition"]["plans"][0]["microsoft-azure-virtualmachines.vmImages"]
    if new:
        versions[IMAGE] = {"osVhdUrl": VHD.format(IMAGE), "lunVhdDetails": []}
    return json.dumps(offer)
