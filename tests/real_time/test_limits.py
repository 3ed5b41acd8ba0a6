"""The limits of a Temporal server, and inputs that come close to them or exceed them."""

from typing import Any

import pytest
from temporalio.service import RPCError

from tests.desk import Desk, vhd

QUICK: dict[str, Any] = {"polling": {"min_interval": 0.1, "max_interval": 0.2}, "deadline": 60}


async def test_a_workflow_id_that_is_too_long_for_sql_databases_is_refused(real_desk: Desk) -> None:
    start = real_desk.create("4.2.0", **QUICK)
    error = await real_desk.failure("CreateOfferAndPublish", start, workflow_id="x" * 201)
    assert error.type == "InvalidInput"
    assert "201 bytes, 200 are allowed" in error.message
    result = await real_desk.run("CreateOfferAndPublish", start, workflow_id=f"{real_desk.publisher:x<200}")
    assert result.outcome == "preview"


async def test_thirty_images_with_the_longest_names_fit_into_the_search_attribute(real_desk: Desk) -> None:
    images = [
        {"plan_id": "p" * 50, "version": f"{10**17 + number}.{10**17}.{10**17}", "os_vhd_url": vhd("a")}
        for number in range(30)
    ]
    error = await real_desk.failure("UpdateOfferAndPublish", real_desk.images() | {"images": images})
    assert error.type == "OfferNotFound"


async def test_the_largest_offer_reaches_the_marketplace(real_desk: Desk) -> None:
    document = real_desk.document("4.2.0")
    # JSON escapes each quote with a backslash, and the activity's input escapes both once more.
    document["definition"]["quotes"] = '"' * ((1_000_000 - len(str(document))) // 2 - 1000)
    result = await real_desk.run("CreateOfferAndPublish", real_desk.create(document=document, **QUICK))
    assert result.outcome == "preview"
    document["definition"]["quotes"] *= 2
    error = await real_desk.failure("CreateOfferAndPublish", real_desk.create(document=document))
    assert (error.type, "1,000,000 are allowed" in error.message) == ("InvalidInput", True)


async def test_temporal_refuses_an_input_of_more_than_two_mebibytes(real_desk: Desk) -> None:
    with pytest.raises(RPCError, match="Blob data size exceeds limit"):
        await real_desk.start("UpdateOfferAndPublish", "x" * 2_200_000)
