"""The cost of a publication, in counts that do not depend on the machine: events, workflow tasks and requests."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from temporalio.api.enums.v1 import EventType

from tests.desk import OFFER, Desk, Run

MINUTE = 60.0


@dataclass(frozen=True)
class Costs:
    """What a run may cost, together with the draft writer if it starts one."""

    activities: dict[str, int]
    markers: int
    writers: int
    events: int
    workflow_tasks: int
    requests: int


ON_PORTAL = Costs(
    activities={"edit_images": 1, "publish": 1, "go_live": 1},
    # Local activities: eight of the ten looks (two come with the requests), the look at Production, the notification.
    markers=10,
    writers=0,
    events=78,
    workflow_tasks=12,
    requests=22,
)
ON_INGESTION = Costs(
    # The first attempt to edit finds that the API has no conditional writes. The second one runs in the writer.
    activities={"edit_images": 2, "publish": 1, "go_live": 1},
    markers=10,
    writers=1,
    events=98,
    workflow_tasks=16,
    # Two of them look at the job of the edit.
    requests=33,
)


async def _publication(desk: Desk) -> tuple[Run, int]:
    """Publish a new image and go live. The run looks at each operation five times.

    Returns:
        The run, and the number of requests that were made before it.
    """
    await desk.live("4.2.0")
    before = len(await desk.requests())
    durations = {"displaydummycertify": 70.0, "displaycertify": MINUTE, "displayprovision": MINUTE}
    await desk.switch(step_durations=durations | {"displaypackage": 0.5 * MINUTE, "live": 3.5 * MINUTE})
    run = await desk.start(
        "ValidateAndGoLive",
        desk.images("4.2.1", polling={"min_interval": "PT1M", "max_interval": "PT1M"}),
        start_signal="approve_go_live",
    )
    assert (await run.result()).outcome == "live"
    return run, before


async def test_a_publication_costs_no_more_events_tasks_and_requests_than_allowed(desk: Desk) -> None:
    allowed = desk.per_api(ON_PORTAL, ON_INGESTION)
    run, before = await _publication(desk)

    events: list[Any] = list((await run.fetch_history()).events)
    if allowed.writers:
        writer = desk.temporal.client.get_workflow_handle(f"internal/draft/{desk.publisher}/{OFFER}")
        events += (await writer.fetch_history()).events
    counts = Counter(EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in events)
    activities = Counter(
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in events
        if event.HasField("activity_task_scheduled_event_attributes")
    )
    requests = Counter(entry["call"] for entry in (await desk.requests())[before:])
    assert activities == allowed.activities
    assert counts["MARKER_RECORDED"] == allowed.markers, counts
    assert counts["START_CHILD_WORKFLOW_EXECUTION_INITIATED"] == allowed.writers
    assert len(events) <= allowed.events, counts
    assert counts["WORKFLOW_TASK_COMPLETED"] <= allowed.workflow_tasks
    assert requests.total() <= allowed.requests, requests
