"""Both implementations of `marketplace.protocol` keep its promises, against the sandbox."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from marketplace import errors
from marketplace.model import (
    Change,
    Image,
    OfferDefinition,
    OfferKey,
    OperationKind,
    OperationReport,
    OperationState,
    Scope,
    Slot,
    WhenFull,
)
from marketplace.protocol import Attempt, Contents, PutOutcome
from sandbox import ManualClock, SandboxMarketplace, serve
from tests.apis.api import Api
from tests.desk import OFFER, PLAN, STEPS, Shop, numbers, vhd

PUBLISHER = "fabrikam-linux"
SECONDS = 60.0


class Stand(Shop):
    """A publisher with a marketplace client and a manual clock."""

    def __init__(self, api: Api, http: httpx.AsyncClient, sandbox_url: str, clock: ManualClock) -> None:
        super().__init__(api, http, sandbox_url, PUBLISHER)
        self.clock = clock
        self.marketplace = api.marketplace(http, sandbox_url)
        self.offer = OfferKey(publisher_id=PUBLISHER, offer_id=OFFER)
        self.noted: list[str] = []

    async def let_publish(self) -> None:
        """Advance the clock until an operation has ended."""
        self.clock.advance(len(STEPS) * SECONDS)

    def attempt(self, **members: Any) -> Attempt:
        """Return an attempt that records the names of accepted requests."""
        return Attempt(accepted=self.noted.append, **members)

    async def put_by_client(self, *versions: str, **members: Any) -> PutOutcome | None:
        """Put a whole offer."""
        definition = OfferDefinition(
            member=self.per_api("offer", "configure"), text=json.dumps(self.document(*versions))
        )
        given: dict[str, Any] = {"replace": False, "sole_writer": True, "attempt": self.attempt()} | members
        return await self.marketplace.put_offer(self.offer, definition, **given)

    async def slots(self) -> dict[str, Contents | None]:
        """Read preview and Production."""
        return {
            "preview": await self.marketplace.read_slot(self.offer, Slot.PREVIEW),
            "production": await self.marketplace.read_slot(self.offer, Slot.PRODUCTION),
        }

    async def publish_by_client(self, change: Change | None = None) -> str:
        """Publish the draft and return the operation's ID."""
        return await self.begun(
            await self.marketplace.publish(self.offer, change or Change(), [], attempt=self.attempt())
        )

    async def go_live_by_client(self, publish_id: str) -> str:
        """Promote a preview and return the operation's ID."""
        return await self.begun(await self.marketplace.go_live(self.offer, publish_id, attempt=self.attempt()))

    async def begun(self, named: str | None) -> str:
        """Return the ID of an operation that was started. If the answer does not name it, take it from the list."""
        return named or (await self.marketplace.operations(self.offer))[0].id

    async def look(self, operation_id: str, kind: OperationKind | None = None) -> OperationReport:
        """Look at an operation."""
        return await self.marketplace.look(self.offer, operation_id, kind)

    async def published(self) -> str:
        """Publish the draft, let it reach the preview, and return the publish's ID."""
        operation_id = await self.publish_by_client()
        await self.let_publish()
        return (await self.look(operation_id, OperationKind.PUBLISH)).operation_id


@pytest.fixture
async def stand(api: Api, http: httpx.AsyncClient) -> AsyncIterator[Stand]:
    clock = ManualClock()
    switches = {"sas_clock": "wall", "step_durations": dict.fromkeys(STEPS, SECONDS)}
    async with serve(SandboxMarketplace(clock=clock, default_switches=switches, account=PUBLISHER)) as url:
        yield Stand(api, http, url, clock)


def image(version: str, disk: str | None = None) -> Image:
    return Image(plan_id=PLAN, version=version, os_vhd_url=vhd(disk or version))


# Reading


async def test_an_offer_that_nobody_created_is_not_found(stand: Stand) -> None:
    await stand.put("4.2.0")
    nobodys = OfferKey(publisher_id=PUBLISHER, offer_id="nobodys")
    change = Change(images=[image("4.2.1")])
    for call in (
        stand.marketplace.operations(nobodys),
        stand.marketplace.status(nobodys),
        stand.marketplace.planned_edit(nobodys, change, preview=None, production=None),
        stand.marketplace.publish(nobodys, change, [], attempt=stand.attempt()),
    ):
        with pytest.raises(errors.NotFound, match="nobodys"):
            await call


async def test_an_offer_that_was_never_published_has_only_a_draft(stand: Stand) -> None:
    await stand.put("4.2.0")
    draft = await stand.marketplace.read_slot(stand.offer, Slot.DRAFT)

    assert draft is not None
    assert numbers(draft.versions) == ["4.2.0"]
    assert await stand.slots() == {"preview": None, "production": None}
    assert await stand.marketplace.operations(stand.offer) == []
    status = await stand.marketplace.status(stand.offer)
    assert (status.operations, status.awaits_sign_off) == ([], False)


