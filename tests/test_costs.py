"""What a publication costs, in counts that no machine's speed changes: events, workflow tasks, requests."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from temporalio.api.enums.v1 import EventType

from tests.desk import OFFER, Desk, Run

MINUTE = 60.0


@dataclass(frozen=True)
class Costs:
    """What a run, and the writer of the draft below it where there is one, may take."""

    activities: dict[str, int]
    markers: int
    writers: int
    events: int
    workflow_tasks: int
    requests: int


ON_PORTAL = Costs(
    activities={"edit_images": 1, "publish": 1, "go_live": 1},
    # Local activities: eight looks, two more come with the requests, the look at Production, and the notification.
    markers=10,
    writers=0,
    events=78,
    workflow_tasks=12,
    requests=22,
)
ON_INGESTION = Costs(
    # The first attempt to edit finds that nothing guards the draft.
    activities={"edit_images": 2, "publish": 1, "go_live": 1},
    markers=10,
    writers=1,
    events=98,
    workflow_tasks=16,
    # Two looks are at the job of the edit.
    requests=33,
)


async def _publication(desk: Desk) -> tuple[Run, int]:
    """Publish a new image and go live; each operation is looked at five times, and shows four steps in that time.

    Returns:
        The run, and how many requests had been made before.
    """
    await desk.live("4.2.0")
    by_hand = len(await desk.requests())
    durations = {"displaydummycertify": 70.0, "displaycertify": MINUTE, "displayprovision": MINUTE}
    await desk.switch(step_durations=durations | {"displaypackage": 0.5 * MINUTE, "live": 3.5 * MINUTE})
    run = await desk.start(
        "ValidateAndGoLive",
        desk.images("4.2.1", polling={"min_interval": "PT1M", "max_interval": "PT1M"}),
        start_signal="approve_go_live",
    )
    assert (await run.result()).outcome == "live"
    return run, by_hand


async def test_a_publication_costs_no_more_events_and_requests_than_it_did(desk: Desk) -> None:
    may = desk.per_api(ON_PORTAL, ON_INGESTION)
    run, by_hand = await _publication(desk)

    events: list[Any] = list((await run.fetch_history()).events)
    if may.writers:
        writer = desk.temporal.client.get_workflow_handle(f"internal/draft/{desk.publisher}/{OFFER}")
        events += (await writer.fetch_history()).events
    counts = Counter(EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in events)
    activities = Counter(
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in events
        if event.HasField("activity_task_scheduled_event_attributes")
    )
    requests = Counter(entry["call"] for entry in (await desk.requests())[by_hand:])
    assert activities == may.activities
    assert counts["MARKER_RECORDED"] == may.markers, counts
    assert counts["START_CHILD_WORKFLOW_EXECUTION_INITIATED"] == may.writers
    assert len(events) <= may.events, counts
    assert counts["WORKFLOW_TASK_COMPLETED"] <= may.workflow_tasks
    assert requests.total() <= may.requests, requests
