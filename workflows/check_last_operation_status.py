"""The workflow `CheckLastOperationStatus`."""

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from marketplace.model import OperationReport
    from workflows.closing import closing
    from workflows.errors import ended_badly
    from workflows.inputs import NOTHING, validated
    from workflows.logbook import Logbook
    from workflows.messages import CheckLastOperationStatusInput, Outcome, Progress, PublicationResult
    from workflows.publication import Following, Purpose
    from workflows.stages import Stages, begin
    from workflows.waiting import Waiting


@workflow.defn
class CheckLastOperationStatus:
    """Follow the offer's last operation until it settles, whoever started it, or look at it once."""

    def __init__(self) -> None:
        self._logbook = Logbook()
        self._waiting = Waiting(self._logbook)

    @workflow.run
    async def run(self, request: RawValue = NOTHING) -> PublicationResult:
        """Take a `CheckLastOperationStatusInput`."""
        async with closing(self._logbook):
            wanted = validated(CheckLastOperationStatusInput, request)
            stages = begin(self._logbook, self._waiting, request, wanted.key, wanted)
            publication = stages.publication
            if publication.following is None:
                until = publication.wait_until
                publication.following = Following(purpose=Purpose.STATUS, since=self._waiting.now, until=until)
            report = await stages.follower.follow(publication.following, once=not wanted.wait)
            return _result(stages, report)

    @workflow.signal(description="Look at the operation now instead of at the next timer.")
    def check_now(self, _ignored: RawValue = NOTHING) -> None:
        """Cut the wait for the next look short."""
        self._waiting.check_now()

    @workflow.query(description="Stage, operation, steps, next look, and what the run is waiting for.")
    def progress(self) -> Progress:
        """Return how the run stands."""
        return self._logbook.progress()


def _result(stages: Stages, report: OperationReport | None) -> PublicationResult:
    """Return how the operation stands; raise if it has ended badly."""
    if report is None:
        stages.logbook.waits_for(None)
        return stages.finish(Outcome.NEVER_PUBLISHED, None)
    reason = ended_badly(stages.offer, report)
    if reason is not None:
        raise reason
    return stages.finish(Outcome(report.state), report.operation_id)
