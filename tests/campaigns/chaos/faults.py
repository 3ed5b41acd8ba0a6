"""The kinds of faults: in the sandbox's answers, and in processes and connections."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Literal, TypeAlias

from tests.campaigns.apis import APIS, CLOUD_PARTNER, PRODUCT_INGESTION, Call, CampaignApi
from tests.campaigns.chaos.scenarios import (
    CROWDED,
    STRANGERS_PLAN,
    Scenario,
    Shape,
    make_scenario,
)
from tests.campaigns.switches import REFUSING_EDITS, WITHOUT_ETAGS

Injected: TypeAlias = Sequence[dict[str, Any]]
Trouble: TypeAlias = Literal[
    "none",
    "kill when held",
    "kill before activity",
    "kill after effect",
    "kill at approval",
    "kill at continue-as-new",
    "kill at random",
    "kill server",
    "replace build",
    "full disk",
    "cut temporal",
    "cut marketplace",
    "stand still",
]

WRITES: tuple[Call, ...] = ("edit", "publish", "go_live")
READS: tuple[Call, ...] = ("read_slot", "list_operations", "read_operation")

FOREIGN_EDITS = "ForeignEdits"
RESTORED_LISTING = {
    "kind": "stranger_change",
    "resource": "listing",
    "text": "<p>Hardened web stack on Linux: nginx, PostgreSQL and unattended patching.</p>",
}
"""Restores the listing of the example."""

ALL: tuple[Shape, ...] = ("crowd", "queue", "release", "cancelled", "rejected")
HARD: tuple[Shape, ...] = ("throng", "queue", "cancelled", "release", "rejected")
CROWDS: tuple[Shape, ...] = ("throng", "queue", "crowd")
RELEASES: tuple[Shape, ...] = ("release", "crowd")
CANCELLED: tuple[Shape, ...] = ("taken back",)


def _nothing(_choose: Random) -> Injected:
    return ()


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        injected: Makes the sandbox's faults for a publisher.
        trouble: The trouble for processes and connections.
        at: The call or the activity at which the trouble strikes.
        may_end: Error types that are correct for the fault. A person then removes the cause and starts the run
            again. The second run must succeed.
        etags: Which of its offers have ETags, if the API has ETags.
        apis: The APIs that have this kind of fault.
        modular: Whether half of the runs publish only the plans of their images.
        hit_by: Returns whether a request was hit, for kinds that inject none of the sandbox's faults.
        held_for: Seconds until a request that was hit appears in the sandbox's log.
    """

    name: str
    injected: Callable[[Random], Injected] = _nothing
    trouble: Trouble = "none"
    at: str = ""
    shapes: tuple[Shape, ...] = ALL
    switches: dict[str, Any] = field(default_factory=dict)
    may_end: frozenset[str] = frozenset()
    etags: Literal["some", "all", "none"] = "some"
    apis: tuple[CampaignApi, ...] = tuple(APIS.values())
    modular: bool = False
    hit_by: Callable[[dict[str, Any]], bool] | None = None
    held_for: float = 0

    @property
    def own_workers(self) -> bool:
        """Whether it strikes workers, so that its runs need workers of their own."""
        return self.trouble not in {"none", "stand still"}

    @property
    def own_stack(self) -> bool:
        """Whether it strikes the server or the sandbox, so that its runs need both of their own."""
        return self.trouble == "kill server"


def _answers(
    status: int, headers: dict[str, str] | None = None, *, after: bool = False
) -> Callable[[Random], Injected]:
    kind = "respond_after" if after else "respond"
    return _hitting(
        {"kind": kind, "status": status, "headers": headers or {}, "body": "out of order"}, writes=2, reads=3
    )


def _hitting(action: dict[str, Any], *, writes: int, reads: int, times: int = 2) -> Callable[[Random], Injected]:
    """Hit randomly chosen writes and reads."""

    def injected(choose: Random) -> Injected:
        # Every scenario makes the first of these calls early, so that the fault hits every scenario.
        hit = [("publish", 0)] if writes else [("read_slot", 1)]
        hit += [(choose.choice(WRITES), choose.randrange(2)) for _ in range(writes - 1)]
        hit += [(choose.choice(READS), choose.randrange(8)) for _ in range(reads)]
        return [
            {"call": call, "after": after, "times": choose.randint(1, times), "action": action} for call, after in hit
        ]

    return injected


