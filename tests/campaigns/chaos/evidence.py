"""What is known when a story is over: the marketplace's request log and slots, and every history."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from google.protobuf.json_format import MessageToDict
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus

from tests.campaigns.chaos.play import Cell, Sight
from tests.campaigns.chaos.scenarios import Story
from tests.harness.apis import Call

LISTED_AT_MOST = 20

_NO_OFFER = {"status": "missing", "slots": dict.fromkeys(("Draft", "Preview", "Production")), "operations": []}

Place: TypeAlias = tuple[int, int]
"""Where an event is in a chain: the number of its history, and its own."""


@dataclass(frozen=True)
class History:
    """One run of a workflow, from its start to its end or its continuation."""

    workflow_id: str
    run_id: str
    status: WorkflowExecutionStatus | None
    events: Sequence[HistoryEvent]

    @property
    def first_run_id(self) -> str:
        """The run that this one continues, directly or by others; itself if it continues none."""
        began = self.events[0].workflow_execution_started_event_attributes
        return began.first_execution_run_id or self.run_id


@dataclass(frozen=True)
class Chain:
    """What a person takes for one run: histories of which each continues the one before."""

    workflow_id: str
    histories: Sequence[History]

    @property
    def status(self) -> WorkflowExecutionStatus | None:
        """How the last of them stands."""
        return self.histories[-1].status

    def events(self) -> Iterator[tuple[Place, HistoryEvent]]:
        """Yield all events, and the place of each."""
        for number, history in enumerate(self.histories):
            for event in history.events:
                yield (number, event.event_id), event


@dataclass(frozen=True)
class Activity:
    """An activity of a chain: what it was given and, unless it failed, what it answered."""

    name: str
    scheduled: Place
    given: Any
    answered: Any


@dataclass(frozen=True)
class Reported:
    """What a run that completed reported."""

    workflow_id: str
    at: datetime
    outcome: str
    images: Sequence[str]


def _is_faulty(entry: dict[str, Any]) -> bool:
    return bool(entry["faults"])


@dataclass(frozen=True)
class Evidence:
    """Everything about one story.

    Attributes:
        ends: How each accepted start ended, by the id of the run; the last one counts.
        requests: The marketplace's own log of the offer, with calls in words of no API.
        offer: Slots and operations as the marketplace has them in the end.
        strikes: When faults hit the processes and wires that the story depends on.
        own_workers: Whether only these count: the sandbox's own faults then just make the moment last.
        sights: How the offer stood each time that a run had ended.
        hit_by: Tells which requests a fault hit that is none of the sandbox's.
        forgetful: The runs that asked for an approval they had been given, and did not say why.
    """

    story: Story
    ends: dict[str, list[str]]
    requests: Sequence[dict[str, Any]]
    offer: dict[str, Any]
    histories: Sequence[History]
    strikes: Sequence[datetime]
    own_workers: bool = False
    sights: Sequence[Sight] = ()
    forgetful: Sequence[str] = ()
    hit_by: Callable[[dict[str, Any]], bool] = _is_faulty

    def effects(self, *calls: Call) -> list[dict[str, Any]]:
        """Return the requests that changed something, oldest first."""
        return [entry for entry in self.requests if entry["effect"] and entry["call"] in calls]

    def hits(self) -> list[datetime]:
        """Return when faults hit."""
        if self.own_workers:
            return list(self.strikes)
        return [*self.strikes, *(self._hit(entry) for entry in self.requests if self.hit_by(entry))]

    def _hit(self, entry: dict[str, Any]) -> datetime:
        """Return when a request was hit; one that was held back is logged when it is let go."""
        held = (fault["action"] for fault in self.story.injected if fault["call"] == entry["call"])
        seconds = next((action.get("seconds", 0) for action in held if action.get("when") != "after"), 0)
        return datetime.fromisoformat(entry["wall_time"]) - timedelta(seconds=seconds)

    @cached_property
    def chains(self) -> Sequence[Chain]:
        """The histories, each with those that it continues."""
        together: dict[tuple[str, str], list[History]] = {}
        for history in self.histories:
            together.setdefault((history.workflow_id, history.first_run_id), []).append(history)
        return [
            Chain(workflow_id, sorted(histories, key=lambda each: time_of(each.events[0])))
            for (workflow_id, _), histories in together.items()
        ]

    def of_run(self, workflow_id: str) -> list[Chain]:
        """Return the chains of a run: more than one where a person started it again."""
        return [chain for chain in self.chains if chain.workflow_id == workflow_id]

    def operation(self, answered: str) -> str | None:
        """Return the operation that an activity named, where it named the job that was to begin one."""
        operations: Sequence[dict[str, Any]] = self.offer["operations"]
        job = answered.removeprefix("job:")
        return next((each["id"] for each in operations if answered == each["id"] or job == each.get("job_id")), None)

    def reports(self) -> Iterator[Reported]:
        """Yield what the runs that completed reported."""
        for run in self.story.runs:
            for chain in self.of_run(run.id):
                end = chain.histories[-1].events[-1]
                if end.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
                    continue
                result = _value(end.workflow_execution_completed_event_attributes.result.payloads)
                images = [f"{image['plan_id']} {image['version']}" for image in result["images"]]
                yield Reported(run.id, time_of(end), result["outcome"], images)


async def gather(cell: Cell) -> list[Evidence]:
    """Collect the evidence of all stories of a cell."""
    return [await _of_story(cell, story) for story in cell.stories]


async def _of_story(cell: Cell, story: Story) -> Evidence:
    histories = []
    for each in await _settled(cell, story):
        history = await cell.client.get_workflow_handle(each.id, run_id=each.run_id).fetch_history()
        histories.append(History(each.id, each.run_id, each.status, history.events))
    said: dict[str, Call] = {called: call for call, called in story.api.calls.items()}
    logged = await cell.control("GET", f"requests?publisher={story.publisher}")
    requests = [entry | {"call": said.get(entry["call"], entry["call"])} for entry in logged]
    offer = await cell.offer(story) or _NO_OFFER
    ends = {run.id: cell.ends.get(run.id, []) for run in story.runs}
    sights = cell.sights.get(story.publisher, [])
    forgetful = [run.id for run in story.runs if run.id in cell.forgetful]
    return Evidence(
        story,
        ends,
        requests,
        offer,
        histories,
        list(cell.strikes),
        cell.kind.own_workers,
        sights,
        forgetful,
        cell.kind.hit_by or _is_faulty,
    )


async def _settled(cell: Cell, story: Story) -> list[WorkflowExecution]:
    """List all runs of an offer, internal ones too; again while the server's list is behind what it does."""
    query = (
        f"WorkflowId STARTS_WITH '{story.publisher}/' OR WorkflowId STARTS_WITH '{story.writer_id}'"
        f" OR PublisherId = '{story.publisher}'"
    )
    for _ in range(LISTED_AT_MOST):
        listed = [each async for each in cell.client.list_workflows(query)]
        last = {each.id: each.status for each in sorted(listed, key=lambda each: each.start_time)}
        if not {WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW} & set(last.values()):
            break
        await asyncio.sleep(0.5)
    return listed


