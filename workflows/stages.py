"""The stages that procedures share: survey, make way, publish, go live, follow, cancel."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    FailureError,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from activities.offers import OfferActivities, Survey, SurveyRequest
    from activities.operations import (
        PREVIEW_CHANGED,
        CancelAnswer,
        CancelRequest,
        CancelState,
        GoLiveRequest,
        OperationActivities,
        PublishRequest,
        StartedOperation,
        VerifyLiveRequest,
    )
    from activities.telling import FollowedOperation, follower_of, moved
    from marketplace.model import (
        Image,
        ImageVersion,
        OfferKey,
        Operation,
        OperationKind,
        OperationReport,
        OperationState,
    )
    from workflows import search_attributes
    from workflows.check_last_operation_status import STAGES
    from workflows.logbook import UPDATE, Logbook, application_error
    from workflows.messages import (
        CheckLastOperationStatusInput,
        Following,
        IfPublishing,
        Patience,
        PublicationResult,
        PublishStage,
        WantedImages,
    )
    from workflows.options import READ, START, VERIFY, short, within
    from workflows.schedule import next_look_after

OPERATION_ENDED_BADLY = {"PublishFailed", "GoLiveFailed", "OperationCanceled"}


MAX_ROUNDS = 100
"""How often others may publish first, write over the draft or change the preview, before a run gives up."""

MAX_WORKFLOW_ID = 700
"""Bytes. Temporal takes 1,000, and the runs below a run are named after it."""


class PreviewChangedError(Exception):
    """The preview is not the one that was approved; nothing was sent."""


class Stages:
    """The stages of one run on one offer.

    Every stage says in the logbook what it waits for, and none waits longer than the run's deadline.
    """

    def __init__(
        self, logbook: Logbook, offer: OfferKey, patience: Patience, notification_emails: Sequence[str] = ()
    ) -> None:
        self.logbook = logbook
        self.offer = offer
        self.patience = patience
        self.notification_emails = list(notification_emails)
        _refuse_long_id(offer)
        self.surveyed_at = workflow.now()
        self._until = workflow.now() + patience.deadline
        self._known_operations: list[str] = []
        self._publishing: asyncio.Task[StartedOperation] | None = None
        self._go_live_requested = False

    def time_left(self) -> timedelta:
        """Return the time the run still allows for waiting for the marketplace."""
        return max(self._until - workflow.now(), timedelta(seconds=1))

    def start_waiting_anew(self) -> None:
        """Forget the time waited so far: it was a person that the run waited for."""
        self._until = workflow.now() + self.patience.deadline

    async def survey(self, wanted: WantedImages | None = None, *, must_exist: bool = True) -> Survey:
        """Read how the offer stands, and check the images wanted against the marketplace's rules."""
        _heed_cancellation()
        self.logbook.refuse_more()
        self.logbook.waits_for("the marketplace to show the offer's slots and operations")
        self.surveyed_at = workflow.now()
        request = SurveyRequest(offer=self.offer)
        if wanted is not None:
            request = SurveyRequest(
                offer=self.offer,
                images=wanted.images,
                when_full=wanted.when_full,
                limit=wanted.max_versions_per_plan,
            )
        survey = await workflow.execute_activity_method(
            OfferActivities.survey,
            request,
            **within(self.time_left(), READ, f"Read operations and slots of {self.offer}"),
        )
        if must_exist and not survey.exists:
            raise ApplicationError(
                f"{self.offer}: the marketplace has no such offer. Check publisher and offer id, or create it with"
                " CreateOfferAndPublish.",
                type="OfferNotFound",
                non_retryable=True,
            )
        return survey

    async def survey_once_shown(self, wanted: WantedImages, published: str | None, *, ours: bool) -> Survey:
        """Survey the offer, again and again while our publish waits for sign-off but the preview does not show it.

        Publishing once more would make a second publication of the same draft. An operation that was joined may be
        of an older draft, though: that one is given a look's time only.

        Args:
            wanted: The images.
            published: Id of the publish that the images came to the preview with.
            ours: Whether it began with our request.
        """
        since = workflow.now()
        while True:
            survey = await self.survey(wanted)
            last = survey.last_publish
            if survey.in_preview or not (survey.in_draft and survey.awaits_sign_off and last):
                return survey
            joined_in_vain = not ours and workflow.now() - since >= wanted.polling.max_interval
            if last.id != published or joined_in_vain:
                return survey
            await self.wait_for_slot("the Preview slot to show the images that were published", since)

    async def wait_for_others(self) -> None:
        """Wait a moment after somebody published first, and what they published has ended already."""
        what = "others to stop publishing at the same moment"
        self._raise_if_overdue(what)
        self.logbook.waits_for(what)
        await workflow.sleep(self.patience.polling.min_interval, summary="Somebody published first: look again")

    def _raise_if_overdue(self, what: str) -> None:
        if workflow.now() >= self._until:
            raise ApplicationError(
                f"{self.offer}: waited for {what} until the deadline of {self.patience.deadline} was over. Nothing"
                " was cancelled: start the run again to go on waiting.",
                type="OperationTimedOut",
                non_retryable=True,
            )

    async def wait_for_slot(self, what: str, since: datetime) -> None:
        """Wait before the next look at a slot that lags behind its operation."""
        self._raise_if_overdue(what)
        await self.logbook.waits_long_for(what)
        await workflow.sleep(
            min(next_look_after(workflow.now() - since, self.patience.polling), self.time_left()),
            summary=short(f"Wait for {what}"),
        )

    async def make_way(self, running: Operation, if_publishing: IfPublishing) -> None:
        """Deal with an operation that is in the way: wait for it, cancel it, or fail."""
        in_the_way = f"{running.kind.replace('_', '-')} {running.id}, which is running on the offer already"
        if if_publishing is IfPublishing.FAIL:
            raise ApplicationError(
                f"{self.offer}: {in_the_way}, has to end first. Start again after it, or with"
                ' "if_publishing": "wait" or "cancel".',
                type="PublishInProgress",
                non_retryable=True,
            )
        if if_publishing is IfPublishing.CANCEL and running.kind is OperationKind.PUBLISH:
            await self.cancel(running.id, ours=False)
            return
        try:
            await self.follow(running.id, running.kind, ours=False)
        except ChildWorkflowError as error:
            reason = application_error(error)
            if is_cancelled_exception(error) or reason.type not in OPERATION_ENDED_BADLY:
                raise
            self.logbook.note(f"{in_the_way}, ended: {reason.message}")

    async def publish(self, known_operations: Sequence[str]) -> StartedOperation:
        """Publish the draft and follow the operation until its preview waits for sign-off."""
        _heed_cancellation()
        self.logbook.stage(PublishStage.PUBLISHING, "the marketplace to accept the publish request")
        self._known_operations = list(known_operations)
        request = PublishRequest(
            offer=self.offer,
            known_operations=self._known_operations,
            notification_emails=self.notification_emails,
            tell=self.logbook.runs_above(),
        )
        self._publishing = asyncio.create_task(
            workflow.execute_activity_method(
                OperationActivities.publish,
                request,
                **within(self.time_left(), START, f"Publish {self.offer}"),
            )
        )
        started = await asyncio.shield(self._publishing)
        self._publishing = None
        await self.follow(started.operation_id, OperationKind.PUBLISH, ours=started.ours, seen=started.report)
        return started

    @asynccontextmanager
    async def taking_back(self) -> AsyncIterator[None]:
        """When the run is cancelled, cancel the operation that it started, and wait until it is."""
        try:
            yield
        except (FailureError, asyncio.CancelledError) as error:
            if is_cancelled_exception(error):
                await self._take_back()
            raise

    async def _take_back(self) -> None:
        operation = self.logbook.progress.operation
        if self._go_live_requested:
            self.logbook.note(
                "Going live had been requested. What the marketplace took of it goes on: it cannot be cancelled."
            )
        elif self._publishing is not None:
            await self._take_back_request(self._publishing)
        elif operation is not None and operation.ours and operation.kind is OperationKind.PUBLISH:
            await self.cancel(operation.id)

    async def _take_back_request(self, publishing: asyncio.Task[StartedOperation]) -> None:
        """Cancel what a publish request started, as far as it is known to have started anything."""
        publishing.cancel()
        self.logbook.waits_for("the marketplace to say whether publishing began, to cancel it")
        try:
            started = await publishing
        except (FailureError, asyncio.CancelledError) as error:
            if is_cancelled_exception(error) or not _refused_for_good(error):
                await self.cancel(None, self._known_operations)
            return
        if started.ours:
            await self.cancel(started.operation_id)

    async def cancel(
        self, operation_id: str | None, known_operations: Sequence[str] = (), *, ours: bool = True
    ) -> None:
        """Cancel an operation and wait until the service confirms.

        The service may refuse to cancel before sign-off, or after: where it refuses, the operation is
        followed to its sign-off and asked once more.
        """
        answer = await self._ask_to_cancel(operation_id, known_operations)
        if answer.state is CancelState.REFUSED:
            if not answer.at_sign_off:
                self.logbook.note(f"{answer.reason} It is asked again when the preview waits for sign-off.")
                await self._follow_to_its_end(answer.operation_id, ours=ours, until_canceled=False)
            # At sign-off it may have been refused because sign-off was not reached a moment ago.
            answer = await self._ask_to_cancel(answer.operation_id, ())
        if answer.state is CancelState.REFUSED:
            self.logbook.note(f"{answer.reason} The preview stays, and nothing is running.")
        elif answer.state is CancelState.REQUESTED:
            await self._follow_to_its_end(answer.operation_id, ours=ours, until_canceled=True)

    async def _ask_to_cancel(self, operation_id: str | None, known_operations: Sequence[str]) -> CancelAnswer:
        self.logbook.waits_for("the marketplace to accept the cancel request")
        return await workflow.execute_activity_method(
            OperationActivities.cancel_operation,
            CancelRequest(
                offer=self.offer,
                operation_id=operation_id,
                known_operations=list(known_operations),
                notification_emails=self.notification_emails,
            ),
            **within(self.patience.deadline, START, f"Cancel the operation on {self.offer}"),
        )

    async def _follow_to_its_end(self, operation_id: str | None, *, ours: bool, until_canceled: bool) -> None:
        if operation_id is None:
            return
        if not ours:
            _heed_cancellation()
        try:
            await self.follow(operation_id, OperationKind.PUBLISH, ours=ours, until_canceled=until_canceled)
        except ChildWorkflowError as error:
            if is_cancelled_exception(error):
                raise
            reason = application_error(error)
            if reason.type not in OPERATION_ENDED_BADLY:
                self.logbook.note(f"whether the operation was cancelled is not known: {reason.message}")

    async def go_live(
        self, survey: Survey, approved_publish: str, images: Sequence[Image], *, as_shown: bool
    ) -> StartedOperation:
        """Promote the approved preview and follow the operation until it is done.

        Args:
            survey: How the offer stands.
            approved_publish: Id of the publish whose preview was approved.
            images: What the preview has to hold.
            as_shown: Whether what the survey says that going live adds and removes was shown for approval.

        Raises:
            PreviewChangedError: The preview is not the approved one any more; nothing was sent.
        """
        _heed_cancellation()
        self.logbook.stage(PublishStage.GOING_LIVE, "the marketplace to accept the go-live request")
        self._go_live_requested = True
        requesting = asyncio.create_task(
            workflow.execute_activity_method(
                OperationActivities.go_live,
                GoLiveRequest(
                    offer=self.offer,
                    known_operations=survey.known_operations,
                    approved_publish=approved_publish,
                    images=list(images),
                    adds=survey.adds if as_shown else None,
                    removes=survey.removes if as_shown else None,
                ),
                **within(self.time_left(), START, f"Go live with {self.offer}"),
            )
        )
        try:
            started = await asyncio.shield(requesting)
        except ActivityError as error:
            if application_error(error).type == PREVIEW_CHANGED:
                self._go_live_requested = False
                raise PreviewChangedError(application_error(error).message) from error
            raise
        except asyncio.CancelledError:
            requesting.cancel()
            with contextlib.suppress(FailureError, asyncio.CancelledError):
                await requesting
            raise
        await self.follow(started.operation_id, OperationKind.GO_LIVE, ours=started.ours, seen=started.report)
        return started

    async def verify_live(self, images: Sequence[Image], versions: Sequence[ImageVersion]) -> None:
        """Wait until Production holds the images."""
        self.logbook.waits_for("Production to show the images")
        await workflow.execute_activity_method(
            OperationActivities.verify_live,
            VerifyLiveRequest(offer=self.offer, images=list(images), versions=list(versions)),
            **within(
                min(self.time_left(), timedelta(days=1)),
                VERIFY,
                f"Check that Production of {self.offer} holds the images",
            ),
        )

    async def follow(
        self,
        operation_id: str,
        kind: OperationKind,
        *,
        ours: bool,
        until_canceled: bool = False,
        seen: OperationReport | None = None,
    ) -> PublicationResult:
        """Follow an operation in a child workflow of its own, however many days it takes.

        Args:
            operation_id: The operation.
            kind: Its kind.
            ours: Whether this run, or the run it is part of, started it.
            until_canceled: Whether it has been asked to cancel.
            seen: How it stood a moment ago, where that is known.
        """
        follower = follower_of(workflow.info().workflow_id, kind, operation_id)
        waiting_for = f"{kind.replace('_', '-')} {operation_id}"
        await self.logbook.follows(
            FollowedOperation(
                id=operation_id, kind=kind, state=OperationState.RUNNING, ours=ours, followed_by=follower
            ),
            f"the cancellation of {waiting_for}" if until_canceled else waiting_for,
        )
        if seen is not None and not self.logbook.runs_above():
            self.logbook.operation(moved(seen, follower, ours=ours))
        result = await run_below(
            "CheckLastOperationStatus",
            CheckLastOperationStatusInput(
                publisher_id=self.offer.publisher_id,
                offer_id=self.offer.offer_id,
                operation_id=operation_id,
                until_canceled=until_canceled,
                polling=self.patience.polling,
                deadline=self.patience.deadline if until_canceled else self.time_left(),
                following=Following(
                    since=workflow.now(), looks=int(seen is not None), kind=kind, ours=ours, seen=seen
                ),
                # Only the run that people look at is told: every run that is told has four events of each step.
                tell=self.logbook.runs_above() or [workflow.info().workflow_id],
            ),
            follower,
            search_attributes.of(self.offer, STAGES[kind]),
            f"Follow {waiting_for} of {self.offer}",
        )
        self.logbook.settled(OperationState(result.outcome))
        return result


