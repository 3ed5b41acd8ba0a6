"""The internal workflow `WriteDraft`: the lease on an offer's draft."""

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.offers import DraftWritten
    from activities.operations import StartedOperation
    from workflows.draft import ALONE, DraftWrite, call, publish
    from workflows.errors import application_error, final
    from workflows.inputs import MAX_INPUT, NOTHING, validated
    from workflows.waiting import heed_cancellation

MAX_WRITE = 2 * MAX_INPUT + 10_000
"""Bytes. A write holds the offer as a JSON string, which is at most twice as long."""


@workflow.defn
class WriteDraft:
    """Write to a draft as its only writer; see `workflows.draft`."""

    @workflow.run
    async def run(self, request: RawValue = NOTHING) -> DraftWritten | StartedOperation:
        """Take a `DraftWrite`. A run without a parent is refused."""
        if workflow.info().parent is None:
            raise final("InvalidInput", "WriteDraft is a part of the other workflows. Start one of them instead.")
        try:
            wanted = validated(DraftWrite, request, MAX_WRITE)
            if wanted.publish is not None:
                return await publish(wanted.publish, wanted.time)
            return await call(wanted, ALONE)
        except FailureError as error:
            await heed_cancellation()  # whatever became of the attempt in progress
            raise application_error(error) from None
