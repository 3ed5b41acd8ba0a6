"""The scenarios that a campaign plays.

A scenario is a publisher's only offer and the runs on it, in acts. All runs of an act start at the same moment. Each
run lists how it may end. The seed alone determines a scenario.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from tests.campaigns.apis import CLOUD_PARTNER, CampaignApi
from tests.campaigns.secrets import SAS
from tests.campaigns.switches import REFUSING_EDITS

PLANS = ("lts", "edge", "slim", "tiny", "gpu", "arm", "dev", "fips", "others")
"""A new version must be above all others of its plan. Concurrent runs therefore use different plans."""

STRANGERS_PLAN = "others"
APPROVER = "dana@fabrikam.example"

_WAYS_TO_CANCEL: tuple[dict[str, Any], ...] = ({}, {"cancel_async": True, "cancel_seconds": 60_000})
_IMPATIENT_SHARE = 0.3
_MODULAR_SHARE = 0.5
_SECONDS_APART = 3.0
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
"""The shapes with several concurrent runs on one offer."""


@dataclass(frozen=True)
class Run:
    """One run of a workflow.

    Attributes:
        ends: The outcomes and error types that the run may end with.
        images: The images that the run wants, and the disk URL of each.
        person: What a person does about the run.
        impatient: Whether a person sends ``check_now`` again and again.
        after: Seconds from the beginning of the act to the start of the run.
        leaves: Whether the images are in the draft after the run has ended. ``either`` is for a run that is stopped
            halfway.
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
        """The input of a second start. The first may have put the offer without publishing it."""
        creates = self.workflow == "CreateOfferAndPublish"
        return self.start | {"if_exists": "replace"} if creates else self.start


@dataclass(frozen=True)
class Scenario:
    """One offer and the runs on it.

    Attributes:
        acts: The runs of an act start at once or shortly after one another. In a queue, the first run of an act
            publishes, and the marketplace holds that publish until all others wait for it.
        publishes: The minimum and maximum number of publishes.
        go_lives: The minimum and maximum number of go-lives.
        switches: The sandbox's switches for the publisher.
        injected: The sandbox's faults for the publisher.
    """

    kind: str
    shape: Shape
    api: CampaignApi
    publisher: str
    acts: tuple[tuple[Run, ...], ...]
    publishes: tuple[int, int]
    go_lives: tuple[int, int]
    switches: dict[str, Any] = field(default_factory=dict)
    injected: tuple[dict[str, Any], ...] = ()

    @property
    def runs(self) -> list[Run]:
        """All runs, in order of their acts."""
        return [run for act in self.acts for run in act]

    @property
    def offer_id(self) -> str:
        """The ID of the offer."""
        return self.api.offer_id(self.publisher)

    @property
    def writer_id(self) -> str:
        """The ID of the internal workflow that serialises writes to a draft without an ETag."""
        return f"internal/draft/{self.publisher}/{self.offer_id}"

    @property
    def refuses_edits(self) -> bool:
        """Whether the marketplace refuses edits while an operation runs."""
        return refuses_edits(self.switches)


def refuses_edits(switches: Mapping[str, Any]) -> bool:
    """Return whether a marketplace with these switches refuses edits while an operation runs."""
    return switches.items() >= REFUSING_EDITS.items()


