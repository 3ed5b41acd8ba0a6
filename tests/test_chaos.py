"""A small fault campaign of a fixed seed, on real processes; and that the judge of campaigns sees what it must see.

The whole campaign is `make chaos`, see docs/chaos.md.
"""

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
from bench.chaos.campaign import Campaign
from bench.chaos.evidence import Evidence, History
from bench.chaos.faults import KINDS, plan
from bench.chaos.invariants import findings, recoveries, secrets_in
from bench.chaos.scenarios import APPROVER, IMAGES, story
from marketplace.model import OfferKey, Operation, OperationKind, OperationState
from marketplace.protocol import Marketplace

SLICE = (
    "502 after the effect",
    "connection dropped after the effect",
    "stranger publishes",
    "kill -9 between publish and its recording",
    "kill -9 at the approval",
    "network to Temporal cut",
)
BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.mark.timeout(300)
async def test_nothing_is_lost_and_nothing_done_twice(tmp_path: Path) -> None:
    kinds = [kind for kind in KINDS if kind.name in SLICE]
    campaign = Campaign(7, 40, kinds, len(kinds), tmp_path, Console(width=160))
    rows = await campaign.run()

    assert [row.kind for row in rows] == list(SLICE)
    assert [finding for row in rows for finding in row.findings] == []
    assert sum(row.survived for row in rows) == sum(row.runs for row in rows) >= 40


class Published:
    """A marketplace where somebody published the same draft and went live since the run looked."""

    async def operations(self, _offer: OfferKey) -> list[Operation]:
        return [
            Operation(id="live", kind=OperationKind.GO_LIVE, state=OperationState.LIVE),
            Operation(id="theirs", kind=OperationKind.PUBLISH, state=OperationState.PREVIEW),
            Operation(id="known", kind=OperationKind.PUBLISH, state=OperationState.PREVIEW),
        ]

    async def publish(self, _offer: OfferKey, _emails: list[str]) -> str:
        raise AssertionError("the draft would be published a second time")


async def test_a_publish_that_waited_for_a_worker_looks_again_before_it_repeats_somebody_elses() -> None:
    """A finding of a campaign that killed workers at random."""
    request = PublishRequest(offer=OfferKey(publisher_id="fabrikam", offer_id="webstack"), known_operations=["known"])
    publish = OperationActivities(cast("Marketplace", Published())).publish

    with pytest.raises(ApplicationError) as refused:
        await ActivityEnvironment().run(publish, request)
    assert refused.value.type == PUBLISH_IN_PROGRESS


def test_a_seed_makes_one_plan_and_covers_every_workflow() -> None:
    made = plan(20, 500, KINDS)
    runs = [run for stories in made.values() for each in stories for run in each.runs]

    assert made == plan(20, 500, KINDS)
    assert made != plan(21, 500, KINDS)
    assert len(runs) >= 500
    assert len({run.workflow for run in runs}) == 4


class Well:
    """The evidence of a release that went well: created, published, approved, gone live, checked."""

    def __init__(self) -> None:
        self.story = story("kind", "release", "publisher", Random(1))  # noqa: S311 - repeatable
        created, promoted, checked = self.story.runs
        self.promoted = promoted.id
        document = copy.deepcopy(created.start["offer"])
        document["definition"]["plans"][0][IMAGES]["1.1.0"] = {"osVhdUrl": promoted.images["lts 1.1.0"]}
        held = {"version": 1, "document": document}
        self.ends = {created.id: ["preview"], promoted.id: ["live"], checked.id: ["live"]}
        self.requests = [
            entry(0, "put_offer"),
            entry(1, "publish", "first"),
            entry(2, "put_offer"),
            entry(3, "publish", "second"),
            entry(6, "go_live", "third"),
        ]
        self.offer: dict[str, Any] = {
            "status": "succeeded",
            "slots": {"Draft": held, "Preview": copy.deepcopy(held), "Production": copy.deepcopy(held)},
            "operations": [
                {"id": "first", "kind": "publish", "outcome": "completed"},
                {"id": "second", "kind": "publish", "outcome": "completed"},
                {"id": "third", "kind": "goLive", "outcome": "completed"},
            ],
        }
        self.events = [approved(4), *went_live(5, "second", "third")]

    def evidence(self) -> Evidence:
        history = History(self.promoted, "run", WorkflowExecutionStatus.COMPLETED, self.events)
        return Evidence(self.story, self.ends, self.requests, self.offer, [history], [])


