"""Cancels at the marketplace what a cancelled run started there."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.operations import CancelState
    from marketplace.model import OperationKind
    from workflows.errors import application_error
    from workflows.publication import Purpose
    from workflows.stages import Stages
    from workflows.waiting import heed_cancellation


@asynccontextmanager
async def taking_back(stages: Stages) -> AsyncIterator[None]:
    """If the run is cancelled, cancel the operation that it started, and wait for the end."""
    try:
        yield
    except (FailureError, asyncio.CancelledError):
        if workflow.cancellation_reason() is None:
            raise
        # A call that had to end first may have failed instead. The cancellation may still be undelivered then.
        with contextlib.suppress(asyncio.CancelledError):
            await heed_cancellation()
        await _take_back(stages)
        raise asyncio.CancelledError from None


async def _take_back(stages: Stages) -> None:
    publication = stages.publication
    if publication.go_live_requested:
        stages.logbook.note(
            "Going live had been requested. It cannot be cancelled: what the marketplace has accepted goes on."
        )
        return
    if publication.known_operations is not None and publication.images:
        stages.logbook.note("The images stay in the draft: the next publish of the offer carries them.")
    if publication.publish_requested:
        stages.logbook.waits_for("the marketplace to say whether publishing began, to cancel it")
        await _cancel(stages, None)
    elif publication.own_publish is not None:
        await _cancel(stages, publication.own_publish)
    else:
        stages.logbook.note("Nothing was cancelled at the marketplace: no operation of this run is running there.")


async def _cancel(stages: Stages, operation_id: str | None) -> None:
    """Cancel the run's own operation, and wait until the service confirms.

    The service may refuse to cancel before sign-off, or after it. If it refuses, follow the operation to its sign-off
    and ask once more.
    """
    answer = await stages.ask_to_cancel(operation_id, stages.publication.known_operations or [])
    if answer.state is CancelState.REFUSED and not answer.is_final:
        if not answer.at_sign_off:
            stages.logbook.note(f"{answer.reason} The run asks again when the preview waits for sign-off.")
            await _follow(stages, answer.operation_id, Purpose.OUT_OF_THE_WAY)
        # At sign-off, the refusal may be of a moment before sign-off was reached.
        answer = await stages.ask_to_cancel(answer.operation_id, [])
    if operation_id is None and answer.state is CancelState.NOTHING_TO_CANCEL:
        stages.logbook.note(
            "The marketplace shows no publish of this run. If it accepted the request after all, it goes on."
        )
    elif answer.state is CancelState.REFUSED:
        rest = "The preview stays, and nothing is running." if answer.at_sign_off else "The publish goes on."
        stages.logbook.note(f"{answer.reason} {rest}")
    elif answer.state is CancelState.REQUESTED:
        await _follow(stages, answer.operation_id, Purpose.CANCELED)


async def _follow(stages: Stages, operation_id: str | None, purpose: Purpose) -> None:
    if operation_id is None:
        return
    stages.set_followed(operation_id, OperationKind.PUBLISH, purpose)
    try:
        await stages.follow_on()
    except FailureError as error:
        if is_cancelled_exception(error):
            raise
        reason = application_error(error)
        stages.logbook.note(f"it is not known whether the operation was cancelled: {reason.message}")
