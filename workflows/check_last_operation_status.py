"""The workflow `CheckLastOperationStatus`, which also follows operations for the other three."""

import contextlib
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.operations import LookRequest, OperationActivities
    from activities.telling import moved
    from marketplace.model import OperationKind, OperationReport, OperationState
    from workflows.inputs import NOTHING, read
    from workflows.logbook import Logbook
    from workflows.messages import (
        CheckLastOperationStatusInput,
        Following,
        Outcome,
        Progress,
        PublicationResult,
        PublishStage,
    )
    from workflows.options import READ, short, within
    from workflows.schedule import next_look_after

STAGES = {
    OperationKind.PUBLISH: PublishStage.PUBLISHING,
    OperationKind.GO_LIVE: PublishStage.GOING_LIVE,
}
_OUTCOMES = {
    OperationState.PREVIEW: Outcome.PREVIEW,
    OperationState.LIVE: Outcome.LIVE,
    OperationState.RUNNING: Outcome.RUNNING,
}

MAX_ERROR = 3000


@workflow.defn
class CheckLastOperationStatus:
    """Follow the offer's last operation, whoever started it, until it settles.

    Look, and unless the operation has settled wait on a durable timer that ``check_now`` cuts short, and look
    again. A look costs eleven history events, so the run continues as new when its history has grown.
    """

    def __init__(self) -> None:
        self._logbook = Logbook()
        self._check_now = False

    @workflow.run
    async def run(self, request: RawValue = NOTHING) -> PublicationResult:
        """Take a `CheckLastOperationStatusInput`."""
        async with self._logbook.closing():
            wanted = read(CheckLastOperationStatusInput, request)
            following = wanted.following or Following(since=workflow.now(), looks=0)
            report = following.seen if self._is_told_what_was_seen() else None
            self._logbook.open(wanted.key, [], STAGES[following.kind] if following.kind else PublishStage.PREPARING)
            for note in following.notes:
                self._logbook.note(note)
            while True:
                looked_at = workflow.now()
                if report is None:
                    report = await self._look(wanted, following)
                    following = following.model_copy(update={"looks": following.looks + 1})
                if report is None:
                    self._logbook.waits_for(None)
                    return self._result(wanted, Outcome.NEVER_PUBLISHED)
                wanted = wanted.model_copy(update={"operation_id": report.operation_id})
                following = following.model_copy(update={"kind": report.kind})
                self._show(report, following)
                if report.state in _OUTCOMES and (not wanted.wait or _has_settled(report, wanted)):
                    self._logbook.stage(_stage(report))
                    return self._result(wanted, _OUTCOMES[report.state])
                _raise_if_ended_badly(report, wanted)
                self._continue_as_new_if_long(wanted, following, report)
                await self._wait(wanted, following, looked_at)
                report = None

    async def _look(self, wanted: CheckLastOperationStatusInput, following: Following) -> OperationReport | None:
        what = f"operation {wanted.operation_id}" if wanted.operation_id else "the last operation"
        if self._logbook.progress.waiting_for is None:
            self._logbook.waits_for(f"the marketplace to show {what}")
        answer = await workflow.execute_activity_method(
            OperationActivities.look,
            LookRequest(
                offer=wanted.key,
                operation_id=wanted.operation_id,
                kind=following.kind,
                ours=following.ours,
                tell=wanted.tell,
                told={step.id: step.state for step in self._logbook.progress.steps},
            ),
            **within(
                max(following.since + wanted.deadline - workflow.now(), timedelta(seconds=1)),
                READ,
                f"Look {following.looks + 1} at {what} of {wanted.key}",
            ),
        )
        return answer.report

    def _show(self, report: OperationReport, following: Following) -> None:
        self._logbook.looked(following.looks, None)
        if report.state is OperationState.RUNNING:
            self._logbook.stage(_stage(report))
        self._logbook.operation(moved(report, ours=following.ours))

    async def _wait(self, wanted: CheckLastOperationStatusInput, following: Following, looked_at: datetime) -> None:
        deadline = following.since + wanted.deadline
        if workflow.now() >= deadline:
            raise ApplicationError(
                f"{wanted.key}: operation {wanted.operation_id} has not settled within {wanted.deadline}; it waits"
                f" for {self._logbook.progress.waiting_for}. Nothing was cancelled: start the run again to go on"
                " waiting.",
                type="OperationTimedOut",
                non_retryable=True,
            )
        next_look = min(looked_at + next_look_after(looked_at - following.since, wanted.polling), deadline)
        self._logbook.looked(following.looks, next_look)
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._check_now,
                timeout=max(next_look - workflow.now(), timedelta(milliseconds=1)),
                timeout_summary=short(
                    f"Look {following.looks + 1} at {next_look:%Y-%m-%d %H:%M:%S} UTC; "
                    f"{self._logbook.progress.waiting_for}"
                ),
            )
        self._check_now = False

    def _is_told_what_was_seen(self) -> bool:
        """Tell whether the input is of the procedures, or of this run as it was before, and no person's."""
        return bool(self._logbook.runs_above()) or workflow.info().continued_run_id is not None

    def _continue_as_new_if_long(
        self, wanted: CheckLastOperationStatusInput, following: Following, report: OperationReport
    ) -> None:
        """Continue as new right after a look: what arrives while the run waits cannot be lost on the way."""
        if workflow.info().is_continue_as_new_suggested():
            carried = {"notes": self._logbook.progress.notes, "seen": None if self._check_now else report}
            following = following.model_copy(update=carried)
            workflow.continue_as_new(wanted.model_copy(update={"following": following}))

    def _result(self, wanted: CheckLastOperationStatusInput, outcome: Outcome) -> PublicationResult:
        return PublicationResult(
            publisher_id=wanted.publisher_id,
            offer_id=wanted.offer_id,
            outcome=outcome,
            operation_id=wanted.operation_id,
        )

    @workflow.signal(description="Look at the operation now instead of at the next timer.")
    def check_now(self, _ignored: RawValue = NOTHING) -> None:
        """Cut the wait for the next look short."""
        self._check_now = True

    @workflow.query(description="Stage, operation, steps, next look, and what the run waits for.")
    def progress(self) -> Progress:
        """Tell how the run stands."""
        return self._logbook.progress


def _stage(report: OperationReport) -> PublishStage:
    match report.state:
        case OperationState.PREVIEW:
            return PublishStage.PREVIEW
        case OperationState.LIVE:
            return PublishStage.LIVE
        case _:
            return STAGES[report.kind]


def _has_settled(report: OperationReport, wanted: CheckLastOperationStatusInput) -> bool:
    if report.state is OperationState.PREVIEW:
        return not wanted.until_canceled
    return report.state is OperationState.LIVE


def _raise_if_ended_badly(report: OperationReport, wanted: CheckLastOperationStatusInput) -> None:
    what = f"{wanted.key}: {report.kind.replace('_', '-')} {report.operation_id}"
    if report.state is OperationState.CANCELED:
        raise ApplicationError(
            f"{what} was cancelled at the marketplace. Start the run again to publish after all.",
            type="OperationCanceled",
            non_retryable=True,
        )
    if report.state is OperationState.FAILED:
        kind = "PublishFailed" if report.kind is OperationKind.PUBLISH else "GoLiveFailed"
        said = "; ".join(report.errors) or "the marketplace gives no reason"
        advice = ". Mend this and start the run again."
        raise ApplicationError(
            # So long that whoever passes it on does not cut the advice.
            f"{what} failed. {said}"[: MAX_ERROR - len(advice)].rstrip(". ") + advice,
            type=kind,
            non_retryable=True,
        )
