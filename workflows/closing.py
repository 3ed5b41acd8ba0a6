"""How a run ends: it shows its end, notifies people, and raises one error of the documented types."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from marketplace.wording import one_line
    from workflows.errors import MAX_ERROR, application_error, final
    from workflows.logbook import Logbook
    from workflows.messages import PublishStage
    from workflows.people import FAILED, notify


@asynccontextmanager
async def closing(logbook: Logbook) -> AsyncIterator[None]:
    """Show how the run ends, and turn every failure into one `ApplicationError` of the documented types."""
    try:
        yield
    except (FailureError, asyncio.CancelledError) as error:
        logbook.publication.next_look = None
        if is_cancelled_exception(error) and workflow.cancellation_reason() is not None:
            logbook.stage(PublishStage.CANCELED)
            await workflow.wait_condition(workflow.all_handlers_finished)
            raise
        reason = _writer_cancelled() if is_cancelled_exception(error) else application_error(error)
        offer = str(logbook.publication.offer or "")
        if offer not in reason.message:
            reason = final(str(reason.type), f"{offer}: {reason.message}")
        logbook.publication.error = one_line(f"{reason.type}: {reason.message}", MAX_ERROR)
        logbook.stage(PublishStage.FAILED)
        await notify(logbook, FAILED, f"{workflow.info().workflow_type} failed. {logbook.publication.error}")
        await workflow.wait_condition(workflow.all_handlers_finished)
        # Without its causes: each repeats the message, and the CLI prints them all.
        raise reason from None
    await workflow.wait_condition(workflow.all_handlers_finished)


def _writer_cancelled() -> ApplicationError:
    return final(
        "MarketplaceError",
        "somebody cancelled the internal run that was writing to the draft. Start the run again to go on.",
    )
