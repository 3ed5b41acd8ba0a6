"""What a campaign publishes: a plan made from nothing but a seed.

A story is one offer of one publisher of its own, and the runs on it, act by act; the runs of an act are started at
the same moment. Each run says how it may end, which is all that its inputs and the injected facts allow.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal, TypeAlias

OFFER = "appliance"
PLANS = ("lts", "edge", "slim", "tiny", "gpu", "arm", "dev", "fips", "others")
"""A version has to be above those that its plan has: runs at the same time need plans of their own."""

STRANGERS_PLAN = "others"
IMAGES = "microsoft-azure-virtualmachines.vmImages"
GIVEN_SIGNATURE = "CHAOSSIGNATUREOFAGIVENDISK"
APPROVER = "dana@fabrikam.example"
SAS = f"sv=2022-11-02&sr=c&sp=rl&st=2024-01-01T00%3A00%3A00Z&se=2199-01-01T00%3A00%3A00Z&sig={GIVEN_SIGNATURE}"

_EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "create.json"
_WAYS_TO_CANCEL: tuple[dict[str, Any], ...] = ({}, {"cancel_async": True, "cancel_seconds": 60_000})
_POLLING = {"min_interval": "PT0.3S", "max_interval": "PT1S"}

Shape: TypeAlias = Literal["release", "crowd", "throng", "cancelled", "taken back", "rejected"]
Person: TypeAlias = Literal["nobody", "approves early", "approves", "rejects", "cancels", "cancels at once"]


@dataclass(frozen=True)
class Run:
    """One accepted start.

    Attributes:
        ends: The outcomes, or error types, of which one has to come.
        person: What a person does about the run.
    """

    workflow: str
    id: str
    start: dict[str, Any]
    ends: frozenset[str]
    person: Person = "nobody"

    @property
    def images(self) -> dict[str, str]:
        """The images wanted, as plan and version, and the address of the disk of each."""
        if "offer" in self.start:
            return images_of(self.start["offer"])
        return {
            f"{image['plan_id']} {image['version']}": image["os_vhd_url"].partition("?")[0]
            for image in self.start.get("images", [])
        }


def images_of(document: dict[str, Any]) -> dict[str, str]:
    """Return the images that a document holds, as plan and version, and the address of the disk of each."""
    return {
        f"{plan['planId']} {version}": image["osVhdUrl"].partition("?")[0]
        for plan in document["definition"]["plans"]
        for version, image in plan[IMAGES].items()
    }


@dataclass(frozen=True)
class Story:
    """One offer and the runs on it.

    Attributes:
        publishes: How many publishes and, ``go_lives``, go-lives the runs may lead to: fewest and most.
        injected: Faults of the sandbox that wait for the publisher's requests.
    """

    kind: str
    shape: Shape
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


def story(kind: str, shape: Shape, publisher: str, choose: Random) -> Story:
    """Make a story of a shape; what is free in it is chosen by the seed."""
    make = _Maker(publisher, choose)
    first = (make.create(),)
    match shape:
        case "release":
            acts = (first, (make.promote("lts"),), (make.check("live"),))
            return Story(kind, shape, publisher, acts, (2, 2), (1, 1))
        case "crowd":
            many: tuple[Run, ...] = (make.update("lts"), make.update("edge"), make.promote("slim"))
            last = (make.promote("lts", "edge"),)
            return Story(kind, shape, publisher, (first, many, last), (2, 5), (1, 2))
        case "throng":
            *six, seventh, eighth = PLANS[:8]
            many = (*map(make.update, six), make.promote(seventh), make.promote(eighth))
            last = (make.promote(*six),)
            return Story(kind, shape, publisher, (first, many, last), (2, 10), (1, 3))
        case "cancelled" | "taken back":
            late = shape == "taken back" or choose.random() < 0.5
            acts = (first, (make.cancelled("lts", "cancels" if late else "cancels at once"),), (make.update("lts"),))
            # What is cancelled at once may not have been published yet.
            return Story(kind, shape, publisher, acts, (2, 3), (0, 0), choose.choice(_WAYS_TO_CANCEL))
        case "rejected":
            acts = (first, (make.reject(),), (make.promote(),))
            return Story(kind, shape, publisher, acts, (1, 1), (1, 1))


class _Maker:
    def __init__(self, publisher: str, choose: Random) -> None:
        self._publisher = publisher
        self._choose = choose
        self._made = 0

    def create(self) -> Run:
        offer = json.loads(_EXAMPLE.read_text())["offer"]
        offer |= {"publisherId": self._publisher, "id": OFFER}
        example = offer["definition"]["plans"][0]
        offer["definition"]["plans"] = [
            example | {"planId": plan, IMAGES: {"1.0.0": {"osVhdUrl": self._disk(plan, "1.0.0")}}} for plan in PLANS
        ]
        return self._run("CreateOfferAndPublish", {"offer": offer}, "preview")

    def update(self, plan: str) -> Run:
        return self._run("UpdateOfferAndPublish", self._wanted(plan), "preview", "live")

    def cancelled(self, plan: str, person: Person) -> Run:
        workflow = self._choose.choice(["UpdateOfferAndPublish", "ValidateAndGoLive"])
        return self._run(workflow, self._wanted(plan), "canceled", person=person)

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

    def _offer(self) -> dict[str, Any]:
        return {"publisher_id": self._publisher, "offer_id": OFFER}

    def _wanted(self, *plans: str) -> dict[str, Any]:
        images = [{"plan_id": plan, "version": "1.1.0", "os_vhd_url": self._disk(plan, "1.1.0")} for plan in plans]
        return self._offer() | {"images": images}

    def _disk(self, plan: str, version: str) -> str:
        """Give the address of a disk: some come with their signature, others the worker signs."""
        name = f"vhds/{self._publisher}-{plan}-{version}.vhd"
        if plan == "lts":
            return f"https://chaosgiven.blob.core.windows.net/{name}?{SAS}"
        return f"https://chaossigned.blob.core.windows.net/{name}"

    def _run(self, workflow: str, start: dict[str, Any], *ends: str, person: Person = "nobody") -> Run:
        self._made += 1
        start = start | {"polling": _POLLING}
        return Run(workflow, f"{self._publisher}/run-{self._made}", start, frozenset(ends), person)