def _stall(choose: Random) -> Injected:
    """Delay answers beyond the client's timeout, which is 30 s for a write and 20 s for a read."""
    call, seconds = choose.choice([("publish", 32.0), ("go_live", 32.0), ("list_operations", 22.0)])
    return [
        {
            "call": call,
            "after": choose.randrange(2) if call == "list_operations" else 0,
            "action": {"kind": "delay", "seconds": seconds},
        }
    ]


def _stranger_edits(choose: Random) -> Injected:
    """Let a stranger edit the draft just before a run's second edit, and just before or after a publish."""
    return [
        {
            "call": call,
            "after": after,
            "action": {"kind": "stranger_edit", "plan_id": STRANGERS_PLAN, "version": version, "when": when},
        }
        for call, after, version, when in (
            ("edit", 1, f"9.0.{choose.randrange(100)}", "before"),
            ("publish", choose.randrange(2), f"9.1.{choose.randrange(100)}", choose.choice(["before", "after"])),
        )
    ]


def _stranger_publishes(choose: Random) -> Injected:
    """Let a stranger edit and publish at once. Without the edit, the publish would repeat the one before."""
    call = choose.choice(["publish", "go_live", "list_operations", "read_operation"])
    hit = {"call": call, "after": 0 if call == "go_live" else choose.randrange(1, 3)}
    edit = {"kind": "stranger_edit", "plan_id": STRANGERS_PLAN, "version": f"9.9.{choose.randrange(100)}"}
    return [{**hit, "action": edit}, {**hit, "action": {"kind": "stranger_publish"}}]


def _stranger_changes(choose: Random) -> Injected:
    """Let a stranger change the listing just before or after a read or write of a run."""
    call, after = choose.choice([("read_slot", choose.randrange(4, 9)), ("edit", 1), ("publish", 1)])
    when = "before" if call == "publish" else choose.choice(["before", "after"])
    return [
        {"call": call, "after": after, "action": RESTORED_LISTING | {"text": "Changed by a stranger.", "when": when}}
    ]


def _answers_lost(choose: Random) -> Injected:
    """Lose the answer to one edit, one publish and the first go-live."""
    return [
        {
            "call": call,
            "after": 0 if call == "go_live" else choose.randrange(2),
            "action": choose.choice([{"kind": "drop", "when": "after"}, {"kind": "respond_after", "status": 504}]),
        }
        for call in WRITES
    ]


def _in_a_row(call: Call, times: int) -> Callable[[Random], Injected]:
    """Answer a read with 5xx several times in a row."""

    def injected(choose: Random) -> Injected:
        status = choose.choice([500, 502, 503, 504])
        action = {"kind": "respond", "status": status, "body": "out of order"}
        return [{"call": call, "after": choose.randrange(6), "times": times, "action": action}]

    return injected


def _held(call: Call, seconds: float, when: str = "before") -> Callable[[Random], Injected]:
    def injected(choose: Random) -> Injected:
        first_only = call in {"go_live", "cancel"}
        after = 0 if first_only else choose.randrange(2)
        return [{"call": call, "after": after, "action": {"kind": "delay", "seconds": seconds, "when": when}}]

    return injected


def _slow(call: Call, seconds: float = 0.6) -> Callable[[Random], Injected]:
    """Delay a call, so that there is time to strike between an activity's first read and its write."""
    return lambda _choose: [{"call": call, "times": -1, "action": {"kind": "delay", "seconds": seconds}}]


def _all_slow(calls: Sequence[Call], least: float, most: float) -> Callable[[Random], Injected]:
    """Delay the answers to reads and the arrival of writes, so that concurrent runs overlap."""

    def injected(choose: Random) -> Injected:
        return [
            {"call": call, "times": -1, "action": {"kind": "delay", "seconds": seconds, "when": when}}
            for call in calls
            for seconds, when in [(round(choose.uniform(least, most), 2), "after" if call in READS else "before")]
        ]

    return injected