def entry(second: int, call: str, operation: str | None = None) -> dict[str, Any]:
    wall_time = (BEGAN + timedelta(seconds=second)).isoformat()
    return {"call": call, "effect": True, "operation_id": operation, "faults": [], "wall_time": wall_time}


def event(second: int, kind: EventType.ValueType) -> HistoryEvent:
    made = HistoryEvent(event_id=second, event_type=kind)
    made.event_time.FromDatetime(BEGAN + timedelta(seconds=second))
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


def test_what_went_well_is_not_complained_about() -> None:
    assert findings(Well().evidence()) == []


def ended_otherwise(well: Well) -> None:
    well.ends[well.promoted] = ["MarketplaceError"]


def never_ended(well: Well) -> None:
    well.ends[well.promoted] = []


def another_disk(well: Well) -> None:
    images = well.offer["slots"]["Production"]["document"]["definition"]["plans"][0][IMAGES]
    images["1.1.0"]["osVhdUrl"] = "https://elsewhere.example/other.vhd"


def removed_unasked(well: Well) -> None:
    del well.offer["slots"]["Draft"]["document"]["definition"]["plans"][1][IMAGES]["1.0.0"]


def published_twice(well: Well) -> None:
    well.requests.insert(4, entry(4, "publish", "again"))


def went_live_twice(well: Well) -> None:
    well.requests.append(entry(9, "go_live", "third"))


def unapproved(well: Well) -> None:
    del well.events[0]


def approved_too_early(well: Well) -> None:
    asked = event(1, EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES)
    attributes = asked.upsert_workflow_search_attributes_event_attributes.search_attributes
    attributes.indexed_fields["PublishStage"].data = b'"awaiting_approval"'
    well.events[:1] = [asked, approved(2)]


def promoted_another(well: Well) -> None:
    well.events[1:] = went_live(5, "first", "third")


def left_running(well: Well) -> None:
    well.offer["status"] = "running"


def failing_task(well: Well) -> None:
    well.events.append(event(9, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED))


def told_a_signature(well: Well) -> None:
    made = event(9, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED)
    payloads = made.workflow_execution_completed_event_attributes.result.payloads
    payloads.add(data=b'{"url": "https://x/y.vhd?sig=CHAOSSIGNATUREOFAGIVENDISK"}')
    well.events.append(made)


@pytest.mark.parametrize(
    ("tamper", "loss"),
    [
        (ended_otherwise, "lost"),
        (never_ended, "lost"),
        (another_disk, "lost"),
        (removed_unasked, "lost"),
        (published_twice, "duplicated"),
        (went_live_twice, "duplicated"),
        (unapproved, "unapproved"),
        (approved_too_early, "unapproved"),
        (promoted_another, "unapproved"),
        (left_running, "orphaned"),
        (failing_task, "lost"),
        (told_a_signature, "secret"),
    ],
)
def test_the_judge_sees(tamper: Callable[[Well], None], loss: str) -> None:
    well = Well()
    tamper(well)

    assert loss in {finding.loss for finding in findings(well.evidence())}


def test_recovery_is_counted_to_the_next_recorded_step() -> None:
    well = Well()
    well.events.insert(0, event(1, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED))
    struck = replace(well.evidence(), strikes=[BEGAN + timedelta(seconds=3)])

    assert recoveries(struck) == [4.0]


@pytest.mark.parametrize("text", [b"Bearer abc.def", b"?sig=abcdefghijklmnopqrstuvwxyz%3D", b"sandbox-token"])
def test_no_secret_passes_in_a_log(text: bytes) -> None:
    assert secrets_in(b"10:00 INFO " + text)
    assert not secrets_in(b"10:00 INFO sig=*** Bearer: hidden")
