"""The evidence that a scenario leaves: the sandbox's request log, the offer's slots, and every history."""

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

from tests.campaigns.apis import Call
from tests.campaigns.chaos.play import Batch, Observation
from tests.campaigns.chaos.scenarios import Scenario
from tests.campaigns.histories import History

LIST_AT_MOST = 20

_NO_OFFER = {"status": "missing", "slots": dict.fromkeys(("Draft", "Preview", "Production")), "operations": []}

Place: TypeAlias = tuple[int, int]
"""The position of an event in a chain: the number of its history, and its event ID."""


@dataclass(frozen=True)
class Chain:
    """Histories of which each continues the one before. To a person they are one run."""

    workflow_id: str
    histories: Sequence[History]

    @property
    def status(self) -> WorkflowExecutionStatus | None:
        """The status of the last history."""
        return self.histories[-1].status

    def events(self) -> Iterator[tuple[Place, HistoryEvent]]:
        """Yield all events with their places."""
        for number, history in enumerate(self.histories):
            for event in history.events:
                yield (number, event.event_id), event


@dataclass(frozen=True)
class Activity:
    """An activity of a chain: its input and, unless it failed, its result."""

    name: str
    scheduled: Place
    input: Any
    result: Any


@dataclass(frozen=True)
class Report:
    """The result of a completed run."""

    workflow_id: str
    at: datetime
    outcome: str
    images: Sequence[str]


def _is_faulty(entry: dict[str, Any]) -> bool:
    return bool(entry["faults"])


@dataclass(frozen=True)
class Evidence:
    """Everything about one scenario.

    Attributes:
        ends: The ends of all accepted starts, in order, by workflow ID. The last end counts.
        requests: The sandbox's log of the offer. Its calls have names that do not depend on the API.
        offer: The slots and operations at the end.
        strikes: When faults hit the processes and connections that the scenario depends on.
        own_workers: Whether only the strikes count as hits. The sandbox's faults then just delay requests.
        observations: The state of the offer after each end of a run.
        forgetful: The runs that asked for an approval again without saying why.
        hit_by: Returns whether a request was hit by the fault.
    """

    scenario: Scenario
    ends: dict[str, list[str]]
    requests: Sequence[dict[str, Any]]
    offer: dict[str, Any]
    histories: Sequence[History]
    strikes: Sequence[datetime]
    own_workers: bool = False
    observations: Sequence[Observation] = ()
    forgetful: Sequence[str] = ()
    hit_by: Callable[[dict[str, Any]], bool] = _is_faulty

    def effects(self, *calls: Call) -> list[dict[str, Any]]:
        """Return the requests that changed something, oldest first."""
        return [entry for entry in self.requests if entry["effect"] and entry["call"] in calls]

    def hits(self) -> list[datetime]:
        """Return the times at which faults hit."""
        if self.own_workers:
            return list(self.strikes)
        return [*self.strikes, *(self._hit_at(entry) for entry in self.requests if self.hit_by(entry))]

    def _hit_at(self, entry: dict[str, Any]) -> datetime:
        """Return when a request was hit. A delayed request is logged only after the delay."""
        delays = (fault["action"] for fault in self.scenario.injected if fault["call"] == entry["call"])
        seconds = next((action.get("seconds", 0) for action in delays if action.get("when") != "after"), 0)
        return datetime.fromisoformat(entry["wall_time"]) - timedelta(seconds=seconds)

    @cached_property
    def chains(self) -> Sequence[Chain]:
        """The histories, joined where one continues another."""
        together: dict[tuple[str, str], list[History]] = {}
        for history in self.histories:
            together.setdefault((history.workflow_id, history.first_run_id), []).append(history)
        return [
            Chain(workflow_id, sorted(histories, key=lambda each: time_of(each.events[0])))
            for (workflow_id, _), histories in together.items()
        ]

    def of_run(self, workflow_id: str) -> list[Chain]:
        """Return the chains of a workflow ID. There are several if a person started the run again."""
        return [chain for chain in self.chains if chain.workflow_id == workflow_id]

    def operation(self, named: str) -> str | None:
        """Return the ID of an operation, which an activity names by this ID or by the job that began it."""
        operations: Sequence[dict[str, Any]] = self.offer["operations"]
        job = named.removeprefix("job:")
        return next((each["id"] for each in operations if named == each["id"] or job == each.get("job_id")), None)

    def reports(self) -> Iterator[Report]:
        """Yield the results of the completed runs."""
        for run in self.scenario.runs:
            for chain in self.of_run(run.id):
                end = chain.histories[-1].events[-1]
                if end.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
                    continue
                result = _value(end.workflow_execution_completed_event_attributes.result.payloads)
                images = [f"{image['plan_id']} {image['version']}" for image in result["images"]]
                yield Report(run.id, time_of(end), result["outcome"], images)