async def test_a_slot_names_missing_images_and_conflicts(stand: Stand) -> None:
    await stand.preview("4.2.0", "4.2.1")
    preview = await stand.marketplace.read_slot(stand.offer, Slot.PREVIEW)

    assert preview is not None
    assert numbers(preview.versions) == ["4.2.0", "4.2.1"]
    assert numbers(preview.missing([image("4.2.0"), image("4.2.2")])) == ["4.2.2"]
    assert preview.conflicts([image("4.2.0"), image("4.2.2")]) == []
    [conflict] = preview.conflicts([image("4.2.1", "another")])
    assert "4.2.1" in conflict


# Writing


async def test_a_put_creates_an_offer_once(stand: Stand) -> None:
    put = await stand.put_by_client("4.2.0")
    again = await stand.put_by_client("4.2.0", "4.2.1")

    assert put is not None
    assert (put.operations, numbers(put.images)) == ([], ["4.2.0"])
    assert again is None
    assert await stand.effects("put_offer") == 1


async def test_a_repeated_put_recognises_only_its_own_offer(stand: Stand) -> None:
    await stand.put_by_client("4.2.0")
    repeated = stand.attempt(repeated=True)

    assert await stand.put_by_client("4.2.0", attempt=repeated) is not None
    assert await stand.put_by_client("4.2.1", attempt=repeated) is None
    assert await stand.effects("put_offer") == 1


async def test_a_put_replaces_a_draft_if_replace_is_set(stand: Stand) -> None:
    await stand.preview("4.2.0")
    put = await stand.put_by_client("4.2.0", "4.2.1", replace=True)

    assert put is not None
    assert numbers(put.images) == ["4.2.0", "4.2.1"]
    assert put.operations == [each.id for each in await stand.marketplace.operations(stand.offer)]
    assert await stand.versions("Draft") == ["4.2.0", "4.2.1"]


async def test_an_edit_does_what_was_planned_and_its_repetition_does_nothing(stand: Stand) -> None:
    await stand.live("4.2.0")
    change, slots = Change(images=[image("4.2.1"), image("4.2.2")]), await stand.slots()
    planned = await stand.marketplace.planned_edit(stand.offer, change, **slots)
    assert await stand.effects("put_offer") == 1

    edits = [
        await stand.marketplace.edit_images(
            stand.offer, change, **slots, sole_writer=True, attempt=stand.attempt(repeated=repeated)
        )
        for repeated in (False, True)
    ]

    assert numbers(planned.added) == numbers(edits[0].added) == ["4.2.1", "4.2.2"]
    assert [each.changed for each in (planned, *edits)] == [True, True, False]
    assert edits[0].operations == [each.id for each in await stand.marketplace.operations(stand.offer)]
    assert await stand.versions("Draft") == ["4.2.0", "4.2.1", "4.2.2"]
    assert await stand.effects("put_offer") == 2


async def test_only_a_sole_writer_writes_without_an_etag(stand: Stand) -> None:
    await stand.live("4.2.0")
    await stand.switch(etag_on_get=False, etag_on_put=False)
    edit = stand.marketplace.edit_images(
        stand.offer,
        Change(images=[image("4.2.1")]),
        **await stand.slots(),
        sole_writer=False,
        attempt=stand.attempt(),
    )
    with pytest.raises(errors.Unguarded):
        await edit
    assert await stand.effects("put_offer") == 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (Change(images=[image("4.2.0", "another")]), errors.VersionTaken),
        (Change(images=[image("4.2.1").model_copy(update={"plan_id": "nobodys"})]), errors.PlanMissing),
        (Change(images=[image("4.2.1")], limit=1), errors.PlanFull),
        (Change(images=[image("4.2.1")], limit=1, when_full=WhenFull.REMOVE_OLDEST), errors.PlanFull),
    ],
    ids=["another disk", "no such plan", "full", "full of versions that must stay"],
)
async def test_a_broken_rule_is_found_before_anything_is_sent(
    stand: Stand, change: Change, error: type[errors.RuleBroken]
) -> None:
    await stand.live("4.2.0")
    slots = await stand.slots()
    with pytest.raises(error):
        await stand.marketplace.planned_edit(stand.offer, change, **slots)
    with pytest.raises(error):
        await stand.marketplace.edit_images(stand.offer, change, **slots, sole_writer=True, attempt=stand.attempt())
    assert await stand.effects("put_offer") == 1


async def test_a_change_that_the_api_does_not_support_is_refused(stand: Stand) -> None:
    impossible = stand.per_api(
        Change(images=[image("4.2.0")], scope=Scope.MODULAR), Change(images=[image("1." + "0" * 18 + "." + "1" * 18)])
    )
    stand.marketplace.check(Change(images=[image("4.2.0")]))
    with pytest.raises(errors.RuleBroken):
        stand.marketplace.check(impossible)


# Operations


