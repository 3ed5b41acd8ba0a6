"""`CreateOfferAndPublish` sends an offer as its author wrote it, and replaces one only when asked to."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from tests.desk import Desk

POLLING = {"min_interval": "PT20M", "max_interval": "PT30M"}


def peculiar_offer(desk: Desk) -> str:
    """Return an offer as no program writes it, with unusual numbers, members, escapes and spaces."""
    text = json.dumps(desk.document("4.2.0"), indent=3)
    unusual = '"zz-unknown" : [1.50e+02, 0.10, 12345678901234567890, -0.0, 1E5, "\\u00e9 \u00fc &", null ]'
    member = desk.per_api('"definition": {', '"categories": {')
    assert member in text
    return text.replace(member, f"{unusual},\n   {member}", 1)


def creation(desk: Desk, document: str, more: str) -> RawValue:
    """Return an input that holds the text of the offer unchanged."""
    member = desk.per_api("offer", "configure")
    publisher = desk.per_api("", f'"publisher_id": "{desk.publisher}", ')
    text = f'{{ {more}, {publisher}"{member}" : {document} }}'
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=text.encode()))


@asynccontextmanager
async def writes(desk: Desk) -> AsyncIterator[list[bytes]]:
    """Collect the bodies of the requests that write to the draft, as they leave the worker."""
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
async def test_an_offer_is_sent_byte_for_byte_and_published_to_its_preview(desk: Desk, if_exists: str) -> None:
    offer = peculiar_offer(desk)
    start = creation(desk, offer, f'"if_exists": "{if_exists}", "polling": {json.dumps(POLLING)}')

    async with writes(desk) as sent:
        result = await desk.run("CreateOfferAndPublish", start)

    assert result.outcome == "preview"
    assert [str(image) for image in result.images] == ["webstack-lts 4.2.0"]
    assert sent == [offer.encode()]
    assert await desk.effects("publish") == 1


@pytest.mark.only("cloud-partner", "only there does an update send the whole offer")
async def test_an_update_keeps_the_spelling_of_everything_that_it_does_not_change(desk: Desk) -> None:
    await desk.switch(normalize_documents=False)
    await desk.run("CreateOfferAndPublish", creation(desk, peculiar_offer(desk), '"if_exists": "fail"'))

    async with writes(desk) as sent:
        await desk.run("UpdateOfferAndPublish", desk.images("4.2.1", polling=POLLING))

    [body] = sent
    assert b"1.50e+02" in body
    assert b"0.10" in body
    assert b"12345678901234567890" in body
    assert b"-0.0" in body
    assert b"&sig=" in body
    assert json.loads(body)["zz-unknown"][5] == "é ü &"


async def test_replace_replaces_a_draft_even_while_it_is_being_published(desk: Desk) -> None:
    await desk.preview("4.2.0")
    # With the Product Ingestion API, the replacement may not leave out a version that was published meanwhile.
    await desk.stranger(*desk.per_api(["edit", "publish"], ["publish"]))
    result = await desk.run(
        "CreateOfferAndPublish", desk.create("4.2.0", "4.2.7", if_exists="replace", polling=POLLING)
    )

    assert result.outcome == "preview"
    assert await desk.versions("Preview") == ["4.2.0", "4.2.7"]
    assert await desk.effects("publish") == 2


@pytest.mark.parametrize(
    "action", [{"kind": "drop", "when": "after"}, {"kind": "respond_after", "status": 500}], ids=["dropped", "500"]
)
@pytest.mark.parametrize("call", ["put_offer", "publish"])
async def test_a_run_recognises_its_own_creation_after_the_answer_was_lost(
    desk: Desk, call: str, action: dict[str, object]
) -> None:
    await desk.fault(call, action)
    result = await desk.run("CreateOfferAndPublish", desk.create("4.2.0", polling=POLLING))

    assert result.outcome == "preview"
    assert await desk.effects("put_offer") == 1
    assert await desk.effects("publish") == 1


@pytest.mark.only("cloud-partner", "the other API has no request that only creates")
async def test_an_offer_that_another_client_creates_at_the_same_moment_is_not_overwritten(desk: Desk) -> None:
    async def another_client_creates_it(request: httpx.Request) -> None:
        if desk.api.writes(request):
            desk.http.event_hooks = {}
            await desk.put("1.0.0")

    desk.http.event_hooks = {"request": [another_client_creates_it]}
    error = await desk.failure("CreateOfferAndPublish", desk.create("4.2.0"))

    assert error.type == "OfferExists"
    assert await desk.versions("Draft") == ["1.0.0"]
    assert await desk.effects("publish") == 0
