"""A run's history: how long it may grow, and how the run continues as new.

A run with a long history continues as new under its workflow ID. The new run gets the same input, with the control
state in the metadata of the input's payload. It reads that metadata only if it was continued as new: a start cannot
smuggle a control state in.
"""

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from workflows.publication import Publication

CARRIED = "publication"
"""The member of the payload's metadata."""

MAX_EVENTS = 10_000
"""Events. A run that is being cancelled cannot continue as new, and Temporal ends a run at 51,200 events."""


def carried(request: RawValue) -> Publication | None:
    """Return the control state that the run was continued with.

    A run that Temporal starts again, by a retry policy or a cron schedule, gets the previous run's input but begins
    from scratch.
    """
    info, metadata = workflow.info(), request.payload.metadata
    if info.continued_run_id is None or info.attempt > 1 or info.cron_schedule or CARRIED not in metadata:
        return None
    return Publication.model_validate_json(metadata[CARRIED])


def is_long() -> bool:
    """Whether the run should continue as new now.

    Never during an update, whose caller would lose the answer. Never after a cancellation, which would not be
    passed on. Never under a cron schedule, which continues runs for reasons of its own.
    """
    return (
        workflow.info().is_continue_as_new_suggested()
        and not workflow.info().cron_schedule
        and workflow.cancellation_reason() is None
        and workflow.all_handlers_finished()
    )


def has_room() -> bool:
    """Whether the history has room for more than the run needs to end."""
    return workflow.info().get_current_history_length() < MAX_EVENTS


def continue_as_new(request: RawValue, publication: Publication) -> None:
    """Continue as new. Nothing after this call is executed.

    Signals that arrive meanwhile are not lost: the server refuses to close the run and repeats the workflow task.
    """
    payload = Payload()
    payload.CopyFrom(request.payload)
    payload.metadata[CARRIED] = publication.model_dump_json().encode()
    workflow.continue_as_new(RawValue(payload))
