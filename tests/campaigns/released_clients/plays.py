"""The plays. Each client gets the same faults, and is judged by the state of the sandbox at the end."""

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from tests.campaigns.released_clients.clients import Publisher, Rig, Wanted
from tests.campaigns.released_clients.offers import FIRST, GALLERY_VERSION, OTHER_PLAN, PLAN, Json, Offer, State

MINUTE = 60.0
RETRY_AFTER = "1.5"
IN_A_ROW = 6
_INTO_THE_WAIT = 12.0
"""How long a publish has run when a fault strikes, in real seconds. By then every client has looked several times."""


@dataclass(frozen=True)
class Duration:
    """How long the marketplace takes, in minutes of its clock."""

    preview: float
    live: float


SHORT = Duration(15, 10)
LONG = Duration(240, 20)
"""cloudpub repeats a failed step twice, each time after a minute of real time. This publish is then still running."""


@dataclass
class Played:
    """The result of a play.

    Attributes:
        endings: The error of each attempt; `None` is success.
        late: The delay until the client read the status after each change, in seconds of the marketplace.
        by_hand: Whether a person had to start the client again.
        effects: How many requests of a second run changed something.
        state: The state of the offer at the end.
    """

    wanted: Sequence[Wanted]
    endings: list[str | None] = field(default_factory=list)
    requests: int = 0
    late: list[float] = field(default_factory=list)
    by_hand: bool = False
    effects: int = 0
    state: State | None = None

    def held(self) -> State:
        """Return the state of the offer at the end."""
        if self.state is None:
            raise AssertionError("it is not over")
        return self.state


@dataclass
class _Scene:
    """A live offer, a client that is ready, and the result so far."""

    offer: Offer
    publisher: Publisher
    played: Played

    async def publish(self) -> None:
        """Publish all wanted images at once."""
        attempts = await asyncio.gather(*(self.publisher.publish(each) for each in self.played.wanted))
        self.played.endings += await asyncio.gather(*(attempt.ended() for attempt in attempts))

    async def publish_during(self, fault: Callable[[], Awaitable[None]]) -> None:
        """Publish, and inject a fault while the client waits for the preview."""
        attempt = await self.publisher.publish(self.played.wanted[0])
        await self.offer.until_publishing()
        await asyncio.sleep(_INTO_THE_WAIT)
        await fault()
        self.played.endings.append(await attempt.ended())

    async def answer_polls(self, action: Json, times: int) -> None:
        """Inject answers to the call that the client polls with."""
        call = (await self.offer.requests())[-1]["call"]
        await self.offer.fault(call, {"kind": "respond"} | action, times=times)


async def _plain(scene: _Scene) -> None:
    await scene.publish()


async def _killed(scene: _Scene) -> None:
    await scene.publisher.publish(scene.played.wanted[0])
    await scene.offer.until_publishing()
    await asyncio.sleep(_INTO_THE_WAIT)
    attempt = await scene.publisher.kill_and_start_again()
    scene.played.by_hand = not scene.publisher.resumes
    scene.played.endings.append(await attempt.ended())


async def _unavailable(scene: _Scene) -> None:
    await scene.publish_during(lambda: scene.answer_polls({"status": 503}, IN_A_ROW))


async def _throttled(scene: _Scene) -> None:
    action = {"status": 429, "headers": {"Retry-After": RETRY_AFTER}}
    await scene.publish_during(lambda: scene.answer_polls(action, 1))


async def _again(scene: _Scene) -> None:
    await scene.publish()
    if scene.played.endings != [None]:
        raise AssertionError(scene.played.endings)
    before = len(await scene.offer.requests())
    scene.played.endings.clear()
    scene.played.requests = -len(scene.publisher.front.requests())
    await scene.publish()
    scene.played.effects = sum(bool(each["effect"]) for each in (await scene.offer.requests())[before:])


async def _lost_answer(scene: _Scene) -> None:
    await scene.offer.fault("configure_preview", {"kind": "drop", "when": "after"})
    await scene.publish()


