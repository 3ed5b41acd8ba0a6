"""What is known when a story is over: the marketplace's request log and slots, and every history."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus

from bench.chaos.play import Cell
from bench.chaos.scenarios import OFFER, Story

LISTED_AT_MOST = 20


@dataclass(frozen=True)
class History:
    """One run of a workflow, from its start to its end or its continuation."""

    workflow_id: str
    run_id: str
    status: WorkflowExecutionStatus | None
    events: Sequence[HistoryEvent]


@dataclass(frozen=True)
class Activity:
    """An activity of a history: what it was given and, unless it failed, what it answered."""

    name: str
    scheduled: int
    given: Any
    answered: Any


@dataclass(frozen=True)
class Evidence:
    """Everything about one story.

    Attributes:
        ends: How each accepted start ended, by the id of the run; the last one counts.
        requests: The marketplace's own log of the offer.
        offer: Slots and operations as the marketplace has them in the end.
        strikes: When faults hit the processes and wires that the story depends on.
        own_workers: Whether only these count: the sandbox's own faults then just make the moment last.
    """

    story: Story
    ends: dict[str, list[str]]
    requests: Sequence[dict[str, Any]]
    offer: dict[str, Any]
    histories: Sequence[History]
    strikes: Sequence[datetime]
    own_workers: bool = False

    def effects(self, *calls: str) -> list[dict[str, Any]]:
        """Return the requests that changed something, oldest first."""
        return [entry for entry in self.requests if entry["effect"] and entry["call"] in calls]

    def hits(self) -> list[datetime]:
        """Return when faults hit."""
        if self.own_workers:
            return list(self.strikes)
        return [*self.strikes, *(self._hit(entry) for entry in self.requests if entry["faults"])]

    def _hit(self, entry: dict[str, Any]) -> datetime:
        """Return when a request was hit; one that was held is logged when it is let go."""
        held = (fault["action"] for fault in self.story.injected if fault["call"] == entry["call"])
        seconds = next((action.get("seconds", 0) for action in held), 0)
        return datetime.fromisoformat(entry["wall_time"]) - timedelta(seconds=seconds)

    def of_run(self, workflow_id: str) -> list[History]:
        """Return the histories of a run and of those that it started."""
        return [
            each
            for each in self.histories
            if each.workflow_id == workflow_id or each.workflow_id.startswith(f"{workflow_id}/")
        ]


async def gather(cell: Cell) -> list[Evidence]:
    """Collect the evidence of all stories of a cell."""
    return [await _of_story(cell, story) for story in cell.stories]


async def _of_story(cell: Cell, story: Story) -> Evidence:
    histories = []
    for each in await _settled(cell, story):
        history = await cell.client.get_workflow_handle(each.id, run_id=each.run_id).fetch_history()
        histories.append(History(each.id, each.run_id, each.status, history.events))
    requests = await cell.control("GET", f"requests?publisher={story.publisher}")
    offer = await cell.control("GET", f"offers/{story.publisher}/{OFFER}")
    ends = {run.id: cell.ends.get(run.id, []) for run in story.runs}
    return Evidence(story, ends, requests, offer, histories, list(cell.strikes), cell.kind.own_workers)


async def _settled(cell: Cell, story: Story) -> list[WorkflowExecution]:
    """List all runs; the server's list is behind what it does, so whatever still runs is listed once more."""
    for _ in range(LISTED_AT_MOST):
        query = f"WorkflowId STARTS_WITH '{story.publisher}/'"
        listed = [each async for each in cell.client.list_workflows(query)]
        if all(each.status is not WorkflowExecutionStatus.RUNNING for each in listed):
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
        "histories": [
            {"id": each.workflow_id, "run": each.run_id, "events": [MessageToDict(event) for event in each.events]}
            for each in evidence.histories
        ],
    }
    (folder / f"{evidence.story.publisher}.json").write_text(json.dumps(kept, indent=1))


def time_of(event: HistoryEvent) -> datetime:
    """Return when an event was recorded."""
    return event.event_time.ToDatetime(tzinfo=UTC)


def activities(history: History) -> Iterator[Activity]:
    """Yield the activities of a history."""
    answers = {
        event.activity_task_completed_event_attributes.scheduled_event_id: event
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
    }
    for event in history.events:
        if event.event_type != EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            continue
        scheduled = event.activity_task_scheduled_event_attributes
        answer = answers.get(event.event_id)
        yield Activity(
            scheduled.activity_type.name,
            event.event_id,
            _value(scheduled.input.payloads),
            _value(answer.activity_task_completed_event_attributes.result.payloads) if answer else None,
        )


def approvals(history: History) -> Iterator[HistoryEvent]:
    """Yield the events that brought an approval, by signal or by update."""
    for event in history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            if event.workflow_execution_signaled_event_attributes.signal_name == "approve_go_live":
                yield event
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
            request = event.workflow_execution_update_accepted_event_attributes.accepted_request
            if request.input.name == "decide_go_live" and _value(request.input.args.payloads)["approve"]:
                yield event


def asked_for_approval(history: History) -> list[int]:
    """Return the ids of the events with which the run began to wait for a person."""
    return [
        event.event_id
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES
        and b"awaiting_approval" in event.SerializeToString()
    ]


def _value(payloads: Sequence[Payload]) -> Any:
    return json.loads(payloads[0].data) if payloads and payloads[0].data else None
