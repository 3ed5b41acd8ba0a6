"""What a run tells: its progress, its page in the UI, its search attributes, its parent, and people.

One rule for all runs: when the stage changes, page and search attributes are renewed. The activity that sees a step
move tells the run that people look at, the one at the top; of a note, or of a long wait, the run below tells it.
A look that found nothing new costs no event beyond the look itself.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    FailureError,
    RetryState,
    TerminatedError,
    is_cancelled_exception,
)
from temporalio.exceptions import (
    TimeoutError as TemporalTimeoutError,
)

with workflow.unsafe.imports_passed_through():
    from activities.notifications import Notification, NotificationActivities
    from activities.telling import FOLLOWERS, OPERATION_MOVED, FollowedOperation, OperationMoved
    from marketplace.model import ImageVersion, OfferKey, OperationState, Step, StepState
    from marketplace.wording import one_line
    from workflows import search_attributes
    from workflows.inputs import MAX_SIGNAL, Model, read
    from workflows.messages import (
        ApprovalProgress,
        Progress,
        PublishStage,
    )
    from workflows.options import NOTIFY, at_once, within
    from workflows.page import page

MAX_NOTES = 50
MAX_NOTE = 500
MAX_ERROR = 3000

MAX_FOLLOWER_ID = 1000
"""Bytes; what Temporal takes."""

MAX_EVENTS = 10_000
ROOM_FOR_MORE = 20 * 1024 * 1024
MAX_HISTORY = 40 * 1024 * 1024
"""Bytes. Temporal ends a run at 50 MiB and at 51,200 events, and takes 10,000 signals, of four events each."""

CHECK_NOW = "check_now"

UPDATE = "/update"
"""What is behind the id of a run in that of the `UpdateOfferAndPublish` below it."""


class Logbook:
    """The one place where a run's progress is kept and told."""

    def __init__(self) -> None:
        self.progress = Progress(since=workflow.now())
        self._long_wait: str | None = None
        self._told_notes: list[str] = []

    def open(
        self, offer: OfferKey, images: Sequence[ImageVersion], stage: PublishStage = PublishStage.PREPARING
    ) -> None:
        """Name the offer and the images that the run is about."""
        self._set(publisher_id=offer.publisher_id, offer_id=offer.offer_id, images=list(images), stage=stage)
        # A run that another one started was given them, and one that continues as new has kept them.
        known = workflow.info().typed_search_attributes
        unlike = [pair for pair in search_attributes.of(offer, stage, images) if known.get(pair.key) != pair.value]
        if unlike:
            workflow.upsert_search_attributes([pair.key.value_set(pair.value) for pair in unlike])

    def images(self, images: Sequence[ImageVersion]) -> None:
        """Name the images once they are known."""
        self._set(images=list(images))
        versions = search_attributes.versions_of(images)
        workflow.upsert_search_attributes([search_attributes.IMAGE_VERSIONS.value_set(versions)])

    def stage(self, stage: PublishStage, waiting_for: str | None = None) -> None:
        """Enter a stage."""
        if stage is not self.progress.stage:
            self._set(stage=stage, since=workflow.now())
            workflow.upsert_search_attributes([search_attributes.PUBLISH_STAGE.value_set(stage)])
        self.waits_for(waiting_for)

    def waits_for(self, what: str | None) -> None:
        """Say what the run waits for."""
        self._set(waiting_for=what)

    async def waits_long_for(self, what: str) -> None:
        """Say what the run waits for over several looks; the parent is told once."""
        self.waits_for(what)
        if what != self._long_wait:
            self._long_wait = what
            await self._tell_parent()

    def looked(self, looks: int, next_look: datetime | None) -> None:
        """Say how often the operation was looked at, and when it will be again."""
        self._set(looks=looks, next_look=next_look)

    def approval(self, approval: ApprovalProgress) -> None:
        """Say how the decision on going live stands."""
        self._set(approval=approval)

    def note(self, note: str) -> None:
        """Keep a sentence for whoever looks, once."""
        note = one_line(note, MAX_NOTE)
        if note not in self.progress.notes:
            self._set(notes=[*self.progress.notes, note][-MAX_NOTES:])

    def refuse_more(self) -> None:
        """End the run before Temporal does.

        Raises:
            ApplicationError: ``MarketplaceError``: the run's history is too large to do things once more.
        """
        size = workflow.info().get_current_history_size()
        if size > MAX_HISTORY:
            raise ApplicationError(
                f"{self.progress.publisher_id}/{self.progress.offer_id}: the history of this run has {size:,} bytes,"
                f" {MAX_HISTORY:,} are allowed. Start the run again with the same input: it goes on where this one"
                " stopped.",
                type="MarketplaceError",
                non_retryable=True,
            )

    def has_room(self) -> bool:
        """Tell whether the history may still grow for what is not needed to bring the run to its end."""
        info = workflow.info()
        return info.get_current_history_length() < MAX_EVENTS and info.get_current_history_size() < ROOM_FOR_MORE

    def runs_above(self) -> list[str]:
        """Return the id of the run that this one is a part of, if any: a parent that is not ours expects nothing."""
        info = workflow.info()
        if info.parent is None or not info.workflow_id.startswith(info.parent.workflow_id):
            return []
        below = info.workflow_id.removeprefix(info.parent.workflow_id)
        return [info.parent.workflow_id] if below.startswith((UPDATE, *FOLLOWERS)) else []

    def heeds_check_now(self) -> bool:
        """Tell whether a request to look now is followed; where it is not, say so to whoever looks."""
        if self.has_room():
            return True
        self.note("check_now is not heeded any more, because the history of this run has grown long")
        return False

    async def follows(self, operation: FollowedOperation, waiting_for: str) -> None:
        """Say that an operation is followed from now on; how it moves its follower tells, to the runs above too."""
        self._set(operation=operation, steps=[], waiting_for=waiting_for)
        if self.progress.notes != self._told_notes:
            await self._tell_parent()

    def settled(self, state: OperationState) -> None:
        """Say that the operation did what it should: whoever followed it returned instead of telling so."""
        operation = self.progress.operation
        if operation is not None:
            steps = _settled(self.progress.steps, state)
            self._set(operation=operation.model_copy(update={"state": state}), steps=steps, waiting_for=None)

    def operation(self, moved: OperationMoved) -> None:
        """Say how the operation stands."""
        for note in moved.notes:
            self.note(note)
        self._set(operation=moved.operation, steps=list(moved.steps), waiting_for=moved.waiting_for)

    def operation_moved(self, sent: RawValue) -> None:
        """Take over what a run below, or its activity, tells."""
        moved = self.received(OPERATION_MOVED, OperationMoved, sent)
        if moved is None:
            return
        follower = moved.operation.followed_by if moved.operation is not None else None
        if follower is not None and not _is_below(workflow.info().workflow_id, follower):
            self.note(f"signal {OPERATION_MOVED} was refused: {one_line(follower, 100)} is not below this run")
            return
        self.operation(moved)

    def received(self, signal: str, model: type[Model], sent: RawValue) -> Model | None:
        """Read a signal's payload; one of the wrong shape is told to whoever looks, and changes nothing."""
        try:
            return read(model, sent, MAX_SIGNAL)
        except ApplicationError as error:
            self.note(f"signal {signal} was refused at {workflow.now():%Y-%m-%d %H:%M} UTC: {error.message}")
            return None

    async def pass_on_check_now(self) -> None:
        """Let the run that follows the operation look now."""
        operation = self.progress.operation
        if operation is None or operation.followed_by is None or not self.heeds_check_now():
            return
        try:
            await workflow.get_external_workflow_handle(operation.followed_by).signal(CHECK_NOW)
        except ApplicationError as error:
            workflow.logger.info("Nothing is followed any more: %s", error)

    async def notify(self, event: str, text: str) -> None:
        """Tell people through the webhook, if there is one; that it fails does not stop the run."""
        if self.runs_above():
            return
        info = workflow.info()
        notification = Notification(
            event=event,
            text=text,
            publisher_id=self.progress.publisher_id,
            offer_id=self.progress.offer_id,
            images=self.progress.images,
            workflow_id=info.workflow_id,
            run_id=info.run_id,
        )
        try:
            await self._post(notification)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self.note(f"nobody was notified: {error.cause}")

    async def _post(self, notification: Notification) -> None:
        """Post at once, which costs one event; where that fails, until it is done, and where people see it."""
        what = f"Tell people: {notification.event.replace('_', ' ')}"
        try:
            await workflow.execute_local_activity_method(NotificationActivities.notify, notification, **at_once(what))
        except (
            ApplicationError,
            TemporalTimeoutError,
        ):  # bare: a local activity's failure has no ActivityError around
            patiently = within(timedelta(minutes=2), NOTIFY, what)
            await workflow.execute_activity_method(NotificationActivities.notify, notification, **patiently)

    @asynccontextmanager
    async def closing(self) -> AsyncIterator[None]:
        """Record how the run ends, and make every failure one `ApplicationError` of the contract's types."""
        try:
            yield
        except (FailureError, asyncio.CancelledError) as error:
            if is_cancelled_exception(error) and workflow.cancellation_reason() is not None:
                self._set(next_look=None)
                self.stage(PublishStage.CANCELED)
                await workflow.wait_condition(workflow.all_handlers_finished)
                raise
            # Somebody cancelled not this run, but the one below it that follows the operation.
            reason = _follower_canceled() if is_cancelled_exception(error) else application_error(error)
            self._set(error=one_line(f"{reason.type}: {reason.message}", MAX_ERROR), next_look=None)
            self.stage(PublishStage.FAILED)
            await self.notify("failed", f"{workflow.info().workflow_type} failed. {self.progress.error}")
            await workflow.wait_condition(workflow.all_handlers_finished)
            # Without the errors it came through: each repeats the message, and the CLI prints them all.
            raise reason from None
        await workflow.wait_condition(workflow.all_handlers_finished)

    def _set(self, **changes: object) -> None:
        self.progress = self.progress.model_copy(update=changes)
        workflow.set_current_details(page(self.progress))

    async def _tell_parent(self) -> None:
        if not self.has_room():
            return
        self._told_notes = self.progress.notes
        moved = OperationMoved(
            waiting_for=self.progress.waiting_for,
            operation=self.progress.operation,
            steps=self.progress.steps,
            notes=self.progress.notes,
        )
        for run in self.runs_above():
            try:
                # A signal on its way takes a cancellation for its own and goes on: shielded, it leaves it to the run.
                await asyncio.shield(workflow.get_external_workflow_handle(run).signal(OPERATION_MOVED, moved))
            except ApplicationError as error:
                workflow.logger.warning("The run above could not be told: %s", error)


