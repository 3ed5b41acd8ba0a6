"""What a publication costs, in counts that no machine's speed changes: events, workflow tasks, requests."""

from collections import Counter

from temporalio.api.enums.v1 import EventType

from tests.desk import Desk, Run

MINUTE = 60.0
BY_HAND = 3
"""Requests that bring the first version to Production."""


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

    events = (await run.fetch_history()).events
    counts = Counter(EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in events)
    activities = Counter(
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in events
        if event.HasField("activity_task_scheduled_event_attributes")
    )
    requests = Counter(entry["call"] for entry in (await desk.requests())[BY_HAND:])
    assert activities == {"edit_images": 1, "publish": 1, "go_live": 1}
    # Local activities: eight looks, two more come with the requests, the look at Production, and the notification.
    assert counts["MARKER_RECORDED"] == 10, counts
    assert counts["START_CHILD_WORKFLOW_EXECUTION_INITIATED"] == 0
    assert len(events) <= 78, counts
    assert counts["WORKFLOW_TASK_COMPLETED"] <= 12
    assert requests.total() <= 22, requests
