"""The chain of runs that a workflow leaves by continuing as new."""

from temporalio.client import WorkflowHistory

from tests.desk import Desk, Run
from tests.harness.waiting import until


async def histories(desk: Desk, run: Run) -> list[WorkflowHistory]:
    """Return the histories of all runs in the chain of a run, oldest first."""
    found: list[WorkflowHistory] = []
    run_id = (await run.describe()).run_id
    while run_id:
        found.insert(0, await desk.temporal.client.get_workflow_handle(run.id, run_id=run_id).fetch_history())
        run_id = found[0].events[0].workflow_execution_started_event_attributes.continued_execution_run_id
    return found


async def until_continued(run: Run, times: int = 1) -> None:
    """Wait until a run has continued as new, once or more times from now on."""
    for _ in range(times):
        before = (await run.describe()).run_id

        async def continued(before: str = before) -> bool:
            return (await run.describe()).run_id != before

        await until(continued, f"{run.id} continues as new", seconds=30)
