"""A small model check with a fixed seed, and tests of the model and the machine themselves.

`make model` plays the whole check, see docs/chaos.md.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import Phase, settings

from marketplace.cloud_partner import image_rules, marketplace
from tests.campaigns.apis import APIS, CampaignApi
from tests.campaigns.model.__main__ import SEED, check, playing
from tests.campaigns.model.ends import complaints
from tests.campaigns.model.entities import Decision, Images, Intent, Observation, Operation, Request, Rules, State
from tests.campaigns.model.machine import RULES, PublishingMachine, Tally
from tests.campaigns.model.rig import Rig, rig
from tests.campaigns.model.world import World
from workflows import inputs, taking_back
from workflows.messages import Approval


@pytest.fixture(scope="module")
def started() -> Iterator[Rig]:
    logging.disable()
    with rig() as made:
        yield made
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("api", APIS.values(), ids=list(APIS))
def test_the_procedures_do_nothing_that_the_model_forbids(started: Rig, api: CampaignApi) -> None:
    tally = Tally()

    assert check(started, tally, playing(6, 12), SEED, api=api) is None
    assert tally.steps.total() > 30


# The machine finds a procedure that was broken on purpose, in the fewest steps


def goes_live_without_approval(monkeypatch: pytest.MonkeyPatch) -> None:
    validated = inputs.validated

    def unattended(model: Any, *sent: Any) -> Any:
        return validated(model, *sent).model_copy(update={"approval": Approval(required=False)})

    monkeypatch.setattr(inputs, "validated", unattended)


def forgets_to_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forget(*_args: object, **_options: object) -> None:
        pass

    monkeypatch.setattr(taking_back, "_take_back", forget)


def writes_without_a_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marketplace, "_refuse_unguarded", lambda *_args, **_options: None)


def drops_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def make_too_much_room(added: Sequence[Any], *_rest: object) -> dict[str, list[str]]:
        return {one.plan.plan_id: ["1.0.0"] for one in added}

    monkeypatch.setattr(image_rules, "make_room", make_too_much_room)


@pytest.mark.parametrize(
    ("breakage", "rules", "complaint"),
    [
        (goes_live_without_approval, {"promote"}, "which nobody approved"),
        (writes_without_a_lease, {"together"}, "is gone from the draft, and nobody asked for that"),
        (forgets_to_cancel, {"create", "cancel"}, "was cancelled and left publish-1, which is running"),
    ],
)
def test_a_broken_procedure_is_found(
    started: Rig,
    monkeypatch: pytest.MonkeyPatch,
    breakage: Callable[[pytest.MonkeyPatch], None],
    rules: set[str],
    complaint: str,
) -> None:
    breakage(monkeypatch)
    played = settings(playing(20, 3), phases=[Phase.generate])

    assert complaint in (check(started, Tally(), played, SEED, only(rules)) or "nothing")


def test_a_broken_procedure_is_reported_in_the_fewest_steps(started: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    drops_an_image(monkeypatch)
    found = check(started, Tally(), playing(20, 6), SEED, only({"update", "advance"}))
    steps = (found or "nothing").strip().splitlines()

    assert [line.partition(":")[0].strip() for line in steps[:-1]] == ["1. draft; marketplace", "2. run-1"]
    assert "1.0.0 is gone from the draft, and nobody asked for that" in steps[-1]


def only(rules: set[str]) -> type[PublishingMachine]:
    """Return a machine with only these rules, which finds their consequences quickly."""
    machine: type[PublishingMachine] = type("Few", (PublishingMachine,), dict.fromkeys(set(RULES) - rules))
    return machine


# The model complains


BASE: Images = {"lts 1.0.0": "base.vhd"}
NEW: Images = {**BASE, "lts 1.1.0": "new.vhd"}
WANTED: Images = {"lts 1.1.0": "new.vhd"}
PUT = Request("edit", 200, effect=True)
APPROVED = Decision(approve=True, by="dana", approves=frozenset(NEW))


def publish(number: int, content: Images, state: State, asked_by: str = "run-1") -> Operation:
    return Operation(f"id-{number}", f"publish-{number}", "publish", asked_by, content, state)


def go_live(number: int, content: Images, state: State = "running") -> Operation:
    return Operation(f"id-{number}", f"go-live-{number}", "go_live", "run-1", content, state)


def update(**more: Any) -> Intent:
    return Intent("run-1", "update", WANTED, **more)


def promote(decision: Decision | None) -> Intent:
    return Intent("run-1", "promote", WANTED, decision=decision)


def complaints_about(
    intent: Intent, *observations: Observation, request: Request | None = None, ends: str | None = None
) -> list[str]:
    """Return the complaints about observations during an intent's life, the last by a request, and about its end."""
    world = World()
    found = list(world.see(observations[0]))
    world.start(intent)
    for observation in observations[1:]:
        found += world.see(observation, request if observation is observations[-1] else None)
    return found + (list(complaints(intent, ends, world, len(world.observations) - 1)) if ends else [])


