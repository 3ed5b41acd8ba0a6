"""What a campaign publishes: a plan made from nothing but a seed.

A story is one offer of one publisher of its own, and the runs on it, act by act; the runs of an act are started at
the same moment. Each run says how it may end, which is all that its inputs and the injected facts allow.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from tests.harness.apis import CLOUD_PARTNER, Api

PLANS = ("lts", "edge", "slim", "tiny", "gpu", "arm", "dev", "fips", "others")
"""A version has to be above those that its plan has: runs at the same time need plans of their own."""

STRANGERS_PLAN = "others"
GIVEN_SIGNATURE = "CHAOSSIGNATUREOFAGIVENDISK"
APPROVER = "dana@fabrikam.example"
SAS = f"sv=2022-11-02&sr=c&sp=rl&st=2024-01-01T00%3A00%3A00Z&se=2199-01-01T00%3A00%3A00Z&sig={GIVEN_SIGNATURE}"

_WAYS_TO_CANCEL: tuple[dict[str, Any], ...] = ({}, {"cancel_async": True, "cancel_seconds": 60_000})
_IMPATIENT = 0.3
_APART = 3.0
_ALONE = 0.5
_POLLING = {"min_interval": "PT0.3S", "max_interval": "PT1S"}

Shape: TypeAlias = Literal["release", "crowd", "throng", "queue", "cancelled", "taken back", "rejected", "terminated"]
Person: TypeAlias = Literal[
    "nobody",
    "approves early",
    "approves",
    "rejects",
    "cancels",
    "cancels at once",
    "cancels in the queue",
    "terminates in its write",
]

CROWDED: frozenset[Shape] = frozenset({"crowd", "throng", "queue", "terminated"})
"""The shapes with several runs at once on one offer."""

WITHOUT_ETAGS: dict[str, Any] = {"etag_on_get": False, "etag_on_put": False}
REFUSING_EDITS: dict[str, Any] = {"edits_while_running": "refuse"}


@dataclass(frozen=True)
class Run:
    """One accepted start.

    Attributes:
        ends: The outcomes, or error types, of which one has to come.
        images: The images wanted, and the address of the disk of each.
        person: What a person does about the run.
        impatient: Whether a person asks it to look now, again and again.
        after: Seconds from the beginning of its act to its start.
        leaves: Whether its images are in the draft when it has ended; of who is stopped halfway nobody knows.
    """

    workflow: str
    id: str
    start: dict[str, Any]
    ends: frozenset[str]
    images: Mapping[str, str]
    person: Person = "nobody"
    impatient: bool = False
    after: float = 0
    leaves: Literal["images", "nothing", "either"] = "images"

    @property
    def start_again(self) -> dict[str, Any]:
        """The input with which a person starts it again: an offer may have been put, but not published."""
        creates = self.workflow == "CreateOfferAndPublish"
        return self.start | {"if_exists": "replace"} if creates else self.start


@dataclass(frozen=True)
class Story:
    """One offer and the runs on it.

    Attributes:
        acts: The runs of an act are started at once, or one shortly after another. In a queue the first of an act
            publishes, and the marketplace holds that publish until all others wait for it.
        publishes: How many publishes and, ``go_lives``, go-lives the runs may lead to: fewest and most.
        switches: How the marketplace is to its publisher.
        injected: Faults of the sandbox that wait for the publisher's requests.
    """

    kind: str
    shape: Shape
    api: Api
    publisher: str
    acts: tuple[tuple[Run, ...], ...]
    publishes: tuple[int, int]
    go_lives: tuple[int, int]
    switches: dict[str, Any] = field(default_factory=dict)
    injected: tuple[dict[str, Any], ...] = ()

    @property
    def runs(self) -> list[Run]:
        """All runs, in order."""
        return [run for act in self.acts for run in act]

    @property
    def offer_id(self) -> str:
        """The offer that it is about."""
        return self.api.offer_id(self.publisher)

    @property
    def writer_id(self) -> str:
        """The id of the internal run that writes a draft without an ETag, one at a time."""
        return f"internal/draft/{self.publisher}/{self.offer_id}"

    @property
    def refuses_edits(self) -> bool:
        """Whether the marketplace takes no edits while an operation runs."""
        return refuses_edits(self.switches)


def refuses_edits(switches: Mapping[str, Any]) -> bool:
    """Return whether a marketplace takes no edits while an operation runs."""
    return switches.items() >= REFUSING_EDITS.items()


def story(
    kind: str,
    shape: Shape,
    publisher: str,
    choose: Random,
    switches: Mapping[str, Any] = MappingProxyType({}),
    api: Api = CLOUD_PARTNER,
    *,
    modular: bool = False,
) -> Story:
    """Make a story of a shape, at a marketplace of these switches; what is free in it is chosen by the seed.

    Args:
        kind: The kind of fault.
        shape: The shape.
        publisher: Whose story it is.
        choose: Chooses.
        switches: How the marketplace is.
        api: The API that it is told through.
        modular: Whether half of the runs publish the plans of their images only.
    """
    make = _Maker(publisher, choose, api, modular=modular)
    first = (make.create(),)
    told = partial(Story, kind, shape, api, publisher, switches=dict(switches))
    match shape:
        case "release":
            made = told((first, (make.promote("lts"),), (make.check("live"),)), (2, 2), (1, 1))
        case "crowd":
            many: tuple[Run, ...] = make.apart(make.update("lts"), make.update("edge"), make.promote("slim"))
            made = told((first, many, (make.promote("lts", "edge"),)), (2, 5), (1, 2))
        case "throng":
            *six, seventh, eighth = PLANS[:8]
            many = make.apart(*map(make.update, six), make.promote(seventh), make.promote(eighth))
            made = told((first, many, (make.promote(*six),)), (2, 10), (1, 3))
        case "queue":
            leader, *three, last = PLANS[:5]
            waiting = (*map(make.update, three), make.promote(last))
            apart = refuses_edits(switches)
            left = make.leaves_the_queue("arm", "either" if apart else "images")
            many = (make.update(leader), *waiting, left, make.refused("dev"))
            # One further publish carries what all have put into the draft, where they could.
            made = told((first, many), (3, 2 + len(waiting) if apart or modular else 3), (1, 1))
        case "cancelled" | "taken back":
            late = shape == "taken back" or choose.random() < 0.5
            acts = (first, (make.cancelled("lts", "cancels" if late else "cancels at once"),), (make.update("lts"),))
            # What is cancelled at once may not have been published yet.
            made = told(acts, (2, 3), (0, 0), switches=dict(switches) | choose.choice(_WAYS_TO_CANCEL))
        case "rejected":
            made = told((first, (make.reject(),), (make.promote(),)), (1, 1), (1, 1))
        case "terminated":
            many = make.apart(*map(make.update, PLANS[:4]), make.terminated("gpu"))
            made = told((first, many), (2, 6), (0, 0))
    return made


class _Maker:
    def __init__(self, publisher: str, choose: Random, api: Api, *, modular: bool) -> None:
        self._publisher = publisher
        self._choose = choose
        self._api = api
        self._modular = modular
        self._made = 0

    def create(self) -> Run:
        given = {f"{plan} 1.0.0": self._disk(plan, "1.0.0") for plan in PLANS}
        start = self._api.definition(self._publisher, PLANS, given)
        return self._run("CreateOfferAndPublish", start, "preview", images=_unsigned(given))

    def update(self, plan: str) -> Run:
        return self._run("UpdateOfferAndPublish", self._wanted(plan), "preview", "live")

    def cancelled(self, plan: str, person: Person) -> Run:
        workflow = self._choose.choice(["UpdateOfferAndPublish", "ValidateAndGoLive"])
        return self._run(workflow, self._wanted(plan), "canceled", person=person)

    def leaves_the_queue(self, plan: str, leaves: Literal["images", "either"]) -> Run:
        person: Person = "cancels in the queue"
        return self._run("UpdateOfferAndPublish", self._wanted(plan), "canceled", person=person, leaves=leaves)

    def refused(self, plan: str) -> Run:
        wanted = self._wanted(plan) | {"if_publishing": "fail"}
        return self._run("UpdateOfferAndPublish", wanted, "PublishInProgress", leaves="nothing")

    def terminated(self, plan: str) -> Run:
        # It may be over before anybody has seen it write.
        ends = ("terminated", "preview")
        person: Person = "terminates in its write"
        return self._run("UpdateOfferAndPublish", self._wanted(plan), *ends, person=person, leaves="either")

    def promote(self, *plans: str) -> Run:
        # An approval given before there is a preview holds for the images named, so some have to be.
        early = bool(plans) and self._choose.random() < 0.5
        person: Person = "approves early" if early else "approves"
        start = self._wanted(*plans) | {"approval": {"approvers": [APPROVER]}}
        return self._run("ValidateAndGoLive", start, "live", person=person)

    def reject(self) -> Run:
        return self._run("ValidateAndGoLive", self._wanted(), "GoLiveRejected", person="rejects")

    def check(self, *ends: str) -> Run:
        return self._run("CheckLastOperationStatus", self._offer(), *ends)

    def apart(self, *runs: Run) -> tuple[Run, ...]:
        """Start runs at once, or so that some write while others publish."""
        most = self._choose.choice([0, _APART])
        return tuple(replace(run, after=round(self._choose.uniform(0, most), 2)) for run in runs)

    def _offer(self) -> dict[str, Any]:
        return {"publisher_id": self._publisher, "offer_id": self._api.offer_id(self._publisher)}

    def _wanted(self, *plans: str) -> dict[str, Any]:
        images = [{"plan_id": plan, "version": "1.1.0", "os_vhd_url": self._disk(plan, "1.1.0")} for plan in plans]
        alone = bool(plans) and self._modular and self._choose.random() < _ALONE
        return self._offer() | {"images": images} | ({"publish": "modular"} if alone else {})

    def _disk(self, plan: str, version: str) -> str:
        """Give the address of a disk: some come with their signature, others the worker signs."""
        name = f"vhds/{self._publisher}-{plan}-{version}.vhd"
        if plan == "lts":
            return f"https://chaosgiven.blob.core.windows.net/{name}?{SAS}"
        return f"https://chaossigned.blob.core.windows.net/{name}"

    def _run(
        self,
        workflow: str,
        start: dict[str, Any],
        *ends: str,
        images: Mapping[str, str] = MappingProxyType({}),
        **more: Any,
    ) -> Run:
        self._made += 1
        named = {f"{image['plan_id']} {image['version']}": image["os_vhd_url"] for image in start.get("images", [])}
        return Run(
            workflow,
            f"{self._publisher}/run-{self._made}",
            start | {"polling": _POLLING},
            frozenset(ends),
            images or _unsigned(named),
            impatient=self._choose.random() < _IMPATIENT,
            **more,
        )


def _unsigned(disks: Mapping[str, str]) -> dict[str, str]:
    return {image: disk.partition("?")[0] for image, disk in disks.items()}
