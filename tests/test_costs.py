"""What a publication costs, in counts that no machine's speed changes: events, workflow tasks, requests."""

from collections import Counter
from collections.abc import AsyncIterator

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from tests.desk import Desk, Run

MINUTE = 60.0
BY_HAND = 3
"""Requests that bring the first version to Production."""

EVENTS_OF_A_LOOK = 11
"""Timer started and fired, activity scheduled, started and completed, and two workflow tasks of three events."""

LOOKS_ON_THE_WAY = 2
"""That come with the answer to the request that began the operation."""


async def _events(desk: Desk, workflow_id: str) -> AsyncIterator[HistoryEvent]:
    """Yield the events of a run and of all runs below it."""
    for event in (await desk.temporal.client.get_workflow_handle(workflow_id).fetch_history()).events:
        yield event
        if event.HasField("child_workflow_execution_started_event_attributes"):
            child = event.child_workflow_execution_started_event_attributes.workflow_execution.workflow_id
            async for below in _events(desk, child):
                yield below


async def _publication(desk: Desk) -> Run:
    """Publish a new image and go live; each operation is looked at five times, and shows four steps in that time."""
    await desk.live("4.2.0")
    durations = {"displaydummycertify": 70.0, "displaycertify": MINUTE, "displayprovision": MINUTE}
    await desk.switch(step_durations=durations | {"displaypackage": 0.5 * MINUTE, "live": 3.5 * MINUTE})
    run = await desk.start(
        "ValidateAndGoLive",
        desk.images("4.2.1", polling={"min_interval": "PT1M", "max_interval": "PT1M"}),
        start_signal="approve_go_live",
    )
    assert (await run.result()).outcome == "live"
    return run


async def test_a_publication_costs_no_more_events_and_requests_than_it_did(desk: Desk) -> None:
    run = await _publication(desk)

    events = [event async for event in _events(desk, run.id)]
    counts = Counter(EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in events)
    activities = Counter(
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in events
        if event.HasField("activity_task_scheduled_event_attributes")
    )
    requests = Counter(entry["call"] for entry in (await desk.requests())[BY_HAND:])
    assert activities == {
        "survey": 2,
        "edit_images": 1,
        "publish": 1,
        "go_live": 1,
        "look": 8,
        "verify_live": 1,
    }
    looks = activities["look"] + LOOKS_ON_THE_WAY
    assert len(events) - EVENTS_OF_A_LOOK * looks <= 85, counts
    assert counts["WORKFLOW_TASK_COMPLETED"] <= 36
    assert requests.total() <= 34, requests
