"""Notifies people outside Temporal: when a run awaits approval, fails, or is live."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.notifications import Notification, NotificationActivities
    from workflows.calls import NOTIFY, at_once, short, within
    from workflows.logbook import Logbook

AT_ONCE = timedelta(seconds=1)


async def notify(logbook: Logbook, event: str, text: str) -> None:
    """Post to the webhook, if there is one. A webhook that fails does not stop the run."""
    info, publication = workflow.info(), logbook.publication
    notification = Notification(
        event=event,
        text=text,
        publisher_id=publication.offer.publisher_id if publication.offer else None,
        offer_id=publication.offer.offer_id if publication.offer else None,
        images=publication.images,
        workflow_id=info.workflow_id,
        run_id=info.run_id,
    )
    try:
        await _post(notification)
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        logbook.note(f"nobody was notified: {error.cause}")


async def _post(notification: Notification) -> None:
    """Post within the workflow task, which costs one event; where that fails, as an activity that people can see."""
    what = short(f"Notify people: {notification.event.replace('_', ' ')}")
    try:
        await at_once(NotificationActivities.notify, notification, AT_ONCE, what)
    except ApplicationError:
        patiently = within(timedelta(minutes=2), NOTIFY, what)
        await workflow.execute_activity_method(NotificationActivities.notify, notification, **patiently)
