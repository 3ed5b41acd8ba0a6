"""The workflow `CheckLastOperationStatus`."""

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from workflows.closing import closing
    from workflows.inputs import NOTHING, read
    from workflows.logbook import Logbook
    from workflows.messages import CheckLastOperationStatusInput, Progress, PublicationResult
    from workflows.stages import begin
    from workflows.waiting import Waiting


@workflow.defn
class CheckLastOperationStatus:
    """Follow the offer's last operation, whoever started it, until it settles; or look at it once."""

    def __init__(self) -> None:
        self._logbook = Logbook()
        self._waiting = Waiting(self._logbook)

    @workflow.run
    async def run(self, request: RawValue = NOTHING) -> PublicationResult:
        """Take a `CheckLastOperationStatusInput`."""
        async with closing(self._logbook):
            wanted = read(CheckLastOperationStatusInput, request)
            stages = begin(self._logbook, self._waiting, request, wanted.key, wanted)
            return await stages.check(once=not wanted.wait)

    @workflow.signal(description="Look at the operation now instead of at the next timer.")
    def check_now(self, _ignored: RawValue = NOTHING) -> None:
        """Cut the wait for the next look short."""
        self._waiting.check_now()

    @workflow.query(description="Stage, operation, steps, next look, and what the run is waiting for.")
    def progress(self) -> Progress:
        """Return how the run stands."""
        return self._logbook.progress()