async def gather(batch: Batch) -> list[Evidence]:
    """Collect the evidence of all scenarios of a batch."""
    return [await _of_scenario(batch, scenario) for scenario in batch.scenarios]


async def _of_scenario(batch: Batch, scenario: Scenario) -> Evidence:
    histories = []
    for each in await _list_runs(batch, scenario):
        history = await batch.client.get_workflow_handle(each.id, run_id=each.run_id).fetch_history()
        histories.append(History(each.id, each.run_id, each.status, history.events))
    calls: dict[str, Call] = {name: call for call, name in scenario.api.calls.items()}
    logged = await batch.control("GET", f"requests?publisher={scenario.publisher}")
    requests = [entry | {"call": calls.get(entry["call"], entry["call"])} for entry in logged]
    offer = await batch.offer(scenario) or _NO_OFFER
    ends = {run.id: batch.ends.get(run.id, []) for run in scenario.runs}
    observations = batch.observations.get(scenario.publisher, [])
    forgetful = [run.id for run in scenario.runs if run.id in batch.forgetful]
    return Evidence(
        scenario,
        ends,
        requests,
        offer,
        histories,
        list(batch.strikes),
        batch.kind.own_workers,
        observations,
        forgetful,
        batch.kind.hit_by or _is_faulty,
    )


async def _list_runs(batch: Batch, scenario: Scenario) -> list[WorkflowExecution]:
    """List all runs on an offer, internal ones included. Repeat while visibility lags behind."""
    query = (
        f"WorkflowId STARTS_WITH '{scenario.publisher}/' OR WorkflowId STARTS_WITH '{scenario.writer_id}'"
        f" OR PublisherId = '{scenario.publisher}'"
    )
    for _ in range(LIST_AT_MOST):
        listed = [each async for each in batch.client.list_workflows(query)]
        last = {each.id: each.status for each in sorted(listed, key=lambda each: each.start_time)}
        if not {WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW} & set(last.values()):
            break
        await asyncio.sleep(0.5)
    return listed


def keep(evidence: Evidence, folder: Path) -> None:
    """Write the evidence into a file, for the investigation of a finding."""
    kept = {
        "ends": evidence.ends,
        "strikes": [each.isoformat() for each in evidence.strikes],
        "requests": evidence.requests,
        "offer": evidence.offer,
        "observations": [{"since": each.since.isoformat(), "offer": each.offer} for each in evidence.observations],
        "switches": evidence.scenario.switches,
        "injected": evidence.scenario.injected,
        "histories": [
            {"id": each.workflow_id, "run": each.run_id, "events": [MessageToDict(event) for event in each.events]}
            for each in evidence.histories
        ],
    }
    (folder / f"{evidence.scenario.publisher}.json").write_text(json.dumps(kept, indent=1))


def time_of(event: HistoryEvent) -> datetime:
    """Return when an event was recorded."""
    return event.event_time.ToDatetime(tzinfo=UTC)


def activities(chain: Chain) -> Iterator[Activity]:
    """Yield the activities of a chain except local ones. All writes are ordinary activities."""
    results = {
        (place[0], event.activity_task_completed_event_attributes.scheduled_event_id): event
        for place, event in chain.events()
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
    }
    for place, event in chain.events():
        if event.event_type != EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            continue
        scheduled = event.activity_task_scheduled_event_attributes
        completed = results.get(place)
        yield Activity(
            scheduled.activity_type.name,
            place,
            _value(scheduled.input.payloads),
            _value(completed.activity_task_completed_event_attributes.result.payloads) if completed else None,
        )


def approvals(chain: Chain) -> Iterator[tuple[Place, HistoryEvent]]:
    """Yield the signals and updates that approved going live."""
    for place, event in chain.events():
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            if event.workflow_execution_signaled_event_attributes.signal_name == "approve_go_live":
                yield place, event
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
            request = event.workflow_execution_update_accepted_event_attributes.accepted_request
            if request.input.name == "decide_go_live" and _value(request.input.args.payloads)["approve"]:
                yield place, event


def asked_for_approval(chain: Chain) -> list[Place]:
    """Return the places at which the run began to wait for a person."""
    return [
        place
        for place, event in chain.events()
        if event.event_type == EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES
        and b"awaiting_approval" in event.SerializeToString()
    ]


def _value(payloads: Sequence[Payload]) -> Any:
    return json.loads(payloads[0].data) if payloads and payloads[0].data else None