async def run_below(
    workflow_type: str,
    request: Patience,
    workflow_id: str,
    found_by: Sequence[SearchAttributePair[Any]],
    summary: str,
) -> PublicationResult:
    """Run a workflow below this one; when this one is cancelled, that one is too, and takes back what it began."""
    starting = asyncio.create_task(
        workflow.start_child_workflow(
            workflow_type,
            request,
            id=workflow_id,
            # After a reset or a terminated parent the one of an earlier run may still be there.
            id_reuse_policy=WorkflowIDReusePolicy.TERMINATE_IF_RUNNING,
            result_type=PublicationResult,
            search_attributes=TypedSearchAttributes(found_by),
            static_summary=short(summary),
        )
    )
    try:
        running = await asyncio.shield(starting)
        result: PublicationResult = await asyncio.shield(running)
    except asyncio.CancelledError:
        running = await starting
        # Cancelling through the child's own handle names its first run, which may have continued as new.
        with contextlib.suppress(ApplicationError):  # it has just ended
            await workflow.get_external_workflow_handle(workflow_id).cancel()
        await running
        raise
    return result


def _refuse_long_id(offer: OfferKey) -> None:
    length = len(workflow.info().workflow_id.removesuffix(UPDATE).encode())
    if length > MAX_WORKFLOW_ID:
        raise ApplicationError(
            f"{offer}: the workflow id has {length} bytes, {MAX_WORKFLOW_ID} are allowed: the runs below this one are"
            " named after it. Start it under a shorter id.",
            type="InvalidInput",
            non_retryable=True,
        )


def _refused_for_good(error: BaseException) -> bool:
    """Tell whether the marketplace answered that it will not do it: otherwise it may have begun all the same."""
    cause = error.cause if isinstance(error, ActivityError) else None
    return isinstance(cause, ApplicationError) and cause.non_retryable


def _heed_cancellation() -> None:
    """Start nothing in a run that has been cancelled.

    A cancellation is delivered once, and who awaits a child that ends at the same moment, or an activity that is
    never broken off, gets a result in its place.
    """
    if workflow.cancellation_reason() is not None:
        raise asyncio.CancelledError
