"""A small fault campaign with a fixed seed, on real processes, and tests of the invariants themselves.

`make chaos` plays the whole campaign, see docs/chaos.md.
"""

import asyncio
import copy
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from rich.console import Console
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.operations import PUBLISH_IN_PROGRESS, OperationActivities, PublishRequest
from marketplace.model import OfferKey, Operation, OperationKind, OperationState
from marketplace.protocol import Marketplace
from tests.campaigns.apis import APIS, CampaignApi
from tests.campaigns.apis.cloud_partner import IMAGES
from tests.campaigns.chaos.campaign import Campaign
from tests.campaigns.chaos.evidence import Evidence
from tests.campaigns.chaos.faults import KINDS, plan
from tests.campaigns.chaos.invariants import findings, recoveries, secrets_in
from tests.campaigns.chaos.play import Observation
from tests.campaigns.chaos.scenarios import APPROVER, CROWDED, PLANS, Scenario, make_scenario
from tests.campaigns.histories import History
from tests.campaigns.switches import WITHOUT_ETAGS

SLICES = {
    "cloud-partner": ("502 after the effect", "kill -9 at the approval"),
    "product-ingestion": ("kill -9 between publish and its recording", "network to Temporal cut"),
}
"""Two kinds of faults for each API, because each kind needs its own servers and workers."""

BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.mark.timeout(300)
async def test_nothing_is_lost_and_nothing_is_done_twice(tmp_path: Path) -> None:
    console = Console(width=160)
    slices = {name: [kind for kind in KINDS if kind.name in SLICES[name]] for name in APIS}
    # Both campaigns mostly wait for retries. Each has its own server, sandbox and workers.
    played = await asyncio.gather(
        *(Campaign(api, 7, 6, slices[name], 3, tmp_path, console).run() for name, api in APIS.items())
    )

    for name, rows in zip(APIS, played, strict=True):
        assert [row.kind for row in rows] == list(SLICES[name])
        assert [finding for row in rows for finding in row.findings] == [], name
        assert sum(row.survived for row in rows) == sum(row.runs for row in rows) >= 6, name


class Published:
    """A marketplace where, since the last look, somebody published the same draft and went live."""

    async def operations(self, _offer: OfferKey) -> list[Operation]:
        return [
            Operation(id="live", kind=OperationKind.GO_LIVE, state=OperationState.LIVE),
            Operation(id="theirs", kind=OperationKind.PUBLISH, state=OperationState.PREVIEW),
            Operation(id="known", kind=OperationKind.PUBLISH, state=OperationState.PREVIEW),
        ]

    async def publish(self, _offer: OfferKey, _emails: list[str]) -> str:
        raise AssertionError("the draft would be published a second time")


async def test_a_publish_that_waited_for_a_worker_does_not_repeat_the_publish_of_somebody_else() -> None:
    """A campaign that killed workers at random found this."""
    request = PublishRequest(offer=OfferKey(publisher_id="fabrikam", offer_id="webstack"), known_operations=["known"])
    publish = OperationActivities(cast("Marketplace", Published())).publish

    with pytest.raises(ApplicationError) as refused:
        await ActivityEnvironment().run(publish, request)
    assert refused.value.type == PUBLISH_IN_PROGRESS


def planned(seed: int, api: CampaignApi) -> dict[str, list[Scenario]]:
    return plan(seed, 500, [kind for kind in KINDS if api in kind.apis], api)


@pytest.mark.parametrize("api", APIS.values(), ids=list(APIS))
def test_a_seed_determines_the_plan_and_every_plan_covers_all_workflows(api: CampaignApi) -> None:
    made = planned(20, api)
    runs = [run for scenarios in made.values() for each in scenarios for run in each.runs]

    assert made == planned(20, api)
    assert made != planned(21, api)
    assert len(runs) >= 500
    assert len({run.workflow for run in runs}) == 4


@pytest.mark.parametrize("seed", [7, 20, 30])
@pytest.mark.parametrize("api", APIS.values(), ids=list(APIS))
def test_a_third_of_all_runs_are_concurrent_runs_on_an_offer_without_etags(seed: int, api: CampaignApi) -> None:
    scenarios = [each for scenarios in planned(seed, api).values() for each in scenarios]
    at_once = [
        each
        for each in scenarios
        if each.shape in CROWDED and (not api.guards_drafts or each.switches.items() >= WITHOUT_ETAGS.items())
    ]

    assert sum(len(each.runs) for each in at_once) >= sum(len(each.runs) for each in scenarios) / 3
    assert {each.shape for each in at_once} == CROWDED
    assert {each.refuses_edits for each in at_once} == {True, False}


@pytest.mark.parametrize(("takes_edits", "most"), [("accept", 3), ("refuse", 6)])
def test_runs_that_wait_for_a_publish_share_the_next_one_if_the_draft_accepts_their_images(
    takes_edits: str, most: int
) -> None:
    switches = {"edits_while_running": takes_edits}
    made = make_scenario("kind", "queue", "publisher", Random(1), switches)  # noqa: S311 - repeatable

    assert made.publishes == (3, most)
    assert len(made.runs) == 8