async def test_a_publish_runs_and_waits_for_sign_off(stand: Stand) -> None:
    await stand.put("4.2.0")
    begun = await stand.publish_by_client()
    running = await stand.look(begun)
    status = await stand.marketplace.status(stand.offer)
    await stand.let_publish()
    settled = await stand.look(begun, OperationKind.PUBLISH)
    waiting = await stand.marketplace.status(stand.offer)

    assert (running.kind, running.state) == (OperationKind.PUBLISH, OperationState.RUNNING)
    assert [each.state for each in status.operations] == [OperationState.RUNNING]
    assert (settled.state, settled.errors) == (OperationState.PREVIEW, [])
    assert [(each.id, each.kind, each.state) for each in waiting.operations] == [
        (settled.operation_id, OperationKind.PUBLISH, OperationState.PREVIEW)
    ]
    assert (status.awaits_sign_off, waiting.awaits_sign_off) == (False, True)
    assert await stand.marketplace.may_await_sign_off(stand.offer)
    assert await stand.effects("publish") == 1


async def test_going_live_does_what_its_promotion_says(stand: Stand) -> None:
    await stand.live("4.2.0")
    await stand.put("4.2.0", "4.2.1")
    publish_id = await stand.published()
    slots = await stand.slots()
    promotion = stand.marketplace.promotion(**slots)
    going = await stand.go_live_by_client(publish_id)
    running = await stand.look(going, OperationKind.GO_LIVE)
    await stand.let_publish()
    live = await stand.look(going, OperationKind.GO_LIVE)
    newest = (await stand.marketplace.operations(stand.offer))[0]

    assert (numbers(promotion.adds), promotion.removes, promotion.is_empty) == (["4.2.1"], [], False)
    assert [running.state, live.state] == [OperationState.RUNNING, OperationState.LIVE]
    assert (newest.id, newest.kind) == (live.operation_id, OperationKind.GO_LIVE)
    assert publish_id in [each.id for each in await stand.marketplace.operations(stand.offer)]
    assert not (await stand.marketplace.status(stand.offer)).awaits_sign_off
    assert stand.marketplace.promotion(**await stand.slots()).is_empty


async def test_a_running_operation_is_listed_first(stand: Stand) -> None:
    await stand.live("4.2.0")
    await stand.stranger("edit", "publish")
    operations = await stand.marketplace.operations(stand.offer)

    assert operations[0].state is OperationState.RUNNING
    assert [each.state for each in operations[1:]].count(OperationState.RUNNING) == 0
    assert operations[0].id == (await stand.state())["operations"][-1]["id"]


async def test_a_publish_while_another_one_runs_is_refused(stand: Stand) -> None:
    await stand.live("4.2.0")
    await stand.stranger("edit", "publish")
    await stand.stranger("edit")
    with pytest.raises((errors.Conflict, errors.Refused)):
        await stand.publish_by_client(Change(images=[image("4.2.0")]))
    assert await stand.kinds() == ["publish", "goLive", "publish"]


async def test_only_a_preview_that_waits_is_promoted(stand: Stand) -> None:
    await stand.put("4.2.0")
    publish_id = await stand.published()
    await stand.go_live()
    await stand.let_publish()
    await stand.switch(refuse_at="http")
    with pytest.raises((errors.Conflict, errors.Refused)):
        await stand.go_live_by_client(publish_id)
    assert await stand.kinds() == ["publish", "goLive"]


async def test_a_running_publish_can_be_cancelled_and_an_ended_one_cannot(stand: Stand) -> None:
    await stand.live("4.2.0")
    await stand.stranger("edit")
    begun = await stand.publish_by_client()
    await stand.look(begun, OperationKind.PUBLISH)
    await stand.marketplace.cancel(stand.offer, begun, [])
    canceled = await stand.look(begun, OperationKind.PUBLISH)

    assert canceled.state is OperationState.CANCELED
    assert not (await stand.marketplace.status(stand.offer)).awaits_sign_off
    with pytest.raises(errors.Refused):
        await stand.marketplace.cancel(stand.offer, begun, [])
    assert await stand.operations() == [("publish", None), ("goLive", None), ("publish", "canceled")]


async def test_a_failure_names_its_step_and_its_reasons_without_markup(stand: Stand) -> None:
    await stand.step("displaycertify", outcome="block", messages=["<p>No <b>agent</b>.</p>", "No footer."])
    await stand.put("4.2.0")
    begun = await stand.publish_by_client()
    await stand.let_publish()
    failed = await stand.look(begun, OperationKind.PUBLISH)

    assert failed.state is OperationState.FAILED
    assert len(failed.errors) == 2
    for error, reason in zip(failed.errors, ("No agent.", "No footer."), strict=True):
        assert error.startswith("Certification: ")
        assert reason in error
    assert not (await stand.marketplace.status(stand.offer)).awaits_sign_off


async def test_the_name_of_an_accepted_request_is_recorded_at_once(stand: Stand) -> None:
    await stand.put("4.2.0")
    named = await stand.marketplace.publish(stand.offer, Change(), [], attempt=stand.attempt())

    assert stand.noted == ([named] if named is not None and not stand.marketplace.lists_at_once else [])