def make_scenario(
    kind: str,
    shape: Shape,
    publisher: str,
    choose: Random,
    switches: Mapping[str, Any] = MappingProxyType({}),
    api: CampaignApi = CLOUD_PARTNER,
    *,
    modular: bool = False,
) -> Scenario:
    """Make a scenario of a shape.

    Args:
        kind: The name of the kind of fault.
        shape: The shape.
        publisher: The publisher.
        choose: The random choices that the other arguments leave open.
        switches: The sandbox's switches for the publisher.
        api: The API to publish through.
        modular: Whether half of the runs publish only the plans of their images.
    """
    make = _Maker(publisher, choose, api, modular=modular)
    first = (make.create(),)
    scenario = partial(Scenario, kind, shape, api, publisher, switches=dict(switches))
    match shape:
        case "release":
            made = scenario((first, (make.promote("lts"),), (make.check("live"),)), (2, 2), (1, 1))
        case "crowd":
            many: tuple[Run, ...] = make.apart(make.update("lts"), make.update("edge"), make.promote("slim"))
            made = scenario((first, many, (make.promote("lts", "edge"),)), (2, 5), (1, 2))
        case "throng":
            *six, seventh, eighth = PLANS[:8]
            many = make.apart(*map(make.update, six), make.promote(seventh), make.promote(eighth))
            made = scenario((first, many, (make.promote(*six),)), (2, 10), (1, 3))
        case "queue":
            leader, *three, last = PLANS[:5]
            waiting = (*map(make.update, three), make.promote(last))
            apart = refuses_edits(switches)
            left = make.leaves_the_queue("arm", "either" if apart else "images")
            many = (make.update(leader), *waiting, left, make.refused("dev"))
            # If the draft accepts edits, one more publish carries the images of all waiting runs.
            made = scenario((first, many), (3, 2 + len(waiting) if apart or modular else 3), (1, 1))
        case "cancelled" | "taken back":
            late = shape == "taken back" or choose.random() < 0.5
            acts = (first, (make.cancelled("lts", "cancels" if late else "cancels at once"),), (make.update("lts"),))
            # A run that is cancelled at once may not have published yet.
            made = scenario(acts, (2, 3), (0, 0), switches=dict(switches) | choose.choice(_WAYS_TO_CANCEL))
        case "rejected":
            made = scenario((first, (make.reject(),), (make.promote(),)), (1, 1), (1, 1))
        case "terminated":
            many = make.apart(*map(make.update, PLANS[:4]), make.terminated("gpu"))
            made = scenario((first, many), (2, 6), (0, 0))
    return made


class _Maker:
    def __init__(self, publisher: str, choose: Random, api: CampaignApi, *, modular: bool) -> None:
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
        # The run may end before the campaign has seen it write.
        ends = ("terminated", "preview")
        person: Person = "terminates in its write"
        return self._run("UpdateOfferAndPublish", self._wanted(plan), *ends, person=person, leaves="either")

    def promote(self, *plans: str) -> Run:
        # An approval before the preview is ready applies to the named images, so the run must name some.
        early = bool(plans) and self._choose.random() < 0.5
        person: Person = "approves early" if early else "approves"
        start = self._wanted(*plans) | {"approval": {"approvers": [APPROVER]}}
        return self._run("ValidateAndGoLive", start, "live", person=person)

    def reject(self) -> Run:
        return self._run("ValidateAndGoLive", self._wanted(), "GoLiveRejected", person="rejects")

    def check(self, *ends: str) -> Run:
        return self._run("CheckLastOperationStatus", self._offer(), *ends)

    def apart(self, *runs: Run) -> tuple[Run, ...]:
        """Start the runs at once, or far enough apart that some write while others publish."""
        longest = self._choose.choice([0, _SECONDS_APART])
        return tuple(replace(run, after=round(self._choose.uniform(0, longest), 2)) for run in runs)

    def _offer(self) -> dict[str, Any]:
        return {"publisher_id": self._publisher, "offer_id": self._api.offer_id(self._publisher)}

    def _wanted(self, *plans: str) -> dict[str, Any]:
        images = [{"plan_id": plan, "version": "1.1.0", "os_vhd_url": self._disk(plan, "1.1.0")} for plan in plans]
        modular = bool(plans) and self._modular and self._choose.random() < _MODULAR_SHARE
        return self._offer() | {"images": images} | ({"publish": "modular"} if modular else {})

    def _disk(self, plan: str, version: str) -> str:
        """Return the URL of a disk. The input signs some disks, the worker signs the others."""
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
        disks = {f"{image['plan_id']} {image['version']}": image["os_vhd_url"] for image in start.get("images", [])}
        return Run(
            workflow,
            f"{self._publisher}/run-{self._made}",
            start | {"polling": _POLLING},
            frozenset(ends),
            images or _unsigned(disks),
            impatient=self._choose.random() < _IMPATIENT_SHARE,
            **more,
        )


def _unsigned(disks: Mapping[str, str]) -> dict[str, str]:
    return {image: disk.partition("?")[0] for image, disk in disks.items()}