def keep(evidence: Evidence, folder: Path) -> None:
    """Write everything about a story into a file, for whoever asks how a finding came about."""
    kept = {
        "ends": evidence.ends,
        "strikes": [each.isoformat() for each in evidence.strikes],
        "requests": evidence.requests,
        "offer": evidence.offer,
        "sights": [{"since": each.since.isoformat(), "offer": each.offer} for each in evidence.sights],
        "switches": evidence.story.switches,
        "injected": evidence.story.injected,
        "histories": [
            {"id": each.workflow_id, "run": each.run_id, "events": [MessageToDict(event) for event in each.events]}
            for each in evidence.histories
        ],
    }
    (folder / f"{evidence.story.publisher}.json").write_text(json.dumps(kept, indent=1))


def time_of(event: HistoryEvent) -> datetime:
    """Return when an event was recorded."""
    return event.event_time.ToDatetime(tzinfo=UTC)


def activities(chain: Chain) -> Iterator[Activity]:
    """Yield the ordinary activities of a chain, all writes among them; local ones leave only markers."""
    answers = {
        (place[0], event.activity_task_completed_event_attributes.scheduled_event_id): event
        for place, event in chain.events()
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
    }
    for place, event in chain.events():
        if event.event_type != EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            continue
        scheduled = event.activity_task_scheduled_event_attributes
        answer = answers.get(place)
        yield Activity(
            scheduled.activity_type.name,
            place,
            _value(scheduled.input.payloads),
            _value(answer.activity_task_completed_event_attributes.result.payloads) if answer else None,
        )


def approvals(chain: Chain) -> Iterator[tuple[Place, HistoryEvent]]:
    """Yield the events that brought an approval, by signal or by update."""
    for place, event in chain.events():
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            if event.workflow_execution_signaled_event_attributes.signal_name == "approve_go_live":
                yield place, event
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
            request = event.workflow_execution_update_accepted_event_attributes.accepted_request
            if request.input.name == "decide_go_live" and _value(request.input.args.payloads)["approve"]:
                yield place, event


def asked_for_approval(chain: Chain) -> list[Place]:
    """Return the places of the events with which the run began to wait for a person."""
    return [
        place
        for place, event in chain.events()
        if event.event_type == EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES
        and b"awaiting_approval" in event.SerializeToString()
    ]


def _value(payloads: Sequence[Payload]) -> Any:
    return json.loads(payloads[0].data) if payloads and payloads[0].data else None
