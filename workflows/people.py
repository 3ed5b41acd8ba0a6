"""Notifies people outside Temporal when a run awaits approval, fails, or is live.

A run tries for a few seconds. If the webhook still fails, a short internal run keeps trying for days, and the run
itself goes on.
"""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.notifications import Notification, NotificationActivities
    from workflows.calls import NOTIFY, call_locally, fair_priority, short, within
    from workflows.errors import last_attempt
    from workflows.logbook import Logbook
    from workflows.page import approve_command

AT_ONCE = timedelta(seconds=1)
FOR_DAYS = timedelta(days=3)

AWAITING_APPROVAL = "awaiting_approval"
FAILED = "failed"
LIVE = "live"


async def notify(logbook: Logbook, event: str, text: str, *, reminder: int = 0) -> None:
    """Post to the webhook, if there is one. A failing webhook does not stop the run.

    Args:
        logbook: Shows how the run stands.
        event: What happened.
        text: What happened and what to do now, for a person.
        reminder: The number of the reminder; 0 for the first notification.
    """
    try:
        await _deliver(logbook, _notification(logbook, event, text, reminder))
    except asyncio.CancelledError:
        # The cancellation came together with the webhook's answer. At its end, a run keeps its result or its error.
        if event == AWAITING_APPROVAL or workflow.cancellation_reason() is None:
            raise
        logbook.note("this run was cancelled while it notified people: nobody may have been notified of its end")


async def _deliver(logbook: Logbook, notification: Notification) -> None:
    """Post to the webhook, or leave that to an internal run.

    Raises:
        ActivityError: The run was cancelled before people were asked to approve.
    """
    try:
        await _post(notification)
    except ApplicationError as error:
        logbook.note(f"nobody was notified: {error}")
    except ActivityError as error:
        if is_cancelled_exception(error) and notification.event == AWAITING_APPROVAL:
            raise
        if isinstance(error.cause, ApplicationError) and error.cause.non_retryable:
            logbook.note(f"nobody was notified: {error.cause}")
        else:
            later = await _post_later(notification)
            logbook.note(f"nobody was notified yet: {last_attempt(error)}; {later} tries for {FOR_DAYS.days} days")


def what(notification: Notification) -> str:
    """Return a summary for the UI."""
    return short(f"Notify people: {notification.event.replace('_', ' ')}")


def _notification(logbook: Logbook, event: str, text: str, reminder: int) -> Notification:
    info, publication = workflow.info(), logbook.publication
    notification = Notification(
        event=event,
        text=text,
        publisher_id=publication.offer.publisher_id if publication.offer else None,
        offer_id=publication.offer.offer_id if publication.offer else None,
        images=publication.images,
        workflow_id=info.workflow_id,
        run_id=info.run_id,
        reminder=reminder,
    )
    sign_off = publication.sign_off
    if sign_off is None or event == FAILED:
        return notification
    told = {name: getattr(sign_off.promotion, name) for name in ("adds", "removes", "deprecates", "changes")}
    if event == LIVE:
        decision = sign_off.decision if publication.gone_live is not None else None
        told["approved_by"] = decision.approver if decision is not None and decision.approve else None
    else:
        told["approvers"], told["until"] = sign_off.approvers, sign_off.until
        told["command"] = " ".join(approve_command(info.workflow_id, info.namespace, sign_off.approvers))
    return notification.model_copy(update=told)


async def _post(notification: Notification) -> None:
    """Post as a local activity, which costs one event. If that fails, post as an ordinary activity.

    Raises:
        ApplicationError: The webhook refused the local attempt for good.
        ActivityError: The ordinary activity failed.
    """
    try:
        await call_locally(NotificationActivities.notify, notification, AT_ONCE, what(notification))
    except ApplicationError as error:
        if error.non_retryable:
            raise
        patiently = within(timedelta(minutes=2), NOTIFY, what(notification))
        await workflow.execute_activity_method(NotificationActivities.notify, notification, **patiently)


async def _post_later(notification: Notification) -> str:
    """Start an internal run that delivers the notification; return its workflow ID."""
    later = f"internal/notify/{workflow.uuid4()}"
    await workflow.start_child_workflow(
        "Notify",
        notification,
        id=later,
        parent_close_policy=ParentClosePolicy.ABANDON,
        priority=fair_priority(),
        static_summary=short(f"{what(notification)}, for {notification.workflow_id}"),
    )
    return later
