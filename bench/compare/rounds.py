"""Play one round. Start publications at once, and approve each as soon as it waits, until all are live."""

import asyncio
import contextlib
import os
import time
from collections import Counter
from dataclasses import dataclass, field

from bench.compare.lineup import Running
from bench.compare.programs import machine_cpu

CHECK_EVERY = 5.0


@dataclass
class Round:
    """What happened in a round. Times are from `time.monotonic`.

    Attributes:
        began: When the first order was sent.
        ordered: When the start of each offer's publication was ordered.
        waited: When each offer's publication began to wait for the approval.
        lived: When each offer was live.
        doubled: How many publishes and go-lives were sent more than once.
        failed: How many publications failed according to the contestant.
        worker_cpu: CPU seconds of the worker.
        engine_cpu: CPU seconds of the engine.
        others: The share of the machine that unrelated programs used.
    """

    began: float
    ordered: dict[str, float] = field(default_factory=dict)
    waited: dict[str, float] = field(default_factory=dict)
    lived: dict[str, float] = field(default_factory=dict)
    doubled: int = 0
    failed: int = 0
    worker_cpu: float = 0.0
    engine_cpu: float = 0.0
    others: float = 0.0

    @property
    def lost(self) -> int:
        """How many publications did not go live."""
        return len(self.ordered) - len(self.lived)

    @property
    def took(self) -> float:
        """Seconds from the first order until the last offer was live."""
        return max(self.lived.values(), default=time.monotonic()) - self.began


async def play(
    running: Running, name: str, number: int, *, limit: float, strike: "asyncio.Future[None] | None" = None
) -> Round:
    """Start publications at once, approve each as soon as it waits, and wait until all are live.

    Args:
        running: The contestant.
        name: The prefix of the offers' IDs.
        number: How many publications.
        limit: Seconds after which to give up.
        strike: A future to resolve when half of the publish requests have arrived. With it, orders may fail.

    Raises:
        ProgramFailedError: An order failed.
    """
    cpu, all_cpu, our_cpu = running.cpu(), machine_cpu(), _own_cpu(running)
    played = Round(time.monotonic())
    play = _Play(running, played, number, strike)
    running.marketplace.on_event = play.on_event
    for each in range(number):
        play.start(f"{name}-{each}")
    until = time.monotonic() + limit
    while not play.over.is_set() and time.monotonic() < until:
        running.check()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(play.over.wait(), min(CHECK_EVERY, max(until - time.monotonic(), 0.01)))
    if play.refused and strike is None:
        raise play.refused[0]
    after = running.cpu()
    played.worker_cpu, played.engine_cpu = after[0] - cpu[0], after[1] - cpu[1]
    others = (machine_cpu() - all_cpu) - (_own_cpu(running) - our_cpu) - sum(after) + sum(cpu)
    played.others = others / ((time.monotonic() - played.began) * (os.cpu_count() or 1))
    for offer in played.ordered:
        calls = running.marketplace.offers[offer].calls if offer in running.marketplace.offers else Counter[str]()
        played.doubled += max(calls["publish"] - 1, 0) + max(calls["go_live"] - 1, 0)
    return played


def _own_cpu(running: Running) -> float:
    """Return the CPU seconds of this process, which runs the marketplace, and of a client that is not the worker."""
    return time.process_time() + (running.client.program.cpu() if running.contestant.worker else 0.0)


class _Play:
    """A running round. It gets the events of the marketplace and sends the orders."""

    def __init__(self, running: Running, played: Round, number: int, strike: "asyncio.Future[None] | None") -> None:
        self.over = asyncio.Event()
        self.refused: list[BaseException] = []
        self._running = running
        self._played = played
        self._number = number
        self._strike = strike
        self._published: set[str] = set()
        self._orders: set[asyncio.Future[object]] = set()

    def start(self, offer: str) -> None:
        """Order the start of a publication."""
        self._played.ordered[offer] = time.monotonic()
        self._order("start", offer=offer, at_sign_off=False)

    def on_event(self, event: str, offer: str, at: float) -> None:
        """Handle an event of the marketplace."""
        if offer not in self._played.ordered:
            return
        contestant = self._running.contestant
        if event == "publish":
            self._publish(offer)
        elif event == "notified_failed":
            self._played.failed += 1
        elif event == contestant.waits and offer not in self._played.waited:
            self._played.waited[offer] = at
            self._order("approve", offer=offer)
        elif event == contestant.done:
            self._played.lived.setdefault(offer, at)
        if len(self._played.lived) + self._played.failed >= self._number:
            self.over.set()

    def _publish(self, offer: str) -> None:
        self._published.add(offer)
        if self._strike is not None and not self._strike.done() and len(self._published) >= self._number / 2:
            self._strike.set_result(None)

    def _order(self, what: str, **arguments: object) -> None:
        answer = self._running.client.order(what, **arguments)
        self._orders.add(answer)
        answer.add_done_callback(self._answered)

    def _answered(self, answer: "asyncio.Future[object]") -> None:
        self._orders.discard(answer)
        error = None if answer.cancelled() else answer.exception()
        if error is not None:
            self.refused.append(error)
            if self._strike is None:
                self.over.set()
