"""The search attributes of runs. The worker registers exactly these."""

import json
from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair

with workflow.unsafe.imports_passed_through():
    from marketplace.model import ImageVersion, OfferKey
    from marketplace.wording import one_line
    from workflows.messages import PublishStage

PUBLISHER_ID = SearchAttributeKey.for_keyword("PublisherId")
OFFER_ID = SearchAttributeKey.for_keyword("OfferId")
PUBLISH_STAGE = SearchAttributeKey.for_keyword("PublishStage")
IMAGE_VERSIONS = SearchAttributeKey.for_keyword_list("ImageVersions")
"""``plan/version`` of each image: at most `MAX_IMAGE_VERSIONS`, and no more than fit into `MAX_BYTES`."""

ALL: list[SearchAttributeKey[str] | SearchAttributeKey[Sequence[str]]] = [
    PUBLISHER_ID,
    OFFER_ID,
    PUBLISH_STAGE,
    IMAGE_VERSIONS,
]

MAX_IMAGE_VERSIONS = 30
"""Keyword lists are indexed whole. A longer list would bloat the index of a small server."""

MAX_BYTES = 2000
"""Bytes of one search attribute, as JSON. Temporal fails a run that sets more than 2,048."""


def of(offer: OfferKey, stage: PublishStage, images: Sequence[ImageVersion] = ()) -> list[SearchAttributePair[Any]]:
    """Return the search attributes of a run on these images."""
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(PUBLISHER_ID, offer.publisher_id),
        SearchAttributePair(OFFER_ID, offer.offer_id),
        SearchAttributePair(PUBLISH_STAGE, str(stage)),
    ]
    return [*pairs, SearchAttributePair(IMAGE_VERSIONS, versions_of(images))] if images else pairs


def versions_of(images: Sequence[ImageVersion]) -> list[str]:
    """Return the value of `IMAGE_VERSIONS`."""
    shown = images[:MAX_IMAGE_VERSIONS]
    fitting: list[str] = []
    room = MAX_BYTES
    for version in dict.fromkeys(one_line(f"{image.plan_id}/{image.version}", 200) for image in shown):
        room -= len(json.dumps(version)) + 1
        if room > 0:
            fitting.append(version)
    return fitting