@dataclass(frozen=True)
class Play:
    """A play for every client."""

    title: str
    duration: Duration
    act: Callable[[_Scene], Awaitable[None]]
    plans: Sequence[str] = (PLAN,)
    with_gallery: bool = False

    async def play(self, name: str, client: type[Publisher], rig: Rig, opening: asyncio.Semaphore) -> Played:
        """Play it with a client, on a new offer."""
        offer = Offer(rig.http, name)
        played = Played([Wanted(plan=plan) for plan in self.plans])
        with ExitStack() as stack:
            publisher = client(rig, offer, stack)
            async with opening:
                await offer.bring_live(plans=self.plans, with_gallery=self.with_gallery)
                await offer.set_durations(preview=self.duration.preview * MINUTE, live=self.duration.live * MINUTE)
                await publisher.open()
            await self.act(_Scene(offer, publisher, played))
            played.requests += len(publisher.front.requests())
        requests = await offer.requests()
        played.state = await offer.until_idle()
        if await offer.faults():
            raise AssertionError(f"{name}: a fault did not strike")
        played.late = [_late(change, requests) for change in await offer.changes() if _is_seen(change, requests)]
        return played


def _is_seen(change: datetime, requests: Sequence[Json]) -> bool:
    return any(datetime.fromisoformat(each["sandbox_time"]) >= change for each in requests)


def _late(change: datetime, requests: Sequence[Json]) -> float:
    seen = min(moment for each in requests if (moment := datetime.fromisoformat(each["sandbox_time"])) >= change)
    return (seen - change).total_seconds()


# Long enough that changes fall at different times between two looks five minutes apart.
PLAIN: Sequence[Play] = tuple(
    Play("", duration, _plain) for duration in (Duration(111, 53), Duration(188, 82), Duration(264, 107))
)
PLAYS: Mapping[str, Play] = {
    "killed": Play("(a) `kill -9` in the wait", Duration(90, 20), _killed),
    "unavailable": Play("(b) six 503 in a row on a status read", LONG, _unavailable),
    "throttled": Play(f"(c) 429 with `Retry-After: {RETRY_AFTER}`", LONG, _throttled),
    "again": Play("(d) run again after success", SHORT, _again),
    "lost answer": Play("(e) a lost answer to the publish request", LONG, _lost_answer),
    "together": Play("(f) two builds for two plans at once", LONG, _plain, plans=(PLAN, OTHER_PLAN)),
    "gallery": Play("(g) a plan that holds a gallery image", SHORT, _plain, with_gallery=True),
}

Verdict: TypeAlias = tuple[str, str]


def verdict(name: str, played: Played) -> Verdict:
    """Judge a play. Return the verdict and the facts behind it."""
    state = played.held()
    live = state.versions["Production"]
    kept = [FIRST] + ([GALLERY_VERSION] if PLAYS[name].with_gallery else [])
    lost = [version for each in played.wanted for version in kept if version not in live[each.plan]]
    reached = [each for each in played.wanted if each.version in live[each.plan]]
    errors = [ending for ending in played.endings if ending is not None]
    facts = [_reached(state, played), _counted(state.publishes, "submission")]
    if name == "again":
        facts = [_counted(played.requests, "request"), _counted(played.effects, "change")]
        if state.publishes > 1 or played.effects:
            return "publishes again", _joined(facts, errors)
    if lost:
        return f"loses {', '.join(lost)}", _joined(facts, errors)
    if state.publishes > len(played.wanted):
        return "publishes twice", _joined(facts, errors)
    if errors:
        return "fails", _joined(facts, errors)
    if len(reached) < len(played.wanted):
        return "says yes, and is not live", _joined(facts, errors)
    return "goes on when started again by hand" if played.by_hand else "yes", _joined(facts, errors)


def median_late(plays: Sequence[Played]) -> tuple[float, float]:
    """Return the median and the longest delay, in minutes of the marketplace."""
    late = [each / MINUTE for played in plays for each in played.late]
    return statistics.median(late), max(late)


def _reached(state: State, played: Played) -> str:
    places = []
    for each in played.wanted:
        slots = ("Production", "Preview", "Draft")
        found = next((slot for slot in slots if each.version in state.versions[slot].get(each.plan, ())), "nowhere")
        places.append({"Production": "live", "Preview": "in the preview", "Draft": "in the draft"}.get(found, found))
    if len(set(places)) == 1 and len(places) > 1:
        return f"both {places[0]}"
    return ", ".join(places)


def _counted(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _joined(facts: Sequence[str], errors: Sequence[str]) -> str:
    return "; ".join([*facts, *(f"`{error}`" for error in errors)])