WAITING = Observation(NEW, BASE, BASE, [publish(1, NEW, "waits")])
FAILED = Observation(NEW, NEW, NEW, [publish(1, NEW, "failed")])
GOING_LIVE = Observation(NEW, NEW, BASE, [publish(1, NEW, "completed"), go_live(2, NEW)])
GO_LIVE = Request("go_live", 202, effect=True, operation_id="id-2")


def approving(content: Images) -> Decision:
    return Decision(approve=True, by="dana", approves=frozenset(content))


def published(intent: Intent, content: Images, *before: Operation) -> list[str]:
    earlier = Observation(NEW, BASE, BASE, before)
    later = Observation(NEW, BASE, BASE, [*before, publish(2, content, "running")])
    return complaints_about(intent, Observation(), earlier, later)


def went_live_twice() -> list[str]:
    again = Observation(NEW, NEW, BASE, [*GOING_LIVE.operations, publish(3, NEW, "waits", "")])
    twice = Observation(NEW, NEW, BASE, [*GOING_LIVE.operations, publish(3, NEW, "completed", ""), go_live(4, NEW)])
    world = World()
    world.start(promote(APPROVED))
    found = [*world.see(WAITING), *world.see(GOING_LIVE, GO_LIVE), *world.see(again)]
    return found + list(world.see(twice, Request("go_live", 202, effect=True, operation_id="id-4")))


def cancelled(intent: Intent, asked_by: str) -> list[str]:
    before = Observation(NEW, BASE, BASE, [publish(1, NEW, "running", asked_by)])
    after = Observation(NEW, BASE, BASE, [publish(1, NEW, "canceled", asked_by)])
    return complaints_about(intent, before, after, request=Request("cancel", 202, effect=True, operation_id="id-1"))


def test_the_model_does_not_complain_about_what_is_allowed() -> None:
    running = Observation(NEW, BASE, BASE, [publish(1, NEW, "running")])
    ready = Observation(NEW, NEW, BASE, [publish(1, NEW, "waits")])

    assert complaints_about(update(), Observation(BASE, BASE, BASE), Observation(NEW, BASE, BASE), request=PUT) == []
    assert complaints_about(update(), Observation(NEW, BASE, BASE), running, ready, ends="preview") == []
    assert complaints_about(promote(APPROVED), WAITING, GOING_LIVE, request=GO_LIVE) == []


def test_an_intent_may_publish_again_if_somebody_published_between_its_edit_and_its_next_listing() -> None:
    first, again = publish(1, NEW, "completed", "run-2"), publish(2, NEW, "running")
    edit = Request("edit", 200, effect=True, sender="run-1")
    listing = Request("list_operations", 200, effect=False, sender="run-1")

    def found(*requests: tuple[Sequence[Operation], Request]) -> list[str]:
        world = World()
        world.start(update())
        list(world.see(Observation(BASE, BASE, BASE)))
        complained = [
            each for done, request in requests for each in world.see(Observation(NEW, BASE, BASE, done), request)
        ]
        return complained + list(world.see(Observation(NEW, BASE, BASE, [first, again])))

    theirs = Request("publish", 202, effect=True, operation_id="id-1", sender="run-2")
    assert found(([], edit), ([first], theirs), ([first], listing)) == []
    assert "repeats publish-1" in str(found(([], edit), ([], listing), ([first], theirs)))