class Flawless:
    """The evidence of a flawless release. Its offer is created, published, approved and checked, and goes live."""

    def __init__(self) -> None:
        self.scenario = make_scenario("kind", "release", "publisher", Random(1))  # noqa: S311 - repeatable
        created, promoted, checked = self.scenario.runs
        self.created, self.promoted = created.id, promoted.id
        [self.document] = self.scenario.api.definition(
            "publisher", PLANS, {**created.images, **promoted.images}
        ).values()
        held = {"version": 1, "document": self.document}
        self.ends = {created.id: ["preview"], promoted.id: ["live"], checked.id: ["live"]}
        self.requests = [
            entry(0, "edit"),
            entry(1, "publish", "first"),
            entry(2, "edit"),
            entry(3, "publish", "second"),
            entry(6, "go_live", "third"),
        ]
        self.offer: dict[str, Any] = {
            "status": "succeeded",
            "slots": {"Draft": held, "Preview": copy.deepcopy(held), "Production": copy.deepcopy(held)},
            "operations": [
                {"id": "first", "kind": "publish", "outcome": "completed", "fingerprint": "without"},
                {"id": "second", "kind": "publish", "outcome": "completed", "fingerprint": "with"},
                {"id": "third", "kind": "goLive", "outcome": "completed", "fingerprint": "with"},
            ],
        }
        self.creation = [began(0), completed(2, "preview", *created.images)]
        self.before = [began(2), approved(4)]
        self.after = [began(5, continues="a"), *went_live(6, "second", "third"), completed(9, "live", "lts 1.1.0")]
        self.histories = [
            History(created.id, "c", WorkflowExecutionStatus.COMPLETED, self.creation),
            History(promoted.id, "b", WorkflowExecutionStatus.COMPLETED, self.after),
            History(promoted.id, "a", WorkflowExecutionStatus.CONTINUED_AS_NEW, self.before),
        ]
        self.observations: list[Observation] = []
        self.forgetful: list[str] = []

    def evidence(self) -> Evidence:
        return Evidence(
            self.scenario,
            self.ends,
            self.requests,
            self.offer,
            self.histories,
            [],
            observations=self.observations,
            forgetful=self.forgetful,
        )


def entry(second: int, call: str, operation: str | None = None) -> dict[str, Any]:
    wall_time = (BEGAN + timedelta(seconds=second)).isoformat()
    return {"call": call, "effect": True, "operation_id": operation, "faults": [], "wall_time": wall_time}


def event(second: int, kind: EventType.ValueType) -> HistoryEvent:
    made = HistoryEvent(event_id=second, event_type=kind)
    made.event_time.FromDatetime(BEGAN + timedelta(seconds=second))
    return made