def _points() -> list[Kind]:
    """Return the kinds that kill workers at a particular point of a run."""
    kinds = []
    points: Sequence[tuple[Call, str, Call, tuple[Shape, ...]]] = (
        ("edit", "edit_images", "read_slot", CROWDS),
        ("publish", "publish", "list_operations", RELEASES),
        ("go_live", "go_live", "list_operations", RELEASES),
        ("cancel", "cancel_operation", "read_operation", CANCELLED),
    )
    for write, activity, first_read, shapes in points:
        kinds += [
            Kind(f"kill -9 before {write}", _slow(first_read), "kill before activity", activity, shapes),
            Kind(f"kill -9 between {write} and its recording", _held(write, 3), "kill when held", write, shapes),
            Kind(f"kill -9 after {write}", trouble="kill after effect", at=write, shapes=shapes),
        ]
        if write != "cancel":
            name = f"kill -9 between {write}'s 202 and its recording"
            held = _held(write, 3, "after")
            kinds.append(Kind(name, held, "kill when held", write, shapes, apis=(PRODUCT_INGESTION,)))
    days = {"step_durations": {"displaydummycertify": 30_000, "displaycertify": 600_000, "live": 120_000}}
    return [
        *kinds,
        Kind("kill -9 at the approval", trouble="kill at approval", shapes=("rejected", "release")),
        Kind("kill -9 in continue-as-new", _slow("read_operation"), "kill at continue-as-new", "", RELEASES, days),
    ]


KINDS: tuple[Kind, ...] = (
    Kind("no fault", shapes=HARD),
    Kind("429 with Retry-After", _answers(429, {"Retry-After": "2"})),
    Kind("500", _answers(500)),
    Kind("502 after the effect", _answers(502, after=True)),
    Kind("503 with Retry-After", _answers(503, {"Retry-After": "1"})),
    Kind("connection dropped before the effect", _hitting({"kind": "drop", "when": "before"}, writes=2, reads=3)),
    Kind("connection dropped after the effect", _hitting({"kind": "drop", "when": "after"}, writes=2, reads=3)),
    Kind("answer cut off", _hitting({"kind": "truncate", "bytes": 12}, writes=2, reads=3)),
    # Only one run at a time, because another run would publish the same draft while this publish request is held.
    Kind("stall beyond the timeout", _stall, shapes=("release", "rejected"), held_for=32),
    Kind(
        "token withdrawn",
        _hitting({"kind": "expire_tokens"}, writes=0, reads=1, times=1),
        shapes=("release", "rejected"),
        may_end=frozenset({"NotAuthorized"}),
    ),
    Kind("reads are slow", _all_slow(READS, 0.15, 0.35), shapes=CROWDS, etags="none"),
    Kind("drafts are written slowly", _all_slow(["edit"], 0.8, 1.2), shapes=("throng",), etags="none"),
    # Going live stays fast. If it were slow, a whole publish would fit between the last look and the promotion.
    Kind(
        "reads and writes are slow",
        _all_slow((*READS, "edit", "publish"), 0.15, 0.4),
        shapes=CROWDS,
        etags="none",
    ),
    Kind("run terminated in its write", _slow("edit", 1.5), shapes=("terminated",), etags="none"),
    # Without ETags, a write can overwrite a stranger's edit.
    Kind("stranger edits", _stranger_edits, shapes=("crowd", "release", "cancelled", "rejected"), etags="all"),
    Kind("stranger publishes", _stranger_publishes, shapes=RELEASES, etags="all"),
    Kind(
        "stranger changes the listing",
        _stranger_changes,
        shapes=("crowd", "release", "rejected"),
        may_end=frozenset({FOREIGN_EDITS}),
        apis=(PRODUCT_INGESTION,),
    ),
    Kind(
        "modular publishes beside whole ones",
        shapes=CROWDS,
        apis=(PRODUCT_INGESTION,),
        modular=True,
        hit_by=lambda entry: bool(entry["effect"]) and entry["call"] == "publish",
    ),
    Kind("429 with a decimal Retry-After", _answers(429, {"Retry-After": "1.5"}), apis=(PRODUCT_INGESTION,)),
    Kind("eight 5xx in a row on a job", _in_a_row("read_operation", 8), apis=(PRODUCT_INGESTION,)),
    Kind(
        "answers lost, submissions listed late",
        _answers_lost,
        switches={"submission_after_seconds": 36_000},
        apis=(PRODUCT_INGESTION,),
    ),
    Kind(
        "jobs forgotten as they end",
        shapes=HARD,
        switches={"job_retention_seconds": 1},
        apis=(PRODUCT_INGESTION,),
        hit_by=lambda entry: entry["status"] == NOT_FOUND and entry["call"] == "read_operation",
    ),
    Kind(
        "draft jobs take long, failed ones write",
        shapes=HARD,
        switches={"draft_job_seconds": 120_000, "draft_changes": "completed", "failed_jobs_apply": "everything"},
        apis=(PRODUCT_INGESTION,),
        hit_by=lambda entry: bool(entry["effect"]) and entry["call"] == "edit",
    ),
    Kind(
        "kill -9 while the draft's job runs",
        shapes=CROWDS,
        trouble="kill after effect",
        at="edit",
        switches={"draft_job_seconds": 180_000, "draft_changes": "completed"},
        apis=(PRODUCT_INGESTION,),
    ),
    Kind("operation stands still for 8 days", trouble="stand still", shapes=RELEASES),
    *_points(),
    Kind("kill -9 of workers at random", trouble="kill at random", shapes=HARD),
    Kind("kill -9 of the Temporal server", trouble="kill server", shapes=HARD),
    Kind("new build replaces the old one", trouble="replace build", shapes=HARD),
    Kind("full disk under the worker", trouble="full disk", shapes=HARD),
    Kind("network to Temporal cut", trouble="cut temporal", shapes=HARD),
    Kind("network to the marketplace cut", trouble="cut marketplace", shapes=HARD),
)


