"""Follows an operation: looks at it, waits on a durable timer, and looks again until the operation has settled."""

from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.operations import LookRequest, OperationActivities
    from marketplace.model import OfferKey, OperationKind, OperationReport, OperationState
    from workflows import history
    from workflows.calls import READ, within
    from workflows.errors import final
    from workflows.logbook import Logbook
    from workflows.messages import Polling, PublishStage
    from workflows.publication import Following, Purpose
    from workflows.schedule import next_look_after
    from workflows.waiting import Waiting

STAGES = {
    OperationKind.PUBLISH: PublishStage.PUBLISHING,
    OperationKind.GO_LIVE: PublishStage.GOING_LIVE,
}

WHEN_LONG = timedelta(minutes=5)
"""The shortest time between two looks of a cancelled run with a long history, which cannot continue as new."""


class Follower:
    """Follows the operation that the control state names, for days if need be."""

    def __init__(self, logbook: Logbook, waiting: Waiting, offer: OfferKey, polling: Polling) -> None:
        self._logbook = logbook
        self._waiting = waiting
        self._offer = offer
        self._polling = polling

    async def follow(self, following: Following, *, once: bool = False) -> OperationReport | None:
        """Follow the operation until it settles.

        Args:
            following: The operation.
            once: Whether to look only once.

        Returns:
            The last look at it; ``None`` when the offer has never been published.

        Raises:
            ApplicationError: ``OperationTimedOut``: it has not settled in time.
        """
        while True:
            looked_at = self._waiting.now
            if following.looked_at is None:
                report = await self._look(following)
                if report is None:
                    return None
                looked_at = self._waiting.now
                following.looks += 1
                self._seen(following, report)
            else:  # with the request that began it
                report, looked_at = self._logbook.publication.report, following.looked_at
            if report is not None and (once or _has_settled(report, following.purpose)):
                return report
            following.looked_at = None
            await self._wait(following, looked_at)

    async def _look(self, following: Following) -> OperationReport | None:
        what = f"operation {following.operation_id}" if following.operation_id else "the last operation"
        if self._logbook.publication.waiting_for is None:
            self._logbook.waits_for(f"the marketplace to show {what}")
        answer = await self._waiting.read(
            OperationActivities.look,
            LookRequest(
                offer=self._offer,
                operation_id=following.operation_id,
                kind=following.kind,
                known_operations=following.known_operations,
            ),
            within(
                max(following.until - workflow.now(), timedelta(seconds=1)),
                READ,
                f"Look {following.looks + 1} at {what} of {self._offer}",
            ),
        )
        return answer.report

    def _seen(self, following: Following, report: OperationReport) -> None:
        following.operation_id, following.kind = report.operation_id, report.kind
        in_the_way = following.purpose in {Purpose.OUT_OF_THE_WAY, Purpose.CANCELED}
        if report.state is OperationState.RUNNING and not in_the_way:
            self._logbook.stage(STAGES[report.kind], self._logbook.publication.waiting_for)
        self._logbook.looked(report, f"{_of(report)}: " if in_the_way else "")

    async def _wait(self, following: Following, looked_at: datetime) -> None:
        """Wait for the next look."""
        publication = self._logbook.publication
        if looked_at >= following.until:
            raise final(
                "OperationTimedOut",
                f"{self._offer}: operation {following.operation_id} has not settled within"
                f" {following.until - following.since}; it is waiting for {publication.waiting_for}. Nothing was"
                " cancelled: start the run again to go on waiting.",
            )
        interval = next_look_after(looked_at - following.since, self._polling)
        if workflow.cancellation_reason() is not None and not history.has_room():
            interval = max(interval, WHEN_LONG)
        publication.next_look = min(looked_at + interval, following.until)
        self._logbook.show()
        await self._waiting.until(
            publication.next_look,
            f"Look {following.looks + 1} at {publication.next_look:%Y-%m-%d %H:%M:%S} UTC; {publication.waiting_for}",
        )
        publication.next_look = None


def _of(report: OperationReport) -> str:
    return f"{report.kind.replace('_', '-')} {report.operation_id}, which is running on the offer"


def _has_settled(report: OperationReport, purpose: Purpose) -> bool:
    """Whether there is nothing to wait for. A preview whose cancellation was requested has not settled yet."""
    if report.state is OperationState.PREVIEW:
        return purpose is not Purpose.CANCELED or report.is_over
    return report.state is not OperationState.RUNNING