def application_error(error: BaseException) -> ApplicationError:
    """Return the reason below what activities and children raise.

    A stage whose time is used up while the marketplace keeps failing ends as ``OperationTimedOut``.
    """
    reason = error
    while isinstance(reason, ActivityError | ChildWorkflowError) and reason.cause is not None:
        if isinstance(reason.cause, TemporalTimeoutError):
            return _timed_out(reason.cause.cause)
        if isinstance(reason, ActivityError) and reason.retry_state is RetryState.TIMEOUT:
            return _timed_out(reason.cause)
        reason = reason.cause
    if reason is error and isinstance(error, ApplicationError):
        return error
    if isinstance(reason, TerminatedError):
        return _follower_terminated()
    if isinstance(reason, ApplicationError):
        return ApplicationError(_clipped(reason.message), type=reason.type, non_retryable=True)
    return ApplicationError(str(reason), type="MarketplaceError", non_retryable=True)


def _clipped(message: str) -> str:
    return message if len(message) <= MAX_ERROR else f"{message[: MAX_ERROR - 1]}…"


def _is_below(workflow_id: str, follower: str) -> bool:
    return follower.startswith(f"{workflow_id}/") and len(follower.encode()) <= MAX_FOLLOWER_ID


def _follower_canceled() -> ApplicationError:
    return ApplicationError(
        "the run that followed the operation was cancelled, and with it the operation of this run. Start the run"
        " again to go on.",
        type="OperationCanceled",
        non_retryable=True,
    )


def _follower_terminated() -> ApplicationError:
    return ApplicationError(
        "the run below this one, which followed the operation, was terminated; the operation goes on at the"
        " marketplace. Start the run again to follow it.",
        type="MarketplaceError",
        non_retryable=True,
    )


def _timed_out(last: BaseException | None) -> ApplicationError:
    seen = f" The last try: {last}." if last else ""
    return ApplicationError(
        f"the marketplace did not do what it was asked in the time this run allows.{seen}"
        " Start the run again when it is well: what is done already is not done twice.",
        type="OperationTimedOut",
        non_retryable=True,
    )


def _settled(steps: Sequence[Step], state: OperationState) -> list[Step]:
    """Return how the steps stand once the operation has settled: all before sign-off, or all, are complete."""
    told = []
    before_sign_off = True
    for step in steps:
        before_sign_off = before_sign_off and not step.is_sign_off
        if before_sign_off or state is OperationState.LIVE:
            told.append(step.model_copy(update={"state": StepState.COMPLETE, "percent": 100}))
        elif step.is_sign_off:
            told.append(step.model_copy(update={"state": StepState.WAITING_FOR_SIGN_OFF}))
        else:
            told.append(step)
    return told
