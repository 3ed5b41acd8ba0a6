"""The search attributes by which runs are found; the worker registers exactly these."""

from collections.abc import Sequence

from temporalio.common import SearchAttributeKey

PUBLISHER_ID = SearchAttributeKey.for_keyword("PublisherId")
OFFER_ID = SearchAttributeKey.for_keyword("OfferId")
PUBLISH_STAGE = SearchAttributeKey.for_keyword("PublishStage")
IMAGE_VERSIONS = SearchAttributeKey.for_keyword_list("ImageVersions")
"""One ``plan/version`` an image, at most `MAX_IMAGE_VERSIONS`, and as many as `MAX_BYTES` hold."""

ALL: list[SearchAttributeKey[str] | SearchAttributeKey[Sequence[str]]] = [
    PUBLISHER_ID,
    OFFER_ID,
    PUBLISH_STAGE,
    IMAGE_VERSIONS,
]

MAX_IMAGE_VERSIONS = 30
"""Keyword lists are indexed whole; more would bloat the index of a small server."""

MAX_BYTES = 2000
"""Of one search attribute, as JSON. Temporal ends a run that sets one of more than 2,048."""
