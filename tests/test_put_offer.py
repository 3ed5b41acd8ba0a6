"""A whole offer arrives as its author wrote it, and replaces nothing unasked."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from tests.desk import Desk

POLLING = {"min_interval": "PT20M", "max_interval": "PT30M"}


def peculiar(desk: Desk) -> str:
    """Write an offer as no program would: numbers, members, order, escapes and spaces of its author's own."""
    text = json.dumps(desk.document("4.2.0"), indent=3)
    place = desk.per_api('"definition": {', '"categories": {')
    return text.replace(
        place,
        f'"zz-unknown" : [1.50e+02, 0.10, 12345678901234567890, -0.0, 1E5, "\\u00e9 \u00fc &", null ],\n   {place}',
        1,
    )


def creation(desk: Desk, document: str, more: str) -> RawValue:
    """Write an input, the offer in it to the letter."""
    member = desk.per_api("offer", "configure")
    publisher = desk.per_api("", f'"publisher_id": "{desk.publisher}", ')
    text = f'{{ {more}, {publisher}"{member}" : {document} }}'
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=text.encode()))


@asynccontextmanager
async def writes(desk: Desk) -> AsyncIterator[list[bytes]]:
    """Collect the bodies of requests that write to a draft as they leave the worker."""
    sent: list[bytes] = []

    async def keep(request: httpx.Request) -> None:
        if desk.api.writes(request) and b"/submission/" not in request.content:
            sent.append(request.content)

    desk.http.event_hooks = {"request": [keep]}
    try:
        yield sent
    finally:
        desk.http.event_hooks = {}


@pytest.mark.parametrize("if_exists", ["fail", "replace"])
async def test_an_offer_arrives_to_the_byte(desk: Desk, if_exists: str) -> None:
    offer = peculiar(desk)
    start = creation(desk, offer, f'"if_exists": "{if_exists}", "polling": {json.dumps(POLLING)}')

    async with writes(desk) as sent:
        result = await desk.run("CreateOfferAndPublish", start)

    assert result.outcome == "preview"
    assert sent == [offer.encode()]


@pytest.mark.only("cloud-partner", "there an update sends the whole offer; the other API's is played with its client")
async def test_an_update_keeps_the_spelling_of_all_that_it_does_not_change(desk: Desk) -> None:
    await desk.switch(normalize_documents=False)
    await desk.run("CreateOfferAndPublish", creation(desk, peculiar(desk), '"if_exists": "fail"'))

    async with writes(desk) as sent:
        await desk.run("UpdateOfferAndPublish", desk.images("4.2.1", polling=POLLING))

    [body] = sent
    assert b"1.50e+02" in body
    assert b"0.10" in body
    assert b"12345678901234567890" in body
    assert b"-0.0" in body
    assert b"&sig=" in body
    assert json.loads(body)["zz-unknown"][5] == "é ü &"


async def test_a_draft_is_replaced_when_that_is_asked_for_even_while_it_is_being_published(desk: Desk) -> None:
    await desk.preview("4.2.0")
    # What has been published by then must not be left out where a version can only be deprecated.
    await desk.stranger(*desk.per_api(["edit", "publish"], ["publish"]))
    result = await desk.run(
        "CreateOfferAndPublish", desk.create("4.2.0", "4.2.7", if_exists="replace", polling=POLLING)
    )

    assert result.outcome == "preview"
    assert await desk.versions("Preview") == ["4.2.0", "4.2.7"]
    assert await desk.effects("publish") == 2


@pytest.mark.parametrize("action", [{"kind": "drop", "when": "after"}, {"kind": "respond_after", "status": 500}])
@pytest.mark.parametrize("call", ["put_offer", "publish"])
async def test_a_creation_whose_answer_is_lost_is_recognised_as_ours(
    desk: Desk, call: str, action: dict[str, object]
) -> None:
    await desk.fault(call, action)
    result = await desk.run("CreateOfferAndPublish", desk.create("4.2.0", polling=POLLING))

    assert result.outcome == "preview"
    assert await desk.effects("put_offer") == 1
    assert await desk.effects("publish") == 1


@pytest.mark.only("cloud-partner", "the other API has no request that only creates")
async def test_an_offer_that_somebody_else_creates_at_the_same_moment_is_not_overwritten(desk: Desk) -> None:
    async def create_first(request: httpx.Request) -> None:
        if desk.api.writes(request):
            desk.http.event_hooks = {}
            await desk.put("1.0.0")

    desk.http.event_hooks = {"request": [create_first]}
    error = await desk.failure("CreateOfferAndPublish", desk.create("4.2.0"))

    assert error.type == "OfferExists"
    assert await desk.versions("Draft") == ["1.0.0"]
    assert await desk.effects("publish") == 0