NOT_FOUND = 404

CROWDS_WITHOUT_ETAGS_OF_FOUR = 3
"""In which of every four turns a crowded scenario has no ETags. Without them, runs could lose each other's images."""


def plan(seed: int, runs: int, kinds: Sequence[Kind], api: CampaignApi = CLOUD_PARTNER) -> dict[str, list[Scenario]]:
    """Distribute at least this many runs over the kinds. The same seed makes the same plan."""
    scenarios: dict[str, list[Scenario]] = {kind.name: [] for kind in kinds}
    runs_of_a_kind = -(-runs // len(kinds))
    for number, kind in enumerate(kinds):
        choose = Random(f"{seed} {api.name} {kind.name}")  # noqa: S311 - it has to be repeatable
        made = scenarios[kind.name]
        while sum(len(one.runs) for one in made) < runs_of_a_kind:
            # One kind may have too few runs for all its shapes. All kinds together cover every shape.
            shape = kind.shapes[(seed + number + len(made)) % len(kind.shapes)]
            switches = _switches(kind, api, shape, seed + number + len(made), choose) | kind.switches
            publisher = f"chaos-{number}-{len(made)}"
            scenario = make_scenario(kind.name, shape, publisher, choose, switches, api, modular=kind.modular)
            made.append(_with_faults(kind, scenario, choose))
    return scenarios


def _switches(kind: Kind, api: CampaignApi, shape: Shape, turn: int, choose: Random) -> dict[str, Any]:
    """Choose the marketplace's quirks, whether it sends ETags, and whether it refuses edits during an operation."""
    without_etags = turn % 4 < CROWDS_WITHOUT_ETAGS_OF_FOUR if shape in CROWDED else choose.random() < 0.5
    # It would also refuse the stranger's edit.
    refuses_edits = choose.random() < 0.3 and not kind.name.startswith("stranger")
    if kind.etags != "some":
        without_etags = kind.etags == "none"
    etags = WITHOUT_ETAGS if without_etags and api.guards_drafts else {}
    return etags | (REFUSING_EDITS if refuses_edits else {}) | api.quirks(choose)


def _with_faults(kind: Kind, scenario: Scenario, choose: Random) -> Scenario:
    publishes = scenario.publishes
    if kind.name.startswith("stranger"):
        # Our runs may join the stranger's publish and need none of their own, or they may need one more.
        publishes = (0, publishes[1] + 2)
    if kind.modular:
        # A run that publishes only its own plans needs a publish of its own.
        publishes = (publishes[0], max(publishes[1], 1 + len(scenario.runs)))
    return replace(scenario, publishes=publishes, injected=tuple(kind.injected(choose)))
