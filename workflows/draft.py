"""Writes to an offer's draft, one run at a time if no ETag guards it.

Conditional writes protect a draft whose reads carry an ETag. Without one, a run that reads before another run's write
and writes after it loses the other run's image. Therefore a run holds the offer's lease from its read to its verified
write. The lease is a short internal run whose workflow ID names the offer: Temporal never runs two of one ID. A run
that finds the lease taken waits and tries again. The lease ends with its holder: when the holder is cancelled,
terminated or times out, Temporal cancels the lease, which closes once its write is known to have ended.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ActivityCancellationType, ActivityConfig, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.offers import DraftWritten, EditRequest, OfferActivities, PutOfferRequest
    from activities.operations import OperationActivities, PublishRequest, StartedOperation
    from marketplace.model import OfferKey, Payload, Scope
    from workflows.calls import EDIT, START, Answer, fair_priority, short, within
    from workflows.logbook import Logbook
    from workflows.waiting import Waiting, heed_cancellation

LEASE_INTERVAL = timedelta(seconds=1)
LEASE_MAX_INTERVAL = timedelta(seconds=30)
LEASE_SHARE = 0.25
"""A run that waits for another writer tries again after a quarter of the time that it has waited."""

ALONE = EDIT | ActivityConfig(cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED)


class DraftWrite(Payload):
    """A write to a draft, and the time that all its attempts may take.

    It puts a whole offer or images, or it publishes some plans: such a publish states what the draft holds of them.
    """

    put: PutOfferRequest | None = None
    edit: EditRequest | None = None
    publish: PublishRequest | None = None
    time: timedelta

    def under_lease(self) -> "DraftWrite":
        """Return the same write, marked as made under the lease."""
        sole = {"sole_writer": True}
        return DraftWrite(
            put=self.put.model_copy(update=sole) if self.put else None,
            edit=self.edit.model_copy(update=sole) if self.edit else None,
            publish=self.publish,
            time=self.time,
        )


def lease_of(offer: OfferKey) -> str:
    """Return the workflow ID of an offer's lease, the same in whatever case the publisher is spelled."""
    return f"internal/draft/{offer.publisher_id.casefold()}/{offer.offer_id}"


async def publish(request: PublishRequest, time: timedelta) -> StartedOperation:
    """Publish the draft."""
    return await workflow.execute_activity_method(
        OperationActivities.publish, request, **within(time, START, f"Publish {request.offer}")
    )


async def call(wanted: DraftWrite, config: ActivityConfig = EDIT) -> DraftWritten:
    """Write to the draft; the service may take minutes to answer."""
    if wanted.put is not None:
        return await workflow.execute_activity_method(
            OfferActivities.put_offer, wanted.put, **within(wanted.time, config, f"Put {wanted.put.offer}")
        )
    if wanted.edit is None:
        raise ValueError("a write needs an offer or images")
    versions = ", ".join(str(image.image_version) for image in wanted.edit.images)
    return await workflow.execute_activity_method(
        OfferActivities.edit_images, wanted.edit, **within(wanted.time, config, f"Put {versions} into the draft")
    )


class DraftWriter:
    """Writes to the draft of one run's offer."""

    def __init__(self, logbook: Logbook, waiting: Waiting, offer: OfferKey) -> None:
        self._logbook = logbook
        self._waiting = waiting
        self._offer = offer

    async def write(self, wanted: DraftWrite) -> DraftWritten:
        """Write to the draft: directly if an ETag guards it, otherwise as its only writer."""
        await heed_cancellation()
        publication = self._logbook.publication
        written = DraftWritten(unguarded=True) if publication.unguarded else await call(wanted)
        if written.unguarded:
            publication.unguarded = True
            written = await self._write_alone(wanted, DraftWritten)
        self._waiting.now = workflow.now()
        for warning in written.warnings:
            self._logbook.note(warning)
        if written.refused is not None:
            self._logbook.note(f"the marketplace takes no edits while the operation runs. It said: {written.refused}")
        publication.removed = list(dict.fromkeys([*publication.removed, *written.removed]))
        publication.deprecated = list(dict.fromkeys([*publication.deprecated, *written.deprecated]))
        publication.changed = publication.changed or written.changed
        publication.known_operations = written.known_operations if written.survey.in_draft else None
        return written

    async def publish(self, request: PublishRequest) -> StartedOperation:
        """Publish the draft: the whole draft directly, some of its plans as its only writer."""
        time = self._waiting.time_left()
        if request.scope is Scope.WHOLE:
            self._logbook.publication.publish_requested = True
            return await publish(request, time)
        return await self._write_alone(DraftWrite(publish=request, time=time), StartedOperation)

    async def _write_alone(self, wanted: DraftWrite, answer: type[Answer]) -> Answer:
        """Write under the offer's lease. Wait while another run holds it."""
        publication = self._logbook.publication
        lease = lease_of(self._offer)
        while True:
            publication.publish_requested = wanted.publish is not None
            self._logbook.waits_for(f"workflow {lease} to write the draft, which may take minutes")
            try:
                written: Answer = await workflow.execute_child_workflow(
                    "WriteDraft",
                    wanted.under_lease().model_copy(update={"time": self._waiting.time_left()}),
                    id=lease,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
                    result_type=answer,
                    priority=fair_priority(),
                    static_summary=short(f"Write to the draft of {self._offer}, for {workflow.info().workflow_id}"),
                )
            except WorkflowAlreadyStartedError:
                publication.publish_requested = False
                self._waiting.now = workflow.now()
                publication.writer_since = publication.writer_since or self._waiting.now
                waited = self._waiting.now - publication.writer_since
                interval = min(max(waited * LEASE_SHARE, LEASE_INTERVAL), LEASE_MAX_INTERVAL)
                await self._waiting.pause("another run that is writing to the offer's draft", interval)
                await heed_cancellation()
            else:
                publication.writer_since = None
                return written