@pytest.mark.parametrize(("forgets", "content"), [(True, NEW), (False, NEW), (True, BASE)])
def test_a_run_may_miss_that_its_publish_failed_if_it_was_replaced_and_forgotten(
    content: Images, *, forgets: bool
) -> None:
    world = World(Rules(forgets=forgets))
    list(world.see(Observation(NEW, BASE, BASE)))
    world.start(update())
    operations = [publish(1, NEW, "failed"), publish(2, content, "waits", "run-2")]
    list(world.see(Observation(NEW, NEW, BASE, operations)))

    allowed = forgets and content == NEW
    assert (list(complaints(update(), "preview", world, 1)) == []) is allowed


@pytest.mark.parametrize("forgets", [True, False])
def test_a_check_sees_a_failed_publish_again_if_the_marketplace_forgets_a_cancelled_one(*, forgets: bool) -> None:
    failed = publish(1, NEW, "failed")
    world = World(Rules(forgets=forgets))
    list(world.see(Observation(NEW, BASE, BASE, [failed, publish(2, NEW, "running")])))
    check = Intent("run-1", "check", {})
    world.start(check)
    list(world.see(Observation(NEW, BASE, BASE, [failed, publish(2, NEW, "canceled")])))

    assert (list(complaints(check, "PublishFailed", world, 2)) == []) is forgets


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (complaints_about(update(), Observation(NEW), Observation(WANTED), request=PUT), "lts 1.0.0 is gone"),
        (
            complaints_about(update(), Observation(BASE), Observation({"lts 1.0.0": "new.vhd"}), request=PUT),
            "has another disk now",
        ),
        (
            complaints_about(update(), Observation(BASE), Observation({**BASE, "lts 9.0.0": "x"}), request=PUT),
            "nobody asked for",
        ),
        (
            complaints_about(update(cancelled=True), Observation(BASE), Observation(NEW), request=PUT),
            "nobody asked for",
        ),
        (published(update(), BASE), "does not hold ['lts 1.1.0']"),
        (published(update(cancelled=True), NEW), "though it was cancelled"),
        (published(update(), NEW, publish(1, NEW, "waits")), "its images were published already"),
        (published(update(), NEW, publish(1, NEW, "completed", "")), "which repeats publish-1"),
        (complaints_about(promote(None), WAITING, GOING_LIVE, request=GO_LIVE), "which nobody approved"),
        (complaints_about(promote(approving(BASE)), WAITING, GOING_LIVE, request=GO_LIVE), "which nobody approved"),
        (went_live_twice(), "one go-live more than there are intents"),
        (cancelled(update(), "stranger"), "of stranger was cancelled, which nobody asked for"),
        (cancelled(update(if_publishing="cancel"), "run-1"), "of run-1 was cancelled, which nobody asked"),
        (complaints_about(update(), WAITING, ends="preview"), "ended as preview, for which there is no reason"),
        (complaints_about(promote(APPROVED), GOING_LIVE, ends="live"), "ended as live, for which there is no reason"),
        (complaints_about(update(), WAITING, ends="PublishFailed"), "for which there is no reason"),
        (complaints_about(update(), WAITING, ends="canceled"), "was not cancelled, and ended as canceled"),
        (
            complaints_about(update(cancelled=True), WAITING, ends="canceled"),
            "left publish-1, which waits for sign-off",
        ),
        (complaints_about(update(), FAILED, ends="preview"), "although its publish-1 failed"),
    ],
)
def test_the_model_complains_about_what_is_forbidden(found: list[str], expected: str) -> None:
    assert any(expected in complaint for complaint in found)