def began(second: int, *, continues: str = "") -> HistoryEvent:
    made = event(second, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
    made.workflow_execution_started_event_attributes.first_execution_run_id = continues
    return made


def completed(second: int, outcome: str, *images: str) -> HistoryEvent:
    made = event(second, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED)
    parts = [image.partition(" ") for image in images]
    result = {"outcome": outcome, "images": [{"plan_id": plan, "version": version} for plan, _, version in parts]}
    made.workflow_execution_completed_event_attributes.result.payloads.add(data=json.dumps(result).encode())
    return made


def approved(second: int) -> HistoryEvent:
    made = event(second, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
    signaled = made.workflow_execution_signaled_event_attributes
    signaled.signal_name = "approve_go_live"
    signaled.input.payloads.add(data=json.dumps({"approver": APPROVER}).encode())
    return made


def went_live(second: int, publish: str, operation: str) -> list[HistoryEvent]:
    asked = event(second, EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
    scheduled = asked.activity_task_scheduled_event_attributes
    scheduled.activity_type.name = "go_live"
    scheduled.input.payloads.add(data=json.dumps({"approved_publish": publish}).encode())
    done = event(second + 2, EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED)
    completed = done.activity_task_completed_event_attributes
    completed.scheduled_event_id = second
    completed.result.payloads.add(data=json.dumps({"operation_id": operation, "ours": True}).encode())
    return [asked, done]


def test_a_flawless_release_has_no_findings() -> None:
    assert findings(Flawless().evidence()) == []


def ended_wrongly(release: Flawless) -> None:
    release.ends[release.promoted] = ["MarketplaceError"]


def never_ended(release: Flawless) -> None:
    release.ends[release.promoted] = []


def another_disk(release: Flawless) -> None:
    images = release.offer["slots"]["Production"]["document"]["definition"]["plans"][0][IMAGES]
    images["1.1.0"]["osVhdUrl"] = "https://elsewhere.example/other.vhd"


def removed_unasked(release: Flawless) -> None:
    del release.offer["slots"]["Draft"]["document"]["definition"]["plans"][1][IMAGES]["1.0.0"]


def lost_and_put_back(release: Flawless) -> None:
    without = copy.deepcopy(release.offer)
    del without["slots"]["Draft"]["document"]["definition"]["plans"][1][IMAGES]["1.0.0"]
    release.observations = [
        Observation(BEGAN + timedelta(seconds=3), without),
        Observation(BEGAN + timedelta(seconds=5), release.offer),
    ]


def lost_from_the_preview(release: Flawless) -> None:
    del release.offer["slots"]["Preview"]["document"]["definition"]["plans"][1][IMAGES]["1.0.0"]


def forgot_the_approval(release: Flawless) -> None:
    release.forgetful = [release.promoted]


def unknown_run(release: Flawless) -> None:
    release.histories.append(
        History(f"{release.promoted}/update", "d", WorkflowExecutionStatus.COMPLETED, [began(3)])
    )


def searchable_internal_run(release: Flawless) -> None:
    started = began(3)
    attributes = started.workflow_execution_started_event_attributes.search_attributes
    attributes.indexed_fields["PublisherId"].data = b'"publisher"'
    release.histories.append(History(release.scenario.writer_id, "d", WorkflowExecutionStatus.COMPLETED, [started]))


def published_twice(release: Flawless) -> None:
    again = {"id": "again", "kind": "publish", "outcome": "completed", "fingerprint": "with"}
    release.offer["operations"].insert(1, again)
    release.requests.insert(4, entry(4, "publish", "again"))


def went_live_twice(release: Flawless) -> None:
    release.requests.append(entry(9, "go_live", "third"))


def unapproved(release: Flawless) -> None:
    del release.before[1]


def approved_too_early(release: Flawless) -> None:
    asked = event(1, EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES)
    attributes = asked.upsert_workflow_search_attributes_event_attributes.search_attributes
    attributes.indexed_fields["PublishStage"].data = b'"awaiting_approval"'
    release.before[1:] = [asked, approved(2)]


def promoted_another(release: Flawless) -> None:
    release.after[1:3] = went_live(6, "first", "third")


def left_running(release: Flawless) -> None:
    release.offer["status"] = "running"


def failing_task(release: Flawless) -> None:
    release.after.insert(1, event(9, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED))


def shows_a_signature(release: Flawless) -> None:
    made = event(8, EventType.EVENT_TYPE_MARKER_RECORDED)
    made.marker_recorded_event_attributes.details["result"].payloads.add(
        data=b'{"url": "https://x/y.vhd?sig=CHAOSSIGNATUREOFAGIVENDISK"}'
    )
    release.after.insert(1, made)


@pytest.mark.parametrize(
    ("tamper", "loss"),
    [
        (ended_wrongly, "lost"),
        (never_ended, "lost"),
        (another_disk, "lost"),
        (removed_unasked, "lost"),
        (lost_and_put_back, "lost"),
        (lost_from_the_preview, "lost"),
        (forgot_the_approval, "lost"),
        (unknown_run, "extra"),
        (searchable_internal_run, "extra"),
        (published_twice, "duplicated"),
        (went_live_twice, "duplicated"),
        (unapproved, "unapproved"),
        (approved_too_early, "unapproved"),
        (promoted_another, "unapproved"),
        (left_running, "orphaned"),
        (failing_task, "lost"),
        (shows_a_signature, "secret"),
    ],
)
def test_a_violated_invariant_is_found(tamper: Callable[[Flawless], None], loss: str) -> None:
    release = Flawless()
    tamper(release)

    assert loss in {finding.loss for finding in findings(release.evidence())}


def test_an_image_that_was_lost_in_between_is_found_although_it_was_restored() -> None:
    release = Flawless()
    lost_and_put_back(release)

    assert [finding.what for finding in findings(release.evidence())] == [
        f"{release.created} reported preview with edge 1.0.0, which is gone from Draft in 1 of 3 observations"
    ]


def test_continue_as_new_may_pass_on_the_signature_of_a_user() -> None:
    release = Flawless()
    made = event(5, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW)
    payloads = made.workflow_execution_continued_as_new_event_attributes.input.payloads
    payloads.add(data=b"https://x/y.vhd?sig=CHAOSSIGNATUREOFAGIVENDISK")
    release.before.append(made)

    assert findings(release.evidence()) == []


def test_recovery_ends_with_the_next_recorded_step() -> None:
    release = Flawless()
    struck = replace(release.evidence(), strikes=[BEGAN + timedelta(seconds=3)])

    assert recoveries(struck) == [2.0]


@pytest.mark.parametrize("text", [b"Bearer abc.def", b"?sig=abcdefghijklmnopqrstuvwxyz%3D", b"sandbox-token"])
def test_secrets_in_a_log_are_found(text: bytes) -> None:
    assert secrets_in(b"10:00 INFO " + text)
    assert not secrets_in(b"10:00 INFO sig=*** Bearer: hidden")
