"""The internal workflow `Notify`: keeps trying for days to deliver a notification."""

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.notifications import Notification, NotificationActivities
    from workflows.calls import NOTIFY_FOR_DAYS, within
    from workflows.errors import final, last_attempt
    from workflows.inputs import NOTHING, validated
    from workflows.people import FOR_DAYS, what


@workflow.defn
class Notify:
    """Post a notification until the webhook accepts it; see `workflows.people`."""

    @workflow.run
    async def run(self, request: RawValue = NOTHING) -> None:
        """Take a `Notification`. A run without a parent is refused."""
        if workflow.info().parent is None:
            raise final("InvalidInput", "Notify is a part of the other workflows. Start one of them instead.")
        notification = validated(Notification, request)
        patiently = within(FOR_DAYS, NOTIFY_FOR_DAYS, what(notification))
        try:
            await workflow.execute_activity_method(NotificationActivities.notify, notification, **patiently)
        except ActivityError as error:
            raise final("NotificationFailed", f"nobody was notified: {last_attempt(error)}") from None
